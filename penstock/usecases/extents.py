"""What an export would read now, and how large its file would be: a sample of its events, encoded as they will be."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Sequence

import polars as pl

from penstock import encode, errors, query
from penstock.control import limits, quota, searches
from penstock.fields import types, values
from penstock.lake import table
from penstock.lake.read import costs, newest, plan, scan
from penstock.process import services as services_module
from penstock.usecases import results, suggest

SAMPLED_RANGES = 4
"""Time ranges, out of `RANGES` with events in them, that the sample is taken from."""

RANGES = 60
SAMPLED_EVENTS = 250
"""Newest events of each time range."""

SAMPLE_ERROR = 1.25
"""A sample of a thousand events compresses worse than the whole file, by up to a quarter: so much more is let pass."""

BYTES_THAT_ALWAYS_SUFFICE = 1_000
"""Compressed bytes an event: where so many are left for each, nobody waits for a sample."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """What an export would read now.

    Attributes:
        snapshot: the newest of the community.
        time_range: the search job's.
        predicate: its query, compiled.
        events: matches in the snapshot.
    """

    snapshot: table.Snapshot
    time_range: plan.TimeRange
    predicate: query.Predicate
    events: int


def check_cost(
    services: services_module.Services,
    node: query.Node,
    communities: Iterable[str],
    earliest: dt.datetime,
    latest: dt.datetime,
) -> None:
    """Refuses a query that is too dear for what these communities hold now, before anything is read for it.

    Raises:
        InvalidRequest: `search_too_costly`.
    """
    # A lake that cannot be read now is told by the work itself.
    with contextlib.suppress(errors.StorageError):
        snapshots = [services.table(community).snapshot() for community in communities]
        time_range = plan.TimeRange(earliest=earliest, latest=latest)
        costs.check(snapshots, time_range, node, services.settings.search_max_cpu_seconds)


def extent_of(
    services: services_module.Services, job: searches.SearchJob, community_uuid: str, in_force: limits.Limits
) -> Extent:
    """What the export would read on the newest snapshot.

    The job's own total serves where it is the very snapshot, or where the table cannot hold more than the limit allows
    anyway; else the matches are counted again, since late arrivals come along.
    """
    snapshot = services.table(community_uuid).snapshot()
    asked = results.question_of(job)
    predicate = query.compile(asked.node, snapshot.query_columns)
    time_range = asked.time_range
    total = job.total or 0
    # A table with fewer rows than the limit cannot hold too many matches: then the old count is good enough for a
    # check.
    if job.snapshots.get(community_uuid) != snapshot.version and snapshot.rows > in_force.export_max_events:
        total = scan.count(snapshot, time_range, predicate)
    return Extent(snapshot=snapshot, time_range=time_range, predicate=predicate, events=total)


def check_extent(extent: Extent, in_force: limits.Limits) -> None:
    """Raises InvalidRequest `too_many_events`, with time ranges that each fit."""
    if extent.events <= in_force.export_max_events:
        return

    def histogram_of(time_range: plan.TimeRange, most_buckets: int) -> Sequence[tuple[int, int]]:
        return scan.histogram(extent.snapshot, time_range, extent.predicate, most_buckets).counts

    counts = list(suggest.close_counts(histogram_of, extent.time_range, in_force.export_max_events))
    limits.check_events(extent.events, in_force, latest=extent.time_range.latest, histogram=counts)


def check_size(extent: Extent, usage: quota.Quota, size_of: Callable[[], int]) -> None:
    """Raises QuotaExhausted where the file cannot fit what is left of the month, with both numbers.

    `size_of` gives `compressed_bytes`; it is asked only where that could matter, since it reads events.
    """
    # A sample reads events, and nearly every month has far more room than that.
    if extent.events * BYTES_THAT_ALWAYS_SUFFICE > usage.left_bytes:
        quota.check_size(usage, round(size_of() / SAMPLE_ERROR))


def compressed_bytes(extent: Extent, fields: Sequence[str], compression: str) -> int:
    """Bytes of the compressed file, from samples spread over the time range. 0 without events."""
    return round(extent.events * _bytes_per_event(extent, fields, compression))


def _bytes_per_event(extent: Extent, fields: Sequence[str], compression: str) -> float:
    """Compressed bytes of a line, from samples spread over the time range, encoded as the export will be."""
    if not extent.events:
        return 0.0
    events = [
        event
        for time_range in _sampled_ranges(extent)
        for event in newest.events(extent.snapshot, time_range, extent.predicate, SAMPLED_EVENTS)
    ]
    # All as JSON text: the events come as values, and rendered text is what the encoder writes either way.
    columns = {field: [values.dumps(event[field]) if field in event else None for event in events] for field in fields}
    encoder = encode.LineEncoder(fields, dict.fromkeys(fields, types.FieldType.JSON))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(fields, pl.String))
    return len(encode.gzip.encode_slice(encoder, frame, compression).data) / len(events) if events else 0.0


def _sampled_ranges(extent: Extent) -> list[plan.TimeRange]:
    """A few time ranges that hold events, spread evenly among those that do."""
    counts = scan.histogram(extent.snapshot, extent.time_range, extent.predicate, RANGES).counts
    starts = [suggest.instant(us) for us, _ in counts]
    ends = [*starts[1:], extent.time_range.latest]
    full = [
        plan.TimeRange(earliest=start, latest=end)
        for start, end, (_, events) in zip(starts, ends, counts, strict=True)
        if events
    ]
    # Spread out: messages of one hour resemble each other, and would compress better than the whole.
    step = max(1, len(full) // SAMPLED_RANGES)
    return full[::step][:SAMPLED_RANGES]
