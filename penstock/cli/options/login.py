"""Options of `login`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from penstock.cli.options import declare, shared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Login:
    """Options of `penstock login`."""

    host: Annotated[
        str | None, declare.argument(metavar="[HOST]", help="The service: HOST (https), HOST:PORT or a URL.")
    ] = None
    name: Annotated[
        str | None, declare.option("--name", metavar="PROFILE", help="What to call it. Default: its host.")
    ] = None
    ca_file: Annotated[
        str | None, declare.option("--ca-file", metavar="FILE", help="CA file that signed its certificate.")
    ] = None
    list_all: Annotated[bool, declare.option("--list", help="List the services that are kept.")] = False
    remove: Annotated[str | None, declare.option("--remove", metavar="PROFILE", help="Forget one, and its key.")] = None
    as_json: shared.Json = False
