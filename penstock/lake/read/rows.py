"""Rows of data files as lazy frames: the files scanned as one, the time range and the predicate applied."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import polars as pl

from penstock import query
from penstock.fields import types
from penstock.lake import files, layout, needles, snapshots, table
from penstock.lake.read import plan
from penstock.lake.read.pruning import sparse

ROW = sparse.ROW


def in_range(
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
        frame = scan(snapshot, chosen, needed, numbered=numbered, within=span)
    if bounded:
        frame = frame.filter(time_range.holds(pl.col(types.TIMESTAMP)))
    return matching(frame, predicate)


def _scan_groups(
    snapshot: table.Snapshot,
    chosen: Sequence[files.DataFile],
    names: Collection[str],
    groups: Mapping[str, Sequence[needles.RowGroup]],
    *,
    numbered: bool,
) -> pl.LazyFrame:
    """As `scan`, with only some row groups of some files. Rows keep the numbers that they have in a scan of all."""
    frames = []
    starts = itertools.accumulate((file.rows for file in chosen), initial=0)
    for start, file in zip(starts, chosen, strict=False):
        whole = scan(snapshot, [file], names, numbered=numbered, first_row=start)
        cut = groups.get(file.path)
        frames += [whole] if cut is None else [whole.slice(group.offset, group.rows) for group in cut]
    return pl.concat(frames)


def scan(
    snapshot: table.Snapshot,
    chosen: Sequence[files.DataFile],
    names: Collection[str],
    *,
    numbered: bool = False,
    first_row: int = 0,
    within: tuple[int, int] | None = None,
) -> pl.LazyFrame:
    """A scan of files as one; a column that a file lacks is null there, and nothing is read for it."""
    if snapshots.is_attached(snapshot):
        return snapshot.scan(chosen, names, row_name=ROW if numbered else None, first_row=first_row, within=within)
    return pl.scan_parquet(
        [snapshot.location(file.path) for file in chosen],
        schema={name: layout.dtype(name, snapshot.columns) for name in sorted(names)},
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
        row_index_name=ROW if numbered else None,
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
    if not snapshots.is_attached(snapshot):
        yield
        return
    snapshot.check(files)
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        raise snapshot.explained(error, files) from error
    # Behind too: what was replaced meanwhile was read in part from one file, in part from another.
    snapshot.check(files)


def matching(frame: pl.LazyFrame, predicate: query.Predicate) -> pl.LazyFrame:
    return frame if predicate.expression is None else frame.filter(predicate.expression)
