"""The body of an ingest request: pulled from the connection by a thread, unpacked, bounded, spooled to disk.

It is taken whole before a line of it is read: too large a body, a broken archive or a connection that ends early leaves
nothing behind. Memory stays at `_SPOOL_MEMORY_BYTES` and one chunk, whatever is sent.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO

import anyio
import anyio.from_thread
import starlette.requests

from penstock import errors
from penstock.base import unpack

CHUNK_TIMEOUT_SECONDS = 60
"""A sender that is silent for so long is given up: each holds one of few threads."""

_SPOOL_MEMORY_BYTES = 8 * 1024 * 1024


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
    unpacker = _unpacker(encoding)
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES) as spool:
        received = written = 0
        try:
            for chunk in _pulled(stream):
                received += len(chunk)
                _check_size(received, max_bytes)
                for piece in unpacker.feed(chunk) if unpacker else (chunk,):
                    written += len(piece)
                    _check_size(written, max_bytes)
                    spool.write(piece)
            if unpacker:
                unpacker.finish()
        except unpack.UnpackError as error:
            raise _refusal(error) from error
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


def _unpacker(encoding: str) -> unpack.Unpacker | None:
    """None for a body that is not packed."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return unpack.unpacker(unpack.Kind.GZIP)
    if name == "zstd":
        return unpack.unpacker(unpack.Kind.ZSTD, max_window_bytes=unpack.HTTP_WINDOW_BYTES)
    raise errors.UnsupportedEncoding(
        "unsupported_content_encoding",
        f"The Content-Encoding {encoding[:40]!r} is not supported.",
        "Send the body plain, or packed once with gzip or zstd.",
    )


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise errors.BodyTooLarge(
            "body_too_large",
            f"The body has more than {max_bytes:,} bytes, unpacked.",
            "Send it in several requests; nothing was taken in.",
        )


_COMPLAINTS = {
    unpack.Trouble.TRUNCATED: ("truncated_body", "The {kind} body ends before its end.", "Send it again, whole"),
    unpack.Trouble.DAMAGED: ("damaged_body", "The body is not valid {kind}: {detail}.", "Pack it again"),
    unpack.Trouble.TRAILING: (
        "damaged_body",
        "Other bytes follow the end of the {kind} stream in the body.",
        "Send the packed bytes only",
    ),
}


def _refusal(error: unpack.UnpackError) -> errors.IngestError:
    code, detail, hint = _COMPLAINTS[error.trouble]
    said = detail.format(kind=error.kind, detail=error.detail or "its first bytes are not those of such a stream")
    return errors.IngestError(code, said, f"{hint}; nothing was taken in.")
