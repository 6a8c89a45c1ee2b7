"""Tasks: exports as work in progress."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import fastapi
import sqlalchemy as sa

from penstock import storage
from penstock.api import auth, context, links, paging, schemas
from penstock.control import apikeys, exports, states
from penstock.process import services as services_module

router = fastapi.APIRouter(tags=["tasks"])


@router.get("/tasks", operation_id="list_tasks", summary="List tasks", response_model=schemas.TaskPage)
def list_tasks(
    here: context.Here,
    caller: auth.Exporter,
    status: Annotated[schemas.TaskStatus | None, fastapi.Query(description="Only tasks of this status.")] = None,
    community_uuid: Annotated[str | None, fastapi.Query(description="Only tasks of this community.")] = None,
    limit: paging.Limit = 100,
    offset: paging.Offset = 0,
) -> schemas.TaskPage:
    """Tasks of the key's communities, newest first."""
    # A community that the key does not reach is a 404, not an empty list, as everywhere.
    within = caller.communities if community_uuid is None else (caller.require_community(community_uuid),)
    with here.services.database.read() as tx:
        wanted = states.ExportStatus(status) if status else None
        found, total = exports.list_tasks(tx, within, status=wanted, limit=limit, offset=offset)
        names = apikeys.names(tx, {export.created_by for export in found})
    now = here.services.clock.now()
    items = [task_of(here.services, export, now, names.get(export.created_by)) for export in found]
    return schemas.TaskPage(items=items, total=total)


@router.get("/tasks/{task_uuid}", operation_id="get_task", summary="Read a task", response_model=schemas.Task)
async def get_task(task_uuid: str, here: context.Here, caller: auth.Exporter) -> schemas.Task:
    """Status, progress, and once FINISHED the URL to download from."""
    # Async, with the one hop to a thread that the database needs: what clients poll is answered at half the cost.
    # And most of them by `api.around.polled`, which answers the same.
    return await here.run_light(read, here.services, task_uuid, caller.communities)


POLLED = router.routes[-1]
"""The route of `get_task`."""


def read(services: services_module.Services, task_uuid: str, communities: tuple[str, ...]) -> schemas.Task:
    """One task, if it belongs to one of the communities. Raises NotFound `task_not_found`."""
    with services.database.read() as tx:
        return read_in(tx, services, task_uuid, communities)


def read_in(
    tx: sa.Connection, services: services_module.Services, task_uuid: str, communities: tuple[str, ...]
) -> schemas.Task:
    """As `read`, in a transaction that is open."""
    export = exports.get(tx, task_uuid, communities)
    return task_of(services, export, services.clock.now(), apikeys.name_of(tx, export.created_by))


@router.post(
    "/tasks/{task_uuid}/cancel",
    operation_id="cancel_task",
    summary="Cancel a task",
    status_code=202,
    response_model=schemas.Task,
)
def cancel_task(task_uuid: str, here: context.Here, caller: auth.Exporter) -> schemas.Task:
    """A PENDING task is CANCELED at once; a RUNNING one within a second, and nothing of it stays. Again is no error.

    A task that has FINISHED or FAILED answers 409 `task_already_ended`.
    """
    now = here.services.clock.now()
    with here.services.database.begin() as tx:
        export = exports.request_cancel(tx, task_uuid, caller.communities, by=caller.actor, now=now)
        name = apikeys.name_of(tx, export.created_by)
    return task_of(here.services, export, now, name)


def task_of(
    services: services_module.Services, export: exports.Export, now: dt.datetime, created_by_name: str | None
) -> schemas.Task:
    """An export as a task."""
    found = links.of(services, export, now)
    return schemas.Task(
        uuid=export.task_uuid,
        status=export.status.value,
        progress=export.progress_events,
        total=export.expected_events,
        message=_message(export),
        created_at=export.created_at,
        started_at=export.started_at,
        ended_at=export.ended_at,
        eta_seconds=eta_seconds(export, now),
        attributes=schemas.TaskAttributes(
            job_uuid=export.job_uuid,
            community_uuid=export.community_uuid,
            term=export.term,
            filters=[schemas.Filter(**one) for one in export.filters],
            earliest_time=export.earliest,
            latest_time=export.latest,
            created_by=export.created_by,
            created_by_name=created_by_name,
            fields=list(export.fields),
            download_url=found.download_url,
            manifest_url=found.manifest_url,
            export_size=export.written_bytes,
            export_size_compressed=export.compressed_bytes,
            encryption=storage.Encryption(export.encryption).value,
            sse_customer_key_md5=export.sse_customer_key_md5,
            destination=export.destination,
            expire_at=export.expire_at,
            error=export.error_message,
            error_code=export.error_code,
        ),
    )


def eta_seconds(export: exports.Export, now: dt.datetime) -> int | None:
    """What is left at the pace since the start; 0 once over; None before the first progress."""
    if export.status.is_final:
        return 0
    if export.started_at is None or export.progress_events <= 0:
        return None
    elapsed = (now - export.started_at).total_seconds()
    left = max(0, export.expected_events - export.progress_events)
    return round(elapsed * left / export.progress_events)


def _message(export: exports.Export) -> str | None:
    if export.status is states.ExportStatus.CANCELED:
        return export.error_message or "The export was canceled; nothing of it was kept."
    return export.error_message if export.status.is_final else export.waiting_for
