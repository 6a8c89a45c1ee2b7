"""Events in: one NDJSON body, taken whole, its bad lines reported one by one."""

from __future__ import annotations

from typing import Annotated

import fastapi

from penstock.api import auth, bodies, context, schemas
from penstock.control import audit
from penstock.intake import ingest
from penstock.process import services as services_module

router = fastapi.APIRouter(tags=["ingest"])

PATH_SUFFIX = "/events"
"""Paths that end so bound their body themselves."""


@router.post(
    "/communities/{community_uuid}/events",
    operation_id="ingest_events",
    summary="Take events in",
    response_model=schemas.IngestResult,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": "One JSON object a line, nested or dotted.",
        }
    },
)
async def ingest_events(
    community_uuid: str,
    request: fastapi.Request,
    here: context.Here,
    caller: auth.Writer,
    content_encoding: Annotated[
        str, fastapi.Header(alias="Content-Encoding", description="`gzip`, `zstd`, or none.")
    ] = "",
    batch_id: Annotated[
        str | None,
        fastapi.Query(description="Names the body: sent again, nothing is taken in twice.", max_length=200),
    ] = None,
) -> schemas.IngestResult:
    """Lines that are no event are rejected one by one, with the reason; all others are searchable at once.

    All of them are one commit. A body that is too large, cut off or broken is refused whole.
    """
    caller.require_community(community_uuid)
    stream = request.stream()

    def take() -> schemas.IngestResult:
        services = here.services
        settings = services.settings
        with bodies.spooled(stream, content_encoding, settings.request_max_bytes) as body:
            report = ingest.ingest_stream(
                services.table(community_uuid),
                body,
                clock=services.clock,
                limits=ingest.Limits.of(settings, request=True),
                batch_id=batch_id,
            )
        here.measures.ingested(report.accepted, report.rejected)
        _record(services, caller, community_uuid, report)
        return schemas.IngestResult(
            accepted=report.accepted,
            rejected=[schemas.Rejection(line=one.line, code=one.code, reason=one.reason) for one in report.rejects],
            rejected_total=report.rejected,
        )

    return await here.run_ingest(take)


def _record(
    services: services_module.Services, caller: auth.Caller, community_uuid: str, report: ingest.IngestReport
) -> None:
    now = services.clock.now()
    with services.database.begin() as tx:
        audit.record(
            tx,
            now=now,
            actor=caller.actor,
            actor_type=auth.ACTOR_TYPE,
            action="events.ingested",
            community_uuid=community_uuid,
            detail={"accepted": report.accepted, "rejected": report.rejected, "version": report.version},
        )
