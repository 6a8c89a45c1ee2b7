"""The fields that ECS names: each with its type and, where known, a line about it."""

from __future__ import annotations

import dataclasses
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
    """Every name, the field sets expanded in the order of the reuse."""
    found: dict[str, types.FieldSpec] = {}

    def put(name: str, field_type: types.FieldType, description: str) -> None:
        # The first one counts: a set's own row says more than what is reused below it.
        found.setdefault(name, types.FieldSpec(name=name, type=field_type, description=description))

    for set_name, table in _SETS.items():
        for name, field_type, description in _rows(table):
            put(f"{set_name}.{name}", field_type, description)
    for source, targets in reuse.REUSE:
        start = f"{source}."
        # A copy, made before any target is added: a target may lie below its own source (`user.target`).
        members = [spec for spec in found.values() if spec.name.startswith(start)]
        for target in targets:
            for spec in members:
                put(f"{target}.{spec.name.removeprefix(start)}", spec.type, spec.description)
    return {
        spec.name.removeprefix("base."): dataclasses.replace(spec, name=spec.name.removeprefix("base."))
        for spec in sorted(found.values(), key=lambda spec: spec.name.removeprefix("base."))
        # Only now: the reuse above needed them as sources.
        if spec.name.split(".")[0] not in reuse.NOT_AT_THE_ROOT
    }


ECS: Mapping[str, types.FieldSpec] = python_types.MappingProxyType(_build())
"""Every ECS field by dotted name, in alphabetical order."""
