"""One gzip member made of raw deflate segments that can be made apart, joined, and inflated each by itself."""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from isal import isal_zlib
from zlib_ng import zlib_ng

from penstock.encode import lines as line_room

# RFC 1952 §2.3: magic, CM 8, no flags, MTIME 0, XFL 0, OS 255.
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The member's first 10 bytes: deflate, no name, no time (the same export gives the same bytes), unknown system."""

# BFINAL, fixed codes, and the end-of-block code of seven zeros (RFC 1951 §3.2.6).
_FINAL_BLOCK = b"\x03\x00"  # an empty last block; the segments before it hold none that is marked last


class Compression(enum.StrEnum):
    """How hard to try (measured in docs/encoding.md)."""

    # Our own deflater: text follows its template only. A tenth faster than `fast`, and larger.
    FASTEST = "fastest"
    # Our own deflater: at most a tenth larger than zlib's level 6.
    FAST = "fast"
    # zlib-ng's level 7, the first that is smaller than zlib's level 6.
    SMALL = "small"
    # ISA-L's level 1: for an operator who does not trust our deflater.
    ISAL = "isal"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Deflated lines, ended by a full flush: joins to any other segment, and inflates without those before it.

    Attributes:
        data: raw deflate blocks.
        raw_bytes: length of the lines before deflating.
        crc32: CRC-32 of the lines.
        events: how many lines; 0 where only bytes were known.
    """

    data: bytes
    raw_bytes: int
    crc32: int
    events: int = 0


class Member:
    """What a gzip trailer needs to know of the segments written so far. Can be taken up again from a checkpoint."""

    def __init__(self, *, crc32: int = 0, raw_bytes: int = 0) -> None:
        """Begin a member, or go on with one whose `crc32` and `raw_bytes` were kept."""
        self.crc32 = crc32
        self.raw_bytes = raw_bytes

    def add(self, segment: Segment) -> None:
        """Count a segment that was written after all those before it."""
        self.crc32 = isal_zlib.crc32_combine(self.crc32, segment.crc32, segment.raw_bytes)
        self.raw_bytes += segment.raw_bytes

    def trailer(self) -> bytes:
        """The member's last 10 bytes: final empty block, CRC-32, length modulo 2^32. Changes nothing."""
        # ISIZE is modulo 2^32 (RFC 1952 §2.3.1): tools that show it as the size are wrong beyond 4 GiB, and inflate
        # right.
        return _FINAL_BLOCK + struct.pack("<II", self.crc32, self.raw_bytes & 0xFFFFFFFF)


def deflate(lines: Any, compression: str) -> Segment:
    """Deflate lines (bytes-like, or `Lines`) of which nothing more is known. The same lines always give the same bytes.

    Args:
        compression: a `Compression`.
    """
    data = lines.data if isinstance(lines, line_room.Lines) else lines
    events = lines.events if isinstance(lines, line_room.Lines) else 0
    segment = _deflate((line_room.Chunk(piece, 0, b"") for piece in line_room.cut(data)), compression)
    return dataclasses.replace(segment, events=events)


def encode_slice(encoder: line_room.LineEncoder, frame: Any, compression: str) -> Segment:
    """Encode and deflate a frame piece by piece; the plain lines never exist as a whole.

    The segment inflates to `encoder.encode(frame)`. Its bytes depend on the frame's values and the encoder's fields
    alone, not on how the frame is cut into chunks. Runs nearly all its time without the GIL.

    Raises:
        TypeError, ExportFailed: as `LineEncoder.encode`.
    """
    return _deflate(encoder.chunks(frame), compression)


def _deflate(chunks: Iterable[line_room.Chunk], compression: str) -> Segment:
    deflater = _deflater(Compression(compression))
    crc32 = raw_bytes = events = 0
    for lines, count, marks in chunks:
        # Piece by piece, before the deflater: the lines still lie in the core's cache.
        crc32 = isal_zlib.crc32(lines, crc32)
        raw_bytes += len(lines)
        events += count
        deflater.add(lines, marks)
    # A flush of nothing still writes five bytes.
    data = deflater.finish() if raw_bytes else b""
    return Segment(data=data, raw_bytes=raw_bytes, crc32=crc32, events=events)


class _Deflater(Protocol):
    """One segment in the making."""

    def add(self, lines: memoryview, marks: Any) -> None: ...

    def finish(self) -> bytes: ...


def _deflater(compression: Compression) -> _Deflater:
    module = line_room.compiled_module("penstock.kernels.deflate")
    clear = module.clear_upper_halves if module else _nothing
    if compression is Compression.SMALL:
        # -15: raw deflate, since header and trailer are the member's. 9: the largest buffers, 1 to 2 % faster.
        return _Library(zlib_ng.compressobj(7, zlib_ng.DEFLATED, -15, 9), clear)
    if compression is Compression.ISAL:
        return _Library(isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15, 9), clear)
    if module is None:
        # Level 3 comes nearest to what `fast` promises: 1.15 times zlib's level 6, where level 1 has 1.24.
        level = 1 if compression is Compression.FASTEST else 3
        return _Library(isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15, 9), clear)
    deflater: _Deflater = module.Deflater(compression.value)
    return deflater


def _nothing() -> None: ...


class _Library:
    """A segment made by a library's compressor."""

    def __init__(self, compressor: Any, clear_upper_halves: Callable[[], None]) -> None:
        self._compressor = compressor
        self._clear_upper_halves = clear_upper_halves
        self._out: list[bytes] = []

    def add(self, lines: memoryview, marks: Any) -> None:
        self._clear_upper_halves()  # ISA-L's checksum left them dirty
        self._out.append(self._compressor.compress(lines))

    def finish(self) -> bytes:
        self._clear_upper_halves()
        # A full flush ends at a byte and forgets the window: so segments join, and each inflates without those before
        # it.
        return b"".join([*self._out, self._compressor.flush(isal_zlib.Z_FULL_FLUSH)])
