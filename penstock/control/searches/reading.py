"""Search jobs as rows turned into records; nothing here changes one."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.base import findings
from penstock.control import states
from penstock.control.schema import column_types, tables
from penstock.control.searches import records

_JOBS = tables.search_jobs
_LINKS = tables.search_job_communities

_MADE = frozenset({"community_uuids", "totals", "snapshots", "so_far"})
_NAMES = [field.name for field in dataclasses.fields(records.SearchJob) if field.name not in _MADE]

COLUMNS: list[sa.ColumnElement[Any]] = [_JOBS.c[name] for name in _NAMES]
"""All of a search job that lies in its own row."""


def get(tx: sa.Connection, job_uuid: str, communities: Collection[str] | None) -> records.SearchJob:
    """The job, if all its communities are among `communities` (None: whichever).

    All of them, since its total and its events tell of each. An expired job is still found until it is swept.

    Raises:
        NotFound: `search_job_not_found`.
    """
    row = tx.execute(sa.select(*COLUMNS).where(_JOBS.c.uuid == job_uuid, _within(communities))).one_or_none()
    if row is None:
        raise errors.NotFound(
            "search_job_not_found",
            f"There is no search job {job_uuid} in your communities.",
            "It may have expired or been deleted; create it again.",
        )
    return _records(tx, [row])[0]


def list_jobs(
    tx: sa.Connection,
    communities: Collection[str] | None,
    limit: int = 100,
    offset: int = 0,
    *,
    now: dt.datetime | None = None,
) -> tuple[list[records.SearchJob], int]:
    """The visible jobs within `communities`, newest first, and how many in all; with `now`, no expired ones."""
    where = sa.and_(_JOBS.c.visible.is_(sa.true()), _within(communities))
    if now is not None:
        where = sa.and_(where, _JOBS.c.expires_at > now)
    total = tx.execute(sa.select(sa.func.count()).select_from(_JOBS).where(where)).scalar_one()
    query = (
        sa.select(*COLUMNS).where(where).order_by(_JOBS.c.created_at.desc(), _JOBS.c.uuid).limit(limit).offset(offset)
    )
    return _records(tx, tx.execute(query).all()), total


def pinned_versions(tx: sa.Connection, community_uuid: str, now: dt.datetime) -> frozenset[int]:
    """Table versions that unexpired jobs and active exports of a community still read: vacuum keeps their files."""
    jobs = (
        sa.select(_LINKS.c.snapshot_version)
        .join(_JOBS, _JOBS.c.uuid == _LINKS.c.job_uuid)
        .where(_LINKS.c.community_uuid == community_uuid, _JOBS.c.expires_at > now)
    )
    # An export pins a version of its own: it runs the query again on a newer one than its job did.
    exports = sa.select(tables.exports.c.snapshot_version).where(
        tables.exports.c.community_uuid == community_uuid, tables.exports.c.status.in_(states.ACTIVE)
    )
    return frozenset(v for v in tx.execute(sa.union(jobs, exports)).scalars() if v is not None)


def _within(communities: Collection[str] | None) -> sa.ColumnElement[bool]:
    if communities is None:
        return sa.true()
    # By what it must not have: to ask for one link within would show a job that reads another tenant's events as well.
    foreign = sa.select(_LINKS.c.job_uuid).where(_LINKS.c.community_uuid.not_in(list(communities)))
    return _JOBS.c.uuid.not_in(foreign)


def _records(tx: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[records.SearchJob]:
    links: dict[str, list[sa.Row[Any]]] = {row.uuid: [] for row in rows}
    # A second query: joined, a job would be as many rows as it has communities, and `limit` counts rows.
    query = _LINKS.select().where(_LINKS.c.job_uuid.in_(links)).order_by(_LINKS.c.community_uuid)
    for link in tx.execute(query):
        links[link.job_uuid].append(link)
    found = []
    for row in rows:
        values = {name: row._mapping[name] for name in _NAMES}
        mine = links[row.uuid]
        status = states.SearchStatus(row.status)
        values |= {"status": status, "filters": column_types.tuple_of(row.filters)}
        values["histogram"] = row.histogram if status is states.SearchStatus.DONE else None
        found.append(
            records.SearchJob(
                **values,
                so_far=_so_far(row.histogram) if status is states.SearchStatus.RUNNING else None,
                community_uuids=tuple(link.community_uuid for link in mine),
                totals={link.community_uuid: link.total for link in mine if link.total is not None},
                snapshots={
                    link.community_uuid: link.snapshot_version for link in mine if link.snapshot_version is not None
                },
            )
        )
    return found


def _so_far(kept: Any) -> findings.SoFar | None:
    return None if kept is None else findings.SoFar(**kept)
