"""The newest matching events, whole."""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock import query
from penstock.base import instants
from penstock.fields import types, values
from penstock.fields.types import FieldType
from penstock.lake import files, layout, snapshots, table
from penstock.lake.read import fetching, parts, plan, rows
from penstock.lake.read.pruning import needed as needed_files
from penstock.lake.read.pruning import sparse

_NEWEST_FILES = 64
"""Most files that are looked into at once; it begins with one and doubles."""


def events(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    limit: int,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> list[dict[str, Any]]:
    """The newest matching events as flat dicts of JSON values, newest first: the reverse of the order of slices.

    Looks into the newest files first, at the predicate's columns only, and stops as soon as no older file can add
    anything; the whole events are read at the end. Raises as `scan.count` does.
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
        with rows.reading(snapshot, [file for _, file in chunk]):
            best += _newest_of(snapshot, chunk, time_range, predicate, limit)
        best = sorted(best, key=lambda found: (found.us, found.place, found.row), reverse=True)[:limit]
        size = min(2 * size, _NEWEST_FILES)
    with rows.reading(snapshot, [snapshot.files[found.place] for found in best]):
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
    placed, own = parts.relevant(snapshot, needed, [each for each in placed if each[1].path in kept], predicate)
    if not placed or own.constant is False:
        return []
    chosen = [file for _, file in placed]
    matching = rows.in_range(snapshot, chosen, time_range, own, types.TIMESTAMP, groups=needed.groups, numbered=True)
    moment = pl.col(types.TIMESTAMP).to_physical().alias("us")
    with fetching.held(snapshot, chosen):
        found = matching.select(moment, sparse.ROW).top_k(limit, by=["us", sparse.ROW]).collect(engine="streaming")
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
            row = record.pop(sparse.ROW)
            events[place, row] = _event(record, snapshot.columns)
    return [events[found.place, found.row] for found in wanted]


def _whole_rows(snapshot: table.Snapshot, file: files.DataFile, chosen: Sequence[_Found]) -> pl.DataFrame:
    """All columns of some rows of a file, and their row numbers."""
    if snapshots.is_attached(snapshot):
        held = snapshot.fields_of([file])[0]
        every = {*held.columns, *([types.OVERFLOW] if held.overflow else [])}
        wanted = pl.Series([found.row for found in chosen], dtype=pl.get_index_type())
        span = (min(found.us for found in chosen), max(found.us for found in chosen))
        around = snapshot.scan([file], every, row_name=sparse.ROW, within=span)
        return around.filter(pl.col(sparse.ROW).is_in(wanted.implode())).collect(engine="streaming")
    location = snapshot.location(file.path)
    rows = pl.Series([found.row for found in chosen], dtype=pl.get_index_type())
    instants = pl.Series([found.us for found in chosen], dtype=pl.Int64).cast(layout.TIMESTAMP_DTYPE)
    first, last = min(rows), max(rows)
    # The row number alone would do. With the span and the instants Polars decodes a quarter of what it would.
    return (
        pl.scan_parquet(location, row_index_name=sparse.ROW)
        .slice(first, last - first + 1)
        .filter(pl.col(types.TIMESTAMP).is_in(instants.implode()), pl.col(sparse.ROW).is_in(rows.implode()))
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
