"""One gzip member from segments: any tool reads it, each segment inflates alone, the bytes never vary."""

from __future__ import annotations

import gzip as python_gzip
import os
import pathlib
import shutil
import struct
import subprocess
import zlib

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock import encode
from penstock.encode import gzip

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
COMPRESSIONS = ["fastest", "fast", "small", "isal"]
FRAME = pl.DataFrame({"a": [f"event {n} from 10.0.{n % 7}.{n % 251} é" for n in range(40_000)], "n": range(40_000)})
ENCODER = encode.LineEncoder(["a", "n"], {})


def member(segments: list[gzip.Segment]) -> bytes:
    state = gzip.Member()
    for segment in segments:
        state.add(segment)
    return gzip.HEADER + b"".join(segment.data for segment in segments) + state.trailer()


@pytest.mark.parametrize("compression", COMPRESSIONS)
@settings(CALM)
@given(texts=st.lists(st.binary(max_size=3000), max_size=5))
def test_segments_join_into_one_member(compression: str, texts: list[bytes]) -> None:
    data = member([gzip.deflate(text, compression) for text in texts])
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(data) == b"".join(texts)
    assert inflater.eof
    assert inflater.unused_data == b"", "one member, nothing behind it"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_each_segment_inflates_alone(compression: str) -> None:
    slices = [FRAME.slice(at, 10_000) for at in range(0, 40_000, 10_000)]
    for frame in slices:
        segment = gzip.encode_slice(ENCODER, frame, compression)
        raw = zlib.decompressobj(-15).decompress(segment.data)
        assert raw == bytes(ENCODER.encode(frame).data)
        assert (len(raw), zlib.crc32(raw), frame.height) == (segment.raw_bytes, segment.crc32, segment.events)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_bytes_do_not_depend_on_how_the_frame_is_cut(compression: str) -> None:
    frame = pl.concat([FRAME] * 3)  # several pieces of lines
    segment = gzip.encode_slice(ENCODER, frame, compression)
    rechunked = pl.concat([frame.slice(0, 11), frame.slice(11, 70_000), frame.slice(70_011)], rechunk=False)
    assert segment.raw_bytes > 3 * encode.lines.CHUNK_BYTES
    assert gzip.encode_slice(ENCODER, rechunked, compression) == segment
    for same_lines in (
        gzip.deflate(ENCODER.encode(frame), compression),
        gzip.encode_slice(encode.LineEncoder(["a", "n"], {}, kernel=False), frame, compression),
    ):
        assert (same_lines.crc32, same_lines.events) == (segment.crc32, segment.events)
        assert zlib.decompressobj(-15).decompress(same_lines.data) == bytes(ENCODER.encode(frame).data)


def test_an_empty_export_is_a_valid_empty_gzip() -> None:
    empty = gzip.encode_slice(ENCODER, FRAME.clear(), "fast")
    assert empty == gzip.Segment(data=b"", raw_bytes=0, crc32=0, events=0)
    for data in (member([]), member([empty, empty])):
        assert len(data) == 20
        assert python_gzip.decompress(data) == b""


def test_a_member_goes_on_from_its_checkpoint() -> None:
    segments = [gzip.encode_slice(ENCODER, FRAME.slice(at, 20_000), "fast") for at in (0, 20_000)]
    state = gzip.Member()
    state.add(segments[0])
    resumed = gzip.Member(crc32=state.crc32, raw_bytes=state.raw_bytes)
    resumed.add(segments[1])
    assert gzip.HEADER + segments[0].data + segments[1].data + resumed.trailer() == member(segments)


