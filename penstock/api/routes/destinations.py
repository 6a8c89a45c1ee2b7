"""Destinations of exports: trying a bucket without starting anything."""

from __future__ import annotations

import fastapi

from penstock.api import auth, context, schemas
from penstock.api.routes import exports
from penstock.usecases import destinations

router = fastapi.APIRouter(tags=["exports"])


@router.post(
    "/destinations/try",
    operation_id="try_destination",
    summary="Try a bucket",
    response_model=schemas.TriedDestination,
)
async def try_destination(
    body: schemas.S3Settings, here: context.Here, caller: auth.Exporter
) -> schemas.TriedDestination:
    """Writes one small encrypted object into the bucket and removes it, as the start of an export does.

    The settings are those of an export's `s3`. Nothing of them is kept. Without a key one is made for this.
    """
    order = exports.order_of(schemas.ExportRequest(s3=body, generate_customer_key=True))
    # Seconds, if the bucket is silent: nobody else must wait for it.
    tried = await here.far.run(caller.actor, destinations.try_bucket, here.services, order)
    return schemas.TriedDestination(destination=tried.destination, seconds=tried.seconds)
