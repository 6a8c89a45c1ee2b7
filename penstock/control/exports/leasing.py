"""Who works on an export: `leases` applied to the table of exports, with the verdicts that end one instead."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from penstock.control import leases, states
from penstock.control.exports import ending, fencing, reading, records
from penstock.control.schema import tables

_EXPORTS = tables.exports


def claim(
    tx: sa.Connection,
    worker_id: str,
    now: dt.datetime,
    lease_seconds: float,
    *,
    skip: Collection[str] = (),
    most_events: int | None = None,
) -> records.Claim | None:
    """Takes the oldest export that waits or whose lease has run out; None if there is none.

    None of `skip`, and with `most_events` none that is expected to have more.

    An export that has used up its attempts or passed its deadline is ended here (FAILED; CANCELED if that was asked
    for) instead of taken; if an upload in a customer's bucket must be cleared away first, it is left to the sweeper.
    Several workers may call at once: on PostgreSQL each skips rows that another has locked.
    `now` is the database's time (`control.schema.clock`); one that is wrong costs attempts, never correctness.
    """
    # In a loop: one dead export at the head of the queue must not hide the healthy ones behind it.
    while (export := oldest(tx, _claimable(now, skip, most_events))) is not None:
        verdict = ending.verdict(export, now)
        if verdict is not None:
            ending.end_as(tx, export, verdict, now)
            continue
        return take(tx, export, worker_id, now, lease_seconds)
    return None


def has_work(
    tx: sa.Connection, now: dt.datetime, *, skip: Collection[str] = (), most_events: int | None = None
) -> bool:
    """Whether `claim` would find something."""
    return leases.is_there(tx, fencing.WORK, _claimable(now, skip, most_events))


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
    leases.give_back(tx, fencing.WORK, claim, now)


def wait(
    tx: sa.Connection,
    claim: records.Claim,
    reason: str,
    now: dt.datetime,
    *,
    pause_seconds: float,
    counts: bool = False,
) -> None:
    """Gives the lease back for a pause, since a store, lake or database failed in a way that passes.

    `reason`, a sentence for people, stays with the export until it has made progress. Not counted as an attempt, unless
    `counts`: for faults that may well last. Raises LeaseLost.
    """
    # Overrides the `attempts - 1` of `give_back`.
    counted = {"attempts": _EXPORTS.c.attempts} if counts else {}
    own = {"waits": _EXPORTS.c.waits + 1, "waiting_for": reason}
    leases.give_back(tx, fencing.WORK, claim, now, pause_seconds=pause_seconds, **(own | counted))


def forgive(tx: sa.Connection, claim: records.Claim) -> None:
    """A worker that was cut off says that it lives: its attempt is not counted. Call it once a claim."""
    leases.forgive(tx, fencing.WORK, claim)


def take(
    tx: sa.Connection, export: records.Export, worker_id: str, now: dt.datetime, lease_seconds: float, **values: Any
) -> records.Claim:
    """Gives the export to a worker or sweeper under a new fence; the caller holds the row's lock."""
    if export.status != states.ExportStatus.RUNNING:
        states.require_move(export.status, states.ExportStatus.RUNNING)
    hold = leases.take(
        tx,
        fencing.WORK,
        export.task_uuid,
        worker_id,
        now,
        lease_seconds,
        # Of the first claim, as is the deadline: an export that dies again and again must not run for ever.
        started_at=export.started_at or now,
        deadline_at=export.deadline_at or now + dt.timedelta(seconds=export.deadline_seconds),
        **values,
    )
    row = tx.execute(
        sa.select(*reading.COLUMNS, _EXPORTS.c.sealed_customer_key, _EXPORTS.c.sealed_destination).where(
            _EXPORTS.c.task_uuid == export.task_uuid
        )
    ).one()
    return records.Claim(
        uuid=export.task_uuid,
        worker_id=worker_id,
        fence=hold.fence,
        lease_seconds=lease_seconds,
        export=reading.record_of(row._mapping),
        parts=reading.list_parts(tx, export.task_uuid),
        sealed_customer_key=row.sealed_customer_key,
        sealed_destination=row.sealed_destination,
    )


def oldest(tx: sa.Connection, *which: sa.ColumnElement[bool]) -> records.Export | None:
    """The oldest export that is so and that nobody else is about to take; locked. None: none."""
    row = leases.oldest(tx, fencing.WORK, reading.COLUMNS, *which)
    return None if row is None else reading.record_of(row._mapping)


def _claimable(now: dt.datetime, skip: Collection[str], most_events: int | None) -> sa.ColumnElement[bool]:
    # A worker that met one would have to end it at once, and with that erase the credentials that the abort needs.
    for_the_sweeper = sa.and_(ending.is_dead(now), ending.NEEDS_CLEARING)
    free = sa.and_(leases.is_free(fencing.WORK, now), sa.not_(for_the_sweeper))
    if skip:
        free = sa.and_(free, _EXPORTS.c.task_uuid.not_in(skip))
    return free if most_events is None else sa.and_(free, _EXPORTS.c.expected_events <= most_events)
