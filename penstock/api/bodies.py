"""The body of an ingest request: pulled from the connection by a thread, unpacked, bounded, spooled to disk.

It is taken whole before a line of it is read: too large a body, a broken archive or a connection that ends early leaves
nothing behind. Memory stays at `_SPOOL_MEMORY_BYTES` and one chunk, whatever is sent.
"""

from __future__ import annotations

import contextlib
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import IO, Protocol

import anyio
import anyio.from_thread
import starlette.requests
import zstandard

from penstock import errors

ENCODINGS = ("identity", "gzip", "zstd")

CHUNK_TIMEOUT_SECONDS = 60
"""A sender that is silent for so long is given up: each holds one of few threads."""

_SPOOL_MEMORY_BYTES = 8 * 1024 * 1024
_INFLATE_BYTES = 1024 * 1024
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class BodyTooLarge(errors.Refused):
    """The body is larger than the service takes in one request."""

    status = 413
    title = "Body too large"


class UnsupportedEncoding(errors.Refused):
    """The body is packed in a way the service cannot unpack."""

    status = 415
    title = "Unsupported encoding"


@contextlib.contextmanager
def spooled(stream: AsyncIterator[bytes], encoding: str, max_bytes: int) -> Iterator[IO[bytes]]:
    """The whole body, unpacked, as a file at its beginning. Call on a thread of the app's event loop.

    Args:
        stream: the request's chunks.
        encoding: value of Content-Encoding; empty for none.
        max_bytes: bound, before and after unpacking.

    Raises:
        BodyTooLarge: `body_too_large`.
        UnsupportedEncoding: `unsupported_content_encoding`.
        IngestError: `truncated_body` (the archive or the connection ends early), `damaged_body`.
    """
    unpack = _unpacker(encoding)
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES) as spool:
        received = written = 0
        for chunk in _pulled(stream):
            received += len(chunk)
            for piece in unpack.feed(chunk):
                written += len(piece)
                _check_size(max(received, written), max_bytes)
                spool.write(piece)
            _check_size(received, max_bytes)
        unpack.finish()
        spool.seek(0)
        yield spool


def _pulled(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The stream's chunks, pulled one by one from a thread."""
    try:
        while True:
            yield anyio.from_thread.run(_next_chunk, stream)
    except _StreamEnd:
        return
    except starlette.requests.ClientDisconnect as error:
        raise errors.IngestError(
            "truncated_body", "The connection ended in the middle of the body.", "Send it again; nothing was taken in."
        ) from error


class _StreamEnd(Exception):
    """The end of a stream, for the other side of the event loop (StopAsyncIteration does not cross it)."""


async def _next_chunk(stream: AsyncIterator[bytes]) -> bytes:
    try:
        with anyio.fail_after(CHUNK_TIMEOUT_SECONDS):
            return await anext(stream)
    except StopAsyncIteration:
        raise _StreamEnd from None
    except TimeoutError:
        raise errors.IngestError(
            "truncated_body",
            f"Nothing of the body came for {CHUNK_TIMEOUT_SECONDS} seconds.",
            "Send it again; nothing was taken in.",
        ) from None


class _Unpacker(Protocol):
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Pieces of bounded size."""
        ...

    def finish(self) -> None:
        """Raises if the archive is not complete."""
        ...


def _unpacker(encoding: str) -> _Unpacker:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Gzip()
    if name == "zstd":
        return _Zstandard()
    raise UnsupportedEncoding(
        "unsupported_content_encoding",
        f"The Content-Encoding {encoding[:40]!r} is not supported.",
        "Send the body plain, or packed once with gzip or zstd.",
    )


class _Plain:
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> None:
        pass


class _Gzip:
    """One or several gzip members, as gzip files are."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(_GZIP_WINDOW)
            self._started = True
            try:
                yield self._inflate.decompress(chunk, _INFLATE_BYTES)
            except zlib.error as error:
                raise _damaged("gzip", error) from error
            chunk = self._inflate.unconsumed_tail or self._inflate.unused_data

    def finish(self) -> None:
        if self._started and not self._inflate.eof:
            raise _truncated("gzip")


class _Zstandard:
    """One or several frames."""

    def __init__(self) -> None:
        self._inflate = zstandard.ZstdDecompressor(max_window_size=128 * 1024 * 1024).decompressobj()
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._inflate.eof:
                self._inflate = zstandard.ZstdDecompressor(max_window_size=128 * 1024 * 1024).decompressobj()
            self._started = True
            # In small bites: a frame may unpack to a thousand times its size, and the call has no bound of its own.
            bite, rest = chunk[:_ZSTD_BITE_BYTES], chunk[_ZSTD_BITE_BYTES:]
            try:
                yield self._inflate.decompress(bite)
            except zstandard.ZstdError as error:
                raise _damaged("zstd", error) from error
            chunk = (self._inflate.unused_data or b"") + rest if self._inflate.eof else rest

    def finish(self) -> None:
        if self._started and not self._inflate.eof:
            raise _truncated("zstd")


_ZSTD_BITE_BYTES = 1024


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BodyTooLarge(
            "body_too_large",
            f"The body has more than {max_bytes:,} bytes, unpacked.",
            "Send it in several requests; nothing was taken in.",
        )


def _truncated(name: str) -> errors.IngestError:
    return errors.IngestError(
        "truncated_body", f"The {name} body ends before its end.", "Send it again, whole; nothing was taken in."
    )


def _damaged(name: str, error: Exception) -> errors.IngestError:
    return errors.IngestError(
        "damaged_body", f"The body is not valid {name}: {error}.", "Pack it again; nothing was taken in."
    )
