"""Says what an export would be, without starting one: events, size, time, and whether it would be accepted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from penstock import errors
from penstock.control import exports, limits, quota, states
from penstock.fields import presets
from penstock.process import services as services_module
from penstock.usecases import destinations, extents, orders
from penstock.usecases import start as exporting

ASSUMED_EVENTS_PER_SECOND = 500_000.0
"""Where no export has finished yet; two cores do more (docs/performance.md)."""

START_SECONDS = 0.5
"""From the start to the first event: claim, plan, first slice."""

PACE_OF_LAST = 20
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What an export would be.

    Attributes:
        events: matches in the newest snapshot.
        size_compressed: bytes of the file, from a sample.
        seconds: how long it would take, at the pace of the latest exports.
        quota: of the community, now.
        problems: every reason why a start would be refused; none: it would be accepted.
    """

    events: int
    size_compressed: int
    seconds: float
    quota: quota.Quota
    problems: tuple[errors.PenstockError, ...]


def estimate(
    services: services_module.Services, caller: orders.Caller, job_uuid: str, order: orders.ExportOrder
) -> Estimate:
    """What the export would be; every reason why it would be refused is listed, not only the first.

    Raises:
        NotFound: `search_job_not_found`.
        Conflict: `search_job_not_done`: nothing can be said about it yet.
        InvalidRequest: `multi_community_not_supported`.
    """
    job = exporting.exportable_job(services, caller, job_uuid)
    community_uuid = exporting.community_of(job)
    with services.database.read() as tx:
        in_force = limits.for_community(tx, community_uuid, services.settings)
        usage = quota.usage(tx, community_uuid, services.clock.now(), in_force)
        pace = _events_per_second(tx, caller)
    # Collected: whoever estimates wants to correct all at once, where a start stops at the first.
    problems: list[errors.PenstockError] = []

    def tried(check: Callable[[], _Result]) -> _Result | None:
        try:
            return check()
        except (errors.Refused, errors.StorageError) as error:
            # A month that is used up has no room for the file either: one reason, said once.
            if all(error.code != one.code for one in problems):
                problems.append(error)
            return None

    tried(lambda: exporting.check_cost(services, job))
    # The default fields where the asked ones are wrong, so that size and time can still be told.
    fields = tried(lambda: exporting.fields_of(services, order, community_uuid)) or presets.DEFAULT_FIELDS
    destination = tried(lambda: destinations.of(services, order))
    if destination is not None:
        tried(lambda: exporting.check_limits(services, caller, job, community_uuid, fields, destination))
        tried(destination.probe)
    extent = extents.extent_of(services, job, community_uuid, in_force)
    tried(lambda: extents.check_extent(extent, in_force))
    size_compressed = extents.compressed_bytes(extent, fields, services.settings.compression)
    tried(lambda: extents.check_size(extent, usage, lambda: size_compressed))
    return Estimate(
        events=extent.events,
        size_compressed=size_compressed,
        seconds=round(START_SECONDS + extent.events / pace, 1),
        quota=usage,
        problems=tuple(problems),
    )


def _events_per_second(tx: sa.Connection, caller: orders.Caller) -> float:
    """The pace of the caller's latest finished exports that were long enough to tell."""
    found, _ = exports.list_tasks(
        tx, caller.communities, status=states.ExportStatus.FINISHED, limit=PACE_OF_LAST, offset=0
    )
    events = seconds = 0.0
    for export in found:
        # Of a small export most of the time is its start, which `START_SECONDS` counts already.
        if export.started_at is not None and export.ended_at is not None and export.progress_events >= 10_000:
            events += export.progress_events
            seconds += (export.ended_at - export.started_at).total_seconds()
    return events / seconds if seconds > 0 else ASSUMED_EVENTS_PER_SECOND
