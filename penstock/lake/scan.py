"""Reads events out of a snapshot: slices of an export, counts, histograms, the newest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from penstock import query
from penstock.lake import plan, table


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Events over time.

    Attributes:
        interval_seconds: width of a bucket.
        counts: (start of the bucket in microseconds since 1970, events), every bucket of the range, in time order.
    """

    interval_seconds: float
    counts: list[tuple[int, int]]


def read_slice(
    snapshot: table.Snapshot, slice_: plan.Slice, fields: Sequence[str], predicate: query.Predicate
) -> pl.DataFrame:
    """Matching rows of a slice in @timestamp order (ties: file order, then row order).

    Columns: those of `fields` that the table has, in that order, plus OVERFLOW when a file of the slice has any.
    Safe from several threads.
    """
    raise NotImplementedError


def count(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    *,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Number of matching events. `on_progress(rows_done, rows_total)`; `should_stop` raises `table.Stopped`."""
    raise NotImplementedError


def histogram(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    buckets: int,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Histogram:
    """Matching events per stretch of time: at most `buckets` equal stretches of whole microseconds."""
    raise NotImplementedError


def newest(
    snapshot: table.Snapshot,
    time_range: plan.TimeRange,
    predicate: query.Predicate,
    limit: int,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> list[dict[str, Any]]:
    """The newest matching events as flat dicts, newest first, overflow values merged in."""
    raise NotImplementedError
