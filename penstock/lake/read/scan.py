"""Reads events out of a snapshot: slices of an export, counts, histograms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import polars as pl

from penstock import query
from penstock.fields import types
from penstock.lake import catalog, files, layout, needles, snapshots, table
from penstock.lake.read import fetching, parts, plan, rows, unsorted_reading
from penstock.lake.read.pruning import narrowing, sparse
from penstock.lake.read.pruning import needed as needed_files

_CHUNK_ROWS = 4_194_304
"""Rows that a count reads between two looks at `should_stop`: about a second's work at worst."""

_TOLD_ROWS = 1_048_576
"""As `_CHUNK_ROWS`, of a histogram that somebody watches."""


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
    with rows.reading(snapshot, chosen):
        if snapshots.is_attached(snapshot):
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
        lambda wanted: rows.scan(snapshot, [file], wanted, numbered=True),
    )
    if found is not None:
        return found
    frame = rows.scan(snapshot, [file], {*names, *own.columns})
    if stretches != [(0, file.rows)]:
        frame = pl.concat([frame.slice(offset, length) for offset, length in stretches])
    return rows.matching(frame, own).select(names).collect()


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
    for part, own in parts.divided(snapshot, needed, needed.files, predicate, _CHUNK_ROWS):
        table.check_stop(should_stop)
        unsure = [file for file in part if own.expression is not None or not time_range.covers(file)]
        found += sum(file.rows for file in part) - sum(file.rows for file in unsure)
        if unsure and own.constant is not False:
            with rows.reading(snapshot, unsure), fetching.held(snapshot, unsure):
                lengths = rows.in_range(snapshot, unsure, time_range, own, groups=needed.groups).select(pl.len())
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
    for part, own in parts.divided(snapshot, needed, newest_first, predicate, part_rows):
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
        with rows.reading(snapshot, rest), fetching.held(snapshot, rest):
            matching = rows.in_range(snapshot, rest, time_range, own, types.TIMESTAMP, groups=needed.groups)
            grouped = matching.group_by(bucket).agg(pl.len().alias("events")).collect(engine="streaming")
        for position, events in grouped.iter_rows():
            counts[position] += events
    return so_far()
