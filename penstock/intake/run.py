"""One ingest under way: sources are read into frames, frames are committed.

sources ─▶ readers ─▶ collector ─▶ kernel ─▶ frames ─▶ lake
           └────────── one thread ───────────────┘     another: it writes a frame while the next one is made
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Protocol, TypeVar

import polars as pl

from penstock import errors
from penstock.base.clock import Clock
from penstock.fields.types import FieldType
from penstock.intake import archives, batch, collect, readers, streams, typing_fields
from penstock.intake import rejects as rejects_module
from penstock.lake import table

COMMIT_BATCHES = 16
"""Batches of one commit, where sources may be taken in piece by piece: what a crash can cost."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far an ingest is.

    Attributes:
        source: the source being read.
        source_bytes: bytes of it read so far, as they lie in it (compressed, if it is).
        source_size: its bytes in all; None where nobody knows (a stream).
        accepted: events read so far from all sources, not all committed yet.
        rejected: lines rejected so far.
    """

    source: str
    source_bytes: int
    source_size: int | None
    accepted: int
    rejected: int


class Table(Protocol):
    """What a run needs of an event table."""

    def check_writable(self) -> None: ...

    def snapshot(self) -> table.Snapshot: ...

    def add_columns(self, wanted: Mapping[str, FieldType]) -> Mapping[str, FieldType]: ...

    def batches_taken(self, batch_ids: Collection[str]) -> frozenset[str]: ...

    def append(
        self, frames: Iterable[pl.DataFrame], *, types: Mapping[str, FieldType], batch_ids: Collection[str] = ()
    ) -> int: ...


class Run:
    """Takes sources into a table; counts.

    Attributes:
        accepted: events committed.
        untimed: events read that had no usable time.
        bytes: JSON bytes read of sources that are over; of Parquet, its bytes on disk.
        version: version of the table after the last commit; None before the first.
        skipped: sources left out because their batch was taken in before.
        formats: how many sources there were of each shape.
    """

    def __init__(
        self,
        event_table: Table,
        clock: Clock,
        limits: batch.Limits,
        rejects: rejects_module.Rejects,
        *,
        time_fields: Sequence[str],
        wanted: readers.Format | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.accepted = 0
        self.untimed = 0
        self.bytes = 0
        self.version: int | None = None
        self.skipped: list[str] = []
        self.formats: collections.Counter[readers.Format] = collections.Counter()
        self._wanted = wanted
        self._tally = collect.Tally(name="")
        self._table = event_table
        self._clock = clock
        self._limits = limits
        self._rejects = rejects
        self._progress = progress
        event_table.check_writable()
        known = event_table.snapshot().columns
        self._columns = typing_fields.Columns(known, limits.max_columns, event_table.add_columns)
        self._reader = batch.Reader(self._columns, time_fields, limits.max_line_bytes)
        self._broken: _Broken | None = None
        self._place: tuple[str, int, int | None] | None = None  # source, bytes read, its size

    def take_piecewise(self, sources: Iterable[streams.Source]) -> None:
        """Takes in sources as one stream of events, some batches a commit. What was whole before a break is kept.

        Raises:
            IngestError: a source cannot be read on. Says what became of its events.
        """
        with contextlib.closing(_ahead(self._parts(sources))) as prepared:
            is_over = False
            while not is_over:
                part = _Part(prepared)
                self._append(part)
                is_over = part.is_last
        if self._broken is not None:
            raise self._explained(self._broken, self._broken.tally.accepted)

    def take_whole(self, source: streams.Source, batch_ids: Sequence[str] = (), name: str | None = None) -> None:
        """Takes in one source in one commit, all or nothing. Nothing if any of the batch ids was committed before.

        Args:
            batch_ids: the first names the commit.

        Raises:
            IngestError: as `take_piecewise`; none of its events were taken in.
        """
        if self._table.batches_taken(batch_ids):
            self.skipped.append(streams.name_of(source, name))
            return
        # However many batches there are: a commit in between would end the source for good, by its batch's id.
        frames = (frame for frame in self._frames([source], name) if frame is not None)
        with contextlib.closing(_ahead(frames)) as prepared:
            try:
                self._append(_Part(prepared), batch_ids[:1])
            except table.BatchTaken:  # by another process, meanwhile
                self.skipped.append(streams.name_of(source, name))
            except _Broken as broken:
                raise self._explained(broken, 0) from broken.error

    def _append(self, part: _Part, batch_ids: Sequence[str] = ()) -> None:
        self.version = self._table.append(part, types=self._columns.types, batch_ids=batch_ids)
        self.accepted += part.events

    def _parts(self, sources: Iterable[streams.Source]) -> Iterator[pl.DataFrame | None]:
        """As `_frames`; a break is only noted, behind everything that came before it."""
        try:
            yield from self._frames(sources)
        except _Broken as broken:
            yield from self._rest(broken.collector)
            self._broken = broken

    def _frames(self, sources: Iterable[streams.Source], name: str | None = None) -> Iterator[pl.DataFrame | None]:
        """Frames of all sources in order; None where a commit may be made.

        Raises:
            _Broken: a source cannot be read on.
        """
        collector = collect.Collector(self._reader, self._rejects, self._limits)
        batches = 0
        for source in sources:
            self._begin(collector, streams.name_of(source, name))
            try:
                for found in self._read(collector, source, name):
                    yield from found.frames
                    batches += 1
                    if batches % COMMIT_BATCHES == 0:
                        yield None
            except errors.IngestError as error:
                collector.cut()
                raise _Broken(error, self._tally, collector) from error
        yield from self._rest(collector)

    def _rest(self, collector: collect.Collector) -> Iterator[pl.DataFrame]:
        for found in collector.flush(self._now_us()):
            yield from found.frames
        self.untimed += collector.untimed
        self._tell(collector)

    def _begin(self, collector: collect.Collector, name: str) -> None:
        self._tally = collect.Tally(name=name)
        collector.begin(self._tally)

    def _read(self, collector: collect.Collector, source: streams.Source, name: str | None) -> Iterator[batch.Batch]:
        """The batches that one source fills; tells the progress after every piece."""
        limits = self._limits
        left = limits.max_bytes
        for opened in archives.contents(source, name, left):
            if opened.name != self._tally.name:
                self._begin(collector, opened.name)
            found, items = readers.read(
                opened, max_line_bytes=limits.max_line_bytes, max_bytes=left, wanted=self._wanted
            )
            for item in items:
                yield from collector.add(item, self._now_us())
                self._place = (streams.name_of(source, name), opened.taken, opened.size)
                self._tell(collector)
            yield from collector.end(self._now_us())
            self.formats[found] += 1
            self.bytes += (opened.size or opened.taken) if opened.is_parquet else self._tally.bytes
            if left is not None:
                left -= self._tally.bytes

    def _tell(self, collector: collect.Collector) -> None:
        if self._progress is None or self._place is None:
            return
        name, taken, size = self._place
        accepted = self.accepted + collector.accepted
        self._progress(
            Progress(source=name, source_bytes=taken, source_size=size, accepted=accepted, rejected=self._rejects.count)
        )

    def _now_us(self) -> int:
        return (self._clock.now() - _EPOCH) // dt.timedelta(microseconds=1)

    def _explained(self, broken: _Broken, accepted: int) -> errors.IngestError:
        """The error with what became of the source's events."""
        error, tally = broken.error, broken.tally
        if accepted:
            kept = f"Its events up to line {tally.last_line} were taken in: {accepted}."
            hint = f"{error.hint} Take in only what follows line {tally.last_line}; with --batch-id a file is whole."
        else:
            kept = "None of its events were taken in."
            hint = f"{error.hint} Then run the same command again."
        extra = {
            **error.extra,
            "source": tally.name,
            "accepted": self.accepted,
            "source_accepted": accepted,
            "last_line": tally.last_line,
            "rejected": self._rejects.count,
        }
        return errors.IngestError(error.code, f"{error.detail} {kept}", hint, **extra)


class _Broken(Exception):
    """A source cannot be read on: why, how far it was read, and where all that came before it waits."""

    def __init__(self, error: errors.IngestError, tally: collect.Tally, collector: collect.Collector) -> None:
        super().__init__(error.detail)
        self.error = error
        self.tally = tally
        self.collector = collector


class _Part:
    """Frames up to the next place where a commit may be made.

    Attributes:
        events: how many were given out.
        is_last: whether no frames follow.
    """

    def __init__(self, frames: Iterator[pl.DataFrame | None]) -> None:
        self.events = 0
        self.is_last = False
        self._frames = frames

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            if frame is None:
                return
            self.events += frame.height
            yield frame
        self.is_last = True


def _ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The same items, each made in another thread while the one before it is used."""
    with futures.ThreadPoolExecutor(1, thread_name_prefix="intake") as pool:
        try:
            pending = pool.submit(_advance, items)
            while item := pending.result():
                pending = pool.submit(_advance, items)
                yield item[0]
        finally:
            pool.shutdown(cancel_futures=True)
            if isinstance(items, Generator):
                items.close()


def _advance(items: Iterator[Item]) -> tuple[Item] | None:
    for item in items:
        return (item,)
    return None
