"""Cuts the segments of shards into parts that S3 takes, though each shard knows nothing of its neighbours.

    shard 1   [head]|  part  |  part  | rest          the body's parts: put by the shard itself
    shard 2                             head]|  part  | rest
    shard 3                                             small            smaller than a head: no body
    shard 4                                                  head]| part | …
    file      [part]|  part  |  part  |  part |  part |      part | part | … last part

A head is filled until it alone is a legal part. So whatever of its neighbours comes before it, a rest, whole small
shards, or nothing, the part that they make together is legal; and only the last part of the file may be small.
Where a part ends depends on the plan and on the segments' sizes alone, not on who computed what, when, or how often.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from penstock.encode import gzip
from penstock.evidence.facts import PartFacts, SegmentFacts
from penstock.export import parts
from penstock.export.shards import plan
from penstock.storage import contract


class Loose:
    """Segments, one after another, that no part holds yet.

    Attributes:
        first_slice, next_slice: the slices that they are of, [first, next), those without a match included.
        segments: what is known of each that holds something.
        data: their bytes, in pieces.
        size: bytes in all.
    """

    def __init__(self, first_slice: int) -> None:
        self.first_slice = self.next_slice = first_slice
        self.segments: list[SegmentFacts] = []
        self.data: list[bytes] = []
        self.size = 0

    @property
    def slices(self) -> int:
        """How many slices."""
        return self.next_slice - self.first_slice

    @property
    def events(self) -> int:
        """Lines."""
        return sum(segment.events for segment in self.segments)

    def add(self, segment: gzip.Segment) -> None:
        """Adds the segment of the next slice."""
        if segment.raw_bytes:
            self.segments.append(
                SegmentFacts(
                    slice=self.next_slice,
                    size=len(segment.data),
                    raw_bytes=segment.raw_bytes,
                    crc32=segment.crc32,
                    sha256=hashlib.sha256(segment.data).hexdigest(),
                    events=segment.events,
                )
            )
            self.data.append(segment.data)
            self.size += len(segment.data)
        self.next_slice += 1

    def append(self, other: Loose) -> None:
        """Adds what follows: `other` begins at the slice where this ends."""
        assert other.first_slice == self.next_slice, (other.first_slice, self.next_slice)
        self.segments += other.segments
        self.data += other.data
        self.size += other.size
        self.next_slice = other.next_slice

    def part(self, number: int, *, before: bytes = b"", after: bytes = b"", is_last: bool = False) -> parts.Part:
        """A part of all of it, between a file's header and its trailer where they belong to it."""
        body = b"".join([before, *self.data, after])
        member = member_of(self.segments)
        facts = PartFacts(
            ordinal=number - 1,
            size=len(body),
            events=self.events,
            raw_bytes=member.raw_bytes,
            crc32=member.crc32,
            sha256=hashlib.sha256(body).hexdigest(),
            next_slice=self.next_slice,
            is_last=is_last,
            segments=tuple(self.segments),
            first_slice=self.first_slice,
        )
        return parts.Part(facts=facts, body=body)

    def to_wire(self) -> tuple[dict[str, Any], bytes]:
        """As JSON values, and its bytes."""
        about = {
            "first_slice": self.first_slice,
            "next_slice": self.next_slice,
            "segments": [dataclasses.asdict(segment) for segment in self.segments],
        }
        return about, b"".join(self.data)

    @classmethod
    def from_wire(cls, about: dict[str, Any], data: bytes) -> Loose:
        """What `to_wire` gave."""
        loose = cls(about["first_slice"])
        loose.next_slice = about["next_slice"]
        loose.segments = [SegmentFacts(**segment) for segment in about["segments"]]
        loose.data = [data]
        loose.size = len(data)
        return loose


def member_of(pieces: Iterable[SegmentFacts | PartFacts]) -> gzip.Member:
    """The CRC and length of segments or parts, one after another."""
    member = gzip.Member()
    for piece in pieces:
        member.add(gzip.Segment(data=b"", raw_bytes=piece.raw_bytes, crc32=piece.crc32))
    return member


def head_bytes(part_bytes: int) -> int:
    """The size at which a head is full: what S3 asks of a part, so that little passes through the coordinator."""
    return min(contract.MIN_PART_BYTES, part_bytes)


class Cutter:
    """Cuts the segments of one shard.

    Args:
        assignment: what is computed of it.
        part_bytes: least size of a body's parts.

    Attributes:
        head: given back: the shard's begin; None where the head is held by a part already.
        rest: given back: what follows the last part; None where there was nothing to compute.
    """

    def __init__(self, assignment: plan.Assignment, *, part_bytes: int) -> None:
        self._assignment = assignment
        self._part_bytes = part_bytes
        self._number = assignment.shard.first_number
        self.head: Loose | None = None
        self.rest: Loose | None = None
        if assignment.head[0] < assignment.head[1]:
            self.head = Loose(assignment.head[0])
        self._todo = list(reversed(assignment.slices))

    def add(self, segment: gzip.Segment) -> parts.Part | None:
        """Adds the segment of the next of the assignment's slices; a part of the body if one is complete."""
        number = self._todo.pop()
        if number == self._assignment.rest[0] and self._assignment.rest[0] < self._assignment.rest[1]:
            self.rest, self._number = Loose(number), self._assignment.last_number
        if self.rest is None:
            assert self.head is not None
            if self.head.size < head_bytes(self._part_bytes):
                self.head.add(segment)
                return None
            self.rest = Loose(number)
        self.rest.add(segment)
        if self.rest.size < self._part_bytes or self.rest.slices < self._assignment.slices_a_part:
            return None
        self._number += 1
        part = self.rest.part(self._number)
        self.rest = Loose(self.rest.next_slice)
        return part


class Joiner:
    """Joins what neighbouring shards give back into parts. Takes the shards in order.

    Args:
        plan_: the plan.
        part_bytes: as for the shards.
    """

    def __init__(self, plan_: plan.Plan, *, part_bytes: int) -> None:
        self._plan = plan_
        self._part_bytes = part_bytes
        self._pending: Loose | None = None

    def add(self, shard: plan.Shard, head: Loose | None, rest: Loose | None) -> Iterator[parts.Part]:
        """Adds what the next shard gave back; the part that its head closes, if it does."""
        if head is not None:
            self._append(head)
            assert self._pending is not None
            # Or many small shards in a row, which would else be one part of any size.
            if head.size >= head_bytes(self._part_bytes) or self._pending.size >= self._part_bytes:
                yield self._close(shard.first_number)
        if rest is not None:
            self._append(rest)

    def finish(self, slices: int, facts: Sequence[PartFacts]) -> parts.Part:
        """The last part: what is left, and the trailer.

        Args:
            slices: of the whole plan.
            facts: of all parts before, in order.
        """
        pending = self._pending or Loose(slices)
        whole = member_of([*facts, *pending.segments])
        before = b"" if facts else gzip.HEADER
        return pending.part(self._plan.last_number, before=before, after=whole.trailer(), is_last=True)

    def _append(self, loose: Loose) -> None:
        if self._pending is None:
            self._pending = loose
        else:
            self._pending.append(loose)

    def _close(self, number: int) -> parts.Part:
        assert self._pending is not None
        pending, self._pending = self._pending, None
        return pending.part(number, before=gzip.HEADER if pending.first_slice == 0 else b"")
