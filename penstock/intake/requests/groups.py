"""A group: the bodies of several requests in one commit, each with its own counts, rejects and batch id."""

from __future__ import annotations

import collections
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
        event_table.check_writable()
        taken = event_table.batches_taken(ids.values()) if ids else frozenset[str]()  # a look at the log costs 4 ms
        while left:
            for place in [place for place in left if ids.get(place) in taken]:
                outcomes[place] = _repeat(event_table)
                del left[place], ids[place]
            read = {place: (bodies[place], items) for place, items in left.items()}
            reading = _Reading(event_table, read, clock, limits)
            try:
                version = event_table.append(reading.frames(), types=reading.types, batch_ids=list(ids.values()))
            except table.BatchTaken as others:  # by another process, meanwhile
                taken = others.batch_ids
                continue
            for place in left:
                outcomes[place] = reading.taken(place, version)
            break
    except (_ReadingFailed, errors.ColumnConflict):  # before anything was committed
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
    event_table.check_writable()
    batch_ids = [] if body.batch_id is None else [body.batch_id]
    reading = _Reading(event_table, {0: (body, body.items())}, clock, limits)
    try:
        return reading.taken(0, event_table.append(reading.frames(), types=reading.types, batch_ids=batch_ids))
    except table.BatchTaken:
        # The rest is read too, for its rejects.
        reading = _Reading(event_table, {0: (body, body.items())}, clock, limits)
        collections.deque(reading.frames(), maxlen=0)
        return dataclasses.replace(reading.taken(0, event_table.snapshot().version), accepted=0, is_repeat=True)
    except _ReadingFailed as failure:
        raise failure.error from failure


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


class _ReadingFailed(Exception):
    """The reading of a group met a bug, through whichever of its bodies.

    Attributes:
        error: what was raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(repr(error))
        self.error = error


class _Reading:
    """Bodies being read into frames, once.

    Attributes:
        types: of all columns of the table.
    """

    def __init__(
        self,
        event_table: table.EventTable,
        bodies: Mapping[int, tuple[Body, Iterable[Item]]],
        clock: Clock,
        limits: batch.Limits,
    ) -> None:
        columns = typing_fields.Columns(event_table.snapshot().columns, limits.max_columns, event_table.add_columns)
        reader = batch.Reader(columns, times.candidates(None), limits.max_line_bytes)
        self.types: Mapping[str, FieldType] = columns.types
        self._bodies = bodies
        self._rejected = _RejectsByBody({place: body.details for place, (body, _) in bodies.items()})
        self._collector = collect.Collector(reader, self._rejected, limits)
        self._tallies = {place: collect.Tally(name=str(place)) for place in bodies}
        self._arrived_us = instants.to_microseconds(clock.now())

    def frames(self) -> Iterator[pl.DataFrame]:
        """The frames of all bodies, one in memory at a time: few bytes of many fields make many of them.

        Raises:
            _ReadingFailed: a bug.
            StorageError: the lake failed.
        """
        try:
            for found in self._batches():
                yield from found.frames
        except errors.PenstockError:
            raise
        except Exception as error:
            raise _ReadingFailed(error) from error

    def _batches(self) -> Iterator[batch.Batch]:
        for place, (_, items) in self._bodies.items():
            self._collector.begin(self._tallies[place])
            for item in items:
                yield from self._collector.add(item, self._arrived_us)
            yield from self._collector.end(self._arrived_us)
        yield from self._collector.flush(self._arrived_us)

    def taken(self, place: int, version: int) -> Taken:
        """What became of a body, after all frames."""
        own = self._rejected.by_place[place]
        return Taken(
            accepted=self._tallies[place].accepted,
            rejected=own.count,
            rejects=tuple(sorted(own.first, key=lambda reject: reject.line)),
            version=version,
            is_repeat=False,
        )


class _RejectsByBody(rejects.Rejects):
    """Keeps what was rejected apart, by the body that sources are named after."""

    def __init__(self, details: Mapping[int, int]) -> None:
        super().__init__(None)
        self.by_place = {place: rejects.Rejects(None, details=most) for place, most in details.items()}

    def add(
        self, source: str, line: int, refusal: refused.EventRefused, raw: bytes, *, size: int | None = None
    ) -> None:
        self.by_place[int(source)].add(source, line, refusal, raw, size=size)
