"""The table of exports as a table of work, and the one statement through which every write of a worker passes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from penstock.control import leases, states
from penstock.control.exports import records
from penstock.control.schema import tables

WORK = leases.Work(
    noun="export",
    table=tables.exports,
    key=tables.exports.c.task_uuid,
    waiting=states.ExportStatus.PENDING,
    running=states.ExportStatus.RUNNING,
)


def write(tx: sa.Connection, claim: records.Claim, now: dt.datetime, **values: Any) -> None:
    """The first statement of every write of a worker: changes the export's row and renews the lease, or raises.

    Raises:
        LeaseLost: `lease_lost`; the fence, the worker or the state is no longer the claim's. Roll back.
    """
    leases.write(tx, WORK, claim, now, **values)
