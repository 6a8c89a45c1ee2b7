"""Events in: one NDJSON body, taken whole, its bad lines reported one by one."""

from __future__ import annotations

import collections
import contextlib
from typing import IO, Annotated, Any

import fastapi
import structlog

from penstock import errors
from penstock.api import auth, bodies, context, schemas
from penstock.control import audit
from penstock.intake import ingest

_LOG = structlog.get_logger("penstock.api")

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

    All of them are one commit. A body that is too large, cut off or broken is refused whole.
    """
    caller.require_community(community_uuid)
    services = here.services
    settings = services.settings

    def take(sent: IO[bytes]) -> ingest.IngestReport:
        # On the thread: unpacking is work for the processor, and would hold the event loop up.
        with bodies.unpacked(sent, content_encoding, settings.request_max_bytes) as body:
            return ingest.ingest_stream(
                services.table(community_uuid),
                body,
                clock=services.clock,
                limits=ingest.Limits.of(settings, request=True),
                batch_id=batch_id,
            )

    with here.ingests.one_of(caller.actor):
        async with bodies.received(request.stream(), settings.request_max_bytes) as sent:
            report = await here.run_ingest(caller.actor, take, sent)
    here.measures.ingested(report.accepted, report.rejected)
    await here.run_light(_record, here, caller, community_uuid, report)
    return schemas.IngestResult(
        accepted=report.accepted,
        rejected=[schemas.Rejection(line=one.line, code=one.code, reason=one.reason) for one in report.rejects],
        rejected_total=report.rejected,
    )


def _record(here: context.Context, caller: auth.Caller, community_uuid: str, report: ingest.IngestReport) -> None:
    """The audit's entry. The events are in: a database that is away now must not make the client send them again.

    What could not be written then is written with the next entry, under its own time.
    """
    now = here.services.clock.now()
    detail = {"accepted": report.accepted, "rejected": report.rejected, "version": report.version}
    own = {
        "now": now,
        "actor": caller.actor,
        "actor_type": auth.ACTOR_TYPE,
        "action": "events.ingested",
        "community_uuid": community_uuid,
        "detail": detail,
    }
    waiting = _taken(here.unrecorded)
    try:
        with here.services.database.begin() as tx:
            for entry in (*waiting, own):
                audit.record(tx, **entry)
    except errors.PenstockError as error:
        here.unrecorded.extend((*waiting, own))
        # Should this process end before the database is back, the log is the only place that has it.
        _LOG.error(
            "audit_not_recorded", code=error.code, at=now, actor=caller.actor, community=community_uuid, **detail
        )


def _taken(entries: collections.deque[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that is there, each taken by one thread only."""
    taken = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(entries.popleft())
    return taken
