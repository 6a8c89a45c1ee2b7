"""What waits and what is being worked on, over all communities: for health."""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from penstock.control import states
from penstock.control.schema import tables

_QUEUES = (
    (tables.exports, states.ExportStatus.PENDING, states.ExportStatus.RUNNING),
    (tables.search_jobs, int(states.SearchStatus.PENDING), int(states.SearchStatus.RUNNING)),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Exports and search jobs together.

    Attributes:
        waiting: how many no worker has taken yet.
        waiting_since: when the oldest of them was asked for; None if none waits.
        running: how many are held by a worker whose lease has not run out.
        busy_workers: how many workers hold them.
    """

    waiting: int
    waiting_since: dt.datetime | None
    running: int
    busy_workers: int


def read(tx: sa.Connection, now: dt.datetime) -> Workload:
    """The workload at `now`."""
    waiting, running, oldest, workers = 0, 0, [], set()
    for table, pending, active in _QUEUES:
        count = sa.select(sa.func.count(), sa.func.min(table.c.created_at)).where(table.c.status == pending)
        number, since = tx.execute(count).one()
        waiting += number
        oldest += [since] if since is not None else []
        # A RUNNING row whose lease has run out is held by nobody: it must not make a dead worker look busy.
        held = sa.select(table.c.worker_id).where(table.c.status == active, table.c.lease_until > now)
        for (worker_id,) in tx.execute(held):
            running += 1
            workers.add(worker_id)
    return Workload(
        waiting=waiting, waiting_since=min(oldest, default=None), running=running, busy_workers=len(workers)
    )
