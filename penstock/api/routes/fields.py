"""Fields that can be searched and exported, and presets of them."""

from __future__ import annotations

from typing import Annotated

import fastapi

from penstock.api import auth, context, schemas
from penstock.fields import presets, registry

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
    snapshot = await here.run_heavy(here.services.table(community_uuid).snapshot)
    files = await here.run_heavy(snapshot.files_by_field)
    wanted = match.strip().lower()
    found = []
    for name in sorted(registry.ECS.keys() | snapshot.columns.keys()):
        spec = registry.ECS.get(name)
        description = spec.description if spec else ""
        if wanted in name.lower() or wanted in description.lower():
            kind = snapshot.columns.get(name) or (spec.type if spec else None)
            found.append(
                schemas.FieldInfo(name=name, type=str(kind), description=description, files=files.get(name, 0))
            )
    return schemas.FieldPage(items=found, total=len(found))


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
