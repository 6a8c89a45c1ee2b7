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
        list[str],
        declare.argument(metavar="FILE…", help="Files, folders, quoted patterns, pipes; - is standard input."),
    ]
    community: lake.Community = None
    batch_id: Annotated[
        str | None,
        declare.option(
            "--batch-id", metavar="ID", help="Names this ingest: run again with the same ID, nothing is taken in twice."
        ),
    ] = None
    format: Annotated[
        str,
        declare.option(
            "--format",
            metavar="F",
            help="What all files hold: json-lines, json, bulk, search, elasticdump, records, zeek, csv, tsv, parquet. "
            "auto: look.",
        ),
    ] = "auto"
    time_field: Annotated[
        str | None,
        declare.option(
            "--time-field", metavar="NAME", help="Field that holds the events' time, before @timestamp and known ones."
        ),
    ] = None
    rejects: Annotated[
        pathlib.Path | None,
        declare.option("--rejects", metavar="FILE", help="Where rejected lines go. Default: rejects_TIME.jsonl."),
    ] = None
    jobs: Annotated[
        int,
        declare.option(
            "--jobs",
            metavar="N",
            min=1,
            help="Files taken in at once, each by a process. Pipes are read by one, whatever is said here.",
        ),
    ] = 1
    on_engine: Annotated[
        bool,
        declare.option(
            "--on-engine",
            help="Nodes of the engine (`engine = ray`) take the files in; they must lie there under the same paths.",
        ),
    ] = False
    as_json: shared.Json = False
