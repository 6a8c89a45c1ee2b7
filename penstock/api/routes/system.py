"""Health, metrics, the API key that asks, and the public key of manifests."""

from __future__ import annotations

import fastapi

from penstock import errors
from penstock.api import auth, context, metrics, schemas
from penstock.control import communities, exports
from penstock.usecases import health

router = fastapi.APIRouter(tags=["system"])
versioned_router = fastapi.APIRouter(tags=["system"])


@router.get("/healthz", operation_id="healthz", summary="Is the process alive?", response_model=schemas.Health)
async def healthz() -> schemas.Health:
    """Answers without touching anything else."""
    return schemas.Health()


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Can requests be served?",
    response_model=schemas.Readiness,
    response_model_exclude_none=True,
    responses={
        503: {
            "model": schemas.Problem,
            "description": "The control plane's database does not answer, or its tables are not up to date.",
        }
    },
)
def readyz(here: context.Here) -> schemas.Readiness:
    """Asks the control plane's database, and whether its tables are up to date.

    `degraded`, with the full disks by name, while nothing is taken in and exports wait for room.
    """
    try:
        here.services.database.check()
    except errors.PenstockError as error:
        # No key is asked for here: who reads this may be anybody, so the reason is its code; the log has the sentence.
        raise errors.NotReady(
            "not_ready", f"The control plane cannot serve ({error.code}).", "The operator finds the rest in the log."
        ) from error
    full = [name for name, space in health.disks(here.services).items() if space.is_full]
    # Still 200: searches and downloads go on, and a balancer that took every process away would stop these as well.
    return schemas.Readiness(status="degraded" if full else "ok", full_disks=full or None)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    response_class=fastapi.responses.PlainTextResponse,
)
def show_metrics(here: context.Here) -> fastapi.Response:
    """Counts only: no names, no content, no secrets."""
    with here.services.database.read() as tx:
        here.measures.active_exports(exports.count_active(tx))
    here.measures.disks(health.disks(here.services))
    return fastapi.Response(here.measures.page(), media_type=metrics.CONTENT_TYPE)


@versioned_router.get("/auth/validate", operation_id="validate_key", summary="Is the API key good?")
@versioned_router.get("/apiauth/auth/validate", include_in_schema=False)
async def validate_key(caller: auth.AnyCaller) -> schemas.ValidKey:
    """200 for a good key, 401 for any other: what clients of the reference platform ask first."""
    return schemas.ValidKey(uuid=caller.api_key.uuid, name=caller.api_key.name)


@versioned_router.get("/me", operation_id="get_me", summary="Read the API key that asks")
def get_me(here: context.Here, caller: auth.AnyCaller) -> schemas.Me:
    """Its name, permissions and communities."""
    key = caller.api_key
    with here.services.database.read() as tx:
        found = communities.list_all(tx, caller.communities)
    return schemas.Me(
        uuid=key.uuid,
        name=key.name,
        created_at=key.created_at,
        permissions=sorted(key.permissions),
        communities=[schemas.KeyCommunity(uuid=one.uuid, name=one.name) for one in found],
        unencrypted_exports=here.services.settings.allow_unencrypted_exports,
    )


@versioned_router.get(
    "/health",
    operation_id="get_health",
    summary="How the service is, in parts",
    response_model=schemas.HealthReport,
)
async def get_health(here: context.Here, caller: auth.Admin) -> schemas.HealthReport:
    """Database, lake, file store and workers, each looked at now. Wants ADMIN; `readyz` is for machines."""
    parts = await here.heavy.run(caller.actor, health.look, here.services)
    # By the order of the enum, from ok to failed.
    worst = max((part.state for part in parts), key=list(health.State).index)
    shown = [schemas.HealthPart(name=part.name, status=part.state.value, detail=part.detail) for part in parts]
    return schemas.HealthReport(status=worst.value, checked_at=here.services.clock.now(), parts=shown)


@versioned_router.get(
    "/manifest-key",
    operation_id="get_manifest_key",
    summary="The public key that manifests are signed with",
    response_model=schemas.ManifestKey,
)
def get_manifest_key(here: context.Here) -> schemas.ManifestKey:
    """`penstock verify` compares it with the key that a manifest names. Wants no API key."""
    return schemas.ManifestKey(public_key=here.services.signer.public_key)
