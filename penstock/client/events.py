"""Events out of a stream of gzip-compressed JSON Lines, without a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.base import exact_json, unpack


def parse(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The events of a gzip member that comes in chunks. Memory: one chunk and 1 MiB of lines.

    Numbers are exact (`base.exact_json`).

    Raises:
        StorageError: `export_damaged` if the stream is not whole gzip; events before the damage were yielded.
    """
    rest = b""
    for text in inflate(chunks):
        lines = (rest + text).split(b"\n")
        # The last one may go on in the next chunk; empty if the text ended with a newline.
        rest = lines.pop()
        for line in lines:
            yield exact_json.loads(line)
    if rest:
        yield exact_json.loads(rest)


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The plain bytes of a gzip stream; its CRC and length are checked at the end."""
    try:
        yield from unpack.unpacked(chunks, unpack.Gzip())
    except unpack.UnpackError as error:
        said = error.detail or error.trouble.value
        raise damaged(f"The gzip stream is damaged: {said}.") from error


def checked(chunks: Iterable[bytes], parts: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """The chunks, each part's SHA-256 compared with the manifest's as soon as it has gone by.

    Raises:
        StorageError: `export_damaged`, naming the part.
    """
    waiting = iter(parts)
    part = next(waiting, None)
    digest, left = hashlib.sha256(), int(part["size"]) if part else 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view and part is not None:
            piece, view = view[:left], view[left:]
            digest.update(piece)
            left -= len(piece)
            if left == 0:
                if digest.hexdigest() != part["sha256"]:
                    raise damaged(f"Part {part['number']} of the export does not match its manifest.")
                part = next(waiting, None)
                digest, left = hashlib.sha256(), int(part["size"]) if part else 0
        # Given out before its part is checked: parts may be larger than memory. The docstrings of the callers say so.
        yield chunk
    if part is not None:
        raise damaged(f"The export ends before part {part['number']} of its manifest.")


def damaged(detail: str) -> errors.VerificationFailed:
    """What came is not what was exported."""
    return errors.VerificationFailed(
        "export_damaged", detail, "Download again. If it happens again, the store or a proxy alters the file."
    )
