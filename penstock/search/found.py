"""What a search finds: counted over time in each community, with its newest events and common values."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from penstock import query
from penstock.base import findings
from penstock.lake import files, table
from penstock.lake.read import scan, shards
from penstock.search import question, results

HISTOGRAM_BUCKETS = 60
"""Buckets of the stored histogram; a finer one is counted when somebody asks."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What is found.

    Attributes:
        totals: community UUID -> matching events.
        snapshots: community UUID -> version counted.
        histogram: JSON value, all communities together.
        results: newest events and common values.
    """

    totals: dict[str, int]
    snapshots: dict[str, int]
    histogram: dict[str, Any]
    results: findings.Results


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wide:
    """A search that is worth an engine: cut, and not begun.

    Attributes:
        snapshots: community UUID -> version, in the job's order.
        shards: of all communities, in that order.
        rows: of all files that the time range touches.
        stretches: the buckets, all at 0.
    """

    snapshots: dict[str, int]
    shards: tuple[shards.Shard, ...]
    rows: int
    stretches: scan.Histogram


def find(
    asked: question.Question,
    table_of: Callable[[str], table.EventTable],
    tell: Callable[[findings.SoFar], None] = lambda so_far: None,
) -> Found:
    """Answers from the newest snapshots. Blocks until it is done.

    Args:
        tell: called between two parts of the scan with what is counted by then.

    Raises:
        StorageError: the lake cannot be read.
    """
    found = find_or_cut(asked, table_of, tell, shard_rows=0)
    assert isinstance(found, Found), "nothing was to be cut"
    return found


def find_or_cut(
    asked: question.Question,
    table_of: Callable[[str], table.EventTable],
    tell: Callable[[findings.SoFar], None],
    *,
    shard_rows: int,
) -> Found | Wide:
    """As `find`; but a job that has to look at more than `shard_rows` rows is only cut, into shards of so many."""
    time_range = asked.time_range
    # All pinned first, so that totals and newest events of one job are of the same moment.
    snapshots = {community: table_of(community).snapshot() for community in asked.community_uuids}
    for community, snapshot in snapshots.items():
        # While it is the newest: the log has it for minutes only, and requests read it for as long as the job is there.
        table_of(community).keep(snapshot)
    rows = {
        community: sum(file.rows for file in snapshot.files if time_range.touches(file))
        for community, snapshot in snapshots.items()
    }
    predicates = {name: query.compile(asked.node, snapshot.query_columns) for name, snapshot in snapshots.items()}
    to_count = snapshots
    if shard_rows and sum(rows.values()) > shard_rows:
        chosen = {
            name: shards.worth_a_look(snapshot, time_range, predicates[name]) for name, snapshot in snapshots.items()
        }
        if sum(to_look for each in chosen.values() for _, to_look in each) > shard_rows:
            return _wide(asked, snapshots, chosen, sum(rows.values()), shard_rows)
        # What was left out once is not asked again.
        to_count = {name: snapshot.only([file for file, _ in chosen[name]]) for name, snapshot in snapshots.items()}
    totals: dict[str, int] = {}
    buckets: collections.Counter[int] = collections.Counter()
    histogram: dict[str, Any] = {"interval_seconds": 0.0, "counts": []}

    for community, snapshot in to_count.items():
        left_out = rows[community] - sum(file.rows for file in snapshot.files if time_range.touches(file))
        before = sum(rows[each] for each in totals) + left_out

        def told(counted: scan.Histogram, looked_at: int, before: int = before) -> None:
            tell(so_far(merged(buckets, counted), before + looked_at, sum(rows.values())))

        counted = scan.histogram(snapshot, time_range, predicates[community], HISTOGRAM_BUCKETS, on_progress=told)
        histogram = merged(buckets, counted)
        buckets.update(dict(counted.counts))
        totals[community] = sum(number for _, number in counted.counts)
    tell(so_far(histogram, sum(rows.values()), sum(rows.values())))
    return Found(
        totals=totals,
        snapshots={community: snapshot.version for community, snapshot in snapshots.items()},
        histogram=histogram,
        results=results.compute(
            asked, [(snapshots[name], predicates[name]) for name, total in totals.items() if total]
        ),
    )


def _wide(
    asked: question.Question,
    snapshots: Mapping[str, table.Snapshot],
    chosen: Mapping[str, list[tuple[files.DataFile, int]]],
    rows: int,
    shard_rows: int,
) -> Wide:
    cut: list[shards.Shard] = []
    for community, snapshot in snapshots.items():
        cut += shards.cut(snapshot, community, chosen[community], max_rows=shard_rows, first=len(cut))
    nothing = next(iter(snapshots.values())).only(())
    anything = query.compile(asked.node, nothing.query_columns)
    return Wide(
        snapshots={community: snapshot.version for community, snapshot in snapshots.items()},
        shards=tuple(cut),
        rows=rows,
        stretches=scan.histogram(nothing, asked.time_range, anything, HISTOGRAM_BUCKETS),
    )


def merged(before: Mapping[int, int], counted: scan.Histogram) -> dict[str, Any]:
    """A histogram as JSON: that of the communities before, and one more over the same stretches."""
    counts = [(start_us, before.get(start_us, 0) + number) for start_us, number in counted.counts]
    return {"interval_seconds": counted.interval_seconds, "counts": counts}


def so_far(histogram: dict[str, Any], looked_at: int, rows: int) -> findings.SoFar:
    total = sum(number for _, number in histogram["counts"])
    return findings.SoFar(total=total, share=looked_at / rows if rows else 1.0, histogram=histogram)
