"""Exports of a search job: start, estimate, list."""

from __future__ import annotations

from typing import Annotated

import fastapi
import pydantic

from penstock import storage
from penstock.api import auth, context, json_body, links, paging, schemas
from penstock.api.routes import communities
from penstock.control import exports, searches
from penstock.usecases import destinations, estimate, orders, start

router = fastapi.APIRouter(
    tags=["exports"], prefix="/sic/conf/events/search/jobs/{job_uuid}", route_class=json_body.StrictRoute
)

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

    Send the key that encrypts it as `s3.sse_customer_key`; or `generate_customer_key`: then the service makes one and
    shows it in this answer only: keep it. Without it nobody can ever read the file.
    """
    order = order_of(body)
    threads = here.far if destinations.is_customers(order) else here.starting
    started = await threads.run(
        caller.actor, start.start, here.services, caller.as_plain(), job_uuid, order, idempotency_key
    )
    here.wake()
    return schemas.StartedExport(
        task_uuid=started.task_uuid,
        status=started.status,
        sse_customer_key=started.customer_key,
        sse_customer_key_md5=started.customer_key_md5,
        sse_customer_algorithm="AES256" if started.customer_key_md5 else None,
    )


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
    order = order_of(body)
    threads = here.far if destinations.is_customers(order) else here.heavy
    found = await threads.run(caller.actor, estimate.estimate, here.services, caller.as_plain(), job_uuid, order)
    return schemas.Estimate(
        events=found.events,
        estimated_size_compressed=found.size_compressed,
        estimated_seconds=found.seconds,
        quota=communities.quota_of(found.quota),
        allowed=not found.problems,
        problems=[schemas.ProblemSummary(code=one.code, detail=one.detail, hint=one.hint) for one in found.problems],
    )


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


def order_of(body: schemas.ExportRequest | None) -> orders.ExportOrder:
    """The body as use cases know it. No body and an empty one are the same order; so are an empty and a null member."""
    if body is None:
        return orders.ExportOrder()
    sent = body.s3.model_dump(exclude_none=True) if body.s3 else {}
    clear = {
        name: value.get_secret_value() if isinstance(value, pydantic.SecretStr) else value
        for name, value in sent.items()
    }
    return orders.ExportOrder(
        fields=None if body.fields is None else tuple(body.fields),
        # An empty text counts as absent: published clients send all members, empty where nothing was set.
        s3={name: value for name, value in clear.items() if value},
        generate_customer_key=bool(body.generate_customer_key),
    )


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
        encryption=storage.Encryption(export.encryption).value,
        sse_customer_key_md5=export.sse_customer_key_md5,
        destination=export.destination,
        created_at=export.created_at,
        ended_at=export.ended_at,
        error=export.error_message,
        error_code=export.error_code,
    )
