"""Options of the commands that look at events: `search`, `fields`, `quota`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from penstock.cli.options import declare, shared

_Community = Annotated[
    str | None, declare.option("--community", metavar="C", help="Name or UUID. Default: the only one of the API key.")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """Options of `penstock search`."""

    query: Annotated[
        str, declare.argument(metavar="QUERY", help="Events query, e.g. 'source.ip:10.0.0.0/8 AND NOT user.name:root'.")
    ]
    period: shared.Period
    limit: Annotated[int, declare.option(metavar="N", min=0, max=1000, help="Newest events to show.")] = 10
    community: Annotated[
        list[str] | None,
        declare.option("--community", metavar="C", help="Name or UUID; may be repeated. Default: all of the API key."),
    ] = None
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fields:
    """Options of `penstock fields`."""

    match: Annotated[str, declare.argument(metavar="[MATCH]", help="Part of the name or of the description.")] = ""
    community: _Community = None
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quota:
    """Options of `penstock quota`."""

    community: _Community = None
    connection: shared.Connection
    as_json: shared.Json = False
