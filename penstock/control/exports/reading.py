"""Exports as rows turned into records; nothing here changes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control import states
from penstock.control.exports import records
from penstock.control.schema import column_types, tables

_EXPORTS = tables.exports
_PARTS = tables.export_parts
_NAMES = [field.name for field in dataclasses.fields(records.Export)]

COLUMNS: list[sa.ColumnElement[Any]] = [_EXPORTS.c[name] for name in _NAMES]
"""All of an export but its sealed secrets."""

_LISTED: list[sa.ColumnElement[Any]] = [
    sa.null().label(name) if name == "plan_json" else _EXPORTS.c[name] for name in _NAMES
]
"""The columns of a list: plans can be large and nobody reads them there."""

_BY_NAME = sa.select(*COLUMNS).where(_EXPORTS.c.task_uuid == sa.bindparam("name"))
"""Built once: clients poll their tasks, and building the statement cost more than running it."""


def record_of(row: sa.RowMapping) -> records.Export:
    """The export of a row's mapping that has (at least) the columns of COLUMNS."""
    values = {name: row[name] for name in _NAMES}
    values["fields"] = column_types.tuple_of(values["fields"])
    values["filters"] = column_types.tuple_of(values["filters"])
    values["sse_customer_key_md5"] = values["sse_customer_key_md5"] or None
    return records.Export(**values)


def get(tx: sa.Connection, task_uuid: str, communities: Collection[str] | None) -> records.Export:
    """The export, if it belongs to one of `communities` (None: whichever).

    Raises:
        NotFound: `task_not_found`, also for another community's.
    """
    row = tx.execute(_BY_NAME, {"name": task_uuid}).one_or_none()
    if row is None or (communities is not None and row.community_uuid not in communities):
        raise not_found(task_uuid)
    return record_of(row._mapping)


def list_for_job(
    tx: sa.Connection, job_uuid: str, communities: Collection[str] | None, limit: int = 100, offset: int = 0
) -> tuple[list[records.Export], int]:
    """The exports that a search job started, newest first (without their plans), and how many in all."""
    return _listed(tx, sa.and_(_EXPORTS.c.job_uuid == job_uuid, _in(communities)), limit, offset)


def list_tasks(
    tx: sa.Connection,
    communities: Collection[str] | None,
    status: states.ExportStatus | None = None,
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[records.Export], int]:
    """The exports of some communities, newest first (without their plans), and how many in all."""
    return _listed(
        tx, sa.and_(_in(communities), sa.true() if status is None else _EXPORTS.c.status == status), limit, offset
    )


def list_parts(tx: sa.Connection, task_uuid: str) -> tuple[records.Part, ...]:
    """The recorded parts in ascending number."""
    columns = [_PARTS.c[field.name] for field in dataclasses.fields(records.Part)]
    rows = tx.execute(sa.select(*columns).where(_PARTS.c.task_uuid == task_uuid).order_by(_PARTS.c.number))
    return tuple(records.Part(**row._mapping) for row in rows)


def active_of(tx: sa.Connection, community_uuid: str) -> list[str]:
    """The task UUIDs of a community's exports that are PENDING or RUNNING, oldest first."""
    mine = (_EXPORTS.c.community_uuid == community_uuid) & _EXPORTS.c.status.in_(states.ACTIVE)
    query = sa.select(_EXPORTS.c.task_uuid).where(mine).order_by(_EXPORTS.c.created_at, _EXPORTS.c.task_uuid)
    return list(tx.execute(query).scalars())


def count_active(tx: sa.Connection) -> dict[states.ExportStatus, int]:
    """How many exports are PENDING and RUNNING, over all communities: for metrics."""
    rows = tx.execute(
        sa.select(_EXPORTS.c.status, sa.func.count())
        .where(_EXPORTS.c.status.in_(states.ACTIVE))
        .group_by(_EXPORTS.c.status)
    )
    return dict.fromkeys(sorted(states.ACTIVE), 0) | {row[0]: row[1] for row in rows}


def not_found(task_uuid: str) -> errors.NotFound:
    """The error for a task that does not exist, or not for this caller."""
    return errors.NotFound(
        "task_not_found", f"There is no task {task_uuid} in your communities.", "List your tasks: GET /v1/tasks."
    )


def _in(communities: Collection[str] | None) -> sa.ColumnElement[bool]:
    return sa.true() if communities is None else _EXPORTS.c.community_uuid.in_(list(communities))


def _listed(
    tx: sa.Connection, where: sa.ColumnElement[bool], limit: int, offset: int
) -> tuple[list[records.Export], int]:
    total = tx.execute(sa.select(sa.func.count()).select_from(_EXPORTS).where(where)).scalar_one()
    newest_first = (_EXPORTS.c.created_at.desc(), _EXPORTS.c.task_uuid)
    rows = tx.execute(sa.select(*_LISTED).where(where).order_by(*newest_first).limit(limit).offset(offset))
    return [record_of(row._mapping) for row in rows], total
