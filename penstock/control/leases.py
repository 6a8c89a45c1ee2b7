"""Leases: the one way in which a worker holds a row of work for a while, by table.

    waiting ──take──▶ held, fence + 1 ──write …──▶ ended
      ▲                  │
      │                  ├─ give_back: free at once or after a pause; no attempt is counted
      └──────────────────┴─ the lease runs out: free; the attempt stays counted, unless its worker lives and says so

A table of work has the columns `status`, `worker_id`, `fence`, `lease_until`, `attempts`, `created_at`. The fence alone
decides who may write, not the clock: a worker that comes back late, and whose row nobody took meanwhile, goes on.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa

from penstock import errors

Change = Callable[[sa.Connection, dt.datetime], None]
"""A write of a worker, in an open transaction, at an instant."""

UNHELD: dict[str, Any] = {"worker_id": None, "lease_until": None}
"""What every end of a row of work sets besides its status."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """A table of work.

    Attributes:
        noun: what a row is, for messages: `export`.
        table: where it lies.
        key: the column that names a row.
        waiting: the status of a row that nobody has taken yet.
        running: the status of a row that was taken.
    """

    noun: str
    table: sa.Table
    key: sa.Column[Any]
    waiting: Any
    running: Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """A worker's hold on one row of work. Every write through it proves that it still holds.

    Attributes:
        uuid: the row.
        worker_id: the holder.
        fence: rises with every hold; a write with an old one is refused.
        lease_seconds: how long the lease lasts after each write.
    """

    uuid: str
    worker_id: str
    fence: int
    lease_seconds: float


Now: TypeAlias = dt.datetime | sa.BindParameter[Any]
"""An instant, or where one stands in a statement that is built once."""


def is_free(work: Work, now: Now) -> sa.ColumnElement[bool]:
    """Waiting, or taken by somebody whose lease has run out."""
    return sa.or_(work.table.c.status == work.waiting, has_run_out(work, now))


def has_run_out(work: Work, now: Now) -> sa.ColumnElement[bool]:
    """Taken once, and held by nobody any more."""
    # `<=`: what is given back without a pause is free in the very same instant.
    return sa.and_(work.table.c.status == work.running, work.table.c.lease_until <= now)


def is_there(tx: sa.Connection, work: Work, *which: sa.ColumnElement[bool]) -> bool:
    """Whether such a row is there: a cheap look in a read transaction, so that idle workers do not write."""
    return tx.execute(sa.select(work.key).where(*which).limit(1)).first() is not None


def is_any_free(tx: sa.Connection, work: Work, now: dt.datetime) -> bool:
    """`is_there` of rows that are free, which idle workers ask all the time."""
    return tx.execute(_free(work), {"now": now}).first() is not None


@functools.cache
def _free(work: Work) -> sa.Select[Any]:
    """Built once: building it takes longer than running it."""
    return sa.select(work.key).where(is_free(work, sa.bindparam("now"))).limit(1)


def oldest(
    tx: sa.Connection,
    work: Work,
    columns: Sequence[sa.ColumnElement[Any]],
    *which: sa.ColumnElement[bool],
    first: tuple[sa.ColumnElement[Any], ...] = (),
) -> sa.Row[Any] | None:
    """The oldest such row, locked; those that another worker is about to take are passed over. None: none.

    `first`: what counts more than age.
    """
    # The key decides between rows of one instant, so that all workers see one order.
    order = (*first, work.table.c.created_at, work.key)
    query = sa.select(*columns).where(*which).order_by(*order).limit(1)
    # Without SKIP LOCKED all idle workers would queue for the one oldest row. SQLite has neither clause and SQLAlchemy
    # leaves them out there: BEGIN IMMEDIATE lets one writer in at a time anyway. `of`: the query may join other tables.
    return tx.execute(query.with_for_update(skip_locked=True, of=work.table)).first()


def take(
    tx: sa.Connection,
    work: Work,
    uuid: str,
    worker_id: str,
    now: dt.datetime,
    lease_seconds: float,
    **values: Any,
) -> Hold:
    """Gives a row to a worker under a new fence; the caller holds the row's lock and has checked that it may be taken.

    Counts an attempt, unless `values` says how many there are.
    """
    columns = work.table.c
    own = {
        "status": work.running,
        "worker_id": worker_id,
        "fence": columns.fence + 1,
        "lease_until": now + dt.timedelta(seconds=lease_seconds),
        "attempts": columns.attempts + 1,
    }
    tx.execute(work.table.update().where(work.key == uuid).values(own | values))
    # Read back instead of added up here: the database's number is the one that writes are compared with.
    fence = tx.execute(sa.select(columns.fence).where(work.key == uuid)).scalar_one()
    return Hold(uuid=uuid, worker_id=worker_id, fence=fence, lease_seconds=lease_seconds)


def write(tx: sa.Connection, work: Work, hold: Hold, now: dt.datetime, **values: Any) -> None:
    """The first statement of every write of a worker: changes the row and renews the lease, or raises.

    Raises:
        LeaseLost: `lease_lost`; the fence, the worker or the state is no longer the hold's. Roll back.
    """
    # `values` may bring a `lease_until` of its own (give_back, the ends): it wins, as the right side of `|` does.
    lease = {"lease_until": now + dt.timedelta(seconds=hold.lease_seconds)}
    if not tx.execute(work.table.update().where(_is_held(work, hold)).values(lease | values)).rowcount:
        raise errors.LeaseLost(
            "lease_lost", f"The worker {hold.worker_id} no longer holds the {work.noun} {hold.uuid}.", "Stop at once."
        )


def is_held(tx: sa.Connection, work: Work, hold: Hold) -> bool:
    """Whether the hold still holds: a cheap look that renews nothing."""
    return is_there(tx, work, _is_held(work, hold))


def give_back(
    tx: sa.Connection, work: Work, hold: Hold, now: dt.datetime, *, pause_seconds: float = 0.0, **values: Any
) -> None:
    """Frees the row, at once or after a pause; it was no attempt. Raises LeaseLost."""
    free_at = now + dt.timedelta(seconds=pause_seconds)
    # The status stays: to go back to waiting would be a move that no table of legal moves has.
    own = {"worker_id": None, "lease_until": free_at, "attempts": work.table.c.attempts - 1}
    write(tx, work, hold, now, **(own | values))


def forgive(tx: sa.Connection, work: Work, hold: Hold) -> None:
    """The worker of a lease that ran out says that it lives: its attempt is not counted. Call it once a hold.

    For a worker that was cut off from the database: nothing died over the row, whoever has taken it since. If nobody
    has, it is given back.
    """
    columns = work.table.c
    given_back = {"worker_id": None, "attempts": columns.attempts - 1}
    if tx.execute(work.table.update().where(_is_held(work, hold)).values(given_back)).rowcount:
        return
    # A sweeper that clears a dead row away has taken it with more attempts than are allowed, and goes by that number.
    by_worker = columns.attempts <= columns.max_attempts if "max_attempts" in columns else sa.true()
    later = sa.and_(work.key == hold.uuid, columns.status == work.running, columns.fence > hold.fence)
    # Never below 1: the hold that is in force now counts as an attempt itself.
    tx.execute(work.table.update().where(later, by_worker, columns.attempts > 1).values(attempts=columns.attempts - 1))


def _is_held(work: Work, hold: Hold) -> sa.ColumnElement[bool]:
    columns = work.table.c
    return sa.and_(
        work.key == hold.uuid,
        columns.fence == hold.fence,
        columns.worker_id == hold.worker_id,
        columns.status == work.running,
    )
