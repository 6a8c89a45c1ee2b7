"""Creating a search job."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control import states
from penstock.control.schema import tables
from penstock.control.searches import reading, records

_JOBS = tables.search_jobs
_LINKS = tables.search_job_communities


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
    most_waiting: int | None = None,
) -> records.SearchJob:
    """A new search job, PENDING. The caller has checked the query, the range and the communities.

    Raises:
        Conflict: `too_many_searches`; `most_waiting` jobs of one of its communities have not begun yet.
    """
    if most_waiting is not None:
        _check_waiting(tx, community_uuids, most_waiting)
    job_uuid = str(uuid.uuid4())
    tx.execute(
        _JOBS.insert().values(
            uuid=job_uuid,
            status=states.SearchStatus.PENDING,
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
    return reading.get(tx, job_uuid, None)


def _check_waiting(tx: sa.Connection, community_uuids: Collection[str], most: int) -> None:
    waiting = (
        sa.select(sa.func.count())
        .select_from(_LINKS)
        .join(_JOBS, _JOBS.c.uuid == _LINKS.c.job_uuid)
        # Counted without a lock: requests that race may go past the bound by a few, and it is there for memory and
        # fairness only.
        .where(_JOBS.c.status == states.SearchStatus.PENDING, _LINKS.c.community_uuid.in_(list(community_uuids)))
        .group_by(_LINKS.c.community_uuid)
        .order_by(sa.func.count().desc())
    )
    number = tx.execute(waiting.limit(1)).scalar_one_or_none() or 0
    if number >= most:
        raise errors.Conflict(
            "too_many_searches",
            f"{number} searches of this community wait to be run; {most} may.",
            "Wait until some are done, or cancel them.",
            limit=most,
        )
