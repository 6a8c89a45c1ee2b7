"""A group: the bodies of several requests in one commit, each with its own counts, rejects and batch id."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl

from penstock import errors
from penstock.base import instants, unpack
from penstock.base.clock import Clock
from penstock.fields import refused
from penstock.fields.types import FieldType
from penstock.intake import batch, collect, readers, rejects, streams, times, typing_fields
from penstock.lake import table

Item = readers.Item


class Unfit(Exception):
    """A body that may be large once it is unpacked: it must be taken in alone."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """What one request brings.

    Attributes:
        items: reads it, from its start at every call; small enough to be held whole.
        batch_id: names it: sent again, nothing is taken in twice.
        details: rejected lines that are told one by one.
    """

    items: Callable[[], Iterable[Item]]
    batch_id: str | None = None
    details: int = rejects.DETAILS


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of a body. Its events are in the lake for good.

    Attributes:
        accepted: its events in this commit.
        rejected: its lines that are no events.
        rejects: the first of them (`Body.details`), in the order of their lines.
        version: version of the table that holds them.
        is_repeat: whether its batch was taken in before; then nothing was done, and nothing counted.
    """

    accepted: int
    rejected: int
    rejects: tuple[rejects.Reject, ...]
    version: int
    is_repeat: bool


Outcome = Taken | errors.PenstockError | None
"""Of one body: taken in; the fault of the commit; or None: it must be taken in alone, and nothing was done with it."""


def take(event_table: table.EventTable, bodies: Sequence[Body], *, clock: Clock, limits: batch.Limits) -> list[Outcome]:
    """Takes in all bodies in one commit; what became of each, in their order.

    A body that cannot be read, or that comes a second time in the group, is left out: alone, it gets its own answer. A
    batch that was taken in before is a repeat. A fault of the lake is that of all others. Where one of the bodies makes
    the reading of all fail, each must be taken in alone.
    """
    outcomes: list[Outcome] = [None] * len(bodies)
    left = _readable(bodies)
    ids = {place: batch_id for place in left if (batch_id := bodies[place].batch_id) is not None}
    try:
        taken = event_table.batches_taken(ids.values()) if ids else frozenset[str]()  # a look at the log costs 4 ms
        while left:
            for place in [place for place in left if ids.get(place) in taken]:
                outcomes[place] = _repeat(event_table)
                del left[place], ids[place]
            try:
                read = {place: (bodies[place], items) for place, items in left.items()}
                made = _made(event_table, read, clock, limits)
            except errors.PenstockError:
                raise
            except Exception:  # a bug that one body meets: each is taken in alone, and its sender is told
                break
            try:
                version = event_table.append(made.frames, types=made.types, batch_ids=list(ids.values()))
            except table.BatchTaken as others:  # by another process, meanwhile
                taken = others.batch_ids
                continue
            for place in left:
                outcomes[place] = made.taken(place, version)
            break
    except errors.ColumnConflict:  # found before anything was committed; one body's names are not the others' fault
        pass
    except errors.PenstockError as error:
        for place in left:
            outcomes[place] = error
    return outcomes


def items_of(body: streams.Readable, limits: batch.Limits) -> Iterator[Item]:
    """What a small body of text holds, whatever its shape. Raises what `readers.read` raises, and Unfit."""
    opened = streams.Opened("request", body, None, None)
    if opened.is_zip or opened.is_parquet or unpack.kind_of(opened.head) is not None:
        raise Unfit
    return readers.read(opened, max_line_bytes=limits.max_line_bytes, max_bytes=limits.max_bytes)[1]


def take_one(event_table: table.EventTable, body: Body, *, clock: Clock, limits: batch.Limits) -> Taken:
    """Takes in a body alone, of any size that can be held whole; of a repeat, it tells the rejects all the same.

    Raises what reading the body raises, and StorageError; nothing was taken in.
    """
    batch_ids = [] if body.batch_id is None else [body.batch_id]
    made = _made(event_table, {0: (body, body.items())}, clock, limits)
    try:
        return made.taken(0, event_table.append(made.frames, types=made.types, batch_ids=batch_ids))
    except table.BatchTaken:
        return dataclasses.replace(made.taken(0, event_table.snapshot().version), accepted=0, is_repeat=True)


def _readable(bodies: Sequence[Body]) -> dict[int, list[Item]]:
    """What can be read, by the body's place; of several with one batch id the first."""
    found: dict[int, list[Item]] = {}
    batch_ids: set[str] = set()
    for place, body in enumerate(bodies):
        if body.batch_id is not None and body.batch_id in batch_ids:
            continue
        # Of whatever kind a fault is: alone, the body meets it again, and its sender is told.
        with contextlib.suppress(Exception):
            found[place] = list(body.items())
            if body.batch_id is not None:
                batch_ids.add(body.batch_id)
    return found


def _repeat(event_table: table.EventTable) -> Taken:
    return Taken(accepted=0, rejected=0, rejects=(), version=event_table.snapshot().version, is_repeat=True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """The events of a group, not committed yet.

    Attributes:
        frames: all of them.
        types: of all columns.
        tallies, rejected: what came of each body, by its place.
    """

    frames: Sequence[pl.DataFrame]
    types: Mapping[str, FieldType]
    tallies: Mapping[int, collect.Tally]
    rejected: Mapping[int, rejects.Rejects]

    def taken(self, place: int, version: int) -> Taken:
        own = self.rejected[place]
        return Taken(
            accepted=self.tallies[place].accepted,
            rejected=own.count,
            rejects=tuple(sorted(own.first, key=lambda reject: reject.line)),
            version=version,
            is_repeat=False,
        )


def _made(
    event_table: table.EventTable,
    bodies: Mapping[int, tuple[Body, Iterable[Item]]],
    clock: Clock,
    limits: batch.Limits,
) -> _Made:
    """The frames of all bodies. Raises StorageError."""
    columns = typing_fields.Columns(event_table.snapshot().columns, limits.max_columns, event_table.add_columns)
    reader = batch.Reader(columns, times.candidates(None), limits.max_line_bytes)
    rejected = _RejectsByBody({place: body.details for place, (body, _) in bodies.items()})
    collector = collect.Collector(reader, rejected, limits)
    tallies = {place: collect.Tally(name=str(place)) for place in bodies}
    arrived_us = instants.to_microseconds(clock.now())
    frames: list[pl.DataFrame] = []
    for place, (_, items) in bodies.items():
        collector.begin(tallies[place])
        for item in items:
            frames += [frame for found in collector.add(item, arrived_us) for frame in found.frames]
        frames += [frame for found in collector.end(arrived_us) for frame in found.frames]
    frames += [frame for found in collector.flush(arrived_us) for frame in found.frames]
    return _Made(frames=frames, types=columns.types, tallies=tallies, rejected=rejected.by_place)


class _RejectsByBody(rejects.Rejects):
    """Keeps what was rejected apart, by the body that sources are named after."""

    def __init__(self, details: Mapping[int, int]) -> None:
        super().__init__(None)
        self.by_place = {place: rejects.Rejects(None, details=most) for place, most in details.items()}

    def add(
        self, source: str, line: int, refusal: refused.EventRefused, raw: bytes, *, size: int | None = None
    ) -> None:
        self.by_place[int(source)].add(source, line, refusal, raw, size=size)
