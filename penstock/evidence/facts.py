"""What is recorded of the parts of an export: in the checkpoint while it runs, in the manifest when it is whole."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SegmentFacts:
    """One slice's deflate segment; it can be inflated by itself (raw deflate).

    Attributes:
        slice: number of the slice.
        size: compressed bytes.
        raw_bytes: bytes of its lines.
        crc32: of its lines.
        sha256: hex digest of the compressed bytes.
        events: lines.
    """

    slice: int
    size: int
    raw_bytes: int
    crc32: int
    sha256: str
    events: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PartFacts:
    """What the checkpoint and the manifest say of one part.

    Attributes:
        ordinal: 0-based place in the file.
        size: bytes in the file, header or trailer included.
        events: lines that begin in it.
        raw_bytes: bytes of its lines.
        crc32: of its lines.
        sha256: hex digest of its bytes.
        next_slice: the slice an export goes on with after this part.
        first_slice: the first slice whose lines may be in it; of parts that an earlier version wrote, 0.
        is_last: the part that holds the trailer.
        segments: the segments it is made of, in order.
    """

    ordinal: int
    size: int
    events: int
    raw_bytes: int
    crc32: int
    sha256: str
    next_slice: int
    is_last: bool
    segments: tuple[SegmentFacts, ...]
    first_slice: int = 0
