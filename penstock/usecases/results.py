"""What a search job found, computed once: its newest events, and the most common values of their fields.

The worker that counts a job computes this and keeps it with the job. Requests read what is kept; where nothing is (a
job of an earlier version), the first request computes it, and those that come meanwhile wait for that one.
"""

from __future__ import annotations

import collections
import heapq
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from penstock import query
from penstock.control import searches
from penstock.fields import types, values
from penstock.lake import table
from penstock.lake.read import newest, plan
from penstock.process import services as services_module

MAX_EVENTS = 1000
"""Newest events that are kept, and that common values are counted in; more is what exports are for."""

MOST_VALUES = 10
"""Values kept of a field."""

_LONGEST_VALUE = 256
"""Characters of a value's JSON text; a longer one (a whole message) is no value that one looks for."""

_LOCKS = [threading.Lock() for _ in range(64)]
"""Of jobs, by their UUIDs' hash: who comes while a job's results are computed waits, and finds them kept."""

Event = Mapping[str, Any]


def node_of(job: searches.SearchJob) -> query.Node:
    """What the job matches: its query text and its filters."""
    return query.both(query.parse(job.term), query.from_filters(job.filters))


def range_of(job: searches.SearchJob) -> plan.TimeRange:
    """The job's time range, fixed when it was created."""
    return plan.TimeRange(earliest=job.earliest, latest=job.latest)


def snapshots_of(services: services_module.Services, job: searches.SearchJob) -> list[table.Snapshot]:
    """The snapshots that the job counted."""
    return [services.table(community).snapshot(version) for community, version in job.snapshots.items()]


def of(services: services_module.Services, job: searches.SearchJob) -> searches.Results:
    """The results of a job that is done."""
    found = _kept(services, job)
    if found is not None:
        return found
    # Sixty-four locks for all jobs: a dictionary of locks would grow, and two jobs that share one only wait a little.
    with _LOCKS[hash(job.uuid) % len(_LOCKS)]:
        found = _kept(services, job)
        # Asked again behind the lock: the one before us has just kept them.
        if found is None:
            found = compute(job, snapshots_of(services, job) if job.total else ())
            with services.database.begin() as tx:
                searches.keep(tx, job.uuid, found, job.expires_at)
    return found


def compute(
    job: searches.SearchJob,
    snapshots: Iterable[table.Snapshot],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> searches.Results:
    """Scans for the newest `MAX_EVENTS` events of the job and counts the values of their fields.

    Args:
        snapshots: of the job's communities, those that it counted.
        should_stop: asked between files; may raise.
    """
    node, time_range = node_of(job), range_of(job)
    found: list[Sequence[Event]] = []
    for snapshot in snapshots:
        should_stop()
        found.append(newest.events(snapshot, time_range, query.compile(node, snapshot.query_columns), MAX_EVENTS))
    # Each list is sorted already; merged, it takes one comparison an event.
    return of_events(job, list(heapq.merge(*found, key=_newest_first))[:MAX_EVENTS])


def of_events(job: searches.SearchJob, events: Sequence[Event]) -> searches.Results:
    """The results of a job whose newest `MAX_EVENTS` events are these, newest first."""
    return searches.Results(
        # Common values are of all that was read, though fewer are shown.
        events=tuple(values.dumps(dict(event)) for event in events[: job.max_last_events]),
        fields=_common_values(events),
        sampled_events=len(events),
    )


def _kept(services: services_module.Services, job: searches.SearchJob) -> searches.Results | None:
    with services.database.read() as tx:
        return searches.results_of(tx, job.uuid, services.clock.now())


def _common_values(events: Sequence[Event]) -> tuple[searches.FieldValues, ...]:
    """Per field, by name: how many events have it, and its values by how many events have them."""
    holders: collections.Counter[str] = collections.Counter()
    counts: dict[str, collections.Counter[str]] = {}
    for event in events:
        for name, value in event.items():
            holders[name] += 1
            counts.setdefault(name, collections.Counter()).update(_texts(value))
    return tuple(
        searches.FieldValues(name=name, events=holders[name], values=tuple(counts[name].most_common(MOST_VALUES)))
        for name in sorted(holders)
    )


def _texts(value: Any) -> list[str]:
    """JSON texts of a value, or of the items of a list, in order: each counts once an event."""
    items = value if isinstance(value, list) else [value]
    # Not a set, whose order differs from process to process: among values as common as one another the first seen is
    # shown first.
    texts = dict.fromkeys(values.dumps(item) for item in items if not isinstance(item, list | dict | None))
    return [text for text in texts if len(text) <= _LONGEST_VALUE]


def shown(text: str) -> str:
    """A value as people write it: a text without its quotes."""
    return str(json.loads(text)) if text.startswith('"') else text


def _newest_first(event: Event) -> int:
    return -(values.parse_timestamp(event[types.TIMESTAMP]) or 0)
