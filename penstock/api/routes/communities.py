"""Communities and their quota."""

from __future__ import annotations

from typing import Annotated

import fastapi

from penstock.api import auth, context, json_body, schemas
from penstock.control import audit, communities, limits, quota, states

router = fastapi.APIRouter(tags=["communities"], route_class=json_body.StrictRoute)


@router.get(
    "/communities", operation_id="list_communities", summary="List communities", response_model=schemas.CommunityPage
)
def list_communities(here: context.Here, caller: auth.AnyCaller) -> schemas.CommunityPage:
    """The communities of the API key; with ADMIN, all there are."""
    # An ADMIN sees all of them; `reachable` says which ones the key may also work in.
    visible = None if caller.may(states.Permission.ADMIN) else caller.communities
    with here.services.database.read() as tx:
        found = communities.list_all(tx, visible)
    return schemas.CommunityPage(items=[_shown(one, caller) for one in found], total=len(found))


@router.post(
    "/communities",
    operation_id="create_community",
    summary="Create a community",
    status_code=201,
    response_model=schemas.Community,
)
def create_community(body: schemas.CommunityRequest, here: context.Here, caller: auth.Admin) -> schemas.Community:
    """Wants ADMIN. The calling key does not come to belong to it: make keys with `penstock apikey create`."""
    now = here.services.clock.now()
    with here.services.database.begin() as tx:
        community = communities.create(tx, name=body.name, now=now)
        audit.record(
            tx,
            now=now,
            actor=caller.actor,
            actor_type=auth.ACTOR_TYPE,
            action="community.created",
            community_uuid=community.uuid,
            object_uuid=community.uuid,
            detail={"name": community.name},
        )
    return _shown(community, caller)


@router.get(
    "/communities/{community_uuid}/quota",
    operation_id="get_quota",
    summary="Read a community's quota",
    response_model=schemas.Quota,
)
def get_quota(community_uuid: str, here: context.Here, caller: auth.AnyCaller) -> schemas.Quota:
    """Compressed bytes exported this calendar month (UTC), and what is allowed."""
    caller.require_community(community_uuid)
    services = here.services
    with services.database.read() as tx:
        in_force = limits.for_community(tx, community_uuid, services.settings)
        return quota_of(quota.usage(tx, community_uuid, services.clock.now(), in_force))


@router.get(
    "/communities/{community_uuid}/quota/days",
    operation_id="get_quota_days",
    summary="Read a month's exports by day",
    response_model=schemas.QuotaDays,
)
def get_quota_days(
    community_uuid: str,
    here: context.Here,
    caller: auth.AnyCaller,
    month: Annotated[
        str | None,
        fastapi.Query(
            description="UTC; left out: the current month.",
            pattern=r"^[1-9]\d{3}-(0[1-9]|1[0-2])$",
            examples=["2026-01"],
        ),
    ] = None,
) -> schemas.QuotaDays:
    """Compressed bytes by the day (UTC) on which the exports finished, every day of the month."""
    caller.require_community(community_uuid)
    wanted = month or quota.month_of(here.services.clock.now())
    with here.services.database.read() as tx:
        days = quota.by_day(tx, community_uuid, wanted)
    items = [schemas.QuotaDay(day=one.day, bytes=one.compressed_bytes, exports=one.exports) for one in days]
    return schemas.QuotaDays(month=wanted, items=items)


def quota_of(usage: quota.Quota) -> schemas.Quota:
    """A quota as the API shows it."""
    return schemas.Quota(
        limit_bytes=usage.limit_bytes,
        used_bytes=usage.used_bytes,
        reserved_bytes=usage.reserved_bytes,
        resets_at=usage.resets_at,
        active_task_uuid=usage.active_task_uuid,
    )


def _shown(community: communities.Community, caller: auth.Caller) -> schemas.Community:
    return schemas.Community(
        uuid=community.uuid,
        name=community.name,
        created_at=community.created_at,
        reachable=community.uuid in caller.communities,
    )
