"""The fields that ECS names: each with its type and, where known, a line about it."""

from __future__ import annotations

import functools
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


class _Registry(Mapping[str, types.FieldSpec]):
    """Built when it is first asked: most commands never do, and it takes a tenth of their start."""

    def __getitem__(self, name: str) -> types.FieldSpec:
        field_type, description = self._fields[name]
        return types.FieldSpec(name=name, type=field_type, description=description)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @functools.cached_property
    def _fields(self) -> dict[str, tuple[types.FieldType, str]]:
        """Type and description of every name, the field sets expanded in the order of the reuse."""
        found: dict[str, tuple[types.FieldType, str]] = {}
        for set_name, table in _SETS.items():
            for name, field_type, description in _rows(table):
                found.setdefault(f"{set_name}.{name}", (field_type, description))
        for source, targets in reuse.REUSE:
            start = f"{source}."
            members = [(name.removeprefix(start), field) for name, field in found.items() if name.startswith(start)]
            for target in targets:
                for rest, field in members:
                    found.setdefault(f"{target}.{rest}", field)
        names = sorted((name.removeprefix("base."), name) for name in found)
        return {short: found[name] for short, name in names if short.split(".")[0] not in reuse.NOT_AT_THE_ROOT}


ECS: Mapping[str, types.FieldSpec] = _Registry()
"""Every ECS field by dotted name, in alphabetical order."""
