"""Search jobs: create, read, list, cancel, delete."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence

import fastapi
import sqlalchemy as sa

from penstock import errors, query
from penstock.api import auth, context, json_body, paging, schemas
from penstock.control import audit, searches
from penstock.query import notes, times
from penstock.usecases import extents
from penstock.usecases import notes as search_notes

router = fastapi.APIRouter(
    tags=["search jobs"], prefix="/sic/conf/events/search/jobs", route_class=json_body.StrictRoute
)

TERM_LANGUAGES = ("dork", "es-query-string")
"""Names of the one query language; saved jobs of the reference platform carry the second."""


@router.post("", operation_id="create_search_job", summary="Create a search job", response_model=schemas.SearchJob)
def create_search_job(body: schemas.SearchJobRequest, here: context.Here, caller: auth.Reader) -> schemas.SearchJob:
    """The job waits (status 0) until a worker counts what it matches; read it until its status is 2."""
    services = here.services
    now = services.clock.now()
    node = _checked_query(body)
    earliest, latest = times.resolve_range(body.earliest_time, body.latest_time, now)
    communities = _communities(body, caller)
    extents.check_cost(services, node, communities, earliest, latest)
    with services.database.begin() as tx:
        job = searches.create(
            tx,
            term=body.term,
            term_lang=body.term_lang,
            filters=[one.model_dump() for one in body.filters],
            earliest_time=body.earliest_time,
            latest_time=body.latest_time,
            earliest=earliest,
            latest=latest,
            community_uuids=communities,
            max_last_events=min(body.max_last_events, services.settings.search_max_last_events),
            visible=body.visible,
            view_uuid=body.view_uuid,
            results_ttl=services.settings.search_results_ttl_seconds,
            ttl_seconds=services.settings.search_job_ttl_seconds,
            created_by=caller.actor,
            created_by_type=auth.ACTOR_TYPE,
            most_waiting=services.settings.searches_waiting_per_community,
            now=now,
        )
        _record(tx, job, caller, "search_job.created", now)
    here.wake()
    return shown(job, now, _notes(here, job))


@router.get("", operation_id="list_search_jobs", summary="List search jobs", response_model=schemas.SearchJobPage)
def list_search_jobs(
    here: context.Here, caller: auth.Reader, limit: paging.Limit = 100, offset: paging.Offset = 0
) -> schemas.SearchJobPage:
    """Search jobs of the key's communities, newest first."""
    now = here.services.clock.now()
    with here.services.database.read() as tx:
        found, total = searches.list_jobs(tx, caller.communities, limit=limit, offset=offset)
    return schemas.SearchJobPage(items=[shown(job, now) for job in found], total=total)


@router.get("/{job_uuid}", operation_id="get_search_job", summary="Read a search job", response_model=schemas.SearchJob)
def get_search_job(job_uuid: str, here: context.Here, caller: auth.Reader) -> schemas.SearchJob:
    """Status and, once done, the number of events that match."""
    with here.services.database.read() as tx:
        job = searches.get(tx, job_uuid, caller.communities)
    return shown(job, here.services.clock.now(), _notes(here, job))


@router.post(
    "/{job_uuid}/cancel",
    operation_id="cancel_search_job",
    summary="Cancel a search job",
    response_model=schemas.SearchJob,
)
def cancel_search_job(job_uuid: str, here: context.Here, caller: auth.Reader) -> schemas.SearchJob:
    """Stops the counting. Again is no error; a job that is done or failed answers 409 `search_job_already_ended`."""
    now = here.services.clock.now()
    with here.services.database.begin() as tx:
        job = searches.cancel(tx, job_uuid, caller.communities, by=caller.actor, now=now)
        # Only by the call that did it: a repeated cancel is no second deed.
        if job.canceled_at == now:
            _record(tx, job, caller, "search_job.canceled", now)
    return shown(job, now)


@router.delete("/{job_uuid}", operation_id="delete_search_job", summary="Delete a search job", status_code=204)
def delete_search_job(job_uuid: str, here: context.Here, caller: auth.Reader) -> None:
    """Its exports stay, as tasks. One that is running stops."""
    now = here.services.clock.now()
    with here.services.database.begin() as tx:
        # Read before it is gone: the audit names its communities.
        job = searches.get(tx, job_uuid, caller.communities)
        searches.delete(tx, job_uuid, caller.communities)
        _record(tx, job, caller, "search_job.deleted", now)


def shown(job: searches.SearchJob, now: dt.datetime, remarks: Sequence[notes.Note] = ()) -> schemas.SearchJob:
    """A search job as the API shows it."""
    return schemas.SearchJob(
        uuid=job.uuid,
        term=job.term,
        understood=_understood(job.term),
        term_lang=job.term_lang,
        earliest_time=job.earliest,
        latest_time=job.latest,
        filters=[schemas.Filter(**one) for one in job.filters],
        community_uuids=list(job.community_uuids),
        status=int(job.status),
        total=job.total or 0,
        so_far=job.so_far and _so_far(job.so_far),
        expired=job.is_expired(now),
        results_ttl=job.results_ttl,
        visible=job.visible,
        max_last_events=job.max_last_events,
        view_uuid=job.view_uuid,
        created_at=job.created_at,
        created_by=job.created_by,
        created_by_type=job.created_by_type,
        started_at=job.started_at,
        ended_at=job.ended_at,
        canceled_at=job.canceled_at,
        canceled_by=job.canceled_by,
        canceled_by_type=job.canceled_by_type,
        error=job.error,
        notes=[schemas.Note(**note.to_json()) for note in remarks],
    )


@functools.lru_cache(maxsize=1024)
def _understood(term: str) -> str:
    try:
        return query.unparse(query.parse(term))
    except errors.PenstockError:  # a job of an older version, whose language took what ours refuses
        return term


def _so_far(counted: searches.SoFar) -> schemas.SoFar:
    histogram = schemas.Histogram.of(counted.histogram["interval_seconds"], counted.histogram["counts"])
    return schemas.SoFar(total=counted.total, share=counted.share, histogram=histogram)


def _notes(here: context.Here, job: searches.SearchJob) -> Sequence[notes.Note]:
    """None where the lake cannot be read: the job itself can."""
    try:
        return search_notes.of_search(here.services, job.term, job.filters, job.community_uuids)
    except errors.PenstockError:
        return ()


def _checked_query(body: schemas.SearchJobRequest) -> query.Node:
    if body.term_lang not in TERM_LANGUAGES:
        raise errors.InvalidRequest(
            "unsupported_term_lang",
            f"The query language {body.term_lang!r} is not known.",
            f"Use `{'` or `'.join(TERM_LANGUAGES)}`, two names of the same language.",
        )
    return query.both(query.parse(body.term), query.from_filters([one.model_dump() for one in body.filters]))


def _communities(body: schemas.SearchJobRequest, caller: auth.Caller) -> tuple[str, ...]:
    if body.community_uuids is None:
        return caller.communities
    return tuple(dict.fromkeys(caller.require_community(community) for community in body.community_uuids))


def _record(tx: sa.Connection, job: searches.SearchJob, caller: auth.Caller, action: str, now: dt.datetime) -> None:
    """The job's community if it has one; the audit of a job over several names them all."""
    one = job.community_uuids[0] if len(job.community_uuids) == 1 else None
    audit.record(
        tx,
        now=now,
        actor=caller.actor,
        actor_type=auth.ACTOR_TYPE,
        action=action,
        community_uuid=one,
        object_uuid=job.uuid,
        detail={} if one else {"community_uuids": list(job.community_uuids)},
    )
