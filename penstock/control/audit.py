"""Who did what to which object: an append-only record, listable.

Triggers refuse every UPDATE, and every DELETE of an entry that is younger than the horizon that only `sweep` moves.
They guard against mistakes of ours, not against somebody who owns the database.

The life of an export (`export.started`, `export.cancel_requested`, `export.finished`, `export.failed`,
`export.canceled`) is recorded by `control.exports` in the transaction that moves it: callers must not record it again.
All else (search jobs, API keys, communities, downloads, ingests) is recorded, through `record`, by whoever carries it
out.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from penstock.control.schema import tables

_ENTRIES = tables.audit_entries
_HORIZON = tables.audit_horizon


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the audit.

    Attributes:
        id: grows with every entry.
        at: when it happened (UTC).
        actor: who did it: API key UUID, worker id, operator's name.
        actor_type: `apikey`, `worker`, `operator` or `service`.
        action: what was done, `object.verb`, for instance `export.started`.
        community_uuid: whose object it was; None where no single community owns it.
        object_uuid: the object; None where there is none.
        detail: further facts (JSON values); never a secret, never an event's content.
    """

    id: int
    at: dt.datetime
    actor: str
    actor_type: str
    action: str
    community_uuid: str | None
    object_uuid: str | None
    detail: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which entries to list; None: any.

    Attributes:
        communities: entries of these communities only.
        actor: exact.
        action: exact, or a prefix that ends in `.` (`export.`).
        object_uuid: exact.
        since: inclusive.
        until: exclusive.
    """

    communities: Collection[str] | None = None
    actor: str | None = None
    action: str | None = None
    object_uuid: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def record(
    tx: sa.Connection,
    *,
    now: dt.datetime,
    actor: str,
    actor_type: str,
    action: str,
    community_uuid: str | None = None,
    object_uuid: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Appends one entry; it exists if and only if the caller's transaction commits."""
    tx.execute(
        _ENTRIES.insert().values(
            at=now,
            actor=actor,
            actor_type=actor_type,
            action=action,
            community_uuid=community_uuid,
            object_uuid=object_uuid,
            detail=dict(detail or {}),
        )
    )


def list_entries(
    tx: sa.Connection, filters: Filters | None = None, limit: int = 100, offset: int = 0
) -> tuple[list[Entry], int]:
    """The entries that match, newest first, and how many there are in all."""
    where = sa.and_(sa.true(), *_conditions(filters or Filters()))
    total = tx.execute(sa.select(sa.func.count()).select_from(_ENTRIES).where(where)).scalar_one()
    rows = tx.execute(_ENTRIES.select().where(where).order_by(_ENTRIES.c.id.desc()).limit(limit).offset(offset))
    return [Entry(**row._mapping) for row in rows], total


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    columns = _ENTRIES.c
    found: list[sa.ColumnElement[bool]] = []
    if filters.communities is not None:
        found.append(columns.community_uuid.in_(list(filters.communities)))
    if filters.actor is not None:
        found.append(columns.actor == filters.actor)
    if filters.action is not None:
        # `autoescape`: the `_` of an action is a wildcard in LIKE.
        prefix = filters.action.endswith(".")
        found.append(
            columns.action.startswith(filters.action, autoescape=True) if prefix else columns.action == filters.action
        )
    if filters.object_uuid is not None:
        found.append(columns.object_uuid == filters.object_uuid)
    if filters.since is not None:
        found.append(columns.at >= filters.since)
    if filters.until is not None:
        found.append(columns.at < filters.until)
    return found


def sweep(tx: sa.Connection, now: dt.datetime, keep_days: int) -> int:
    """Deletes entries older than `keep_days`; how many. The sweep itself is recorded if it deleted any. Idempotent."""
    horizon = now - dt.timedelta(days=keep_days)
    # The horizon moves first, since the triggers refuse to delete what is younger. It never moves back: a sweeper with
    # a larger `keep_days`, or a slow clock, deletes less and raises nothing.
    tx.execute(_HORIZON.update().where(_HORIZON.c.delete_before < horizon).values(delete_before=horizon))
    deleted = tx.execute(_ENTRIES.delete().where(_ENTRIES.c.at < horizon)).rowcount
    if deleted:
        record(
            tx,
            now=now,
            actor="sweeper",
            actor_type="service",
            action="audit.swept",
            detail={"deleted": deleted, "older_than": horizon.isoformat()},
        )
    return deleted
