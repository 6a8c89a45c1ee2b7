"""Which field names a community's exports may ask for: those of ECS, and those its events brought."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.fields import selection as rules
from penstock.lake.read import names as field_names
from penstock.process import services as services_module


def check(services: services_module.Services, wanted: Sequence[str], communities: Sequence[str]) -> tuple[str, ...]:
    """The selection without blanks around names, checked against ECS and the communities' event tables.

    Raises:
        FieldSelectionError: `unknown_field`, `wildcard_not_supported`, `duplicate_field`, `empty_selection`.
    """
    names = [name.strip() for name in wanted]
    snapshots = [services.table(community).snapshot() for community in communities]
    return rules.check(names, field_names.known(snapshots))
