"""How search jobs end, and how they go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.base import findings
from penstock.control import leases, states
from penstock.control.schema import tables
from penstock.control.searches import fencing, reading, records, results

_JOBS = tables.search_jobs
_LINKS = tables.search_job_communities


def finish(
    tx: sa.Connection,
    claim: records.SearchClaim,
    *,
    totals: Mapping[str, int],
    snapshots: Mapping[str, int],
    histogram_json: Any,
    now: dt.datetime,
    found: findings.Results | None = None,
    found_until: dt.datetime | None = None,
) -> None:
    """RUNNING -> DONE with what was counted, per community, and the versions it was counted on. Raises LeaseLost.

    `histogram_json` is a JSON value (a dict or list), not its text; `SearchJob.histogram` gives it back. `found` is
    kept until `found_until`, see `results`.
    """
    leases.write(
        tx,
        fencing.WORK,
        claim,
        now,
        status=states.SearchStatus.DONE,
        total=sum(totals.values()),
        histogram=histogram_json,
        ended_at=now,
        **leases.UNHELD,
    )
    # After the fence: a worker that lost the job must not replace what its successor has kept.
    if found is not None and found_until is not None:
        results.keep(tx, claim.uuid, found, found_until)
    for community_uuid in claim.job.community_uuids:
        tx.execute(
            _LINKS.update()
            .where(_LINKS.c.job_uuid == claim.job.uuid, _LINKS.c.community_uuid == community_uuid)
            .values(total=totals.get(community_uuid, 0), snapshot_version=snapshots.get(community_uuid))
        )


def fail(tx: sa.Connection, claim: records.SearchClaim, error: str, now: dt.datetime) -> None:
    """RUNNING -> FAILED with a sentence for people. Raises LeaseLost."""
    leases.write(
        tx, fencing.WORK, claim, now, status=states.SearchStatus.FAILED, error=error, ended_at=now, **leases.UNHELD
    )


def cancel(
    tx: sa.Connection,
    job_uuid: str,
    communities: Collection[str] | None,
    by: str,
    now: dt.datetime,
    by_type: str = "apikey",
) -> records.SearchJob:
    """CANCELED at once, running or not: its worker has nothing to clean up and stops at its next renewal. Idempotent.

    Raises:
        NotFound: `search_job_not_found`.
        Conflict: `search_job_already_ended`.
    """
    job = reading.get(tx, job_uuid, communities)
    if job.status == states.SearchStatus.CANCELED:
        return job
    # The status stands in the UPDATE itself: between the look above and here the worker may have finished the job.
    done = tx.execute(
        _JOBS.update()
        .where(_JOBS.c.uuid == job_uuid, _JOBS.c.status.in_(states.search_sources(states.SearchStatus.CANCELED)))
        .values(
            {"status": states.SearchStatus.CANCELED, "canceled_at": now, "canceled_by": by, "canceled_by_type": by_type}
            | {"ended_at": now}
            | leases.UNHELD
        )
    )
    job = reading.get(tx, job_uuid, communities)
    if not done.rowcount and job.status != states.SearchStatus.CANCELED:
        raise errors.Conflict(
            "search_job_already_ended", f"The search job {job_uuid} has already ended: {job.status.name.lower()}."
        )
    return job


def delete(tx: sa.Connection, job_uuid: str, communities: Collection[str] | None) -> None:
    """Deletes the job; a running one stops. Its exports stay. Raises NotFound `search_job_not_found`."""
    reading.get(tx, job_uuid, communities)
    # Links and results go along by ON DELETE CASCADE. A worker that counts it finds no row at its next renewal.
    tx.execute(_JOBS.delete().where(_JOBS.c.uuid == job_uuid))


def end_all_of(tx: sa.Connection, community_uuid: str, by: str, by_type: str, now: dt.datetime) -> int:
    """Ends all search jobs that read a community's events: canceled, expired, and without what they found. How many.

    Exports that they have started stay.
    """
    mine = sa.select(_LINKS.c.job_uuid).where(_LINKS.c.community_uuid == community_uuid)
    tx.execute(
        _JOBS.update()
        .where(_JOBS.c.uuid.in_(mine), _JOBS.c.status.in_(states.search_sources(states.SearchStatus.CANCELED)))
        .values(
            {"status": states.SearchStatus.CANCELED, "canceled_at": now, "canceled_by": by, "canceled_by_type": by_type}
            | {"ended_at": now}
            | leases.UNHELD
        )
    )
    tx.execute(tables.search_results.delete().where(tables.search_results.c.job_uuid.in_(mine)))
    return tx.execute(
        _JOBS.update().where(_JOBS.c.uuid.in_(mine), _JOBS.c.expires_at > now).values(expires_at=now)
    ).rowcount


def delete_expired(tx: sa.Connection, now: dt.datetime, keep_seconds: int = 86_400) -> int:
    """Deletes jobs that expired more than `keep_seconds` ago; how many. For the sweeper; idempotent."""
    return tx.execute(_JOBS.delete().where(_JOBS.c.expires_at <= now - dt.timedelta(seconds=keep_seconds))).rowcount


def end_dead(tx: sa.Connection, job_uuid: str, attempts: int, now: dt.datetime) -> None:
    """RUNNING -> FAILED, of a job over which too many workers died; the caller holds the row's lock."""
    message = f"{attempts} workers stopped over this search. Ask the operator to look into their logs."
    # The fence rises, so that the last of those workers, should it wake, cannot finish the job.
    ended = {"status": states.SearchStatus.FAILED, "error": message, "ended_at": now, "fence": _JOBS.c.fence + 1}
    tx.execute(_JOBS.update().where(_JOBS.c.uuid == job_uuid).values(ended | leases.UNHELD))
