"""What a worker writes down while it works, so that any other can go on from there."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control.exports import fencing, records
from penstock.control.schema import tables

_EXPORTS = tables.exports
_PARTS = tables.export_parts


_GOES_ON: dict[str, Any] = {"waits": 0, "waiting_for": None}
"""What every checkpoint sets besides: whatever held the export up has passed."""


def record_plan(
    tx: sa.Connection,
    claim: records.Claim,
    *,
    snapshot_version: int,
    plan_json: str,
    object_key: str,
    part_bytes: int,
    total_events: int,
    now: dt.datetime,
) -> None:
    """Fixes what the export reads and where it goes; `total_events` becomes the task's total.

    May be repeated until an upload has begun.

    Raises:
        LeaseLost: the fence does not hold.
        Conflict: `plan_is_fixed`, an upload follows the plan already.
    """
    fencing.write(tx, claim, now)
    # The write above has locked the row, so that the answer holds until the write below.
    begun = tx.execute(sa.select(_EXPORTS.c.upload_id).where(_EXPORTS.c.task_uuid == claim.task_uuid)).scalar_one()
    if begun is not None:
        raise errors.Conflict("plan_is_fixed", f"The export {claim.task_uuid} already uploads by its plan.")
    fencing.write(
        tx,
        claim,
        now,
        snapshot_version=snapshot_version,
        plan_json=plan_json,
        object_key=object_key,
        part_bytes=part_bytes,
        expected_events=total_events,
    )


def record_upload(tx: sa.Connection, claim: records.Claim, upload_id: str, now: dt.datetime) -> None:
    """Writes down the upload that has begun. Another one than before forgets the parts of the former: start again.

    Raises LeaseLost; then the upload just begun is nobody's, and the sweeper aborts it.
    """
    fencing.write(tx, claim, now)
    before = tx.execute(sa.select(_EXPORTS.c.upload_id).where(_EXPORTS.c.task_uuid == claim.task_uuid)).scalar_one()
    # A repeated call, after a commit whose answer was lost: the parts recorded since are good.
    if before == upload_id:
        return
    tx.execute(_PARTS.delete().where(_PARTS.c.task_uuid == claim.task_uuid))
    fencing.write(tx, claim, now, upload_id=upload_id, progress_events=0, written_bytes=0, compressed_bytes=0)


def record_part(tx: sa.Connection, claim: records.Claim, part: records.Part, now: dt.datetime) -> None:
    """Writes down one part that the store holds: a checkpoint, and bytes that count as reserved.

    Parts may come in any order. The same number again replaces the former record (the store did the same), so that a
    worker that never learnt whether its commit went through may repeat it. Raises LeaseLost.
    """
    fencing.write(tx, claim, now)
    mine = (_PARTS.c.task_uuid == claim.task_uuid) & (_PARTS.c.number == part.number)
    values = dataclasses.asdict(part) | {"task_uuid": claim.task_uuid, "written_at": now}
    # Not an upsert, which the databases write in different ways: the row of the export is locked, nobody inserts
    # meanwhile.
    if not tx.execute(_PARTS.update().where(mine).values(values)).rowcount:
        tx.execute(_PARTS.insert().values(values))
    # Summed up again instead of added to: a part that is written down twice must not count twice.
    sums = tx.execute(
        sa.select(sa.func.sum(_PARTS.c.events), sa.func.sum(_PARTS.c.raw_bytes), sa.func.sum(_PARTS.c.size)).where(
            _PARTS.c.task_uuid == claim.task_uuid
        )
    ).one()
    events, raw_bytes, compressed_bytes = (int(value) for value in sums)
    fencing.write(
        tx,
        claim,
        now,
        progress_events=_at_least(events),
        written_bytes=raw_bytes,
        compressed_bytes=compressed_bytes,
        **_GOES_ON,
    )


def record_progress(tx: sa.Connection, claim: records.Claim, events: int, now: dt.datetime) -> None:
    """Says how many events are written so far; a lower number than before changes nothing. Raises LeaseLost."""
    fencing.write(tx, claim, now, progress_events=_at_least(events))


def _at_least(events: int) -> sa.ColumnElement[int]:
    # SQLite calls it max(a, b) and PostgreSQL greatest(a, b); CASE is the same on both.
    return sa.case((_EXPORTS.c.progress_events < events, events), else_=_EXPORTS.c.progress_events)
