"""What a community may export: the settings, and each community's overrides of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from penstock import errors
from penstock import settings as settings_module
from penstock.base import instants
from penstock.control.schema import tables

_COMMUNITIES = tables.communities
MAX_SUGGESTED_RANGES = 100


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits in force for one community.

    Attributes:
        export_max_events: most events one export may hold.
        quota_bytes_per_month: compressed bytes that may be exported in a UTC month.
        active_exports: exports that may be PENDING or RUNNING at once.
        exports_per_search_job: exports one search job may start, whatever became of them.
        download_window_seconds: how long a finished export can be downloaded.
        export_deadline_seconds: an export that has run this long in all ends FAILED.
        export_max_attempts: workers that may die over one export before it ends FAILED.
    """

    export_max_events: int
    quota_bytes_per_month: int
    active_exports: int
    exports_per_search_job: int
    download_window_seconds: int
    export_deadline_seconds: int
    export_max_attempts: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """A community's own values; None: the setting holds. The attributes are those of Limits."""

    export_max_events: int | None = None
    quota_bytes_per_month: int | None = None
    active_exports: int | None = None
    exports_per_search_job: int | None = None
    download_window_seconds: int | None = None
    export_deadline_seconds: int | None = None
    export_max_attempts: int | None = None


NAMES = tuple(field.name for field in dataclasses.fields(Limits))
# A quota of 0 shuts a community's exports off. Any other limit of 0 would let exports start that can only fail.
_LEAST = dict.fromkeys(NAMES, 1) | {"quota_bytes_per_month": 0}


def from_settings(settings: settings_module.Settings) -> Limits:
    """The limits of a community without overrides."""
    return Limits(
        export_max_events=settings.export_max_events,
        quota_bytes_per_month=settings.quota_bytes_per_month,
        active_exports=settings.active_exports_per_community,
        exports_per_search_job=settings.exports_per_search_job,
        download_window_seconds=settings.download_window_seconds,
        export_deadline_seconds=settings.export_deadline_seconds,
        export_max_attempts=settings.export_max_attempts,
    )


def for_community(tx: sa.Connection, community_uuid: str, settings: settings_module.Settings) -> Limits:
    """The settings with the community's overrides on top. Raises NotFound `community_not_found`."""
    own = {
        name: value for name, value in dataclasses.asdict(overrides(tx, community_uuid)).items() if value is not None
    }
    return dataclasses.replace(from_settings(settings), **own)


def overrides(tx: sa.Connection, community_uuid: str) -> Overrides:
    """The community's own values. Raises NotFound `community_not_found`."""
    columns = [_COMMUNITIES.c[name] for name in NAMES]
    row = tx.execute(sa.select(*columns).where(_COMMUNITIES.c.uuid == community_uuid)).one_or_none()
    if row is None:
        raise errors.NotFound("community_not_found", f"There is no community {community_uuid}.")
    return Overrides(**row._mapping)


def longest_download_window_seconds(tx: sa.Connection, settings: settings_module.Settings) -> int:
    """The longest window of any community: nothing in the store may be deleted earlier."""
    longest = tx.execute(sa.select(sa.func.max(_COMMUNITIES.c.download_window_seconds))).scalar_one()
    return max(settings.download_window_seconds, longest or 0)


def set_for_community(tx: sa.Connection, community_uuid: str, own: Limits | Overrides) -> None:
    """Replaces all overrides of a community; they hold for exports started from now on, the quota at once.

    Raises:
        NotFound: `community_not_found`.
        InvalidRequest: `invalid_limit`.
    """
    found = tx.execute(_COMMUNITIES.update().where(_COMMUNITIES.c.uuid == community_uuid).values(as_columns(own)))
    if not found.rowcount:
        raise errors.NotFound("community_not_found", f"There is no community {community_uuid}.")


def as_columns(own: Limits | Overrides) -> dict[str, int | None]:
    """The overrides as column values. Raises InvalidRequest `invalid_limit`."""
    values: dict[str, int | None] = dataclasses.asdict(own)
    for name, value in values.items():
        if value is not None and value < _LEAST[name]:
            raise errors.InvalidRequest("invalid_limit", f"{name} is {value}; it must be at least {_LEAST[name]}.")
    return values


def check_events(
    expected_events: int,
    limits: Limits,
    *,
    latest: dt.datetime | None = None,
    histogram: Sequence[tuple[dt.datetime, int]] = (),
) -> None:
    """Refuses an export of more events than the cap, before anything is written.

    Args:
        latest: end of the search's time range (exclusive); with `histogram`, ranges that fit are suggested.
        histogram: (start, count) of consecutive buckets that cover the range.

    Raises:
        InvalidRequest: `too_many_events`; `extra` holds `events`, `limit` and `suggested_ranges`, a list of
            `{"earliest_time","latest_time","events"}` (RFC 3339) that together cover the range.
    """
    if expected_events <= limits.export_max_events:
        return
    ranges = ranges_that_fit(histogram, latest, limits.export_max_events) if latest else []
    hint = "Narrow the time range or the query."
    if ranges:
        hint = f"Split it by time: {len(ranges)} search jobs over the suggested ranges each fit."
    raise errors.InvalidRequest(
        "too_many_events",
        f"The search matches {expected_events:,} events; an export may hold {limits.export_max_events:,}.",
        hint,
        events=expected_events,
        limit=limits.export_max_events,
        suggested_ranges=[
            {"earliest_time": _rfc3339(start), "latest_time": _rfc3339(end), "events": events}
            for start, end, events in ranges
        ],
    )


def ranges_that_fit(
    histogram: Sequence[tuple[dt.datetime, int]], latest: dt.datetime, max_events: int
) -> list[tuple[dt.datetime, dt.datetime, int]]:
    """Adjacent (earliest, latest, events) that cover the histogram, each of at most `max_events`.

    Whole buckets are joined while they fit. A bucket that is too large by itself is cut into equal stretches of time,
    on the guess that its events are spread evenly: the new search job's count tells. Empty if there would be more
    than MAX_SUGGESTED_RANGES of them.
    """
    found: list[tuple[dt.datetime, dt.datetime, int]] = []
    ends = [start for start, _ in histogram[1:]] + [latest]
    for (start, count), end in zip(histogram, ends, strict=True):
        # Rounded up, in integers: counts beyond 2^53 are exact. A bucket without events is one piece, since the ranges
        # together cover all of the time.
        pieces = -(-count // max_events) or 1
        # A piece of a bucket that was cut holds more than half of `max_events`, so joining could at most halve their
        # number: beyond twice the bound there is no way back, and a bucket of 10^12 events must not fill the memory.
        if len(found) + pieces > 2 * MAX_SUGGESTED_RANGES:
            return []
        for number in range(pieces):
            left = start + (end - start) * number / pieces
            right = start + (end - start) * (number + 1) / pieces
            # Differences of rounded sums: the pieces' counts add up to the bucket's exactly.
            events = count * (number + 1) // pieces - count * number // pieces
            if found and found[-1][2] + events <= max_events:
                found[-1] = (found[-1][0], right, found[-1][2] + events)
            else:
                found.append((left, right, events))
    return found if len(found) <= MAX_SUGGESTED_RANGES else []


def _rfc3339(instant: dt.datetime) -> str:
    return instants.render(instant)
