"""Reads events out of a snapshot: slices of an export, counts, histograms, the newest."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import datetime as dt
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from penstock import query
from penstock.base import instants
from penstock.fields import types, values
from penstock.fields.types import FieldType
from penstock.lake import catalog, files, layout, needles, table
from penstock.lake.attached import snapshots
from penstock.lake.read import fetching, narrowing, plan, sparse, unsorted_reading
from penstock.lake.read import needed as needed_files

_CHUNK_ROWS = 4_194_304
"""Rows that a count reads between two looks at `should_stop`: about a second's work at worst."""

_TOLD_ROWS = 1_048_576
"""As `_CHUNK_ROWS`, of a histogram that somebody watches."""

_SPARE_COLUMNS = 64
"""Columns that files scanned as one may lack, besides as many as they have: each costs a file about 20 µs."""

_NEWEST_FILES = 64
"""Most files that `newest` looks into at once; it begins with one and doubles."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Events over time.

    Attributes:
        interval_seconds: width of a bucket; the last one may be shorter.
        counts: (start of the bucket in microseconds since 1970, events), every bucket of the range, in time order.
    """

    interval_seconds: float
    counts: list[tuple[int, int]]


def read_slice(
    snapshot: table.Snapshot, slice_: plan.Slice, fields: Sequence[str], predicate: query.Predicate
) -> pl.DataFrame:
    """Matching rows of a slice in (@timestamp, file, row) order.

    Columns: those of `fields` that a file of the slice holds, in that order, then OVERFLOW if one has any. Where that
    is none, TIMESTAMP alone, so that the frame keeps its rows. Safe from several threads; a slice of one piece comes
    without copies, in one chunk.

    Raises:
        StorageError: `lake_failed`.
    """
    chosen = [snapshot.files_by_path[piece.file] for piece in slice_.pieces]
    with reading(snapshot, chosen):
        if isinstance(snapshot, snapshots.Attached):
            return unsorted_reading.read_slice(snapshot, slice_, fields, predicate)
        holdings = snapshot.fields_of(chosen)
        held = frozenset().union(*(fields.columns for fields in holdings))
        wanted = [name for name in dict.fromkeys(fields) if name in held and name in snapshot.columns]
        has_overflow = any(file.overflow_rows for file in chosen)
        wanted = wanted + [types.OVERFLOW] * has_overflow or [types.TIMESTAMP]
        ordered = [*wanted, types.TIMESTAMP] if len(chosen) > 1 and types.TIMESTAMP not in wanted else wanted
        frames = [
            _piece(snapshot, piece, file, ordered, predicate, fields)
            for piece, file, fields in zip(slice_.pieces, chosen, holdings, strict=True)
        ]
        if len(frames) == 1:
            return frames[0]
        frame = pl.concat(frames)
        if not frame[types.TIMESTAMP].is_sorted():
            frame = frame.sort(types.TIMESTAMP, maintain_order=True)
        return frame.select(wanted)


def _piece(
    snapshot: table.Snapshot,
    piece: plan.Piece,
    file: files.DataFile,
    names: list[str],
    predicate: query.Predicate,
    fields: catalog.Fields,
) -> pl.DataFrame:
    """The matching rows of a piece of a file that holds these fields. Nothing is read where none can match."""
    stretches = _stretches(snapshot, piece, file, predicate)
    if not stretches or (snapshot.folder.is_remote and not fetching.may_match(fields, predicate)):
        return _no_rows(snapshot, names)
    with snapshot.folder.hold([file.path]):
        return _rows_of(snapshot, file, stretches, names, predicate, fields)


def _no_rows(snapshot: table.Snapshot, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: layout.dtype(name, snapshot.columns) for name in names})


def _rows_of(
    snapshot: table.Snapshot,
    file: files.DataFile,
    stretches: list[tuple[int, int]],
    names: list[str],
    predicate: query.Predicate,
    fields: catalog.Fields,
) -> pl.DataFrame:
    # Before it is compiled, which takes longer than to read what is left where a file has hundreds of columns.
    fields = narrowing.narrowed(snapshot.location(file.path), stretches, fields, predicate)
    own = predicate.within(fields.columns, fields.overflow)
    if own.constant is False:
        return _no_rows(snapshot, names)
    found = sparse.read(
        snapshot.location(file.path),
        stretches,
        {name: layout.dtype(name, snapshot.columns) for name in {*names, *own.columns}},
        names,
        own,
        lambda wanted: _scan(snapshot, [file], wanted, numbered=True),
    )
    if found is not None:
        return found
    rows = _scan(snapshot, [file], {*names, *own.columns})
    if stretches != [(0, file.rows)]:
        rows = pl.concat([rows.slice(offset, length) for offset, length in stretches])
    return _matching(rows, own).select(names).collect()


