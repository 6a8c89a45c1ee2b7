"""Fields that can be searched and exported, and presets of them."""

from __future__ import annotations

from typing import Annotated

import fastapi

from penstock.api import auth, context, schemas
from penstock.fields import presets, registry, types
from penstock.usecases import common_values

router = fastapi.APIRouter(tags=["fields"])


@router.get(
    "/communities/{community_uuid}/fields",
    operation_id="list_fields",
    summary="List fields",
    response_model=schemas.FieldPage,
)
async def list_fields(
    community_uuid: str,
    here: context.Here,
    caller: auth.Reader,
    match: Annotated[
        str, fastapi.Query(description="Part of the name or of the description, in any case.", max_length=200)
    ] = "",
) -> schemas.FieldPage:
    """All fields that an export can name: those the community's events have, and all others of ECS."""
    caller.require_community(community_uuid)
    snapshot = await here.heavy.run(caller.actor, here.services.table(community_uuid).snapshot)
    files = await here.heavy.run(caller.actor, snapshot.files_by_field)
    wanted = match.strip().lower()
    found = []
    for name in sorted(registry.ECS.keys() | snapshot.columns.keys() | files.keys()):
        spec = registry.ECS.get(name)
        description = spec.description if spec else ""
        if wanted in name.lower() or wanted in description.lower():
            kind = snapshot.columns.get(name) or (spec.type if spec else types.FieldType.JSON)
            found.append(
                schemas.FieldInfo(name=name, type=str(kind), description=description, files=files.get(name, 0))
            )
    return schemas.FieldPage(items=found, total=len(found))


@router.get(
    "/communities/{community_uuid}/field-values",
    operation_id="list_field_values",
    summary="List a field's common values",
    response_model=schemas.CommonValues,
)
async def list_field_values(
    community_uuid: str,
    here: context.Here,
    caller: auth.Reader,
    field: Annotated[str, fastapi.Query(description="Dotted name.", min_length=1, max_length=1000)],
    prefix: Annotated[str, fastapi.Query(description="What the values begin with.", max_length=200)] = "",
    limit: Annotated[int, fastapi.Query(ge=1, le=common_values.MOST_VALUES, description="Most values.")] = 10,
) -> schemas.CommonValues:
    """The most common values in the newest events that have the field: what one may want to search for."""
    caller.require_community(community_uuid)
    found = await here.heavy.run(
        caller.actor, common_values.common_values, here.services, community_uuid, field, prefix=prefix, limit=limit
    )
    items = [schemas.CommonValue(name=name, value=share) for name, share in found.shares]
    return schemas.CommonValues(items=items, events=found.events)


@router.get(
    "/field-presets", operation_id="list_field_presets", summary="List field presets", response_model=schemas.PresetPage
)
def list_field_presets(caller: auth.Reader) -> schemas.PresetPage:
    """The fields that belong together in the usual investigations."""
    found = [
        schemas.Preset(name=preset.name, title=preset.title, fields=list(preset.fields))
        for preset in presets.PRESETS.values()
    ]
    return schemas.PresetPage(items=found, total=len(found))
