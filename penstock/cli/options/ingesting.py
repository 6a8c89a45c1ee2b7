"""Options of `ingest`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated

from penstock.cli.options import declare, lake, shared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ingest:
    """Options of `penstock ingest`."""

    files: Annotated[
        list[str], declare.argument(metavar="FILE…", help=".jsonl .json .gz .zst .parquet, or - for standard input.")
    ]
    community: lake.Community = None
    batch_id: Annotated[
        str | None,
        declare.option(
            "--batch-id", metavar="ID", help="Names this ingest: run again with the same ID, nothing is taken in twice."
        ),
    ] = None
    rejects: Annotated[
        pathlib.Path | None,
        declare.option("--rejects", metavar="FILE", help="Where rejected lines go. Default: rejects_TIME.jsonl."),
    ] = None
    as_json: shared.Json = False
