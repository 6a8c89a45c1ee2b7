"""Unpacks gzip, Zstandard, bzip2 and xz as the bytes come: bounded pieces, linear time, one error for what is wrong.

Used for request bodies, for files that are taken in, and for checking an export. The caller translates `UnpackError`:
only the caller knows what the bytes are called and what to do about them.
"""

from __future__ import annotations

import bz2
import enum
import lzma
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import zstandard
from isal import isal_zlib

PIECE_BYTES = 1024 * 1024
"""Most bytes of one piece out of gzip."""

HTTP_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window of a Zstandard frame that a server need take (RFC 9659): the memory that one body may claim."""

FILE_WINDOW_BYTES = 128 * 1024 * 1024
"""Largest window that the `zstd` command reads without being asked to."""

_GZIP_BITE_BYTES = 16 * 1024
"""Packed bytes handed over at once. What lies behind the end of a member is copied, so a bite bounds that copy: a
megabyte of empty members at once would copy itself fifty thousand times."""

_ZSTD_BITE_BYTES = 512
"""Likewise; and no call has a bound on what it gives out: 4 bytes may hold 128 KiB of zeros, 512 bytes hold 16 MiB."""

XZ_MEMORY_BYTES = 160 * 1024 * 1024
"""Memory that unpacking one xz stream may take: `xz -9` wants 65 MiB, a dictionary of 128 MiB a bit more than that."""

_ZSTD_WRITE_BYTES = 32 * 1024
_BLOCK_BITE_BYTES = 16 * 1024
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + low, 0x2A, 0x4D, 0x18)) for low in range(16)))
_GZIP_ERROR: Any = isal_zlib.error  # the package types its error as a value


class Kind(enum.StrEnum):
    """How bytes are packed."""

    GZIP = "gzip"
    ZSTD = "Zstandard"
    BZIP2 = "bzip2"
    XZ = "xz"


class Trouble(enum.Enum):
    """What is wrong with packed bytes."""

    TRUNCATED = "they end in the middle of the stream"
    DAMAGED = "they cannot be unpacked any further"
    TRAILING = "other bytes follow the end of the stream"


class UnpackError(Exception):
    """The bytes cannot be unpacked to their end. What was unpacked before has been given out.

    Attributes:
        kind: how they were packed.
        trouble: what is wrong.
        detail: what the library says; may be empty.
    """

    def __init__(self, kind: Kind, trouble: Trouble, detail: str = "") -> None:
        super().__init__(f"{kind}: {trouble.value}" + (f" ({detail})" if detail else ""))
        self.kind = kind
        self.trouble = trouble
        self.detail = detail


class Unpacker(Protocol):
    """Takes packed bytes in pieces of any size."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the piece unpacks to, in pieces of bounded size. Raises UnpackError."""
        ...

    def finish(self) -> None:
        """Says that there are no more bytes. Raises UnpackError."""
        ...


def kind_of(head: bytes) -> Kind | None:
    """How the bytes that begin with `head` are packed, by their signature; None: not at all, or otherwise."""
    if head.startswith(_GZIP_MAGIC):
        return Kind.GZIP
    if head.startswith(_ZSTD_MAGIC):
        return Kind.ZSTD
    if head.startswith(_BZIP2_MAGIC) and head[3:4].isdigit():
        return Kind.BZIP2
    return Kind.XZ if head.startswith(_XZ_MAGIC) else None


def unpacker(kind: Kind, *, max_window_bytes: int = FILE_WINDOW_BYTES) -> Unpacker:
    """A fresh unpacker. `max_window_bytes`: memory that one Zstandard frame may ask for; gzip needs 32 KiB, bzip2 4
    MiB, xz `XZ_MEMORY_BYTES` at most."""
    match kind:
        case Kind.GZIP:
            return Gzip()
        case Kind.ZSTD:
            return Zstandard(max_window_bytes)
        case Kind.BZIP2:
            return Blocks(kind, bz2.BZ2Decompressor, _BZIP2_MAGIC)
        case Kind.XZ:
            return Blocks(kind, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES), _XZ_MAGIC)


def unpacked(pieces: Iterable[bytes], by: Unpacker) -> Iterator[bytes]:
    """All of `pieces`, unpacked. Raises UnpackError, after all that could be read."""
    for piece in pieces:
        yield from by.feed(piece)
    by.finish()