def _stretches(
    snapshot: table.Snapshot, piece: plan.Piece, file: files.DataFile, predicate: query.Predicate
) -> list[tuple[int, int]]:
    """Offset and length of the piece's rows that may match."""
    needed = needed_files.needed(snapshot, [file], predicate)
    if not needed.files:
        return []
    end = piece.offset + piece.rows
    groups = needed.groups.get(file.path, [needles.RowGroup(offset=piece.offset, rows=piece.rows)])
    cut = [(max(group.offset, piece.offset), min(group.offset + group.rows, end)) for group in groups]
    return [(first, last - first) for first, last in cut if first < last]


def count(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    *,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Number of matching events. Reads only the predicate's columns; nothing at all of files that need no look.

    `should_stop` is asked before every `_CHUNK_ROWS` rows; `on_progress(rows looked at, rows in all)` follows them.

    Raises:
        Stopped: `should_stop` said so.
        StorageError: `lake_failed`.
    """
    touched = [file for file in snapshot.files if time_range.touches(file)]
    total = sum(file.rows for file in touched)
    needed = needed_files.needed(snapshot, touched, predicate)
    found, done = 0, total - sum(file.rows for file in needed.files)
    for part, own in _parts(snapshot, needed, needed.files, predicate, _CHUNK_ROWS):
        table.check_stop(should_stop)
        unsure = [file for file in part if own.expression is not None or not time_range.covers(file)]
        found += sum(file.rows for file in part) - sum(file.rows for file in unsure)
        if unsure and own.constant is not False:
            with reading(snapshot, unsure), fetching.held(snapshot, unsure):
                lengths = _in_range(snapshot, unsure, time_range, own, groups=needed.groups).select(pl.len())
                found += int(lengths.collect(engine="streaming").item())
        done += sum(file.rows for file in part)
        if on_progress is not None:
            on_progress(done, total)
    return found


def histogram(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    buckets: int,
    *,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[Histogram, int], None] | None = None,
) -> Histogram:
    """Matching events over time in at most `buckets` equal stretches (the last may be shorter).

    Their width is a whole number of seconds where the range allows it. Raises as `count` does.

    Args:
        on_progress: called with what is counted so far and how many rows of the files that `time_range` touches need
            no look any more. The newest files come first, as far as the query has to look at them alike.
    """
    start, span = time_range.earliest_us, max(0, time_range.latest_us - time_range.earliest_us)
    unit = 1_000_000 if span >= buckets * 1_000_000 else 1
    width = max(unit, -(-span // (buckets * unit)) * unit)
    counts = [0] * -(-span // width)

    def so_far() -> Histogram:
        stretches = [(start + n * width, events) for n, events in enumerate(counts)]
        return Histogram(interval_seconds=width / 1_000_000, counts=stretches)

    bucket = ((pl.col(types.TIMESTAMP).to_physical() - start) // width).alias("bucket")
    touched = [file for file in snapshot.files if time_range.touches(file)]
    needed = needed_files.needed(snapshot, touched, predicate)
    done = sum(file.rows for file in touched) - sum(file.rows for file in needed.files)
    newest_first = sorted(needed.files, key=lambda file: file.last_us, reverse=True)
    part_rows = _CHUNK_ROWS if on_progress is None else _TOLD_ROWS
    for part, own in _parts(snapshot, needed, newest_first, predicate, part_rows):
        if on_progress is not None and done:
            on_progress(so_far(), done)
        done += sum(file.rows for file in part)
        table.check_stop(should_stop)
        rest = []
        for file in part:
            first, last = (file.first_us - start) // width, (file.last_us - start) // width
            if own.expression is None and first == last and time_range.covers(file):
                counts[first] += file.rows
            else:
                rest.append(file)
        if not rest or own.constant is False:
            continue
        with reading(snapshot, rest), fetching.held(snapshot, rest):
            matching = _in_range(snapshot, rest, time_range, own, types.TIMESTAMP, groups=needed.groups)
            grouped = matching.group_by(bucket).agg(pl.len().alias("events")).collect(engine="streaming")
        for position, events in grouped.iter_rows():
            counts[position] += events
    return so_far()


def newest(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    limit: int,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> list[dict[str, Any]]:
    """The newest matching events as flat dicts of JSON values, newest first: the reverse of the order of slices.

    Looks into the newest files first, at the predicate's columns only, and stops as soon as no older file can add
    anything; the whole events are read at the end. Raises as `count` does.
    """
    by_age = sorted(
        ((place, file) for place, file in enumerate(snapshot.files) if time_range.touches(file)),
        key=lambda placed: (placed[1].last_us, placed[0]),
        reverse=True,
    )
    best: list[_Found] = []
    size = 1
    while by_age and limit > 0 and (len(best) < limit or by_age[0][1].last_us >= best[-1].us):
        table.check_stop(should_stop)
        chunk, by_age = sorted(by_age[:size]), by_age[size:]
        with reading(snapshot, [file for _, file in chunk]):
            best += _newest_of(snapshot, chunk, time_range, predicate, limit)
        best = sorted(best, key=lambda found: (found.us, found.place, found.row), reverse=True)[:limit]
        size = min(2 * size, _NEWEST_FILES)
    with reading(snapshot, [snapshot.files[found.place] for found in best]):
        return _events(snapshot, best)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class _Found:
    """A matching event: its @timestamp in microseconds, and where it lies (file's place in file order, row)."""

    us: int
    place: int
    row: int


def _newest_of(
    snapshot: table.Snapshot,
    placed: Sequence[tuple[int, files.DataFile]],
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    limit: int,
) -> list[_Found]:
    """The newest matching events of some files, given in file order."""
    needed = needed_files.needed(snapshot, [file for _, file in placed], predicate)
    kept = {file.path for file in needed.files}
    placed, own = _relevant(snapshot, needed, [each for each in placed if each[1].path in kept], predicate)
    if not placed or own.constant is False:
        return []
    chosen = [file for _, file in placed]
    matching = _in_range(snapshot, chosen, time_range, own, types.TIMESTAMP, groups=needed.groups, numbered=True)
    moment = pl.col(types.TIMESTAMP).to_physical().alias("us")
    with fetching.held(snapshot, chosen):
        found = matching.select(moment, _ROW).top_k(limit, by=["us", _ROW]).collect(engine="streaming")
    starts = list(itertools.accumulate((file.rows for _, file in placed), initial=0))
    result = []
    for us, row in found.iter_rows():
        n = bisect.bisect_right(starts, row) - 1
        result.append(_Found(us, placed[n][0], row - starts[n]))
    return result


def _events(snapshot: table.Snapshot, wanted: Sequence[_Found]) -> list[dict[str, Any]]:
    """The whole events, in the order given."""
    by_place: dict[int, list[_Found]] = {}
    for found in wanted:
        by_place.setdefault(found.place, []).append(found)
    events: dict[tuple[int, int], dict[str, Any]] = {}
    for place, chosen in by_place.items():
        with fetching.held(snapshot, [snapshot.files[place]]):
            rows = _whole_rows(snapshot, snapshot.files[place], chosen)
        for record in rows.iter_rows(named=True):
            row = record.pop(_ROW)
            events[place, row] = _event(record, snapshot.columns)
    return [events[found.place, found.row] for found in wanted]


def _whole_rows(snapshot: table.Snapshot, file: files.DataFile, chosen: Sequence[_Found]) -> pl.DataFrame:
    """All columns of some rows of a file, and their row numbers."""
    if isinstance(snapshot, snapshots.Attached):
        held = snapshot.fields_of([file])[0]
        every = {*held.columns, *([types.OVERFLOW] if held.overflow else [])}
        wanted = pl.Series([found.row for found in chosen], dtype=pl.get_index_type())
        span = (min(found.us for found in chosen), max(found.us for found in chosen))
        around = snapshot.scan([file], every, row_name=_ROW, within=span)
        return around.filter(pl.col(_ROW).is_in(wanted.implode())).collect(engine="streaming")
    location = snapshot.location(file.path)
    rows = pl.Series([found.row for found in chosen], dtype=pl.get_index_type())
    instants = pl.Series([found.us for found in chosen], dtype=pl.Int64).cast(layout.TIMESTAMP_DTYPE)
    first, last = min(rows), max(rows)
    # The row number alone would do. With the span and the instants Polars decodes a quarter of what it would.
    return (
        pl.scan_parquet(location, row_index_name=_ROW)
        .slice(first, last - first + 1)
        .filter(pl.col(types.TIMESTAMP).is_in(instants.implode()), pl.col(_ROW).is_in(rows.implode()))
        .collect()
    )


def _event(record: dict[str, Any], known: Mapping[str, FieldType]) -> dict[str, Any]:
    overflow = record.pop(types.OVERFLOW, None)
    event = {name: _json_value(value, known.get(name)) for name, value in record.items() if value is not None}
    return event if overflow is None else {**values.loads(overflow), **event}


def _json_value(value: Any, field_type: FieldType | None) -> Any:
    if field_type is FieldType.JSON:
        return values.loads(value)
    if isinstance(value, dt.datetime):
        return values.render_timestamp(instants.to_microseconds(value))
    return value


_ROW = sparse.ROW


def _in_range(
    snapshot: table.Snapshot,
    chosen: Sequence[files.DataFile],
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    *names: str,
    groups: Mapping[str, Sequence[needles.RowGroup]],
    numbered: bool = False,
) -> pl.LazyFrame:
    """Matching rows of some files within the range, with the columns `names` and, if asked, their row number.

    Of files among `groups` only those row groups are looked at.
    """
    bounded = not all(time_range.covers(file) for file in chosen)
    needed = {*names, *predicate.columns, *([types.TIMESTAMP] if bounded else [])}
    if any(file.path in groups for file in chosen):
        frame = _scan_groups(snapshot, chosen, needed, groups, numbered=numbered)
    else:
        span = (time_range.earliest_us, time_range.latest_us - 1) if bounded else None
        frame = _scan(snapshot, chosen, needed, numbered=numbered, within=span)
    if bounded:
        frame = frame.filter(time_range.holds(pl.col(types.TIMESTAMP)))
    return _matching(frame, predicate)


def _scan_groups(
    snapshot: table.Snapshot,
    chosen: Sequence[files.DataFile],
    names: Collection[str],
    groups: Mapping[str, Sequence[needles.RowGroup]],
    *,
    numbered: bool,
) -> pl.LazyFrame:
    """As `_scan`, with only some row groups of some files. Rows keep the numbers that they have in a scan of all."""
    frames = []
    starts = itertools.accumulate((file.rows for file in chosen), initial=0)
    for start, file in zip(starts, chosen, strict=False):
        whole = _scan(snapshot, [file], names, numbered=numbered, first_row=start)
        cut = groups.get(file.path)
        frames += [whole] if cut is None else [whole.slice(group.offset, group.rows) for group in cut]
    return pl.concat(frames)


def _scan(
    snapshot: table.Snapshot,
    chosen: Sequence[files.DataFile],
    names: Collection[str],
    *,
    numbered: bool = False,
    first_row: int = 0,
    within: tuple[int, int] | None = None,
) -> pl.LazyFrame:
    """A scan of files as one; a column that a file lacks is null there, and nothing is read for it."""
    if isinstance(snapshot, snapshots.Attached):
        return snapshot.scan(chosen, names, row_name=_ROW if numbered else None, first_row=first_row, within=within)
    return pl.scan_parquet(
        [snapshot.location(file.path) for file in chosen],
        schema={name: layout.dtype(name, snapshot.columns) for name in sorted(names)},
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
        row_index_name=_ROW if numbered else None,
        row_index_offset=first_row,
    )


@contextlib.contextmanager
def reading(snapshot: table.Snapshot, files: Sequence[files.DataFile]) -> Iterator[None]:
    """`table.translated`; but what the query is to blame for becomes InvalidRequest `query_not_computable`.

    No later attempt can succeed with it, while a lake that failed may be well again. An attached table's files are
    looked at before and behind: Conflict `attached_file_changed` where one is not what the snapshot pinned.
    """
    with table.translated(snapshot.folder), _pinned(snapshot, files):
        try:
            yield
        except pl.exceptions.PolarsError as error:
            if (fault := query.fault_of(error)) is not None:
                raise fault from error
            raise


@contextlib.contextmanager
def _pinned(snapshot: table.Snapshot, files: Sequence[files.DataFile]) -> Iterator[None]:
    if not isinstance(snapshot, snapshots.Attached):
        yield
        return
    snapshot.check(files)
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        raise snapshot.explained(error, files) from error
    # Behind too: what was replaced meanwhile was read in part from one file, in part from another.
    snapshot.check(files)


def _matching(frame: pl.LazyFrame, predicate: query.Predicate) -> pl.LazyFrame:
    return frame if predicate.expression is None else frame.filter(predicate.expression)


def _relevant(
    snapshot: table.Snapshot,
    needed: needed_files.Needed,
    placed: Sequence[tuple[int, files.DataFile]],
    predicate: query.Predicate,
) -> tuple[Sequence[tuple[int, files.DataFile]], query.Predicate]:
    """Those of the files that the predicate looks at, and the predicate for them."""
    with_fields = list(zip(placed, snapshot.fields_of([file for _, file in placed]), strict=True))
    if predicate.within(frozenset(), frozenset()).constant is False:
        with_fields = [each for each in with_fields if predicate.looks_at(each[1].columns, each[1].overflow)]
    relevant = [one for one, _ in with_fields]
    if not relevant:
        return [], predicate.within(frozenset(), frozenset())
    return relevant, _within(snapshot, needed, [file for _, file in relevant], [f for _, f in with_fields], predicate)


def _parts(
    snapshot: table.Snapshot,
    needed: needed_files.Needed,
    chosen: Sequence[files.DataFile],
    predicate: query.Predicate,
    most_rows: int,
) -> Iterator[tuple[list[files.DataFile], query.Predicate]]:
    """The files, some at a time, each part with the predicate compiled for the columns of its files.

    A part has `most_rows` rows or one file. Where files differ in their columns a part ends sooner: it must not cost
    each of its files the columns of all others.
    """
    if predicate.expression is None:
        yield from ((chunk, predicate) for chunk in _chunks(snapshot, chosen, most_rows))
        return
    with table.translated(snapshot.folder):
        holdings = list(zip(chosen, snapshot.fields_of(chosen), strict=True))
    holdings.sort(key=lambda each: predicate.looks_at(each[1].columns, each[1].overflow))
    part = _Part(snapshot, needed, predicate, most_rows)
    for place, (file, fields) in enumerate(holdings):
        if not part.takes(file, fields):
            # While this part is read, what the next one needs comes.
            fetching.ahead(snapshot, [(one, own) for one, own in holdings[place:]], predicate)
            yield part.files, part.own_predicate()
            part = _Part(snapshot, needed, predicate, most_rows)
        part.add(file, fields)
    if part.files:
        yield part.files, part.own_predicate()


class _Part:
    """Files that are scanned as one, and what a predicate looks at in them."""

    def __init__(
        self, snapshot: table.Snapshot, needed: needed_files.Needed, predicate: query.Predicate, most_rows: int
    ) -> None:
        self.files: list[files.DataFile] = []
        self._fields: list[catalog.Fields] = []
        self._snapshot = snapshot
        self._needed = needed
        self._predicate = predicate
        self._most_rows = most_rows
        self._rows = 0
        self._is_looked_at = False
        self._held: frozenset[str] = frozenset()

    def takes(self, file: files.DataFile, fields: catalog.Fields) -> bool:
        """Whether the file may join the others."""
        if not self.files:
            return True
        if self._predicate.looks_at(fields.columns, fields.overflow) != self._is_looked_at:
            return False
        own = len(self._predicate.columns & fields.columns)
        together = len(self._predicate.columns & (self._held | fields.columns))
        fits = self._rows + file.rows <= self._most_rows and together <= 2 * own + _SPARE_COLUMNS
        return fits and fetching.fits(self._snapshot, self.files, file)

    def add(self, file: files.DataFile, fields: catalog.Fields) -> None:
        """Takes a file."""
        self.files.append(file)
        self._fields.append(fields)
        self._rows += file.rows
        self._is_looked_at = self._predicate.looks_at(fields.columns, fields.overflow)
        self._held |= self._predicate.columns & fields.columns

    def own_predicate(self) -> query.Predicate:
        """The predicate for these files."""
        return _within(self._snapshot, self._needed, self.files, self._fields, self._predicate)


def _within(
    snapshot: table.Snapshot,
    needed: needed_files.Needed,
    chosen: Sequence[files.DataFile],
    holdings: Sequence[catalog.Fields],
    predicate: query.Predicate,
) -> query.Predicate:
    """The predicate for files that hold these fields, compiled for the columns in which something may match."""
    if predicate.anywhere is None or isinstance(snapshot, snapshots.Attached):
        # Nothing is narrowed, so nothing is read; and only our own files can be searched by their pages.
        found = list(holdings)
    else:
        with table.translated(snapshot.folder), fetching.held(snapshot, chosen):
            found = [
                narrowing.narrowed(snapshot.location(file.path), needed.stretches(file), fields, predicate)
                for file, fields in zip(chosen, holdings, strict=True)
            ]
    held, names = (
        frozenset[str]().union(*sets) for sets in zip(*((f.columns, f.overflow) for f in found), strict=True)
    )
    return predicate.within(held, names)


def _chunks(
    snapshot: table.Snapshot, chosen: Sequence[files.DataFile], most_rows: int
) -> Iterator[list[files.DataFile]]:
    """The files, some at a time: `most_rows` rows or one file."""
    chunk: list[files.DataFile] = []
    rows = 0
    for file in chosen:
        if chunk and (rows + file.rows > most_rows or not fetching.fits(snapshot, chunk, file)):
            yield chunk
            chunk, rows = [], 0
        chunk.append(file)
        rows += file.rows
    if chunk:
        yield chunk
