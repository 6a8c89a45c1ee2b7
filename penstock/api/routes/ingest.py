"""Events in: one NDJSON body, taken whole, its bad lines reported one by one."""

from __future__ import annotations

from typing import Annotated

import fastapi

from penstock.api import auth, bodies, context, schemas

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
            # Generators of clients know the second type only; the service reads every body as lines, whatever its type.
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
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

    All of them are one commit, which small bodies that come at the same time share. A body that is too large, cut off
    or broken is refused whole.
    """
    caller.require_community(community_uuid)
    with here.intake.shares.one_of(caller.actor):
        async with bodies.received(request.stream(), here.services.settings.request_max_bytes) as sent:
            taken = await here.intake.take_lines(caller.actor, community_uuid, sent, content_encoding, batch_id)
    return schemas.IngestResult(
        accepted=taken.accepted,
        rejected=[schemas.Rejection(line=one.line, code=one.code, reason=one.reason) for one in taken.rejects],
        rejected_total=taken.rejected,
    )
