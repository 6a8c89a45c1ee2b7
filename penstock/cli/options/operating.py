"""Options of whoever runs a service: `demo`, `init`, `serve`, `worker`, `storage`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated

from penstock.cli.options import declare, shared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demo:
    """Options of `penstock demo`."""

    events: Annotated[int, declare.option("--events", metavar="N", min=1000, help="Sample events to make.")] = 1_000_000
    folder: Annotated[
        pathlib.Path, declare.option("--folder", metavar="DIR", help="Where the demo lives; made new each time.")
    ] = pathlib.Path(".demo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Init:
    """Options of `penstock init`."""

    community: Annotated[str, declare.option("--community", metavar="NAME", help="Name of the first one.")] = "main"
    if_missing: Annotated[bool, declare.option("--if-missing", help="Do nothing if the home is already made.")] = False
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Serve:
    """Options of `penstock serve`."""

    host: Annotated[
        str | None,
        declare.option("--host", metavar="ADDRESS", help="Address to listen on. Default: the setting `host`."),
    ] = None
    port: Annotated[
        int | None,
        declare.option(
            "--port", metavar="N", min=0, max=65535, help="Port; 0 takes a free one. Default: the setting `port`."
        ),
    ] = None
    tls: Annotated[
        bool, declare.option("--tls", help="Serve https, with a certificate of the home's own CA (made if missing).")
    ] = False
    no_worker: Annotated[
        bool,
        declare.option("--no-worker", help="Answer requests only; `penstock worker` runs exports elsewhere."),
    ] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Worker:
    """`penstock worker` has no options."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorageInit:
    """Options of `penstock storage init`."""

    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorageCheck:
    """Options of `penstock storage check`."""

    as_json: shared.Json = False
