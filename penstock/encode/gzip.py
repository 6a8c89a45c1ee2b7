"""One gzip member made of raw deflate segments that can be made apart, joined, and inflated each by itself."""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections.abc import Iterable
from typing import Any, Protocol

from isal import isal_zlib
from zlib_ng import zlib_ng

from penstock.encode import lines as line_room

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The member's first 10 bytes: deflate, no name, no time (the same export gives the same bytes), unknown system."""

_FINAL_BLOCK = b"\x03\x00"  # an empty last block; the segments before it hold none that is marked last


class Compression(enum.StrEnum):
    """How hard to try."""

    FAST = (
        "fast"  # our own deflater: 11 % smaller than ISA-L's level 1, twice as fast as its level 3 (docs/encoding.md)
    )
    SMALL = "small"  # zlib-ng level 7: 4 % smaller than zlib's level 6; level 6 only equals it


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
        return _FINAL_BLOCK + struct.pack("<II", self.crc32, self.raw_bytes & 0xFFFFFFFF)


def deflate(lines: Any, compression: str) -> Segment:
    """Deflate lines (bytes-like, or `Lines`) into one segment. The same lines always give the same bytes.

    Args:
        compression: `fast` or `small`.
    """
    data = lines.data if isinstance(lines, line_room.Lines) else lines
    events = lines.events if isinstance(lines, line_room.Lines) else 0
    segment = _deflate(((piece, 0) for piece in line_room.cut(data)), compression)
    return dataclasses.replace(segment, events=events)


def encode_slice(encoder: line_room.LineEncoder, frame: Any, compression: str) -> Segment:
    """Encode and deflate a frame piece by piece; the plain lines never exist as a whole.

    Gives the same segment as `deflate(encoder.encode(frame), compression)`. Runs nearly all its time without the GIL.

    Raises:
        TypeError, ExportFailed: as `LineEncoder.encode`.
    """
    return _deflate(encoder.chunks(frame), compression)


def _deflate(pieces: Iterable[tuple[memoryview, int]], compression: str) -> Segment:
    deflater = _deflater(Compression(compression))
    crc32 = raw_bytes = events = 0
    for piece, count in pieces:
        crc32 = isal_zlib.crc32(piece, crc32)
        raw_bytes += len(piece)
        events += count
        deflater.add(piece)
    data = deflater.finish() if raw_bytes else b""
    return Segment(data=data, raw_bytes=raw_bytes, crc32=crc32, events=events)


class _Deflater(Protocol):
    """One segment in the making."""

    def add(self, lines: memoryview) -> None: ...

    def finish(self) -> bytes: ...


def _deflater(compression: Compression) -> _Deflater:
    if compression is Compression.SMALL:
        return _Library(zlib_ng.compressobj(7, zlib_ng.DEFLATED, -15, 9))
    module = line_room.compiled_module("penstock.kernels.deflate")
    if module is None:
        return _Library(isal_zlib.compressobj(3, isal_zlib.DEFLATED, -15, 9))
    deflater: _Deflater = module.Deflater()
    return deflater


class _Library:
    """A segment made by a library's compressor."""

    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor
        self._out: list[bytes] = []

    def add(self, lines: memoryview) -> None:
        self._out.append(self._compressor.compress(lines))

    def finish(self) -> bytes:
        return b"".join([*self._out, self._compressor.flush(isal_zlib.Z_FULL_FLUSH)])
