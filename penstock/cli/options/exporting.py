"""Options of `export` and `estimate`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from penstock.cli.options import declare, shared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Options of `penstock export`."""

    job_uuid: shared.JobUuid
    no_download: Annotated[
        bool, declare.option("--no-download", help="Wait for the export, print the URL, don't download.")
    ] = False
    no_wait: Annotated[bool, declare.option("--no-wait", help="Start the export and come back at once.")] = False
    interval: Annotated[
        float, declare.option("--interval", metavar="SECONDS", min=0.05, help="Seconds between two looks.")
    ] = 2.0
    max_wait: Annotated[
        float | None,
        declare.option("--max-wait", metavar="SECONDS", min=0, help="Give up waiting after so many seconds."),
    ] = None
    download: shared.Download
    choice: shared.FieldChoice
    bucket: shared.Bucket
    no_sse_c: Annotated[
        bool,
        declare.option(
            "--no-sse-c",
            help="Refused for exports: this service encrypts every export.",
            panel="Encryption",
        ),
    ] = False
    key: shared.Key
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Options of `penstock estimate`."""

    job_uuid: shared.JobUuid
    choice: shared.FieldChoice
    connection: shared.Connection
    as_json: shared.Json = False
