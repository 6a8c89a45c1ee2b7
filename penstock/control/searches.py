"""Search jobs: stored queries that a worker counts; what they found, for as long as they live."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control import column_types, states, tables

_JOBS = tables.search_jobs
_LINKS = tables.search_job_communities
_STATUS = states.SearchStatus

MAX_ATTEMPTS = 5
"""Workers that may die over one search job before it ends FAILED."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchJob:
    """One search job.

    Attributes:
        uuid: its name.
        status: where it stands.
        term, term_lang, filters: the query, as asked.
        earliest_time, latest_time: the range, as asked (`-7d`, `now`, RFC 3339).
        earliest, latest: the range as resolved at creation (UTC); earliest inclusive, latest exclusive.
        community_uuids: whose events it reads; sorted.
        max_last_events: newest events it shows.
        visible: listed; False for jobs that a program made for itself.
        view_uuid: opaque to us.
        results_ttl: seconds; announced to clients.
        total: matching events over all communities; None until DONE.
        totals: community UUID -> matching events; empty until DONE.
        snapshots: community UUID -> table version it counted; empty until DONE.
        histogram: JSON value made by the worker; None until DONE.
        error: a sentence; None unless FAILED.
        created_at, created_by, created_by_type: who asked, when.
        started_at, ended_at: UTC.
        canceled_at, canceled_by, canceled_by_type: None unless CANCELED.
        expires_at: until when it is listed and can be exported.
    """

    uuid: str
    status: states.SearchStatus
    term: str
    term_lang: str
    filters: tuple[dict[str, Any], ...]
    earliest_time: str
    latest_time: str
    earliest: dt.datetime
    latest: dt.datetime
    community_uuids: tuple[str, ...]
    max_last_events: int
    visible: bool
    view_uuid: str | None
    results_ttl: int
    total: int | None
    totals: dict[str, int]
    snapshots: dict[str, int]
    histogram: Any
    error: str | None
    created_at: dt.datetime
    created_by: str
    created_by_type: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    canceled_at: dt.datetime | None
    canceled_by: str | None
    canceled_by_type: str | None
    expires_at: dt.datetime

    def is_expired(self, now: dt.datetime) -> bool:
        """Too old to be listed or exported; the sweeper deletes it some time later."""
        return self.expires_at <= now


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchClaim:
    """A worker's hold on a search job; the fence works as for exports.

    Attributes:
        job: the job as it was when claimed.
        worker_id: the holder.
        fence: rises with every claim.
        lease_seconds: how long the lease lasts after each write.
    """

    job: SearchJob
    worker_id: str
    fence: int
    lease_seconds: float


_LINKED = frozenset({"community_uuids", "totals", "snapshots"})
_NAMES = [field.name for field in dataclasses.fields(SearchJob) if field.name not in _LINKED]


def create(
    tx: sa.Connection,
    *,
    term: str,
    earliest_time: str,
    latest_time: str,
    earliest: dt.datetime,
    latest: dt.datetime,
    community_uuids: Collection[str],
    created_by: str,
    now: dt.datetime,
    ttl_seconds: int,
    term_lang: str = "dork",
    filters: Sequence[Mapping[str, Any]] = (),
    max_last_events: int = 1000,
    visible: bool = True,
    view_uuid: str | None = None,
    results_ttl: int = 600,
    created_by_type: str = "apikey",
) -> SearchJob:
    """A new search job, PENDING. The caller has checked the query, the range and the communities."""
    job_uuid = str(uuid.uuid4())
    tx.execute(
        _JOBS.insert().values(
            uuid=job_uuid,
            status=_STATUS.PENDING,
            term=term,
            term_lang=term_lang,
            filters=[dict(each) for each in filters],
            earliest_time=earliest_time,
            latest_time=latest_time,
            earliest=earliest,
            latest=latest,
            max_last_events=max_last_events,
            visible=visible,
            view_uuid=view_uuid,
            results_ttl=results_ttl,
            created_at=now,
            created_by=created_by,
            created_by_type=created_by_type,
            expires_at=now + dt.timedelta(seconds=ttl_seconds),
            fence=0,
            attempts=0,
        )
    )
    wanted = sorted(set(community_uuids))
    tx.execute(_LINKS.insert(), [{"job_uuid": job_uuid, "community_uuid": each} for each in wanted])
    return get(tx, job_uuid, None)


