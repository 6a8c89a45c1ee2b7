"""Options of the commands that follow searches and exports: `status`, `download`, `cancel`, the lists, `verify`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated

from penstock.cli.options import declare, shared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """Options of `penstock status`."""

    task_uuid: shared.TaskUuid
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download:
    """Options of `penstock download`."""

    task_uuid: shared.TaskUuid
    download: shared.Download
    no_sse_c: Annotated[
        bool, declare.option("--no-sse-c", help="Send no key (the store will ask for one).", panel="Encryption")
    ] = False
    key: shared.Key
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cancel:
    """Options of `penstock cancel`."""

    uuid: Annotated[str, declare.argument(metavar="UUID", help="The UUID of an export's task, or of a search job.")]
    connection: shared.Connection
    as_json: shared.Json = False


_Limit = Annotated[int, declare.option("--limit", metavar="N", min=1, max=1000, help="Newest ones to list.")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searches:
    """Options of `penstock searches`."""

    limit: _Limit = 20
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tasks:
    """Options of `penstock tasks`."""

    status: Annotated[
        str | None,
        declare.option("--status", metavar="S", help="Only PENDING, RUNNING, FINISHED, FAILED or CANCELED ones."),
    ] = None
    limit: _Limit = 20
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exports:
    """Options of `penstock exports`."""

    job_uuid: shared.JobUuid
    connection: shared.Connection
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verify:
    """Options of `penstock verify`."""

    file: Annotated[pathlib.Path, declare.argument(metavar="FILE", help="The downloaded .jsonl.gz.")]
    manifest: Annotated[
        pathlib.Path, declare.argument(metavar="MANIFEST", help="Its manifest, from `download --manifest`.")
    ]
    public_key: Annotated[
        str | None,
        declare.option(
            "--public-key",
            metavar="KEY",
            help="The key that must have signed it, base64; the service tells it at /v1/manifest-key. "
            "Default: the key that the manifest names.",
        ),
    ] = None
    as_json: shared.Json = False
