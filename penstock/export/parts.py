"""Cuts the stream of segments into parts: what is uploaded, checkpointed and hashed as one.

The cut depends on nothing but the segments and `part_bytes`, so an export that is resumed by another worker is
cut the same way and the file is the same to the byte.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from penstock.encode import gzip
from penstock.evidence.facts import PartFacts, SegmentFacts

PARTS_PER_SIZE = 2_000
"""After this many parts the least part size doubles. From 5 MiB, 9,000 parts then hold 240 GB: with at most
100 M events no export reaches S3's 10,000 parts, and no size need be guessed beforehand."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part with its bytes.

    Attributes:
        facts: what is recorded of it.
        body: its bytes.
    """

    facts: PartFacts
    body: bytes


def least_bytes(ordinal: int, part_bytes: int) -> int:
    """The size at which part `ordinal` is closed."""
    return int(part_bytes * 2 ** (ordinal // PARTS_PER_SIZE))


class PartCutter:
    """Collects segments in order and gives out a part when it is big enough.

    Args:
        part_bytes: least size of the first parts.
        done: facts of the parts that exist already, in order; the cutter goes on behind them.
        digests: whether SHA-256 digests are taken (the `sha256` members are empty otherwise).
    """

    def __init__(self, *, part_bytes: int, done: Iterable[PartFacts] = (), digests: bool = True) -> None:
        self._part_bytes = part_bytes
        self._digest = _sha256 if digests else _no_digest
        self._member = gzip.Member()
        self._ordinal = 0
        self._next_slice = self._first_slice = 0
        for facts in done:
            # The trailer needs the CRC and length of the whole file: they are combined from the parts', no byte is read
            # again.
            self._member.add(gzip.Segment(data=b"", raw_bytes=facts.raw_bytes, crc32=facts.crc32))
            self._ordinal = facts.ordinal + 1
            self._next_slice = self._first_slice = facts.next_slice
        # The header belongs to the first part only, which exists already when an export is resumed.
        self._pieces: list[bytes] = [] if self._ordinal else [gzip.HEADER]
        self._segments: list[SegmentFacts] = []
        self._part_member = gzip.Member()

    @property
    def next_slice(self) -> int:
        """The slice to be added next."""
        return self._next_slice

    def add(self, segment: gzip.Segment) -> Part | None:
        """Adds the next slice's segment (empty if nothing of the slice matched); a part if one is complete."""
        number = self._next_slice
        self._next_slice += 1
        # A slice without a match still counts as done (`next_slice`), but an empty segment would only add bytes to the
        # file.
        if segment.raw_bytes:
            self._pieces.append(segment.data)
            self._part_member.add(segment)
            self._member.add(segment)
            self._segments.append(
                SegmentFacts(
                    slice=number,
                    size=len(segment.data),
                    raw_bytes=segment.raw_bytes,
                    crc32=segment.crc32,
                    sha256=self._digest(segment.data),
                    events=segment.events,
                )
            )
        if sum(map(len, self._pieces)) < least_bytes(self._ordinal, self._part_bytes):
            return None
        return self._close(is_last=False)

    def finish(self) -> Part:
        """The last part: what is left, and gzip's trailer."""
        # Also where no event matched: header and trailer alone are a valid gzip file of 20 bytes.
        self._pieces.append(self._member.trailer())
        return self._close(is_last=True)

    def _close(self, *, is_last: bool) -> Part:
        body = b"".join(self._pieces)
        facts = PartFacts(
            ordinal=self._ordinal,
            size=len(body),
            events=sum(segment.events for segment in self._segments),
            raw_bytes=self._part_member.raw_bytes,
            crc32=self._part_member.crc32,
            sha256=self._digest(body),
            next_slice=self._next_slice,
            is_last=is_last,
            segments=tuple(self._segments),
            first_slice=self._first_slice,
        )
        self._first_slice = self._next_slice
        self._pieces, self._segments, self._part_member = [], [], gzip.Member()
        self._ordinal += 1
        return Part(facts=facts, body=body)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _no_digest(content: bytes) -> str:
    return ""
