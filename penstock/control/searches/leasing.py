"""Who works on a search job: `leases` applied to the table of search jobs."""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from penstock.base import findings
from penstock.control import leases, states
from penstock.control.schema import tables
from penstock.control.searches import ending, fencing, reading, records

_JOBS = tables.search_jobs
_LINKS = tables.search_job_communities

# A search that kills its worker, for want of memory say, would else be taken again for ever and starve all others.
MAX_ATTEMPTS = 5
"""Workers that may die over one search job before it ends FAILED."""


def claim(
    tx: sa.Connection,
    worker_id: str,
    now: dt.datetime,
    lease_seconds: float,
    *,
    most_a_community: int | None = None,
) -> records.SearchClaim | None:
    """Takes a job that waits or whose lease has run out; None if there is none that may run now.

    Fair shares: the job whose community has the fewest searches running comes first, then the oldest. A job of several
    communities counts as one of that with the most. With `most_a_community`, no job of a community that runs as many is
    taken (workers that claim at the same moment may go one over). A job that has killed MAX_ATTEMPTS workers ends
    FAILED here instead.
    """
    load = _load(now)
    free = leases.is_free(fencing.WORK, now)
    # The load is read without a lock on other rows; a lock on all of a community's jobs would line up all workers.
    which = [free] if most_a_community is None else [free, load < most_a_community]
    columns = [_JOBS.c.uuid, _JOBS.c.status, _JOBS.c.attempts, _JOBS.c.started_at]
    # A row that has just ended here is free no more, so that the loop comes to an end.
    while (row := leases.oldest(tx, fencing.WORK, columns, *which, first=(load,))) is not None:
        if row.attempts >= MAX_ATTEMPTS:
            ending.end_dead(tx, row.uuid, row.attempts, now)
            continue
        if row.status != states.SearchStatus.RUNNING:
            states.require_search_move(states.SearchStatus(row.status), states.SearchStatus.RUNNING)
        values = {"started_at": row.started_at or now, "histogram": None}
        hold = leases.take(tx, fencing.WORK, row.uuid, worker_id, now, lease_seconds, **values)
        job = reading.get(tx, row.uuid, None)
        return records.SearchClaim(
            uuid=row.uuid, worker_id=worker_id, fence=hold.fence, lease_seconds=lease_seconds, job=job
        )
    return None


def forgive(tx: sa.Connection, claim: records.SearchClaim) -> None:
    """A worker that was cut off says that it lives: its attempt is not counted. Call it once a claim."""
    leases.forgive(tx, fencing.WORK, claim)


def _load(now: dt.datetime) -> sa.ColumnElement[int]:
    """Searches that run now in the community of a job that has the most of them."""
    running = sa.alias(_JOBS)
    theirs = sa.alias(_LINKS)
    counts = (
        sa.select(theirs.c.community_uuid, sa.func.count().label("number"))
        .join(running, running.c.uuid == theirs.c.job_uuid)
        # Leases that have run out do not count: a community whose workers died would else be shut out by their jobs.
        .where(running.c.status == states.SearchStatus.RUNNING, running.c.lease_until > now)
        .group_by(theirs.c.community_uuid)
        .subquery()
    )
    most = (
        sa.select(sa.func.max(counts.c.number))
        .join(_LINKS, _LINKS.c.community_uuid == counts.c.community_uuid)
        .where(_LINKS.c.job_uuid == _JOBS.c.uuid)
        .correlate(_JOBS)
        .scalar_subquery()
    )
    # NULL, for communities with nothing running, sorts first on SQLite and last on PostgreSQL.
    return sa.func.coalesce(most, 0)


def has_work(tx: sa.Connection, now: dt.datetime) -> bool:
    """Whether `claim` would find something."""
    return leases.is_any_free(tx, fencing.WORK, now)


def renew(tx: sa.Connection, claim: records.SearchClaim, now: dt.datetime) -> None:
    """Renews the lease. Raises LeaseLost, also when the job was canceled or deleted."""
    leases.write(tx, fencing.WORK, claim, now)


def tell(tx: sa.Connection, claim: records.SearchClaim, so_far: findings.SoFar, now: dt.datetime) -> None:
    """Keeps what is counted so far, for those who look at the job, and renews the lease. Raises LeaseLost.

    In the column of the histogram: a job that runs has none yet, and `finish` puts the whole one in its place.
    """
    leases.write(tx, fencing.WORK, claim, now, histogram=dataclasses.asdict(so_far))


def release(tx: sa.Connection, claim: records.SearchClaim, now: dt.datetime) -> None:
    """Gives the lease back at a graceful shutdown; not counted as an attempt. Raises LeaseLost."""
    leases.give_back(tx, fencing.WORK, claim, now)


def is_cancel_requested(tx: sa.Connection, claim: records.SearchClaim) -> bool:
    """Whether the job was canceled or deleted under its worker: a cheap look between two counts."""
    return not leases.is_held(tx, fencing.WORK, claim)