def get(tx: sa.Connection, job_uuid: str, communities: Collection[str] | None) -> SearchJob:
    """The job, if all its communities are among `communities` (None: whichever).

    All of them, since its total and its events tell of each. An expired job is still found until it is swept.

    Raises:
        NotFound: `search_job_not_found`.
    """
    row = tx.execute(_select().where(_JOBS.c.uuid == job_uuid, _within(communities))).one_or_none()
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
) -> tuple[list[SearchJob], int]:
    """The visible jobs within `communities`, newest first, and how many in all; with `now`, no expired ones."""
    where = sa.and_(_JOBS.c.visible.is_(sa.true()), _within(communities))
    if now is not None:
        where = sa.and_(where, _JOBS.c.expires_at > now)
    total = tx.execute(sa.select(sa.func.count()).select_from(_JOBS).where(where)).scalar_one()
    query = _select().where(where).order_by(_JOBS.c.created_at.desc(), _JOBS.c.uuid).limit(limit).offset(offset)
    return _records(tx, tx.execute(query).all()), total


def claim(tx: sa.Connection, worker_id: str, now: dt.datetime, lease_seconds: float) -> SearchClaim | None:
    """Takes the oldest job that waits or whose lease has run out; None if there is none.

    A job that has killed MAX_ATTEMPTS workers ends FAILED here instead.
    """
    query = _select().where(_claimable(now)).order_by(_JOBS.c.created_at, _JOBS.c.uuid).limit(1)
    while (row := tx.execute(query.with_for_update(skip_locked=True)).first()) is not None:
        mine = _JOBS.c.uuid == row.uuid
        if row.attempts >= MAX_ATTEMPTS:
            message = f"{row.attempts} workers stopped over this search. Ask the operator to look into their logs."
            ended = {"status": _STATUS.FAILED, "error": message, "ended_at": now, "fence": row.fence + 1}
            tx.execute(_JOBS.update().where(mine).values(ended | _UNHELD))
            continue
        if row.status != _STATUS.RUNNING:
            states.require_search_move(_STATUS(row.status), _STATUS.RUNNING)
        tx.execute(
            _JOBS.update()
            .where(mine)
            .values(
                status=_STATUS.RUNNING,
                worker_id=worker_id,
                fence=row.fence + 1,
                lease_until=now + dt.timedelta(seconds=lease_seconds),
                attempts=row.attempts + 1,
                started_at=row.started_at or now,
            )
        )
        job = get(tx, row.uuid, None)
        return SearchClaim(job=job, worker_id=worker_id, fence=row.fence + 1, lease_seconds=lease_seconds)
    return None


def has_work(tx: sa.Connection, now: dt.datetime) -> bool:
    """Whether `claim` would find something."""
    return tx.execute(sa.select(_JOBS.c.uuid).where(_claimable(now)).limit(1)).first() is not None


def renew(tx: sa.Connection, claim: SearchClaim, now: dt.datetime) -> None:
    """Renews the lease. Raises LeaseLost, also when the job was canceled or deleted."""
    _write(tx, claim, now)


def release(tx: sa.Connection, claim: SearchClaim, now: dt.datetime) -> None:
    """Gives the lease back at a graceful shutdown; not counted as an attempt. Raises LeaseLost."""
    _write(tx, claim, now, worker_id=None, lease_until=now, attempts=_JOBS.c.attempts - 1)


def finish(
    tx: sa.Connection,
    claim: SearchClaim,
    *,
    totals: Mapping[str, int],
    snapshots: Mapping[str, int],
    histogram_json: Any,
    now: dt.datetime,
) -> None:
    """RUNNING -> DONE with what was counted, per community, and the versions it was counted on. Raises LeaseLost.

    `histogram_json` is a JSON value (a dict or list), not its text; `SearchJob.histogram` gives it back.
    """
    _write(
        tx,
        claim,
        now,
        status=_STATUS.DONE,
        total=sum(totals.values()),
        histogram=histogram_json,
        ended_at=now,
        **_UNHELD,
    )
    for community_uuid in claim.job.community_uuids:
        tx.execute(
            _LINKS.update()
            .where(_LINKS.c.job_uuid == claim.job.uuid, _LINKS.c.community_uuid == community_uuid)
            .values(total=totals.get(community_uuid, 0), snapshot_version=snapshots.get(community_uuid))
        )


def fail(tx: sa.Connection, claim: SearchClaim, error: str, now: dt.datetime) -> None:
    """RUNNING -> FAILED with a sentence for people. Raises LeaseLost."""
    _write(tx, claim, now, status=_STATUS.FAILED, error=error, ended_at=now, **_UNHELD)


def cancel(
    tx: sa.Connection,
    job_uuid: str,
    communities: Collection[str] | None,
    by: str,
    now: dt.datetime,
    by_type: str = "apikey",
) -> SearchJob:
    """CANCELED at once, running or not: its worker has nothing to clean up and stops at its next renewal. Idempotent.

    Raises:
        NotFound: `search_job_not_found`.
        Conflict: `search_job_already_ended`.
    """
    job = get(tx, job_uuid, communities)
    if job.status == _STATUS.CANCELED:
        return job
    done = tx.execute(
        _JOBS.update()
        .where(_JOBS.c.uuid == job_uuid, _JOBS.c.status.in_(states.search_sources(_STATUS.CANCELED)))
        .values(
            {"status": _STATUS.CANCELED, "canceled_at": now, "canceled_by": by, "canceled_by_type": by_type}
            | {"ended_at": now}
            | _UNHELD
        )
    )
    job = get(tx, job_uuid, communities)
    if not done.rowcount and job.status != _STATUS.CANCELED:
        raise errors.Conflict(
            "search_job_already_ended", f"The search job {job_uuid} has already ended: {job.status.name.lower()}."
        )
    return job


