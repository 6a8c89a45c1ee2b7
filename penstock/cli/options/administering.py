"""Options of what the operator of a home decides: `community`, `apikey`, `keys`, `audit`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated

from penstock.cli.options import declare, shared

_LIMITS = "Limits (default: the settings)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityCreate:
    """Options of `penstock community create`."""

    name: Annotated[str, declare.argument(metavar="NAME", help="Its name; unique.")]
    export_max_events: Annotated[
        int | None, declare.option(metavar="N", help="Most events of one export.", panel=_LIMITS)
    ] = None
    quota_bytes_per_month: Annotated[
        int | None,
        declare.option(metavar="BYTES", help="Compressed bytes it may export a UTC month.", panel=_LIMITS),
    ] = None
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityAttach:
    """Options of `penstock community attach`."""

    name: Annotated[str, declare.argument(metavar="NAME", help="Name of the new community, or of a detached one.")]
    table: Annotated[
        str,
        declare.option(
            "--table", metavar="PLACE", help="A folder or file, s3://BUCKET/PREFIX, or a name in the catalogue."
        ),
    ]
    type: Annotated[str, declare.option("--type", metavar="TYPE", help="parquet, delta or iceberg.")]
    time: Annotated[
        str | None,
        declare.option(
            "--time", metavar="COLUMN", help="Dotted column of an event's time. Default: @timestamp, else time."
        ),
    ] = None
    map: Annotated[
        pathlib.Path | None,
        declare.option("--map", metavar="FILE", help="Lines of `column = field`: columns that take ECS's names."),
    ] = None
    catalog: Annotated[
        str | None,
        declare.option("--catalog", metavar="NAME", help="Catalogue of pyiceberg's configuration (Iceberg only)."),
    ] = None
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityDetach:
    """Options of `penstock community detach`."""

    community: Annotated[str, declare.argument(metavar="COMMUNITY", help="Name or UUID.")]
    cancel: Annotated[
        bool, declare.option("--cancel", help="Cancel its exports that wait or run; else they are a refusal.")
    ] = False
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityShow:
    """Options of `penstock community show`."""

    community: Annotated[str, declare.argument(metavar="COMMUNITY", help="Name or UUID.")]
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityList:
    """Options of `penstock community list`."""

    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityLimits:
    """Options of `penstock community limits`."""

    community: Annotated[str, declare.argument(metavar="COMMUNITY", help="Name or UUID.")]
    changes: Annotated[
        list[str] | None,
        declare.option(
            "--set",
            metavar="LIMIT=N",
            help="Set a limit of this community; LIMIT=default takes the setting again. May be repeated.",
        ),
    ] = None
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApikeyCreate:
    """Options of `penstock apikey create`."""

    community: Annotated[list[str], declare.option("--community", metavar="C", help="Name or UUID; may be repeated.")]
    permission: Annotated[
        list[str],
        declare.option(
            "--permission",
            metavar="P",
            help="SIC_READ_INTAKES, SIC_MASSIVE_EXPORT_EVENTS, SIC_WRITE_EVENTS or ADMIN; may be repeated.",
        ),
    ]
    name: Annotated[str, declare.option("--name", metavar="TEXT", help="For people.")] = "api key"
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApikeyList:
    """Options of `penstock apikey list`."""

    community: Annotated[str | None, declare.option("--community", metavar="C", help="Only keys that reach it.")] = None
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApikeyGrant:
    """Options of `penstock apikey grant`."""

    uuid: Annotated[
        str | None,
        declare.argument(metavar="[UUID]", help="The key's UUID. Default: the key that `penstock init` made."),
    ] = None
    community: Annotated[list[str], declare.option("--community", metavar="C", help="Name or UUID; may be repeated.")]
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApikeyRevoke:
    """Options of `penstock apikey revoke`."""

    uuid: Annotated[str, declare.argument(metavar="UUID", help="The key's UUID.")]
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeysList:
    """Options of `penstock keys list`."""

    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeysAdd:
    """Options of `penstock keys add`."""

    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeysActivate:
    """Options of `penstock keys activate`."""

    key: Annotated[str | None, declare.argument(metavar="KEY", help="The key's id; left out: the newest.")] = None
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeysReseal:
    """Options of `penstock keys reseal`."""

    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeysDrop:
    """Options of `penstock keys drop`."""

    key: Annotated[str, declare.argument(metavar="KEY", help="The key's id.")]
    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeysRotate:
    """Options of `penstock keys rotate`."""

    as_json: shared.Json = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    """Options of `penstock audit`."""

    community: Annotated[str | None, declare.option("--community", metavar="C", help="Only its entries.")] = None
    action: Annotated[
        str | None, declare.option("--action", metavar="A", help="An action, or a first part: `export.`.")
    ] = None
    object_uuid: Annotated[
        str | None, declare.option("--object", metavar="UUID", help="Only of this task, job, key.")
    ] = None
    limit: Annotated[int, declare.option("--limit", metavar="N", min=1, max=10_000, help="Newest entries shown.")] = 50
    as_json: shared.Json = False