class Gzip:
    """One or several members, as gzip files may have. Zeros behind the last one are padding."""

    def __init__(self) -> None:
        self._member: Any = None
        self._head = b""
        self._ended_members = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the piece unpacks to; `PIECE_BYTES` at most at once. Raises UnpackError."""
        for start in range(0, len(piece), _GZIP_BITE_BYTES):
            yield from self._bite(piece[start : start + _GZIP_BITE_BYTES])

    def finish(self) -> None:
        """Raises UnpackError, unless the last member has ended."""
        if self._member is None:
            return
        # What came is no beginning of a member: trailing bytes too short for the library to refuse.
        if not _GZIP_MAGIC.startswith(self._head):
            raise UnpackError(Kind.GZIP, self._trouble())
        raise UnpackError(Kind.GZIP, Trouble.TRUNCATED)

    def _bite(self, rest: bytes) -> Iterator[bytes]:
        while True:
            if self._member is None:
                # Zeros behind a member are padding of tapes and block devices; before the first one they are no gzip.
                rest = rest.lstrip(b"\0") if self._ended_members else rest
                if not rest:
                    return
                # 31: a gzip header is asked for, with CRC and length checked at the end.
                self._member, self._head = isal_zlib.decompressobj(wbits=31), b""
            # The first bytes of a member may come in two pieces; they tell damage from foreign bytes behind the end.
            self._head = (self._head + rest[:2])[:2]
            plain = self._inflate(rest)
            if plain:
                yield plain
            if self._member.eof:
                rest, self._member = self._member.unused_data, None
                self._ended_members += 1
                continue
            rest = self._member.unconsumed_tail
            # A full piece may mean that more is ready inside, though every packed byte is taken.
            if not rest and len(plain) < PIECE_BYTES:
                return

    def _inflate(self, rest: bytes) -> bytes:
        try:
            return bytes(self._member.decompress(rest, PIECE_BYTES))
        except _GZIP_ERROR as error:
            raise UnpackError(Kind.GZIP, self._trouble(), str(error)) from error

    def _trouble(self) -> Trouble:
        foreign = self._ended_members > 0 and not _GZIP_MAGIC.startswith(self._head)
        return Trouble.TRAILING if foreign else Trouble.DAMAGED


class Zstandard:
    """One or several frames.

    Args:
        max_window_bytes: memory that a frame may ask for; a frame that asks for more is DAMAGED.
    """

    def __init__(self, max_window_bytes: int = FILE_WINDOW_BYTES) -> None:
        # One decompressor for all frames: setting one up costs more than unpacking a small frame.
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=max_window_bytes)
        self._frame: Any = None
        self._head = b""
        self._ended_frames = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the piece unpacks to; 16 MiB at most at once. Raises UnpackError."""
        for start in range(0, len(piece), _ZSTD_BITE_BYTES):
            yield from self._bite(piece[start : start + _ZSTD_BITE_BYTES])

    def finish(self) -> None:
        """Raises UnpackError, unless the last frame has ended."""
        if self._frame is None:
            return
        if not self._may_be_frame():
            raise UnpackError(Kind.ZSTD, self._trouble())
        raise UnpackError(Kind.ZSTD, Trouble.TRUNCATED)

    def _bite(self, rest: bytes) -> Iterator[bytes]:
        while rest:
            if self._frame is None:
                self._frame, self._head = self._decompressor.decompressobj(write_size=_ZSTD_WRITE_BYTES), b""
            self._head = (self._head + rest[:4])[:4]
            try:
                plain = self._frame.decompress(rest)
            except zstandard.ZstdError as error:
                raise UnpackError(Kind.ZSTD, self._trouble(), str(error)) from error
            if plain:
                yield plain
            if not self._frame.eof:
                return
            rest, self._frame = self._frame.unused_data, None
            self._ended_frames += 1

    def _trouble(self) -> Trouble:
        return Trouble.TRAILING if self._ended_frames > 0 and not self._may_be_frame() else Trouble.DAMAGED

    def _may_be_frame(self) -> bool:
        return any(magic.startswith(self._head) for magic in _ZSTD_MAGIC)


class Blocks:
    """bzip2 or xz: one or several streams, by the standard library. Zeros behind a stream are padding.

    Args:
        fresh: makes what unpacks one stream.
        magic: how a stream begins.
    """

    def __init__(self, kind: Kind, fresh: Callable[[], Any], magic: bytes) -> None:
        self._kind = kind
        self._fresh = fresh
        self._magic = magic
        self._stream: Any = None
        self._head = b""
        self._ended_streams = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the piece unpacks to; `PIECE_BYTES` at most at once. Raises UnpackError."""
        for start in range(0, len(piece), _BLOCK_BITE_BYTES):
            yield from self._bite(piece[start : start + _BLOCK_BITE_BYTES])

    def finish(self) -> None:
        """Raises UnpackError, unless the last stream has ended."""
        if self._stream is None:
            return
        foreign = not self._magic.startswith(self._head)
        raise UnpackError(self._kind, self._trouble() if foreign else Trouble.TRUNCATED)

    def _bite(self, rest: bytes) -> Iterator[bytes]:
        while True:
            if self._stream is None:
                rest = rest.lstrip(b"\0") if self._ended_streams else rest
                if not rest:
                    return
                self._stream, self._head = self._fresh(), b""
            missing = len(self._magic) - len(self._head)
            self._head += rest[:missing]
            plain = self._inflate(rest)
            if plain:
                yield plain
            if self._stream.eof:
                rest, self._stream = self._stream.unused_data, None
                self._ended_streams += 1
                continue
            rest = b""
            if self._stream.needs_input:
                return

    def _inflate(self, rest: bytes) -> bytes:
        try:
            return bytes(self._stream.decompress(rest, PIECE_BYTES))
        except (OSError, lzma.LZMAError, EOFError) as error:
            raise UnpackError(self._kind, self._trouble(), str(error)) from error

    def _trouble(self) -> Trouble:
        foreign = self._ended_streams > 0 and not self._magic.startswith(self._head)
        return Trouble.TRAILING if foreign else Trouble.DAMAGED
