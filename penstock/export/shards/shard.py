"""Computes one shard: slices are scanned, encoded and compressed in parallel, and its body's parts are put."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from penstock.export import ordered, uploads
from penstock.export import work as works
from penstock.export.shards import cut
from penstock.export.shards import plan as plans
from penstock.lake.read import plan
from penstock.process import allocator


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """What came of a shard.

    Attributes:
        head, rest: what no part of its own holds, for the coordinator to join; None: nothing was to be computed there.
        parts: its body's parts, in order, which the store holds.
    """

    head: cut.Loose | None
    rest: cut.Loose | None
    parts: tuple[works.Done, ...]

    @property
    def events(self) -> int:
        """Lines in all."""
        loose = sum(one.events for one in (self.head, self.rest) if one is not None)
        return loose + sum(facts.events for facts, _ in self.parts)


def compute(
    assignment: plans.Assignment,
    slices: Sequence[plan.Slice],
    segment_of: works.Segments,
    put: works.Put,
    *,
    part_bytes: int,
    threads: int,
    upload_threads: int,
    check: Callable[[], None],
) -> Computed:
    """Computes what is assigned. At most 2 x (threads + 1) segments and upload_threads + 2 parts are in memory.

    Args:
        slices: those that the assignment names, in its order.
        put: stores a part.
        check: asked several times a second; what it raises ends the work, and no thread is left.

    Raises:
        Whatever `put`, `check` or the scan raise.
    """
    allocator.keep()
    cutter = cut.Cutter(assignment, part_bytes=part_bytes)
    with uploads.Uploads(
        put, before=_nothing, after=lambda facts, receipt: None, check=check, threads=upload_threads
    ) as under_way:
        for segment in ordered.ordered(segment_of, slices, threads=threads + 1, check=check, stop=segment_of.stop):
            part = cutter.add(segment)
            if part is not None:
                under_way.add(part)
        under_way.finish()
        return Computed(head=cutter.head, rest=cutter.rest, parts=tuple(under_way.done))


def _nothing(facts: object) -> None:
    """The coordinator asks for the quota and writes down."""