def is_cancel_requested(tx: sa.Connection, claim: SearchClaim) -> bool:
    """Whether the job was canceled or deleted under its worker: a cheap look between two counts."""
    held = tx.execute(sa.select(_JOBS.c.uuid).where(_held(claim))).first()
    return held is None


def delete(tx: sa.Connection, job_uuid: str, communities: Collection[str] | None) -> None:
    """Deletes the job; a running one stops. Its exports stay. Raises NotFound `search_job_not_found`."""
    get(tx, job_uuid, communities)
    tx.execute(_JOBS.delete().where(_JOBS.c.uuid == job_uuid))


def delete_expired(tx: sa.Connection, now: dt.datetime, keep_seconds: int = 86_400) -> int:
    """Deletes jobs that expired more than `keep_seconds` ago; how many. For the sweeper; idempotent."""
    return tx.execute(_JOBS.delete().where(_JOBS.c.expires_at <= now - dt.timedelta(seconds=keep_seconds))).rowcount


def pinned_versions(tx: sa.Connection, community_uuid: str, now: dt.datetime) -> frozenset[int]:
    """Table versions that unexpired jobs and active exports of a community still read: vacuum keeps their files."""
    jobs = (
        sa.select(_LINKS.c.snapshot_version)
        .join(_JOBS, _JOBS.c.uuid == _LINKS.c.job_uuid)
        .where(_LINKS.c.community_uuid == community_uuid, _JOBS.c.expires_at > now)
    )
    exports = sa.select(tables.exports.c.snapshot_version).where(
        tables.exports.c.community_uuid == community_uuid, tables.exports.c.status.in_(states.ACTIVE)
    )
    return frozenset(v for v in tx.execute(sa.union(jobs, exports)).scalars() if v is not None)


_UNHELD: dict[str, Any] = {"worker_id": None, "lease_until": None}


def _select() -> sa.Select[Any]:
    return sa.select(*(_JOBS.c[name] for name in _NAMES), _JOBS.c.attempts, _JOBS.c.fence)


def _claimable(now: dt.datetime) -> sa.ColumnElement[bool]:
    expired = sa.and_(_JOBS.c.status == _STATUS.RUNNING, _JOBS.c.lease_until <= now)
    return sa.or_(_JOBS.c.status == _STATUS.PENDING, expired)


def _within(communities: Collection[str] | None) -> sa.ColumnElement[bool]:
    if communities is None:
        return sa.true()
    foreign = sa.select(_LINKS.c.job_uuid).where(_LINKS.c.community_uuid.not_in(list(communities)))
    return _JOBS.c.uuid.not_in(foreign)


def _held(claim: SearchClaim) -> sa.ColumnElement[bool]:
    return sa.and_(
        _JOBS.c.uuid == claim.job.uuid,
        _JOBS.c.fence == claim.fence,
        _JOBS.c.worker_id == claim.worker_id,
        _JOBS.c.status == _STATUS.RUNNING,
    )


def _write(tx: sa.Connection, claim: SearchClaim, now: dt.datetime, **values: Any) -> None:
    lease = {"lease_until": now + dt.timedelta(seconds=claim.lease_seconds)}
    if not tx.execute(_JOBS.update().where(_held(claim)).values(lease | values)).rowcount:
        raise errors.LeaseLost(
            "lease_lost", f"The worker {claim.worker_id} no longer holds the search job {claim.job.uuid}."
        )


def _records(tx: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[SearchJob]:
    links: dict[str, list[sa.Row[Any]]] = {row.uuid: [] for row in rows}
    query = _LINKS.select().where(_LINKS.c.job_uuid.in_(links)).order_by(_LINKS.c.community_uuid)
    for link in tx.execute(query):
        links[link.job_uuid].append(link)
    found = []
    for row in rows:
        values = {name: row._mapping[name] for name in _NAMES}
        mine = links[row.uuid]
        values |= {"status": _STATUS(row.status), "filters": column_types.tuple_of(row.filters)}
        found.append(
            SearchJob(
                **values,
                community_uuids=tuple(link.community_uuid for link in mine),
                totals={link.community_uuid: link.total for link in mine if link.total is not None},
                snapshots={
                    link.community_uuid: link.snapshot_version for link in mine if link.snapshot_version is not None
                },
            )
        )
    return found
