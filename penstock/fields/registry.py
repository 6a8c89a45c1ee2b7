"""The fields that ECS names: each with its type and, where known, a line about it."""

from __future__ import annotations

import types as python_types
from collections.abc import Iterator, Mapping

from penstock.fields import types
from penstock.fields.ecs import event, files, hosts, identity, network, process, reuse, threat, web

_SETS: dict[str, str] = {}
for _part in (event, network, hosts, identity, files, process, web, threat):
    _SETS |= _part.SETS

_TYPES = {member.value: member for member in types.FieldType} | {"keyword[]": types.FieldType.KEYWORD_LIST}


def _rows(table: str) -> Iterator[tuple[str, types.FieldType, str]]:
    """Name, type and description of each line of a table."""
    for line in filter(str.strip, table.splitlines()):
        name, type_word, description = line.split(None, 2)
        yield name, _TYPES[type_word], description


def _build() -> dict[str, types.FieldSpec]:
    """Every name, by field set, with the reuse applied in its order."""
    found: dict[str, dict[str, types.FieldSpec]] = {}

    def put(prefix: str, name: str, field_type: types.FieldType, description: str) -> None:
        root = found.setdefault(prefix.split(".")[0], {})
        full = f"{prefix}.{name}"
        root.setdefault(full, types.FieldSpec(name=full, type=field_type, description=description))

    def copy(source: str, target: str) -> None:
        """What lies below `source` now, also below `target`; not what `source` holds of `target` itself."""
        start = f"{source}."
        for spec in tuple(found[source.split(".")[0]].values()):
            if spec.name.startswith(start) and not spec.name.startswith(f"{target}."):
                put(target, spec.name.removeprefix(start), spec.type, spec.description)

    for name, table in _SETS.items():
        for row in _rows(table):
            put(name, *row)
    own_users = tuple(found["user"].values())
    own_service = tuple(found["service"].values())
    for source, targets in reuse.REUSE:
        for target in targets:
            if source == target.split(".")[0] == "user":
                for spec in own_users:
                    put(target, spec.name.removeprefix("user."), spec.type, spec.description)
            elif source == target.split(".")[0] == "service":
                for spec in own_service:
                    put(target, spec.name.removeprefix("service."), spec.type, spec.description)
            else:
                copy(source, target)
    own_process = tuple(found["process"].values())
    for target in reuse.PROCESS_RELATIVES:
        for spec in own_process:
            put(target, spec.name.removeprefix("process."), spec.type, spec.description)
    specs = {
        spec.name.removeprefix("base."): spec
        for prefix, members in found.items()
        if prefix not in reuse.NOT_AT_THE_ROOT
        for spec in members.values()
    }
    return {
        name: types.FieldSpec(name=name, type=spec.type, description=spec.description)
        for name, spec in sorted(specs.items())
    }


ECS: Mapping[str, types.FieldSpec] = python_types.MappingProxyType(_build())
"""Every ECS field by dotted name, in alphabetical order."""
