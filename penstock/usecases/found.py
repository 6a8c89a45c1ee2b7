"""What a search job shows of what it found: pages of events, CSV, fields, histograms.

All functions block for as long as a scan takes: call them on a thread.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import errors, query
from penstock.control import searches, states
from penstock.fields import flatten, registry, selection, types, values
from penstock.lake.read import scan
from penstock.process import services as services_module
from penstock.usecases import results

MAX_BUCKETS = 1000

Event = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FieldFacts:
    """A field of what a job found.

    Attributes:
        name: dotted.
        description: what it means; empty where nothing is known.
        kind: its type.
        values: (value, percentage of the events looked at that have the field), the most common first.
    """

    name: str
    description: str
    kind: types.FieldType
    values: tuple[tuple[str, float], ...]


def require_usable(job: searches.SearchJob, now: dt.datetime) -> None:
    """Raises Conflict: `search_job_not_done`, unless the job has counted all it matches; `search_job_expired`."""
    if job.is_expired(now):
        raise errors.Conflict(
            "search_job_expired",
            f"The search job {job.uuid} expired at {job.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
            "Run the search again.",
        )
    if job.status is states.SearchStatus.DONE:
        return
    hint = "Wait until its status is 2 (done)."
    if job.status.is_final:
        hint = "It did not count its events: run the search again."
    raise errors.Conflict(
        "search_job_not_done",
        f"The search job {job.uuid} is {_STATUS_WORDS[job.status]}.",
        hint,
        search_job_status=int(job.status),
    )


_STATUS_WORDS = {
    states.SearchStatus.PENDING: "not started",
    states.SearchStatus.RUNNING: "in progress",
    states.SearchStatus.DONE: "done",
    states.SearchStatus.CANCELED: "canceled",
    states.SearchStatus.FAILED: "failed",
}


def newest(services: services_module.Services, job: searches.SearchJob, *, limit: int, offset: int) -> list[Event]:
    """Flat events `offset` to `offset + limit` of the job's newest, newest first.

    A page that reaches past the newest `max_last_events` (`results.MAX_EVENTS` at most) is cut short, one beyond them
    is empty: clients page until they get an empty page, and take a refusal for a failure of the whole search.

    Raises:
        Conflict: `search_job_not_done`, `search_job_expired`.
    """
    require_usable(job, services.clock.now())
    kept = results.of(services, job).events
    return [_with_timestamp(values.loads(text)) for text in kept[offset : offset + limit]]


def fields(services: services_module.Services, job: searches.SearchJob, match: str) -> list[FieldFacts]:
    """The fields of the job's newest events whose name or description holds `match`, by name, with common values.

    Raises:
        Conflict: `search_job_not_done`, `search_job_expired`.
    """
    require_usable(job, services.clock.now())
    kinds = {name: kind for snapshot in results.snapshots_of(services, job) for name, kind in snapshot.columns.items()}
    wanted = match.strip().lower()
    found = []
    for one in results.of(services, job).fields:
        spec = registry.ECS.get(one.name)
        description = spec.description if spec else ""
        if wanted in one.name.lower() or wanted in description.lower():
            kind = kinds.get(one.name) or (spec.type if spec else types.FieldType.KEYWORD)
            found.append(FieldFacts(name=one.name, description=description, kind=kind, values=_shares(one)))
    return found


def _shares(one: searches.FieldValues) -> tuple[tuple[str, float], ...]:
    return tuple((results.shown(text), round(100 * count / one.events, 2)) for text, count in one.values)


def histogram(services: services_module.Services, job: searches.SearchJob, buckets: int) -> scan.Histogram:
    """The job's matches over time, all its communities together, in at most `buckets` stretches."""
    require_usable(job, services.clock.now())
    counted = job.histogram
    # Clients ask for 60 unless told otherwise, which is what the worker has counted.
    if counted and len(counted["counts"]) == buckets:  # the worker has counted these very stretches
        return scan.Histogram(
            interval_seconds=counted["interval_seconds"], counts=[(start, n) for start, n in counted["counts"]]
        )
    asked = results.question_of(job)
    found = [
        scan.histogram(snapshot, asked.time_range, query.compile(asked.node, snapshot.query_columns), buckets)
        for snapshot in results.snapshots_of(services, job)
    ]
    if not found:
        return scan.Histogram(interval_seconds=0.0, counts=[])
    columns = zip(*(one.counts for one in found), strict=True)  # one range and one number: the same stretches
    counts = [(column[0][0], sum(events for _, events in column)) for column in columns]
    return scan.Histogram(interval_seconds=found[0].interval_seconds, counts=counts)


def as_json(found: Sequence[Event], total: int, *, flat: bool) -> bytes:
    """The page as the API answers it; values exactly as they came in."""
    items = ",".join(values.dumps(dict(event) if flat else flatten.nest(dict(event))) for event in found)
    return f'{{"items":[{items}],"total":{total}}}'.encode()


def as_csv(found: Sequence[Event], fields: Sequence[str]) -> bytes:
    """RFC 4180 with a header line. Text unchanged, everything else as JSON; absent and null are empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(fields)
    writer.writerows([_cell(event.get(field)) for field in fields] for event in found)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return values.dumps(value)


def _with_timestamp(event: Event) -> Event:
    """Events of the reference platform have `timestamp` beside `@timestamp`, and published clients read it."""
    alias = selection.TIMESTAMP_ALIAS
    # An event's own `timestamp` is never hidden.
    return event if alias in event else {**event, alias: event[types.TIMESTAMP]}
