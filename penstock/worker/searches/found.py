"""What a search job finds: counted over time in each community, with its newest events and common values."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from penstock import query
from penstock.control import searches
from penstock.lake import table
from penstock.lake.read import scan
from penstock.usecases import results

HISTOGRAM_BUCKETS = 60
"""Buckets of the stored histogram; a finer one is counted when somebody asks."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What `searches.finish` and `searches.keep` store.

    Attributes:
        totals: community UUID -> matching events.
        snapshots: community UUID -> version counted.
        histogram: JSON value, all communities together.
        results: newest events and common values.
    """

    totals: dict[str, int]
    snapshots: dict[str, int]
    histogram: dict[str, Any]
    results: searches.Results


def find(
    job: searches.SearchJob,
    table_of: Callable[[str], table.EventTable],
    tell: Callable[[searches.SoFar], None] = lambda so_far: None,
) -> Found:
    """Runs the job on the newest snapshots. Blocks until it is done.

    Args:
        tell: called between two parts of the scan with what is counted by then.

    Raises:
        StorageError: the lake cannot be read.
    """
    node, time_range = results.node_of(job), results.range_of(job)
    # All pinned first, so that totals and newest events of one job are of the same moment.
    snapshots = {community: table_of(community).snapshot() for community in job.community_uuids}
    for community, snapshot in snapshots.items():
        # While it is the newest: the log has it for minutes only, and requests read it for as long as the job is there.
        table_of(community).keep(snapshot)
    rows = {
        community: sum(file.rows for file in snapshot.files if time_range.touches(file))
        for community, snapshot in snapshots.items()
    }
    totals: dict[str, int] = {}
    buckets: collections.Counter[int] = collections.Counter()
    histogram: dict[str, Any] = {"interval_seconds": 0.0, "counts": []}

    def told(counted: scan.Histogram, looked_at: int) -> None:
        done = sum(rows[community] for community in totals) + looked_at
        tell(_so_far(_merged(buckets, counted), done, sum(rows.values())))

    for community, snapshot in snapshots.items():
        predicate = query.compile(node, snapshot.query_columns)
        counted = scan.histogram(snapshot, time_range, predicate, HISTOGRAM_BUCKETS, on_progress=told)
        histogram = _merged(buckets, counted)
        buckets.update(dict(counted.counts))
        totals[community] = sum(number for _, number in counted.counts)
    tell(_so_far(histogram, sum(rows.values()), sum(rows.values())))
    return Found(
        totals=totals,
        snapshots={community: snapshot.version for community, snapshot in snapshots.items()},
        histogram=histogram,
        results=results.compute(job, [snapshots[community] for community, total in totals.items() if total]),
    )


def _merged(before: Mapping[int, int], counted: scan.Histogram) -> dict[str, Any]:
    """A histogram as JSON: that of the communities before, and one more over the same stretches."""
    counts = [(start_us, before.get(start_us, 0) + number) for start_us, number in counted.counts]
    return {"interval_seconds": counted.interval_seconds, "counts": counts}


def _so_far(histogram: dict[str, Any], looked_at: int, rows: int) -> searches.SoFar:
    total = sum(number for _, number in histogram["counts"])
    return searches.SoFar(total=total, share=looked_at / rows if rows else 1.0, histogram=histogram)
