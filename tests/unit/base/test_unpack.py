"""What is packed comes out whole in bounded pieces and linear time; what is wrong is named for what it is."""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Callable

import pytest
import zstandard

from penstock.base import unpack

PACKERS: dict[unpack.Kind, Callable[[bytes], bytes]] = {
    unpack.Kind.GZIP: gzip.compress,
    unpack.Kind.ZSTD: zstandard.ZstdCompressor(write_checksum=True).compress,
}
KINDS = pytest.mark.parametrize("kind", list(PACKERS))


def run(content: bytes, kind: unpack.Kind, size: int = 65_536, **options: int) -> bytes:
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    return b"".join(unpack.unpacked(pieces, unpack.unpacker(kind, **options)))


@KINDS
@pytest.mark.parametrize("size", [1, 7, 4_096, 1 << 20])
def test_all_streams_of_a_file_come_out_however_it_is_cut(kind: unpack.Kind, size: int) -> None:
    first = random.Random(1).randbytes(20_000) + b"a" * 300_000
    packed = PACKERS[kind](first) + PACKERS[kind](b"") + PACKERS[kind](b"last")

    assert run(packed, kind, size) == first + b"last"


def test_zeros_behind_the_last_gzip_member_are_padding() -> None:
    assert run(gzip.compress(b"x") + b"\0" * 100_000, unpack.Kind.GZIP) == b"x"


@KINDS
def test_a_bomb_comes_out_in_bounded_pieces(kind: unpack.Kind) -> None:
    packed = PACKERS[kind](b"\0" * (256 << 20))

    pieces = itertools.islice(unpack.unpacker(kind).feed(packed), 10)

    assert max(map(len, pieces)) <= 16 << 20


@KINDS
@pytest.mark.parametrize(
    ("spoil", "trouble"),
    [
        (lambda packed: packed[:-1], unpack.Trouble.TRUNCATED),
        (lambda packed: packed + packed[:5], unpack.Trouble.TRUNCATED),
        (lambda packed: packed + b"x", unpack.Trouble.TRAILING),
        (lambda packed: packed + b"an unpacked line\n" * 100, unpack.Trouble.TRAILING),
        (lambda packed: b"never packed", unpack.Trouble.DAMAGED),
        (lambda packed: b"{", unpack.Trouble.DAMAGED),
        (lambda packed: packed[:40] + bytes(200) + packed[240:], unpack.Trouble.DAMAGED),
    ],
)
def test_what_is_wrong_is_named(kind: unpack.Kind, spoil: Callable[[bytes], bytes], trouble: unpack.Trouble) -> None:
    packed = PACKERS[kind](random.Random(2).randbytes(500).hex().encode())

    with pytest.raises(unpack.UnpackError) as raised:
        run(spoil(packed), kind)

    assert raised.value.trouble is trouble
    assert raised.value.kind is kind


def test_a_frame_that_wants_more_memory_than_allowed_is_refused() -> None:
    compressor = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=24, enable_ldm=False)
    ).compressobj()
    packed = compressor.compress(random.Random(3).randbytes(1 << 16) * 300) + compressor.flush()

    assert len(run(packed, unpack.Kind.ZSTD)) == 300 << 16
    with pytest.raises(unpack.UnpackError, match="too much memory"):
        run(packed, unpack.Kind.ZSTD, max_window_bytes=unpack.HTTP_WINDOW_BYTES)


@KINDS
def test_signatures_are_recognised(kind: unpack.Kind) -> None:
    assert unpack.kind_of(PACKERS[kind](b"x")[:4]) is kind
    assert unpack.kind_of(b'{"a":1}') is None


@KINDS
def test_empty_streams_cost_the_same_each(kind: unpack.Kind) -> None:
    """Work is counted, not timed: bytes handed to the library for a body of empty streams, against its length."""
    empty = PACKERS[kind](b"")
    one = unpack.unpacker(kind)
    handed = 0
    original = one._bite  # type: ignore[attr-defined]

    def counted(rest: bytes):  # type: ignore[no-untyped-def]
        nonlocal handed
        handed += len(rest) * (len(rest) // len(empty) + 1)  # what is behind each end is copied once more
        return original(rest)

    one._bite = counted  # type: ignore[attr-defined]
    packed = empty * 20_000
    assert b"".join(one.feed(packed)) == b""
    assert handed / len(packed) < 1_000
