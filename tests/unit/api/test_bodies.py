"""Claims about taking the body of an ingest request in: whole or not at all, bounded, whatever it is packed with."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import AsyncIterator

import anyio
import pytest
import starlette.requests
import zstandard

from penstock import errors
from penstock.api import bodies

LINES = b"".join(b'{"message":"event %d"}\n' % n for n in range(20_000))
PACKED = {
    "": LINES,
    "identity": LINES,
    "gzip": gzip.compress(LINES),
    "GZIP": gzip.compress(LINES[:100]) + gzip.compress(LINES[100:]),
    "zstd": zstandard.compress(LINES[:5000]) + zstandard.compress(LINES[5000:]),
}


async def chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
    yield b""


def take(stream: AsyncIterator[bytes], encoding: str, max_bytes: int = 1 << 30) -> bytes:
    async def main() -> bytes:
        async with bodies.received(stream, max_bytes) as sent:
            with bodies.unpacked(sent, encoding, max_bytes) as body:
                return body.read()

    return anyio.run(main)


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("size", [1009, 65_536, 1 << 20])
def test_a_body_comes_out_as_it_was_packed(encoding: str, size: int) -> None:
    assert take(chunks(PACKED[encoding], size), encoding) == LINES


def test_byte_by_byte_is_no_different() -> None:
    body = LINES[:300]
    for encoding, packed in (("gzip", gzip.compress(body)), ("zstd", zstandard.compress(body)), ("", body)):
        assert take(chunks(packed, 1), encoding) == body


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_no_body_is_an_empty_body(encoding: str) -> None:
    assert take(chunks(b"", 1), encoding) == b""


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_truncated_archive_is_refused(encoding: str) -> None:
    with pytest.raises(errors.IngestError) as caught:
        take(chunks(PACKED[encoding][:-5], 4096), encoding)
    assert caught.value.code == "truncated_body"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_is_no_archive_is_refused(encoding: str) -> None:
    with pytest.raises(errors.IngestError) as caught:
        take(chunks(LINES, 4096), encoding)
    assert caught.value.code == "damaged_body"


@pytest.mark.parametrize("encoding", PACKED)
def test_the_bound_holds_after_unpacking(encoding: str) -> None:
    assert take(chunks(PACKED[encoding], 4096), encoding, max_bytes=len(LINES)) == LINES
    with pytest.raises(errors.BodyTooLarge) as caught:
        take(chunks(PACKED[encoding], 4096), encoding, max_bytes=len(LINES) - 1)
    assert (caught.value.code, caught.value.status) == ("body_too_large", 413)


def test_the_bound_holds_before_unpacking() -> None:
    noise = random.Random(1).randbytes(100_000)
    packed = gzip.compress(noise)
    with pytest.raises(errors.BodyTooLarge):
        take(chunks(packed, 4096), "gzip", max_bytes=len(packed) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_stopped_early(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = bytes(1 << 26)
    bomb = gzip.compress(zeros) if encoding == "gzip" else zstandard.compress(zeros)
    monkeypatch.setattr(bodies, "_READ_BYTES", 512)
    body = io.BytesIO(bomb)
    with pytest.raises(errors.BodyTooLarge), bodies.unpacked(body, encoding, 1 << 20):
        pass
    assert body.tell() <= len(bomb) / 2


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(errors.UnsupportedEncoding) as caught:
        take(chunks(LINES, 4096), encoding)
    assert (caught.value.code, caught.value.status) == ("unsupported_content_encoding", 415)


def test_a_sender_that_goes_away_leaves_nothing() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LINES
        raise starlette.requests.ClientDisconnect

    with pytest.raises(errors.IngestError) as caught:
        take(broken(), "")
    assert caught.value.code == "truncated_body"
