"""Exports of a search job: start, estimate, list."""

from __future__ import annotations

from typing import Annotated

import fastapi

from penstock.api import auth, context, links, paging, schemas
from penstock.control import exports, searches
from penstock.usecases import estimate, start

router = fastapi.APIRouter(tags=["exports"], prefix="/sic/conf/events/search/jobs/{job_uuid}")

_Body = Annotated[schemas.ExportRequest | None, fastapi.Body(description="May be left out.")]
_IdempotencyKey = Annotated[
    str | None,
    fastapi.Header(
        alias="Idempotency-Key",
        description="Same key and body: the same task again. Same key, other body: 409. Remembered for a day.",
    ),
]


@router.post(
    "/export",
    operation_id="start_export",
    summary="Start an export",
    status_code=201,
    response_model=schemas.StartedExport,
    response_model_exclude_none=True,
)
async def start_export(
    job_uuid: str,
    here: context.Here,
    caller: auth.Exporter,
    body: _Body = None,
    idempotency_key: _IdempotencyKey = None,
) -> schemas.StartedExport:
    """Exports all that the search job matches, on the newest snapshot, as one encrypted gzip JSON Lines file.

    Without `s3.sse_customer_key` the service makes a key and shows it in this answer only: save it.
    """
    request = body or schemas.ExportRequest()
    return await here.run_heavy(start.start, here.services, caller, job_uuid, request, idempotency_key)


@router.post(
    "/export/estimate",
    operation_id="estimate_export",
    summary="Estimate an export",
    response_model=schemas.Estimate,
)
async def estimate_export(
    job_uuid: str, here: context.Here, caller: auth.Exporter, body: _Body = None
) -> schemas.Estimate:
    """Counts, samples and checks as a start would; starts nothing. A customer's bucket is tried with a tiny object."""
    request = body or schemas.ExportRequest()
    return await here.run_heavy(estimate.estimate, here.services, caller, job_uuid, request)


@router.get(
    "/export-jobs",
    operation_id="list_export_jobs",
    summary="List a search job's exports",
    response_model=schemas.ExportJobPage,
)
def list_export_jobs(
    job_uuid: str, here: context.Here, caller: auth.Exporter, limit: paging.Limit = 100, offset: paging.Offset = 0
) -> schemas.ExportJobPage:
    """All exports the job has started, newest first."""
    with here.services.database.read() as tx:
        searches.get(tx, job_uuid, caller.communities)
        found, total = exports.list_for_job(tx, job_uuid, caller.communities, limit=limit, offset=offset)
    now = here.services.clock.now()
    items = [_shown(export, links.of(here.services, export, now)) for export in found]
    return schemas.ExportJobPage(items=items, total=total)


def _shown(export: exports.Export, found: links.Links) -> schemas.ExportJob:
    return schemas.ExportJob(
        task_uuid=export.task_uuid,
        status=export.status.value,
        fields=list(export.fields),
        events=export.progress_events,
        export_size=export.written_bytes,
        export_size_compressed=export.compressed_bytes,
        download_url=found.download_url,
        manifest_url=found.manifest_url,
        expire_at=export.expire_at,
        sse_customer_key_md5=export.sse_customer_key_md5,
        destination=export.destination,
        created_at=export.created_at,
        ended_at=export.ended_at,
        error=export.error_message,
        error_code=export.error_code,
    )
