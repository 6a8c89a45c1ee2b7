"""Who works on a search job: `leases` applied to the table of search jobs."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from penstock.control import leases, states
from penstock.control.schema import tables
from penstock.control.searches import ending, fencing, reading, records

_JOBS = tables.search_jobs

MAX_ATTEMPTS = 5
"""Workers that may die over one search job before it ends FAILED."""


def claim(tx: sa.Connection, worker_id: str, now: dt.datetime, lease_seconds: float) -> records.SearchClaim | None:
    """Takes the oldest job that waits or whose lease has run out; None if there is none.

    A job that has killed MAX_ATTEMPTS workers ends FAILED here instead.
    """
    columns = [_JOBS.c.uuid, _JOBS.c.status, _JOBS.c.attempts, _JOBS.c.started_at]
    while (row := leases.oldest(tx, fencing.WORK, columns, leases.is_free(fencing.WORK, now))) is not None:
        if row.attempts >= MAX_ATTEMPTS:
            ending.end_dead(tx, row.uuid, row.attempts, now)
            continue
        if row.status != states.SearchStatus.RUNNING:
            states.require_search_move(states.SearchStatus(row.status), states.SearchStatus.RUNNING)
        hold = leases.take(tx, fencing.WORK, row.uuid, worker_id, now, lease_seconds, started_at=row.started_at or now)
        job = reading.get(tx, row.uuid, None)
        return records.SearchClaim(
            uuid=row.uuid, worker_id=worker_id, fence=hold.fence, lease_seconds=lease_seconds, job=job
        )
    return None


def has_work(tx: sa.Connection, now: dt.datetime) -> bool:
    """Whether `claim` would find something."""
    return leases.is_there(tx, fencing.WORK, leases.is_free(fencing.WORK, now))


def renew(tx: sa.Connection, claim: records.SearchClaim, now: dt.datetime) -> None:
    """Renews the lease. Raises LeaseLost, also when the job was canceled or deleted."""
    leases.write(tx, fencing.WORK, claim, now)


def release(tx: sa.Connection, claim: records.SearchClaim, now: dt.datetime) -> None:
    """Gives the lease back at a graceful shutdown; not counted as an attempt. Raises LeaseLost."""
    leases.give_back(tx, fencing.WORK, claim, now)


def is_cancel_requested(tx: sa.Connection, claim: records.SearchClaim) -> bool:
    """Whether the job was canceled or deleted under its worker: a cheap look between two counts."""
    return not leases.is_held(tx, fencing.WORK, claim)
