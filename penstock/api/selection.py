"""Which field names a community's exports may ask for: those of ECS, and those its events brought."""

from __future__ import annotations

from collections.abc import Sequence

from penstock import services as services_module
from penstock.fields import selection as rules


def check(services: services_module.Services, wanted: Sequence[str], communities: Sequence[str]) -> tuple[str, ...]:
    """The selection without blanks around names, checked against ECS and the communities' event tables.

    Raises:
        FieldSelectionError: `unknown_field`, `wildcard_not_supported`, `duplicate_field`, `empty_selection`.
    """
    brought: set[str] = set()
    for community in communities:
        brought |= services.table(community).snapshot().columns.keys()
    return rules.check([name.strip() for name in wanted], brought)
