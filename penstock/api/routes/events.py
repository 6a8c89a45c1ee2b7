"""What a search job found: pages of its newest events, CSV, a histogram."""

from __future__ import annotations

from typing import Annotated, Literal

import fastapi

from penstock.api import auth, context, paging, schemas
from penstock.control import searches
from penstock.fields import presets
from penstock.usecases import found as events
from penstock.usecases import known_fields

router = fastapi.APIRouter(tags=["search jobs"], prefix="/sic/conf/events/search/jobs/{job_uuid}")


@router.get(
    "/events",
    operation_id="list_search_job_events",
    summary="Read a search job's newest events",
    response_model=schemas.EventPage,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def list_events(
    job_uuid: str,
    here: context.Here,
    caller: auth.Reader,
    limit: paging.Limit = 100,
    offset: paging.Offset = 0,
    flat: Annotated[bool, fastapi.Query(description="False: nested objects instead of dotted names.")] = True,
    format: Annotated[Literal["json", "csv"], fastapi.Query(description="`csv`: a table of `fields`.")] = "json",
    fields: Annotated[
        str | None, fastapi.Query(description="Columns of the CSV, comma-separated; `@timestamp,message` if left out.")
    ] = None,
) -> fastapi.Response:
    """Newest first, out of the snapshot that the job counted. Only the newest `max_last_events` (1,000 at most) can be
    read; a page beyond them is empty. More: start an export."""

    def read() -> fastapi.Response:
        job = _job(here, job_uuid, caller)
        found = events.newest(here.services, job, limit=limit, offset=offset)
        if format == "csv":
            wanted = fields.split(",") if fields is not None else presets.DEFAULT_FIELDS
            columns = known_fields.check(here.services, wanted, job.community_uuids)
            return _csv(events.as_csv(found, columns), f"events_{job.uuid}.csv")
        return fastapi.Response(events.as_json(found, job.total or 0, flat=flat), media_type="application/json")

    # A job of an earlier version has no results kept, and then this scans.
    return await here.heavy.run(caller.actor, read)


@router.get(
    "/fields",
    operation_id="list_search_job_fields",
    summary="Read the fields of what a search job found",
    response_model=schemas.FoundFieldPage,
)
async def list_found_fields(
    job_uuid: str,
    here: context.Here,
    caller: auth.Reader,
    limit: paging.Limit = 100,
    offset: paging.Offset = 0,
    match: Annotated[
        str, fastapi.Query(description="Part of the name or of the description, in any case.", max_length=200)
    ] = "",
) -> schemas.FoundFieldPage:
    """Each with its most common values, counted in the job's newest 1,000 events when the job was done."""

    def read() -> schemas.FoundFieldPage:
        found = events.fields(here.services, _job(here, job_uuid, caller), match)
        return schemas.FoundFieldPage(items=[_shown(one) for one in found[offset : offset + limit]], total=len(found))

    return await here.heavy.run(caller.actor, read)


@router.get(
    "/histogram",
    operation_id="get_search_job_histogram",
    summary="Read a search job's matches over time",
    response_model=schemas.Histogram,
)
async def get_histogram(
    job_uuid: str,
    here: context.Here,
    caller: auth.Reader,
    buckets: Annotated[int, fastapi.Query(ge=1, le=events.MAX_BUCKETS, description="Most buckets.")] = 60,
) -> schemas.Histogram:
    """Equal stretches of the job's time range, in time order, empty ones included."""

    def read() -> schemas.Histogram:
        job = _job(here, job_uuid, caller)
        found = events.histogram(here.services, job, buckets)
        return schemas.Histogram.of(found.interval_seconds, found.counts)

    return await here.heavy.run(caller.actor, read)


def _shown(one: events.FieldFacts) -> schemas.FoundField:
    return schemas.FoundField(
        name=one.name,
        display_name=one.name,
        description=one.description,
        value_type=str(one.kind),
        most_common_values=[schemas.CommonValue(name=name, value=share) for name, share in one.values],
    )


def _job(here: context.Context, job_uuid: str, caller: auth.Caller) -> searches.SearchJob:
    with here.services.database.read() as tx:
        return searches.get(tx, job_uuid, caller.communities)


def _csv(content: bytes, filename: str) -> fastapi.Response:
    return fastapi.Response(
        content,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
