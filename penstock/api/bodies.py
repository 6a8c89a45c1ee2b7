"""The body of an ingest request: received by the event loop, then unpacked on a thread; bounded, spooled to disk.

It is taken whole before a line of it is read: too large a body, a broken archive or a connection that ends early leaves
nothing behind. No thread waits for a sender, so slow ones cannot keep others from the few threads. Memory stays at
`_SPOOL_MEMORY_BYTES` and one chunk, whatever is sent.
"""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO

import starlette.requests

from penstock import errors
from penstock.base import disk, unpack

_SPOOL_MEMORY_BYTES = 1024 * 1024
"""Of each body that is on its way; more of it lies in a file."""

_READ_BYTES = 256 * 1024

_ROOM = disk.Room(pathlib.Path(tempfile.gettempdir()), 0)
"""Bodies are no longer there than their request: nothing is kept back from them."""


@contextlib.asynccontextmanager
async def received(stream: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[IO[bytes]]:
    """The whole body as it was sent, as a file at its beginning.

    Raises:
        BodyTooLarge: `body_too_large`.
        IngestError: `truncated_body`: the connection ended early.
    """
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES) as spool:
        size = 0
        try:
            async for chunk in stream:
                size += len(chunk)
                _check_size(size, max_bytes)
                with _ROOM.translated():
                    spool.write(chunk)  # to the page cache at worst: shorter than a hop to a thread
        except starlette.requests.ClientDisconnect as error:
            raise errors.IngestError(
                "truncated_body",
                "The connection ended in the middle of the body.",
                "Send it again; nothing was taken in.",
            ) from error
        spool.seek(0)
        yield spool


@contextlib.contextmanager
def unpacked(body: IO[bytes], encoding: str, max_bytes: int) -> Iterator[IO[bytes]]:
    """The body, unpacked whole, as a file at its beginning.

    Args:
        body: as it was sent.
        encoding: value of Content-Encoding; empty for none.
        max_bytes: bound after unpacking.

    Raises:
        BodyTooLarge: `body_too_large`.
        UnsupportedEncoding: `unsupported_content_encoding`.
        IngestError: `truncated_body` (the archive ends early), `damaged_body`.
    """
    unpacker = _unpacker(encoding)
    # Nothing to unpack: the spool that is there serves, without a copy.
    if unpacker is None:
        yield body
        return
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_MEMORY_BYTES) as spool:
        size = 0
        try:
            for piece in unpack.unpacked(iter(lambda: body.read(_READ_BYTES), b""), unpacker):
                size += len(piece)
                _check_size(size, max_bytes)
                with _ROOM.translated():
                    spool.write(piece)
        except unpack.UnpackError as error:
            raise _refusal(error) from error
        spool.seek(0)
        yield spool


def _unpacker(encoding: str) -> unpack.Unpacker | None:
    """None for a body that is not packed."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    # RFC 9110 §8.4.1.3: `x-gzip` is to be taken for `gzip`.
    if name in ("gzip", "x-gzip"):
        return unpack.unpacker(unpack.Kind.GZIP)
    if name == "zstd":
        # A frame's header may ask for a window of gigabytes; RFC 9659 bounds it for HTTP.
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
