"""Which slices and which part numbers belong to which shard, and what of them is left to do."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Sequence

from penstock.evidence.facts import PartFacts
from penstock.storage import contract, part_checks

MOST_SHARDS = 2_500
"""Shards of one plan; more slices make larger shards. Each has a part of its own at its begin, so a quarter of S3's
10,000 numbers go to those at the most."""

_Range = tuple[int, int]
"""Slices [first, end)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A stretch of the plan's slices.

    Attributes:
        number: place in the plan, 0-based.
        first_slice: its first slice.
        end_slice: the slice after its last.
        first_number: number (of the store, 1-based) of the part that its head closes, which the coordinator puts.
        end_number: the first number that is not its own; its body's parts lie between the two.
    """

    number: int
    first_slice: int
    end_slice: int
    first_number: int
    end_number: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How the slices of an export are cut into shards. A pure function of two numbers.

    Attributes:
        shards: in order, without a gap.
        slices_a_part: slices that each part of a body holds at least, so that the numbers suffice.
        last_number: number of the file's last part.
    """

    shards: tuple[Shard, ...]
    slices_a_part: int
    last_number: int


def plan_shards(slices: int, shard_slices: int) -> Plan:
    """Shards of `shard_slices` slices each, the last of the rest; larger ones where there would be over MOST_SHARDS.

    A body's part holds `slices_a_part` slices or more and the head at least one, so that a shard of n slices needs
    1 + (n - 1) // slices_a_part numbers at the most, whatever its bytes; the last part needs one more. Numbers rise in
    the order of the file, so none needs to be known of the shard before. Not all are used: S3 allows gaps.
    """
    size = max(1, shard_slices, -(-slices // MOST_SHARDS))
    starts = range(0, slices, size)
    slices_a_part = 1
    while sum(1 + (min(size, slices - start) - 1) // slices_a_part for start in starts) >= contract.MAX_PARTS:
        slices_a_part += 1
    shards: list[Shard] = []
    number = 1
    for start in starts:
        end = min(start + size, slices)
        after = number + 1 + (end - start - 1) // slices_a_part
        shards.append(
            Shard(number=len(shards), first_slice=start, end_slice=end, first_number=number, end_number=after)
        )
        number = after
    return Plan(shards=tuple(shards), slices_a_part=slices_a_part, last_number=number)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What of one shard is to be computed. Either range may be empty.

    Attributes:
        shard: the shard.
        slices_a_part: of the plan.
        head: slices from the shard's begin; when they have filled the head, the body begins.
        rest: slices behind the body's parts that are there already.
        last_number: number of the last part before `rest`.
    """

    shard: Shard
    slices_a_part: int
    head: _Range
    rest: _Range
    last_number: int

    @property
    def slices(self) -> tuple[int, ...]:
        """The slices to compute, in order."""
        return (*range(*self.head), *range(*self.rest))


class Left:
    """What the parts that are recorded leave to do.

    Args:
        plan: the plan they were cut by.
        done: facts of the parts, in any order; `ordinal` + 1 is the part's number.
    """

    def __init__(self, plan: Plan, done: Iterable[PartFacts]) -> None:
        self._plan = plan
        self._parts = {facts.ordinal + 1: facts for facts in done}
        # A part may cover slices without a match only, and then two parts may begin at one slice: the longer counts.
        spans = sorted((facts.first_slice, facts.next_slice) for facts in self._parts.values())
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def is_whole(self) -> bool:
        """The last part is there too."""
        return self._plan.last_number in self._parts

    def has(self, number: int) -> bool:
        """Whether the part is there."""
        return number in self._parts

    def of(self, shard: Shard) -> Assignment:
        """What of the shard must be computed (again): the slices that no part holds.

        A shard's head, and what is left behind its last part, are held by no part until the coordinator has joined
        them to their neighbours'. They are small and are computed again.
        """
        body = [
            self._parts[number] for number in range(shard.first_number + 1, shard.end_number) if number in self._parts
        ]
        closed = self._parts.get(shard.first_number)
        head = rest = (0, 0)
        last_number = shard.first_number
        if not self._covers(shard.first_slice):
            head = (shard.first_slice, body[0].first_slice if body else shard.end_slice)
        before = body[-1] if body else closed
        if before is not None:
            last_number = before.ordinal + 1
            if before.next_slice < shard.end_slice and not self._covers(before.next_slice):
                rest = (before.next_slice, shard.end_slice)
        return Assignment(
            shard=shard, slices_a_part=self._plan.slices_a_part, head=head, rest=rest, last_number=last_number
        )

    def _covers(self, number: int) -> bool:
        place = bisect.bisect_right(self._starts, number) - 1
        return place >= 0 and number < self._ends[place]


def check_whole(plan: Plan, slices: int, facts: Sequence[PartFacts]) -> None:
    """That parts in the order of their numbers hold each slice once, up to the last.

    The store cannot tell a lost part from a number that was never used, so this must hold before it makes the file.

    Raises:
        InvalidPart: naming the first part that does not fit; the export is then written from the start.
    """
    at = 0
    for part in facts:
        if part.first_slice != at:
            raise part_checks.refused(f"part {part.ordinal + 1} begins at slice {part.first_slice}, not {at}")
        at = part.next_slice
    if at != slices or not facts or facts[-1].ordinal + 1 != plan.last_number or not facts[-1].is_last:
        raise part_checks.refused(f"the parts end at slice {at} of {slices}")
