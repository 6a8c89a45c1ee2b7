"""The audit: who did what, when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated

import fastapi
import pydantic

from penstock.api import auth, context, paging, schemas
from penstock.control import apikeys, audit

router = fastapi.APIRouter(tags=["audit"])


@router.get("/audit", operation_id="list_audit", summary="List audit entries", response_model=schemas.AuditPage)
def list_audit(
    here: context.Here,
    caller: auth.Admin,
    community_uuid: Annotated[str | None, fastapi.Query(description="Only entries of this community.")] = None,
    object_uuid: Annotated[str | None, fastapi.Query(description="Only entries of this task, job, key …")] = None,
    actor: Annotated[str | None, fastapi.Query(description="Only entries of this API key, worker …")] = None,
    action: Annotated[
        str | None, fastapi.Query(description="An action, or all with a first part: `export.`.", examples=["export."])
    ] = None,
    since: Annotated[pydantic.AwareDatetime | None, fastapi.Query(description="Inclusive, RFC 3339.")] = None,
    until: Annotated[pydantic.AwareDatetime | None, fastapi.Query(description="Exclusive, RFC 3339.")] = None,
    limit: paging.Limit = 100,
    offset: paging.Offset = 0,
) -> schemas.AuditPage:
    """Everything recorded, of all communities, newest first. Wants ADMIN. Entries cannot be changed."""
    filters = audit.Filters(
        communities=None if community_uuid is None else (community_uuid,),
        actor=actor,
        action=action,
        object_uuid=object_uuid,
        since=_utc(since),
        until=_utc(until),
    )
    with here.services.database.read() as tx:
        entries, total = audit.list_entries(tx, filters, limit=limit, offset=offset)
        names = apikeys.names(tx, {entry.actor for entry in entries if entry.actor_type == auth.ACTOR_TYPE})
    return schemas.AuditPage(items=[_shown(entry, names) for entry in entries], total=total)


def _shown(entry: audit.Entry, names: Mapping[str, str]) -> schemas.AuditEntry:
    return schemas.AuditEntry(
        id=entry.id,
        at=entry.at,
        actor=entry.actor,
        actor_type=entry.actor_type,
        actor_name=names.get(entry.actor),
        action=entry.action,
        community_uuid=entry.community_uuid,
        object_uuid=entry.object_uuid,
        detail=entry.detail,
    )


def _utc(instant: dt.datetime | None) -> dt.datetime | None:
    return None if instant is None else instant.astimezone(dt.UTC)
