"""Cuts a snapshot and a time range into slices: in time order, small enough for memory, the same every time."""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import polars as pl

from penstock import query
from penstock.base import instants
from penstock.fields import types
from penstock.lake import files, layout, location, snapshots, table
from penstock.lake.read import merge


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimeRange:
    """A stretch of time.

    Attributes:
        earliest: first instant, inclusive; aware.
        latest: end, exclusive; aware. The last instant there is, `query.END_OF_TIME`, as an end includes itself.
    """

    earliest: dt.datetime
    latest: dt.datetime

    @classmethod
    def ever(cls) -> TimeRange:
        """All of time."""
        return cls(earliest=dt.datetime.min.replace(tzinfo=dt.UTC), latest=query.END_OF_TIME)

    @classmethod
    def of(cls, earliest_us: int, latest_us: int) -> TimeRange:
        """The range between two instants in microseconds since 1970."""
        return cls(
            earliest=instants.from_microseconds(earliest_us),
            latest=instants.from_microseconds(min(latest_us, instants.to_microseconds(query.END_OF_TIME))),
        )

    @property
    def earliest_us(self) -> int:
        """`earliest` in microseconds since 1970."""
        return instants.to_microseconds(self.earliest)

    @property
    def latest_us(self) -> int:
        """The first microsecond since 1970 that is not inside."""
        # One more for the last instant, which as an end includes itself: there is no later datetime to write.
        return instants.to_microseconds(self.latest) + (self.latest == query.END_OF_TIME)

    def holds(self, moment: pl.Expr) -> pl.Expr:
        """Whether a column of instants lies inside, in a form that a scan can compare with statistics."""
        begun = moment >= pl.lit(self.earliest)
        return begun if self.latest == query.END_OF_TIME else begun & (moment < pl.lit(self.latest))

    def touches(self, file: files.DataFile) -> bool:
        """Whether the file may hold events of the range."""
        return file.first_us < self.latest_us and file.last_us >= self.earliest_us

    def covers(self, file: files.DataFile) -> bool:
        """Whether all events of the file are of the range."""
        return self.earliest_us <= file.first_us and file.last_us < self.latest_us


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of rows of one data file.

    Attributes:
        file: the data file's path, below the table's folder.
        offset: first row, 0-based.
        rows: number of rows, at least 1.
    """

    file: str
    offset: int
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """What one step of an export reads.

    Attributes:
        number: position in the plan, 0-based, contiguous.
        rows: rows read before the predicate; the sum of the pieces' rows.
        first_us, last_us: no event of the slice lies outside (inclusive; the events' own where files were merged).
        pieces: what to read; several are merged by @timestamp, ties in the pieces' order.
    """

    number: int
    rows: int
    first_us: int
    last_us: int
    pieces: tuple[Piece, ...]

    def to_json(self) -> dict[str, Any]:
        """The slice as plain JSON values."""
        return {
            "number": self.number,
            "rows": self.rows,
            "first_us": self.first_us,
            "last_us": self.last_us,
            "pieces": [[p.file, p.offset, p.rows] for p in self.pieces],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Slice:
        """The slice that `to_json` wrote."""
        pieces = tuple(Piece(file=f, offset=o, rows=r) for f, o, r in value["pieces"])
        return cls(
            number=value["number"],
            rows=value["rows"],
            first_us=value["first_us"],
            last_us=value["last_us"],
            pieces=pieces,
        )


def plan_slices(
    snapshot: table.Snapshot,
    time_range: TimeRange,
    *,
    max_rows: int,
    max_bytes: int,
    fields: Collection[str] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Slice]:
    """The slices that hold every event of the range once, in (@timestamp, file, row) order.

    No slice has more than `max_rows` rows, nor more than `max_bytes` uncompressed bytes in `fields` (None: in all
    columns) as estimated from the weights that each file carries for every 16,384 rows; one row may weigh more. Equal
    arguments make equal slices.

    What overlaps no other file is cut between row groups without being read; of the rest, and at the edges of the
    range, only @timestamp is read, in bounded memory.

    Raises:
        Stopped: `should_stop` said so.
        StorageError: `lake_failed`.
    """
    if snapshots.is_attached(snapshot):
        from penstock.lake.read import unsorted  # which needs this module's slices

        return unsorted.plan_slices(
            snapshot, time_range, max_rows=max_rows, max_bytes=max_bytes, fields=fields, should_stop=should_stop
        )
    with table.translated(snapshot.folder):
        footers = _Footers(snapshot)
        snapshot.folder.fetch_footers([file.path for file in snapshot.files if time_range.touches(file)])
        inside = [
            stretch
            for place, file in enumerate(snapshot.files)
            if time_range.touches(file) and (stretch := _stretch(footers, file, place, time_range))
        ]
        cutter = _Cutter(footers, max_rows, max_bytes, fields)
        for group in _fine_groups(footers, inside):
            table.check_stop(should_stop)
            if len(group) == 1:
                cutter.add_alone(group[0])
            else:
                cutter.add_overlapping(group, should_stop)
        return cutter.finish()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Stretch:
    """The rows [start, end) of a file that lie in the time range, its place in file order, and bounds of its time."""

    file: files.DataFile
    place: int
    start: int
    end: int
    first_us: int
    last_us: int


class _Footers:
    """The footers of a snapshot's files, each read once."""

    def __init__(self, snapshot: table.Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[str, layout.Footer] = {}

    def of(self, file: files.DataFile) -> layout.Footer:
        """The footer of a file."""
        if file.path not in self._known:
            self._known[file.path] = layout.read_footer(self._snapshot.folder.footer(file.path), file.rows)
        return self._known[file.path]

    @property
    def folder(self) -> location.Location:
        """Where the files lie."""
        return self._snapshot.folder


def _stretch(footers: _Footers, file: files.DataFile, place: int, time_range: TimeRange) -> _Stretch | None:
    start, end = 0, file.rows
    if not time_range.covers(file):
        start = _row_at(footers, file, time_range.earliest_us)
        end = _row_at(footers, file, time_range.latest_us)
    if start >= end:
        return None
    # Bounds, not the rows' own times: they are good enough to tell what overlaps, and cost no read.
    first_us, last_us = max(file.first_us, time_range.earliest_us), min(file.last_us, time_range.latest_us - 1)
    return _Stretch(file=file, place=place, start=start, end=end, first_us=first_us, last_us=last_us)


def _row_at(footers: _Footers, file: files.DataFile, us: int) -> int:
    """How many rows of a file lie before an instant. Reads @timestamp of one cell at most."""
    if us <= file.first_us or us > file.last_us:
        return 0 if us <= file.first_us else file.rows
    whole = layout.Cell(start=0, end=file.rows, first_us=file.first_us, last_us=file.last_us)
    cells = footers.of(file).cells or (whole,)
    cell = cells[bisect.bisect_left(cells, us, key=lambda cell: cell.last_us)]
    if us <= cell.first_us:
        return cell.start
    with footers.folder.hold([file.path]):
        rows = pl.scan_parquet(footers.folder.local(file.path)).select(types.TIMESTAMP)
        rows = rows.slice(cell.start, cell.end - cell.start)
        return cell.start + int(rows.select((pl.col(types.TIMESTAMP).to_physical() < us).sum()).collect().item())


def _fine_groups(footers: _Footers, stretches: Sequence[_Stretch]) -> Iterator[list[_Stretch]]:
    """As `_groups`, but files that overlap are looked at cell by cell: often only a few of their cells do."""
    for group in _groups(stretches):
        if len(group) == 1:
            yield group
            continue
        waiting: list[_Stretch] = []  # rows of one file alone that may go on in the next group
        for fine in _groups([cell for stretch in group for cell in _cells(footers, stretch)]):
            joined = _joined([*waiting, *fine])
            if len(joined) == 1:
                waiting = joined
                continue
            if waiting:
                yield waiting
            waiting = _joined(fine)
            if len(waiting) > 1:
                yield waiting
                waiting = []
        if waiting:
            yield waiting


def _cells(footers: _Footers, stretch: _Stretch) -> Iterator[_Stretch]:
    """A stretch cut at its file's cells; whole where the file has none."""
    cells = footers.of(stretch.file).cells
    if not cells:
        yield stretch
    for cell in cells:
        start, end = max(cell.start, stretch.start), min(cell.end, stretch.end)
        if start < end:
            first_us, last_us = max(cell.first_us, stretch.first_us), min(cell.last_us, stretch.last_us)
            yield dataclasses.replace(stretch, start=start, end=end, first_us=first_us, last_us=last_us)


def _joined(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    """Neighbouring rows of a file as one stretch. Given in file order, rows in order."""
    found: list[_Stretch] = []
    for stretch in stretches:
        if found and found[-1].place == stretch.place:
            found[-1] = dataclasses.replace(found[-1], end=stretch.end, last_us=stretch.last_us)
        else:
            found.append(stretch)
    return found


def _groups(stretches: Sequence[_Stretch]) -> Iterator[list[_Stretch]]:
    """Groups in time order, each in file order, such that no event of a group belongs between two of another."""
    group: list[_Stretch] = []
    last_us, last_place = 0, 0
    # By time, then file order: at equal instants the earlier file's events come first, so it overlaps nothing then.
    for stretch in sorted(stretches, key=lambda s: (s.first_us, s.place)):
        if group and (stretch.first_us, stretch.place) > (last_us, last_place):
            yield sorted(group, key=lambda s: s.place)
            group = []
        last_us = max(last_us, stretch.last_us) if group else stretch.last_us
        last_place = max(last_place, stretch.place) if group else stretch.place
        group.append(stretch)
    if group:
        yield sorted(group, key=lambda s: s.place)


class _Cutter:
    """Builds the slices, one piece after another."""

    def __init__(self, footers: _Footers, max_rows: int, max_bytes: int, fields: Collection[str] | None) -> None:
        self._footers = footers
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._fields = None if fields is None else frozenset(fields)
        self._slices: list[Slice] = []
        self._waiting: list[_Stretch] = []
        self._waiting_bytes = 0

    def finish(self) -> list[Slice]:
        """All slices."""
        self._flush()
        return self._slices

    def add_alone(self, stretch: _Stretch) -> None:
        """Cuts a file that overlaps no other; small ones share a slice."""
        weights = self._weights(stretch.file)
        rows, weight = stretch.end - stretch.start, weights.of(stretch.start, stretch.end)
        # Only files of less than half a slice: larger ones would leave slices that are half empty.
        shares = 2 * rows < self._max_rows and weight <= self._max_bytes
        waiting_rows = sum(s.end - s.start for s in self._waiting)
        if not shares or waiting_rows + rows > self._max_rows or self._waiting_bytes + weight > self._max_bytes:
            self._flush()
        if shares:
            self._waiting.append(stretch)
            self._waiting_bytes += weight
            return
        for start, end in self._cuts(stretch, weights):
            self._append((_piece(stretch, start, end - start),), stretch.first_us, stretch.last_us)

    def add_overlapping(self, group: Sequence[_Stretch], should_stop: Callable[[], bool] | None) -> None:
        """Cuts files that overlap at the ranks where a slice is full."""
        self._flush()
        merged = merge.Merge(
            [
                merge.Stretch(
                    folder=self._footers.folder, path=s.file.path, start=s.start, end=s.end, first_us=s.first_us
                )
                for s in group
            ]
        )
        weights = [self._weights(s.file) for s in group]
        at = [s.start for s in group]
        while not merged.is_finished:
            table.check_stop(should_stop)
            portion = self._portion(merged, weights, at)
            chosen = zip(group, at, portion.rows, strict=True)
            pieces = tuple(_piece(s, start, rows) for s, start, rows in chosen if rows)
            self._append(pieces, portion.first_us, portion.last_us)
            at = [a + n for a, n in zip(at, portion.rows, strict=True)]

    def _portion(self, merged: merge.Merge, weights: Sequence[_Weights], at: Sequence[int]) -> merge.Portion:
        """The next rows, as many as a slice may hold."""
        rows = self._max_rows
        while True:
            portion = merged.take(rows)
            weight = sum(w.of(a, a + n) for w, a, n in zip(weights, at, portion.rows, strict=True))
            taken = sum(portion.rows)
            if weight <= self._max_bytes or taken == 1:
                return portion
            merged.undo(portion)
            # In proportion to the weight, and always fewer than before, so that it comes to an end.
            rows = max(1, min(taken - 1, taken * self._max_bytes // weight))

    def _cuts(self, stretch: _Stretch, weights: _Weights) -> Iterator[tuple[int, int]]:
        """Where to cut a lone file: between row groups where possible, sooner where rows are heavy."""
        starts = [cell.start for cell in self._footers.of(stretch.file).cells]
        start = stretch.start
        while start < stretch.end:
            # Without cells (a file of version 0.1) on multiples of the slice's rows from the file's begin: the same
            # whatever the range.
            end = min(stretch.end, start + self._max_rows if starts else (start // self._max_rows + 1) * self._max_rows)
            while (weight := weights.of(start, end)) > self._max_bytes and end - start > 1:
                end = start + max(1, min(end - start - 1, (end - start) * self._max_bytes // weight))
            if end < stretch.end:
                before = starts[: bisect.bisect_right(starts, end)]
                # Back to where a row group begins: one that is cut would be decoded by two slices.
                end = before[-1] if before and before[-1] > start else end
            yield start, end
            start = end

    def _flush(self) -> None:
        if self._waiting:
            pieces = tuple(_piece(s, s.start, s.end - s.start) for s in self._waiting)
            self._append(pieces, self._waiting[0].first_us, self._waiting[-1].last_us)
        self._waiting, self._waiting_bytes = [], 0

    def _append(self, pieces: tuple[Piece, ...], first_us: int, last_us: int) -> None:
        rows = sum(piece.rows for piece in pieces)
        number = len(self._slices)
        self._slices.append(Slice(number=number, rows=rows, first_us=first_us, last_us=last_us, pieces=pieces))

    def _weights(self, file: files.DataFile) -> _Weights:
        weight = self._footers.of(file).weight
        return _Weights(layout.block_weights(weight, file.rows, self._fields), file.rows)


def _piece(stretch: _Stretch, start: int, rows: int) -> Piece:
    return Piece(file=stretch.file.path, offset=start, rows=rows)


class _Weights:
    """What stretches of a file weigh: exact for whole blocks, even within a block."""

    def __init__(self, blocks: Sequence[int], rows: int) -> None:
        self._sums = [0, *itertools.accumulate(blocks)]
        self._rows = rows

    def of(self, start: int, end: int) -> int:
        """Bytes of the rows [start, end)."""
        return self._before(end) - self._before(start)

    def _before(self, row: int) -> int:
        block, rest = divmod(row, layout.BLOCK_ROWS)
        if not rest:
            return self._sums[block]
        width = min(layout.BLOCK_ROWS, self._rows - block * layout.BLOCK_ROWS)
        return self._sums[block] + (self._sums[block + 1] - self._sums[block]) * rest // width
