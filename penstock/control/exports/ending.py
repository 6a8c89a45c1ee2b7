"""How exports end: each end frees the slot and erases the secrets in the one UPDATE that makes it final."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control import audit, leases, quota, states
from penstock.control.exports import fencing, reading, records
from penstock.control.schema import tables

_EXPORTS = tables.exports
_CHARGES = tables.quota_charges
_STATUS = states.ExportStatus

# Longer than the 25 s for which a worker may clear a customer's bucket away before it writes the end down.
DEADLINE_GRACE_SECONDS = 60
"""How long past its deadline a worker that still renews may take to end the export itself; then the sweeper does."""

_ENDED: dict[str, Any] = {
    "active_slot": None,
    "sealed_customer_key": None,
    "sealed_destination": None,
    "waiting_for": None,
    **leases.UNHELD,
}
"""What every end sets besides status and time."""

NEEDS_CLEARING = sa.and_(_EXPORTS.c.sealed_destination.is_not(None), _EXPORTS.c.object_key.is_not(None))
"""There may be an upload in a customer's bucket, recorded or not. A dead export like that is the sweeper's to end, see
`clearing`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Why an export ends without a worker.

    Attributes:
        status: FAILED or CANCELED.
        code, message: of a failure; empty for CANCELED.
    """

    status: states.ExportStatus
    code: str = ""
    message: str = ""


def finish(
    tx: sa.Connection,
    claim: records.Claim,
    *,
    compressed_bytes: int,
    raw_bytes: int,
    events: int,
    download_url: str | None,
    manifest_url: str | None,
    expire_at: dt.datetime | None,
    now: dt.datetime,
) -> None:
    """RUNNING -> FINISHED: charges `compressed_bytes` to the month of `now`, once; erases secrets; frees the slot.

    Raises:
        LeaseLost: also when called twice.
        CancelRequested: somebody was told that the export will be canceled; roll back, remove what it wrote.
    """
    # First of all: this UPDATE proves the fence and locks the row, so that the two statements below see what will
    # stand.
    _end_claim(
        tx,
        claim,
        now,
        _STATUS.FINISHED,
        compressed_bytes=compressed_bytes,
        written_bytes=raw_bytes,
        progress_events=events,
        expected_events=events,
        download_url=download_url,
        manifest_url=manifest_url,
        expire_at=expire_at,
    )
    asked = sa.select(_EXPORTS.c.cancel_requested_at).where(_EXPORTS.c.task_uuid == claim.task_uuid)
    if tx.execute(asked).scalar_one() is not None:  # the row is locked: no request can come in between
        raise records.CancelRequested
    tx.execute(
        # Its primary key is the task: whatever goes wrong above, a second charge is an error and rolls everything back.
        _CHARGES.insert().values(
            task_uuid=claim.task_uuid,
            community_uuid=claim.export.community_uuid,
            month=quota.month_of(now),
            compressed_bytes=compressed_bytes,
            charged_at=now,
        )
    )
    detail = {"events": events, "compressed_bytes": compressed_bytes}
    _audit(tx, claim.export, _STATUS.FINISHED, now, claim.worker_id, detail)


def fail(tx: sa.Connection, claim: records.Claim, code: str, message: str, now: dt.datetime) -> None:
    """RUNNING -> FAILED with a code and a sentence for people; nothing is charged. Raises LeaseLost."""
    _end_claim(tx, claim, now, _STATUS.FAILED, error_code=code, error_message=message)
    _audit(tx, claim.export, _STATUS.FAILED, now, claim.worker_id, {"code": code})


def canceled(tx: sa.Connection, claim: records.Claim, now: dt.datetime) -> None:
    """RUNNING -> CANCELED, once the worker has aborted the upload; nothing is charged. Raises LeaseLost."""
    _end_claim(tx, claim, now, _STATUS.CANCELED)
    _audit(tx, claim.export, _STATUS.CANCELED, now, claim.worker_id, {})


def request_cancel(
    tx: sa.Connection,
    task_uuid: str,
    communities: Collection[str] | None,
    by: str,
    now: dt.datetime,
    by_type: str = "apikey",
) -> records.Export:
    """Asks for an export to be canceled; idempotent. Returns the export as it then is.

    PENDING, or at rest after a fault: CANCELED at once. RUNNING: a flag, which the worker sees when it next renews; if
    no worker lives, the next one that claims it sees it, and cleans up while the bucket's credentials are still there.
    From then on the export cannot finish any more.

    Raises:
        NotFound: `task_not_found`.
        Conflict: `task_already_ended`; `extra` holds `status`.
    """
    # Locked, so that the answer holds: the worker's `finish` comes wholly before (refused here) or wholly after (it
    # sees the flag).
    query = sa.select(*reading.COLUMNS).where(_EXPORTS.c.task_uuid == task_uuid).with_for_update()
    row = tx.execute(query).one_or_none()
    if row is None or (communities is not None and row.community_uuid not in communities):
        raise reading.not_found(task_uuid)
    export = reading.record_of(row._mapping)
    if export.status == _STATUS.CANCELED:
        return export
    if export.status.is_final:
        raise errors.Conflict(
            "task_already_ended",
            f"The task {task_uuid} has already ended: {export.status}.",
            "Only tasks that are PENDING or RUNNING can be canceled.",
            status=export.status.value,
        )
    if export.cancel_requested_at is None:
        _record_cancel_request(tx, export, by, by_type, now)
    if export.worker_id is None and not _may_have_upload_at_customer(export):
        end_as(tx, export, Verdict(status=_STATUS.CANCELED), now)
    elif export.worker_id is None:  # it rests after a fault: the next worker is to come at once
        tx.execute(_EXPORTS.update().where(_EXPORTS.c.task_uuid == task_uuid).values(lease_until=now))
    return reading.get(tx, task_uuid, None)


def _record_cancel_request(tx: sa.Connection, export: records.Export, by: str, by_type: str, now: dt.datetime) -> None:
    tx.execute(
        _EXPORTS.update()
        .where(_EXPORTS.c.task_uuid == export.task_uuid)
        .values(cancel_requested_at=now, cancel_requested_by=by)
    )
    audit.record(
        tx,
        now=now,
        actor=by,
        actor_type=by_type,
        action="export.cancel_requested",
        community_uuid=export.community_uuid,
        object_uuid=export.task_uuid,
    )


def _may_have_upload_at_customer(export: records.Export) -> bool:
    return export.in_customer_bucket and export.object_key is not None


def end_dead(tx: sa.Connection, now: dt.datetime, limit: int = 100) -> list[str]:
    """Ends exports that nobody will finish: for the sweeper. Returns their task UUIDs.

    Those are: the lease has run out and so have the attempts; the lease has run out after the deadline; the deadline
    passed DEADLINE_GRACE_SECONDS ago, lease or no lease; no worker came within the deadline's length. FAILED, or
    CANCELED if that was asked for. At most `limit` in one go; idempotent; several sweepers may run at once. Those with
    an upload in a customer's bucket are left to `clearing.take_dead`.
    """
    query = (
        sa.select(*reading.COLUMNS)
        .where(
            # Of PENDING ones all: their age is compared in Python, since each row has a deadline of its own, and the
            # two databases add seconds to an instant in different ways.
            sa.or_(_EXPORTS.c.status == _STATUS.PENDING, is_dead(now)),
            sa.not_(NEEDS_CLEARING),
        )
        .order_by(_EXPORTS.c.created_at)
        .with_for_update(skip_locked=True)
    )
    ended: list[str] = []
    for row in tx.execute(query).all():
        export = reading.record_of(row._mapping)
        verdict_now = verdict(export, now)
        # The limit is counted here: LIMIT would count the PENDING ones that are in time and could hide the late ones.
        if verdict_now is not None and len(ended) < limit:
            end_as(tx, export, verdict_now, now)
            ended.append(export.task_uuid)
    return ended


def is_dead(now: dt.datetime) -> sa.ColumnElement[bool]:
    """RUNNING, and nobody will finish it; a sweeper that clears it away has its lease to do so."""
    lease_out, attempts = _EXPORTS.c.lease_until <= now, _EXPORTS.c.attempts
    # A worker that renews but never ends: a thread that hangs, for instance, beside one that holds the lease.
    stuck = _EXPORTS.c.deadline_at <= now - dt.timedelta(seconds=DEADLINE_GRACE_SECONDS)
    return sa.and_(
        _EXPORTS.c.status == _STATUS.RUNNING,
        sa.or_(
            sa.and_(lease_out, attempts >= _EXPORTS.c.max_attempts),
            sa.and_(lease_out, _EXPORTS.c.deadline_at <= now),
            # A claim beyond `max_attempts` is a sweeper's, see `clearing`; it is past every deadline by nature.
            sa.and_(stuck, attempts <= _EXPORTS.c.max_attempts),
        ),
    )


def verdict(export: records.Export, now: dt.datetime) -> Verdict | None:
    """How an export that no worker holds must end; None: it may be (re)claimed."""
    waited = now - export.created_at
    if export.status == _STATUS.PENDING:
        if waited <= dt.timedelta(seconds=export.deadline_seconds):
            return None
        return Verdict(
            status=_STATUS.FAILED,
            code="export_never_started",
            message=f"No worker took the export within {_hours(export.deadline_seconds)}. "
            "Ask the operator to run `penstock worker`, then start the export again.",
        )
    late = export.deadline_at is not None and export.deadline_at <= now
    if not late and export.attempts < export.max_attempts:
        return None
    # Before the failure: whoever asked was told that the export will be CANCELED.
    if export.cancel_requested_at is not None:
        return Verdict(status=_STATUS.CANCELED)
    error = deadline_exceeded(export) if late else _attempts_exhausted(export)
    return Verdict(status=_STATUS.FAILED, code=error.code, message=str(error))


def deadline_exceeded(export: records.Export) -> errors.ExportFailed:
    """The error that ends an export at its deadline: code `export_deadline_exceeded`."""
    return errors.ExportFailed(
        "export_deadline_exceeded",
        f"The export ran for its limit of {_hours(export.deadline_seconds)} and had written "
        f"{export.progress_events:,} of {export.expected_events:,} events.",
        "Export a shorter time range or fewer fields, or ask the operator to raise export_deadline_seconds.",
    )


def _attempts_exhausted(export: records.Export) -> errors.ExportFailed:
    return errors.ExportFailed(
        "export_attempts_exhausted",
        f"{export.max_attempts} workers stopped without finishing the export.",
        f"Ask the operator to look into the workers' logs for {export.task_uuid}, then start the export again.",
    )


def end_as(tx: sa.Connection, export: records.Export, verdict: Verdict, now: dt.datetime) -> None:
    """Ends an export without its worker; the caller holds the row's lock. The fence rises, so a zombie is shut out."""
    states.require_move(export.status, verdict.status)
    failure = {"error_code": verdict.code, "error_message": verdict.message} if verdict.code else {}
    tx.execute(
        _EXPORTS.update()
        .where(_EXPORTS.c.task_uuid == export.task_uuid)
        .values(_ENDED | failure | {"status": verdict.status, "ended_at": now, "fence": _EXPORTS.c.fence + 1})
    )
    _audit(tx, export, verdict.status, now, None, {"code": verdict.code} if verdict.code else {})


def _end_claim(
    tx: sa.Connection, claim: records.Claim, now: dt.datetime, status: states.ExportStatus, **values: Any
) -> None:
    states.require_move(_STATUS.RUNNING, status)
    fencing.write(tx, claim, now, **(_ENDED | values | {"status": status, "ended_at": now}))


def _audit(
    tx: sa.Connection,
    export: records.Export,
    status: states.ExportStatus,
    now: dt.datetime,
    worker_id: str | None,
    detail: dict[str, Any],
) -> None:
    audit.record(
        tx,
        now=now,
        actor=worker_id or "control",
        actor_type="worker" if worker_id else "service",
        action=f"export.{status.lower()}",
        community_uuid=export.community_uuid,
        object_uuid=export.task_uuid,
        detail=detail,
    )


def _hours(seconds: int) -> str:
    if seconds % 3600 == 0:
        return "1 hour" if seconds == 3600 else f"{seconds // 3600:,} hours"
    return f"{seconds // 60:,} minutes" if seconds % 60 == 0 and seconds else f"{seconds:,} seconds"
