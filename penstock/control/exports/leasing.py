"""Leases: who works on an export, and the fence that keeps everybody else from writing."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from penstock.control import records, states, tables
from penstock.control.exports import ending, fencing, reading

_EXPORTS = tables.exports
_PENDING = states.ExportStatus.PENDING
_RUNNING = states.ExportStatus.RUNNING


def claim(tx: sa.Connection, worker_id: str, now: dt.datetime, lease_seconds: float) -> records.Claim | None:
    """Takes the oldest export that waits or whose lease has run out; None if there is none.

    An export that has used up its attempts or passed its deadline is ended here (FAILED; CANCELED if that was asked
    for) instead of taken; if an upload in a customer's bucket must be cleared away first, it is left to the sweeper.
    Several workers may call at once: on PostgreSQL each skips rows that another has locked.
    Workers' clocks may differ by less than a lease; a larger difference costs attempts, never correctness.
    """
    while (export := oldest(tx, _claimable(now))) is not None:
        verdict = ending.verdict(export, now)
        if verdict is not None:
            ending.end_as(tx, export, verdict, now)
            continue
        return take(tx, export, worker_id, now, lease_seconds, attempts=export.attempts + 1)
    return None


def has_work(tx: sa.Connection, now: dt.datetime) -> bool:
    """Whether `claim` would find something: a cheap look in a read transaction, so that idle workers do not write."""
    return tx.execute(sa.select(_EXPORTS.c.task_uuid).where(_claimable(now)).limit(1)).first() is not None


def renew(
    tx: sa.Connection, claim: records.Claim, now: dt.datetime, lease_seconds: float | None = None
) -> records.Renewal:
    """Renews the lease, for `lease_seconds` or the claim's own. Raises LeaseLost."""
    lease_until = now + dt.timedelta(seconds=claim.lease_seconds if lease_seconds is None else lease_seconds)
    fencing.write(tx, claim, now, lease_until=lease_until)
    row = tx.execute(
        sa.select(_EXPORTS.c.cancel_requested_at, _EXPORTS.c.deadline_at).where(_EXPORTS.c.task_uuid == claim.task_uuid)
    ).one()
    return records.Renewal(
        cancel_requested=row.cancel_requested_at is not None,
        deadline_passed=row.deadline_at is not None and row.deadline_at <= now,
        lease_until=lease_until,
    )


def release(tx: sa.Connection, claim: records.Claim, now: dt.datetime) -> None:
    """Gives the lease back at a graceful shutdown: the export stays RUNNING and the next worker goes on at once.

    Does not count as an attempt. Raises LeaseLost.
    """
    fencing.write(tx, claim, now, worker_id=None, lease_until=now, attempts=_EXPORTS.c.attempts - 1)


def take(
    tx: sa.Connection, export: records.Export, worker_id: str, now: dt.datetime, lease_seconds: float, *, attempts: int
) -> records.Claim:
    """Gives the export to a worker or sweeper under a new fence; the caller holds the row's lock."""
    if export.status != _RUNNING:
        states.require_move(export.status, _RUNNING)
    tx.execute(
        _EXPORTS.update()
        .where(_EXPORTS.c.task_uuid == export.task_uuid)
        .values(
            status=_RUNNING,
            worker_id=worker_id,
            fence=_EXPORTS.c.fence + 1,
            lease_until=now + dt.timedelta(seconds=lease_seconds),
            attempts=attempts,
            started_at=export.started_at or now,
            deadline_at=export.deadline_at or now + dt.timedelta(seconds=export.deadline_seconds),
        )
    )
    row = tx.execute(
        sa.select(
            *reading.COLUMNS, _EXPORTS.c.fence, _EXPORTS.c.sealed_customer_key, _EXPORTS.c.sealed_destination
        ).where(_EXPORTS.c.task_uuid == export.task_uuid)
    ).one()
    return records.Claim(
        task_uuid=export.task_uuid,
        worker_id=worker_id,
        fence=row.fence,
        lease_seconds=lease_seconds,
        export=reading.record_of(row._mapping),
        parts=reading.list_parts(tx, export.task_uuid),
        sealed_customer_key=row.sealed_customer_key,
        sealed_destination=row.sealed_destination,
    )


def _claimable(now: dt.datetime) -> sa.ColumnElement[bool]:
    for_the_sweeper = sa.and_(ending.is_dead(now), ending.NEEDS_CLEARING)
    expired = sa.and_(_EXPORTS.c.status == _RUNNING, _EXPORTS.c.lease_until <= now, sa.not_(for_the_sweeper))
    return sa.or_(_EXPORTS.c.status == _PENDING, expired)


def oldest(tx: sa.Connection, *which: sa.ColumnElement[bool]) -> records.Export | None:
    """The oldest export that is so and that nobody else is about to take; locked. None: none."""
    query = (
        sa.select(*reading.COLUMNS)
        .where(*which)
        .order_by(_EXPORTS.c.created_at, _EXPORTS.c.task_uuid)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = tx.execute(query).first()
    return None if row is None else reading.record_of(row._mapping)