def test_length_and_checksum_past_four_gibibytes() -> None:
    """5 GiB of zeros and one byte, never made: CRCs combine by length, which zlib confirms for the small case."""
    block, blocks = bytes(1 << 20), 5 * 1024
    segment = gzip.Segment(data=b"", raw_bytes=len(block), crc32=zlib.crc32(block))
    state = gzip.Member()
    for _ in range(blocks):
        state.add(segment)
    state.add(gzip.Segment(data=b"", raw_bytes=1, crc32=zlib.crc32(b"!")))
    assert state.raw_bytes == 5 * 2**30 + 1
    crc32, length = struct.unpack("<II", state.trailer()[2:])
    assert length == 2**30 + 1
    doubled, size = zlib.crc32(block), len(block)  # the same by doubling: 4 GiB and 1 GiB
    sizes = {}
    while size <= 4 * 2**30:
        sizes[size] = doubled
        doubled, size = _combine(doubled, doubled, size), size * 2
    five = _combine(sizes[4 * 2**30], sizes[2**30], 2**30)
    assert crc32 == _combine(five, zlib.crc32(b"!"), 1)


def _combine(first: int, second: int, second_bytes: int) -> int:
    """CRC-32 of A+B from those of A and B: multiply A's by x^(8n) modulo the polynomial, bit by bit."""

    def times(a: int, b: int) -> int:
        product, bit = 0, 1 << 31
        while bit:
            if a & bit:
                product ^= b
            b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
            bit >>= 1
        return product

    power, square, bits = 1 << 31, 1 << 30, 8 * second_bytes
    while bits:
        if bits & 1:
            power = times(square, power)
        square, bits = times(square, square), bits >> 1
    return times(power, first) ^ second


def test_our_own_combination_agrees_with_zlib() -> None:
    assert _combine(zlib.crc32(b"abc"), zlib.crc32(b"defgh"), 5) == zlib.crc32(b"abcdefgh")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, bytes]:
    path = tmp_path_factory.mktemp("gzip") / "export.jsonl.gz"
    path.write_bytes(
        member([gzip.encode_slice(ENCODER, FRAME.slice(at, 9_999), "fast") for at in range(0, 40_000, 9_999)])
    )
    return path, bytes(ENCODER.encode(FRAME).data)


def test_pythons_gzip_reads_it(exported: tuple[pathlib.Path, bytes]) -> None:
    path, lines = exported
    with python_gzip.open(path) as file:
        assert file.read() == lines


@pytest.mark.skipif(not shutil.which("gzip"), reason="no gzip here")
def test_gzip_tests_and_unpacks_it(exported: tuple[pathlib.Path, bytes]) -> None:
    path, lines = exported
    subprocess.run(["gzip", "-t", str(path)], check=True)
    assert subprocess.run(["gzip", "-dc", str(path)], check=True, capture_output=True).stdout == lines


@pytest.mark.skipif(not shutil.which("node"), reason="no node here")
def test_nodes_decompression_stream_reads_it_all(exported: tuple[pathlib.Path, bytes]) -> None:
    """Browsers' DecompressionStream refuses bytes behind the first member; so this fails if there were two."""
    path, lines = exported
    script = """
        const fs = require('fs');
        const stream = new Blob([fs.readFileSync(process.argv[1])]).stream();
        new Response(stream.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer().then((bytes) =>
            process.stdout.write(require('crypto').createHash('sha256').update(Buffer.from(bytes)).digest('hex')));
    """
    out = subprocess.run(["node", "-e", script, str(path)], check=True, capture_output=True, env=dict(os.environ))
    import hashlib

    assert out.stdout.decode() == hashlib.sha256(lines).hexdigest()


def test_a_broken_byte_is_found(exported: tuple[pathlib.Path, bytes]) -> None:
    data = bytearray(exported[0].read_bytes())
    data[-8] ^= 1
    with pytest.raises(python_gzip.BadGzipFile):
        python_gzip.decompress(bytes(data))


def test_small_is_smaller_than_zlib_6_and_fast_not_far_from_it() -> None:
    lines = bytes(ENCODER.encode(FRAME).data)
    zlib6 = len(zlib.compress(lines, 6))
    assert len(gzip.deflate(lines, "small").data) <= zlib6
    assert len(gzip.deflate(lines, "fast").data) <= 1.2 * zlib6
    assert len(gzip.encode_slice(ENCODER, FRAME, "fast").data) <= 1.1 * zlib6


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(ValueError, match="tiny"):
        gzip.deflate(b"x\n", "tiny")
