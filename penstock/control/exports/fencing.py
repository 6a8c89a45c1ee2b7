"""The fence: the one statement through which every write of a worker passes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control import records, states, tables

_EXPORTS = tables.exports


def write(tx: sa.Connection, claim: records.Claim, now: dt.datetime, **values: Any) -> None:
    """The first statement of every write of a worker: changes the export's row and renews the lease, or raises.

    Raises:
        LeaseLost: `lease_lost`; the fence, the worker or the state is no longer the claim's. Roll back.
    """
    lease = {"lease_until": now + dt.timedelta(seconds=claim.lease_seconds)}
    done = tx.execute(
        _EXPORTS.update()
        .where(
            _EXPORTS.c.task_uuid == claim.task_uuid,
            _EXPORTS.c.fence == claim.fence,
            _EXPORTS.c.worker_id == claim.worker_id,
            _EXPORTS.c.status == states.ExportStatus.RUNNING,
        )
        .values(lease | values)
    )
    if not done.rowcount:
        raise errors.LeaseLost(
            "lease_lost", f"The worker {claim.worker_id} no longer holds the export {claim.task_uuid}.", "Stop at once."
        )
