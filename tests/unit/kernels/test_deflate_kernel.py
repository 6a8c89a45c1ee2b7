"""Our deflater: what it writes inflates to what came in, whatever came in and however it was cut; it never grows it."""

from __future__ import annotations

import concurrent.futures
import functools
import importlib
import random
import warnings
import zlib
from collections.abc import Iterable

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import examples

from penstock import encode
from penstock.encode import gzip, lines
from penstock.samples import generate

deflate = pytest.importorskip("penstock.kernels.deflate")

BLOCK = 262_144
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples.some(40))


def deflated(text: bytes, cuts: Iterable[int] = ()) -> bytes:
    deflater = deflate.Deflater()
    start = 0
    for end in cuts:
        deflater.add(text[start:end])
        start = end
    deflater.add(text[start:])
    return bytes(deflater.finish())


def inflated(segment: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    text = inflater.decompress(segment)
    assert not inflater.eof, "a segment has no last block"
    assert segment.endswith(b"\x00\x00\xff\xff"), "it ends with a full flush"
    return text


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@functools.cache
def sample_lines(events: int = 6000) -> bytes:
    return b"".join(f'{{"message":"{event["message"]}"}}\n'.encode() for event in generate.sample_events(events))


@functools.cache
def sample_frame(fields: tuple[str, ...]) -> pl.DataFrame:
    events = list(generate.sample_events(20_000))
    return pl.DataFrame({field: [event.get(field) for event in events] for field in fields}, strict=False)


@CALM
@given(
    seed=st.integers(0, 2**32),
    words=st.integers(1, 400),
    longest=st.sampled_from([1, 2, 7, 30, 300, 5000]),
    size=st.one_of(st.integers(0, 2000), st.integers(0, 3 * BLOCK)),
    alphabet=st.sampled_from([b"a", b"ab", bytes(range(256))]),
)
def test_what_comes_in_comes_out(seed: int, words: int, longest: int, size: int, alphabet: bytes) -> None:
    chance = random.Random(seed)
    vocabulary = [bytes(chance.choices(alphabet, k=chance.randint(1, longest))) for _ in range(words)]
    pieces: list[bytes] = []
    left = size
    while left > 0:
        pieces.append(chance.choice(vocabulary))
        left -= len(pieces[-1])
    text = b"".join(pieces)[:size]
    assert inflated(deflated(text)) == text


@pytest.mark.parametrize("size", [1, 39, 40, 41, 48, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 40, 2 * BLOCK, 5 * BLOCK + 7])
@pytest.mark.parametrize("text", [b"\0", b"abcdefg", b"0123456789" * 26 + b"x", noise(40_000, 1)], ids=len)
def test_repetitions_over_every_edge(text: bytes, size: int) -> None:
    repeated = (text * (size // len(text) + 1))[:size]
    assert inflated(deflated(repeated)) == repeated


@pytest.mark.parametrize("distance", [32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 98_304, 131_072])
def test_a_match_never_reaches_behind_the_window(distance: int) -> None:
    text = (noise(distance, distance) * (3 * BLOCK // distance + 2))[: 3 * BLOCK]
    segment = deflated(text)
    assert inflated(segment) == text
    assert (len(segment) < len(text) // 2) == (distance <= 32_768)


def test_what_cannot_shrink_hardly_grows() -> None:
    for size in (1, 100, 65_535, 65_536, BLOCK, 3 * BLOCK + 5):
        text = noise(size, size)
        segment = deflated(text)
        assert inflated(segment) == text
        assert len(segment) <= size + 25 * (size // BLOCK + 1) + 5


def test_codes_that_would_be_too_long_are_shortened() -> None:
    """Counts like Fibonacci's numbers make Huffman's deepest tree: 23 bits here, of which deflate allows 15."""
    counts = [1, 1]
    while sum(counts) + counts[-1] + counts[-2] < BLOCK:
        counts.append(counts[-1] + counts[-2])
    letters = [letter for letter, count in enumerate(counts) for _ in range(count)]
    random.Random(3).shuffle(letters)
    text = bytes(letters)
    assert inflated(deflated(text)) == text


@CALM
@given(cuts=st.lists(st.integers(0, 2 * BLOCK), max_size=12))
def test_the_same_bytes_however_the_lines_were_cut(cuts: list[int]) -> None:
    text = sample_lines(1500)
    assert deflated(text, sorted(cuts)) == deflated(text)


def test_a_segment_knows_nothing_of_another() -> None:
    text = sample_lines()
    assert deflated(text) == deflated(text)
    assert inflated(deflated(text) + deflated(text)) == text + text


SELECTIONS = {
    "default": ["@timestamp", "message"],
    "network": ["@timestamp", "source.ip", "source.port", "destination.ip", "destination.port", "event.action"],
    "endpoint": ["@timestamp", "host.name", "process.name", "process.executable", "file.hash.sha256", "user.name"],
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_sample_events_come_out_at_most_a_tenth_larger_than_by_zlib(selection: str) -> None:
    frame = sample_frame(tuple(SELECTIONS[selection]))
    encoder = encode.LineEncoder(frame.columns, {})
    text = bytes(encoder.encode(frame).data)
    sizes = {
        level: len(gzip.encode_slice(encoder, frame, level).data) for level in ("fastest", "fast", "small", "isal")
    }
    assert sizes["fast"] < 1.1 * len(zlib.compress(text, 6))
    assert sizes["small"] < len(zlib.compress(text, 6))
    assert sizes["fastest"] < 0.96 * sizes["isal"]


def test_a_small_segment_has_no_codes_for_what_does_not_occur() -> None:
    frame = sample_frame(tuple(SELECTIONS["network"])).head(20)
    encoder = encode.LineEncoder(frame.columns, {})
    text = bytes(encoder.encode(frame).data)
    assert len(gzip.encode_slice(encoder, frame, "fast").data) < 1.15 * len(zlib.compress(text, 6))


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="best"):
        deflate.Deflater("best")


@CALM
@given(cuts=st.lists(st.integers(1, 2000), max_size=5), level=st.sampled_from(["fastest", "fast"]))
def test_the_same_bytes_however_marked_lines_were_cut(cuts: list[int], level: str) -> None:
    """Pieces end with rows; where they end must not show."""
    frame = sample_frame(tuple(SELECTIONS["default"])).head(2000)
    encoder = encode.LineEncoder(frame.columns, {})

    def by_pieces(chunk_bytes: int) -> bytes:
        deflater = deflate.Deflater(level)
        for piece, _, marks in encoder.chunks(frame, chunk_bytes):
            deflater.add(piece, marks)
        return bytes(deflater.finish())

    whole = by_pieces(1 << 30)
    assert inflated(whole) == bytes(encoder.encode(frame).data)
    for cut in cuts:
        assert by_pieces(100 * cut) == whole


def test_without_the_compiled_deflater_a_library_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(lines, "_warned", [])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        segments = [gzip.deflate(sample_lines(500), "fast") for _ in range(2)]
    assert [str(warning.message)[:33] for warning in said] == ["Penstock's compiled encoder is mi"]
    assert segments[0] == segments[1]
    assert inflated(segments[0].data) == sample_lines(500)


def test_a_segment_owes_nothing_to_the_ones_before_it() -> None:
    """States are used again; what an earlier segment left in them must not show."""
    texts = [
        bytes(range(256)) * 3000,
        b'{"a":"b"}\n' * 200_000,
        random.Random(5).randbytes(600_000),
        b"x",
        b"ab" * 40_000,
    ]
    fresh = {text: gzip.deflate(text, "fast").data for text in texts}
    for _ in range(3):
        for text in reversed(texts):
            again = gzip.deflate(text, "fast").data
            assert again == fresh[text]
            assert zlib.decompressobj(-15).decompress(again) == text


def test_segments_may_be_made_on_many_threads_at_once() -> None:
    """More at once than states are kept for."""
    texts = [b'{"n":%d,"text":"%d"}\n' % (n, n * n) * (2000 + 700 * n) for n in range(40)]
    alone = [gzip.deflate(text, "fast").data for text in texts]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda text: gzip.deflate(text, "fast").data, texts))
    assert together == alone
