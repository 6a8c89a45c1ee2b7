"""Options of the commands on the lake of this machine: `generate`, `dump`, `lake compact`, `lake vacuum`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated

from penstock.cli.options import declare, shared

Community = Annotated[
    str | None,
    declare.option("--community", metavar="C", help="Name or UUID. Default: the community that `penstock init` made."),
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generate:
    """Options of `penstock generate`."""

    community: Community = None
    events: Annotated[int, declare.option("--events", metavar="N", min=1, help="How many.")] = 1_000_000
    stream: Annotated[
        str,
        declare.option(
            "--stream",
            metavar="S",
            help="narrow: nine kinds of clean ECS events; wide: 64 vendors mixed, 2,600 fields, late arrivals.",
        ),
    ] = "narrow"
    seed: Annotated[int, declare.option("--seed", metavar="N", help="Same seed, same events.")] = 1
    start: Annotated[
        str | None, declare.option("--start", metavar="T", help="First instant; -7d or RFC 3339. Default: `days` ago.")
    ] = None
    days: Annotated[
        float, declare.option("--days", metavar="N", min=0.001, help="Days that the events are spread over.")
    ] = 7.0
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dump:
    """Options of `penstock dump`."""

    target: Annotated[
        pathlib.Path, declare.option("--output", "-o", metavar="FILE", help="The .jsonl.gz to write; - is stdout.")
    ]
    community: Community = None
    query: Annotated[str, declare.option("--query", metavar="Q", help="Events query; empty: everything.")] = ""
    earliest: Annotated[
        str | None, declare.option(metavar="T", help="Inclusive: -7d or RFC 3339. Default: the first event.")
    ] = None
    latest: Annotated[
        str | None, declare.option(metavar="T", help="Exclusive: now or RFC 3339. Default: after the last event.")
    ] = None
    choice: shared.FieldChoice
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class LakeCompact:
    """Options of `penstock lake compact`."""

    community: Community = None
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class LakeVacuum:
    """Options of `penstock lake vacuum`."""

    community: Community = None
    keep_hours: Annotated[
        float, declare.option("--keep-hours", metavar="N", min=0, help="Leave younger files alone.")
    ] = 168.0
    dry_run: Annotated[bool, declare.option("--dry-run", help="Only say what would be deleted.")] = False
    as_json: shared.Json = False
