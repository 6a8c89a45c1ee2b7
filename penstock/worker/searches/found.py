"""What a search job finds: counted over time in each community, with its newest events and common values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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


def find(job: searches.SearchJob, table_of: Callable[[str], table.EventTable]) -> Found:
    """Runs the job on the newest snapshots. Blocks until it is done.

    Raises:
        StorageError: the lake cannot be read.
    """
    node, time_range = results.node_of(job), results.range_of(job)
    # All pinned first, so that totals and newest events of one job are of the same moment.
    snapshots = {community: table_of(community).snapshot() for community in job.community_uuids}
    totals: dict[str, int] = {}
    buckets: dict[int, int] = {}
    interval_seconds = 0.0
    for community, snapshot in snapshots.items():
        predicate = query.compile(node, snapshot.query_columns)
        counted = scan.histogram(snapshot, time_range, predicate, HISTOGRAM_BUCKETS)
        interval_seconds = counted.interval_seconds
        totals[community] = sum(number for _, number in counted.counts)
        for start_us, number in counted.counts:
            buckets[start_us] = buckets.get(start_us, 0) + number
    return Found(
        totals=totals,
        snapshots={community: snapshot.version for community, snapshot in snapshots.items()},
        histogram={"interval_seconds": interval_seconds, "counts": sorted(buckets.items())},
        results=results.compute(job, [snapshots[community] for community, total in totals.items() if total]),
    )
