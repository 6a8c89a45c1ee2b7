"""What an export is to the rooms that run it: the work, what it calls at each step, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from penstock import encode, query
from penstock.encode import gzip
from penstock.evidence.facts import PartFacts
from penstock.export import parts, spilling
from penstock.fields import selection, types
from penstock.lake import snapshots, table
from penstock.lake.read import fetching, plan, scan
from penstock.storage import contract


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How another machine comes to the same snapshot and predicate.

    Attributes:
        community_uuid: whose table it is.
        term: the query text.
        filters: the search job's filters, as JSON values.
    """

    community_uuid: str
    term: str
    filters: Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What to export, pinned: the same Work gives the same bytes.

    Attributes:
        snapshot: the version of the community's table.
        slices: the plan, in time order, numbered from 0.
        fields: fields of a line, in order.
        predicate: the compiled query.
        compression: `fast` or `small`.
        part_bytes: least size of the first parts.
        shard_slices: slices of a shard; 0: the parts are cut from one stream.
        recipe: for engines whose shards run elsewhere; None where that is not wanted.
    """

    snapshot: table.Snapshot
    slices: Sequence[plan.Slice]
    fields: Sequence[str]
    predicate: query.Predicate
    compression: str
    part_bytes: int
    shard_slices: int = 0
    recipe: Recipe | None = None


class Leaving(Exception):
    """Raised by a journal's `check` to end the run in good order: parts in flight are still put and told."""


class Journal(Protocol):
    """What the runner tells, from its own thread and in order. Whatever a method raises ends the run."""

    def check(self) -> None:
        """Asked several times a second: raises if the run must stop (Leaving: when what is in flight is done)."""
        ...

    def before_part(self, facts: PartFacts) -> None:
        """A part is about to be put (by a shard: it was put, and is about to count)."""
        ...

    def after_part(self, facts: PartFacts, receipt: contract.Receipt) -> None:
        """The part is in the store; of one stream, all before it are too."""
        ...

    def progress(self, events: int) -> None:
        """So many events in all have been encoded."""
        ...


Done = tuple[PartFacts, contract.Receipt]
"""A part that the store holds."""

Put = Callable[[parts.Part], contract.Receipt]
"""Stores one part under the number `ordinal` + 1; called on several threads at once, parts in any order."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """All parts of the finished run, those of earlier attempts included.

    Attributes:
        facts: in order, numbered without a gap.
        receipts: the store's receipts, in the same order; their numbers rise, with gaps where there were shards.
    """

    facts: tuple[PartFacts, ...]
    receipts: tuple[contract.Receipt, ...]

    @classmethod
    def of(cls, done: Sequence[Done]) -> Outcome:
        """Of parts in order."""
        return cls(
            facts=tuple(dataclasses.replace(facts, ordinal=place) for place, (facts, _) in enumerate(done)),
            receipts=tuple(receipt for _, receipt in done),
        )


def segment_maker(
    snapshot: table.Snapshot,
    *,
    fields: Sequence[str],
    predicate: query.Predicate,
    compression: str,
    slices: Sequence[plan.Slice] = (),
    threads: int = 1,
    together: Sequence[plan.Slice] = (),
) -> Segments:
    """What turns a slice into its segment; safe on several threads.

    Args:
        slices: all slices, by number: the files of the next ones are fetched from a bucket before they are asked for.
        threads: slices that are worked on at once.
        together: slices that this machine will be asked for, in order; those that share rows may be read as one.
    """
    columns: Mapping[str, types.FieldType] = snapshot.columns
    encoder = encode.LineEncoder(fields, columns)
    alias = selection.TIMESTAMP_ALIAS
    aliased = alias in fields and alias not in columns
    wanted = [types.TIMESTAMP if aliased and name == alias else name for name in fields]

    spill: spilling.Spill | None = None
    if snapshots.is_attached(snapshot) and snapshot.spill is not None:
        spill = spilling.Spill(snapshot, together, wanted, predicate)

    def segment_of(piece: plan.Slice) -> gzip.Segment:
        # Behind those that other threads read now.
        fetching.slices_ahead(snapshot, slices[piece.number + threads : piece.number + 3 * threads], predicate)
        frame = spill.read(piece) if spill else scan.read_slice(snapshot, piece, wanted, predicate)
        if aliased:
            frame = frame.with_columns(frame[types.TIMESTAMP].alias(alias))
        return gzip.encode_slice(encoder, frame, compression)

    return Segments(segment_of, spill.stop if spill else _nothing)


@dataclasses.dataclass(frozen=True, slots=True)
class Segments:
    """Turns slices into segments.

    Attributes:
        of: the segment of a slice; called on several threads.
        stop: ends what takes long in `of`, which then raises `table.Stopped`; for good.
    """

    of: Callable[[plan.Slice], gzip.Segment]
    stop: Callable[[], None]

    def __call__(self, piece: plan.Slice) -> gzip.Segment:
        return self.of(piece)


def _nothing() -> None: ...
