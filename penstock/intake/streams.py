"""Bytes of a source: opened, recognised by their first bytes, decompressed in pieces of bounded size."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Protocol, runtime_checkable

from penstock import errors
from penstock.base import unpack

PIECE_BYTES = 1024 * 1024
"""Bytes read at once."""

_HEAD_BYTES = 16
_PARQUET = b"PAR1"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_FOREIGN = (
    (b"Obj\x01", "Avro", "Convert it to Parquet or JSON Lines first, as with: avro-tools tojson"),
    (b"ElfFile\x00", "a Windows event log", "Convert it to JSON Lines first, as with: evtx_dump -o jsonl"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it first."),
    (b"SQLite format 3\x00", "a SQLite database", "Write its rows as JSON Lines or CSV first."),
    (b"%PDF-", "a PDF", "Take in the file that holds the events."),
    (b"\xd4\xc3\xb2\xa1", "captured packets", "Let Zeek or Suricata make events of them first."),
    (b"\x0a\x0d\x0d\x0a", "captured packets", "Let Zeek or Suricata make events of them first."),
)
_TAR_AT = 257


@runtime_checkable
class Readable(Protocol):
    """What a source must be able to do: `io.BufferedReader`, `io.BytesIO`, an HTTP body."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


Source = str | os.PathLike[str] | Readable
"""A path, `-` for standard input, or something to read bytes from."""


class Opened:
    """An open source, its first bytes known.

    Attributes:
        name: what messages call it.
        path: where it lies; None for a stream.
        size: bytes on disk; None for a stream.
        head: its first bytes: 16 or more if it has them, about PIECE_BYTES at most.
    """

    def __init__(
        self,
        name: str,
        raw: Readable,
        path: pathlib.Path | None,
        size: int | None,
        place: Callable[[], int] | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.size = size
        self._place = place
        self._read_bytes = 0
        self._raw = raw
        self.head = b""
        while len(self.head) < _HEAD_BYTES and (piece := self._read()):
            self.head += piece

    @property
    def taken(self) -> int:
        """Bytes read so far, as they lie in the source; of a member of an archive: in the archive."""
        return self._read_bytes if self._place is None else self._place()

    @property
    def is_zip(self) -> bool:
        """Whether the first bytes are those of a zip archive."""
        return self.head.startswith(_ZIP)

    @property
    def is_parquet(self) -> bool:
        """Whether the first bytes are Parquet's."""
        return self.head.startswith(_PARQUET)

    def raw_pieces(self) -> Iterator[bytes]:
        """The source's bytes as they are."""
        piece = self.head
        while piece:
            yield piece
            piece = self._read()

    def plain_pieces(self) -> Iterator[bytes]:
        """The source's bytes, unpacked if they are packed (`unpack.Kind`).

        Raises:
            IngestError: after all that could be read: `truncated_input`, `corrupt_input`, `trailing_bytes`,
                `unreadable_source`, `unsupported_encoding`, `unsupported_format`.
        """
        kind = unpack.kind_of(self.head)
        if kind is not None:
            return _plain(self.name, _unpacked(self.name, kind, self.raw_pieces()))
        if self.head.startswith(_UTF16):
            raise errors.IngestError(
                "unsupported_encoding",
                f"{self.name} is UTF-16.",
                "Convert it to UTF-8 first, as with: iconv -f UTF-16 -t UTF-8",
                source=self.name,
            )
        return _plain(self.name, self.raw_pieces())

    def _read(self) -> bytes:
        try:
            piece = self._raw.read(PIECE_BYTES)
        except OSError as error:
            raise _unreadable(self.name, error) from error
        self._read_bytes += len(piece)
        return piece


def name_of(source: Source, name: str | None = None) -> str:
    """What messages call a source; `name` if it is a stream."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return name or str(getattr(source, "name", "stream"))


@contextlib.contextmanager
def opened(source: Source, name: str | None = None) -> Iterator[Opened]:
    """Opens a source; a stream given by the caller stays open.

    Raises:
        IngestError: `unreadable_source`.
    """
    name = name_of(source, name)
    if not isinstance(source, (str, os.PathLike)):
        yield Opened(name, source, None, None)
    elif name == "-":
        yield Opened(name, sys.stdin.buffer, None, None)
    else:
        path = pathlib.Path(source)
        try:
            file: BinaryIO = path.open("rb")
        except OSError as error:
            raise _unreadable(name, error) from error
        with file:
            state = os.fstat(file.fileno())
            is_file = stat.S_ISREG(state.st_mode)  # else a pipe, which has no size and is read once
            size = state.st_size if is_file else None
            yield Opened(name, file, path if is_file else None, size)


class Body(io.RawIOBase):
    """Pieces of bytes, such as an HTTP body's, as something to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; fewer if the next piece is shorter."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = bytes(piece)
        end = len(self._rest) if size is None or size < 0 else size
        taken, self._rest = self._rest[:end], self._rest[end:]
        return taken


def bounded(pieces: Iterable[bytes], max_bytes: int | None, name: str) -> Iterator[bytes]:
    """The pieces as they are, up to a bound on their sum.

    Raises:
        IngestError: `too_many_bytes`.
    """
    total = 0
    for piece in pieces:
        total += len(piece)
        if max_bytes is not None and total > max_bytes:
            raise errors.IngestError(
                "too_many_bytes",
                f"{name} has more than {max_bytes} bytes after decompression.",
                "Send it in several smaller pieces, or raise the setting request_max_bytes.",
                source=name,
            )
        yield piece


def _plain(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, unless the first of them is of something that holds no text.

    Raises:
        IngestError: `unsupported_format`.
    """
    first, failure = b"", None
    try:
        while len(first) < _TAR_AT + 5 and (piece := next(pieces, b"")):
            first += piece
    except errors.IngestError as error:  # what came before the damage is read all the same
        failure = error
    known = [(title, hint) for magic, title, hint in _FOREIGN if first.startswith(magic)]
    if first[_TAR_AT : _TAR_AT + 5] == b"ustar":
        known = [("a tar archive", "Unpack it first, and name the folder.")]
    if first.startswith(_ZIP):
        known = [("a zip archive inside another packing", "Unpack the outer one first.")]
    for title, hint in known:
        raise errors.IngestError("unsupported_format", f"{name} is {title}.", hint, source=name)
    yield first
    if failure is not None:
        raise failure
    yield from pieces


def _unpacked(name: str, kind: unpack.Kind, pieces: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from unpack.unpacked(pieces, unpack.unpacker(kind))
    except unpack.UnpackError as error:
        code, detail, hint = _COMPLAINTS[error.trouble]
        said = detail.format(name=name, kind=error.kind, detail=error.detail)
        raise errors.IngestError(code, said, hint, source=name) from error


_COMPLAINTS = {
    unpack.Trouble.TRUNCATED: (
        "truncated_input",
        "{name} ends in the middle of its {kind} stream.",
        "Get the whole file.",
    ),
    unpack.Trouble.DAMAGED: (
        "corrupt_input",
        "{name} is damaged: its {kind} stream cannot be read on ({detail}).",
        "Get an undamaged copy of the file.",
    ),
    unpack.Trouble.TRAILING: (
        "trailing_bytes",
        "{name} holds other bytes behind the end of its {kind} stream.",
        "All events before them were read. Remove what follows the stream, or pack the whole file again.",
    ),
}


def _unreadable(name: str, error: OSError) -> errors.IngestError:
    return errors.IngestError(
        "unreadable_source",
        f"{name} cannot be read: {error.strerror or error}.",
        "Check the path and its rights.",
        source=name,
    )
