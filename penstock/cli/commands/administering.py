"""`penstock community`, `apikey`, `keys`, `audit`: what the operator of a home decides, straight in its database."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import home, output
from penstock.cli.options import connection

if TYPE_CHECKING:
    import sqlalchemy as sa

    from penstock.control import apikeys as apikeys_module

community_app = typer.Typer(help="Communities: the tenants.", no_args_is_help=True)
apikey_app = typer.Typer(help="API keys: who may do what.", no_args_is_help=True)
keys_app = typer.Typer(help="Master keys, which seal secrets at rest.", no_args_is_help=True)

_LIMITS = "Limits (default: the settings)"


@community_app.command("create")
def create_community(
    name: Annotated[str, typer.Argument(help="Its name; unique.")],
    export_max_events: Annotated[
        int | None, typer.Option(help="Most events of one export.", rich_help_panel=_LIMITS)
    ] = None,
    quota_bytes_per_month: Annotated[
        int | None, typer.Option(help="Compressed bytes it may export a UTC month.", rich_help_panel=_LIMITS)
    ] = None,
    as_json: connection.Json = False,
) -> None:
    """Create a community."""
    from penstock.control import communities, limits

    now = _now()
    own = limits.Overrides(export_max_events=export_max_events, quota_bytes_per_month=quota_bytes_per_month)
    with home.database() as database, database.begin() as tx:
        made = communities.create(tx, name=name, now=now, limits=own)
        _record(tx, now, "community.created", made.uuid, made.uuid, {"name": name})
    if as_json:
        output.emit_json(dataclasses.asdict(made))
    else:
        output.say(f"Community {made.name} created: {made.uuid}")


@community_app.command("list")
def list_communities(as_json: connection.Json = False) -> None:
    """List the communities."""
    from penstock.control import communities

    with home.database() as database, database.read() as tx:
        found = communities.list_all(tx)
    if as_json:
        output.emit_json([dataclasses.asdict(each) for each in found])
    else:
        output.table(["NAME", "UUID", "CREATED"], [[each.name, each.uuid, each.created_at] for each in found])


@apikey_app.command("create")
def create_apikey(
    community: Annotated[list[str], typer.Option("--community", metavar="C", help="Name or UUID; may be repeated.")],
    permission: Annotated[
        list[str],
        typer.Option(
            "--permission",
            metavar="P",
            help="SIC_READ_INTAKES, SIC_MASSIVE_EXPORT_EVENTS, SIC_WRITE_EVENTS or ADMIN; may be repeated.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="For people.")] = "api key",
    as_json: connection.Json = False,
) -> None:
    """Create an API key. It is shown once; only a hash of it is kept."""
    from penstock.control import apikeys, communities

    now = _now()
    with home.database() as database, database.begin() as tx:
        uuids = [communities.by_name_or_uuid(tx, each).uuid for each in community]
        made, token = apikeys.create(tx, communities=uuids, permissions=permission, name=name, now=now)
        for uuid in made.community_uuids:
            _record(tx, now, "apikey.created", uuid, made.uuid, {"permissions": sorted(made.permissions)})
    if as_json:
        output.emit_json({**dataclasses.asdict(made), "api_key": token})
        return
    output.facts([("API key UUID", made.uuid), ("Permissions", sorted(made.permissions))])
    output.say(f"API key, shown once: {token}")


@apikey_app.command("list")
def list_apikeys(
    community: Annotated[str | None, typer.Option("--community", metavar="C", help="Only keys that reach it.")] = None,
    as_json: connection.Json = False,
) -> None:
    """List API keys; their tokens are not kept anywhere."""
    from penstock.control import apikeys, communities

    with home.database() as database, database.read() as tx:
        names = {each.uuid: each.name for each in communities.list_all(tx)}
        wanted = communities.by_name_or_uuid(tx, community).uuid if community else None
        found = apikeys.list_all(tx, wanted)
    if as_json:
        output.emit_json([dataclasses.asdict(each) for each in found])
        return
    output.table(
        ["UUID", "NAME", "COMMUNITIES", "PERMISSIONS", "CREATED", "REVOKED"],
        [_row(each, names) for each in found],
    )


def _row(key: apikeys_module.ApiKey, names: dict[str, str]) -> list[Any]:
    reached = [names.get(uuid, uuid) for uuid in key.community_uuids]
    return [key.uuid, key.name, reached, sorted(key.permissions), key.created_at, key.revoked_at]


@apikey_app.command("revoke")
def revoke_apikey(
    uuid: Annotated[str, typer.Argument(help="The key's UUID.")], as_json: connection.Json = False
) -> None:
    """Revoke an API key, at once and for good."""
    from penstock.control import apikeys

    now = _now()
    with home.database() as database, database.begin() as tx:
        revoked = apikeys.revoke(tx, uuid, now)
        for community_uuid in revoked.community_uuids:
            _record(tx, now, "apikey.revoked", community_uuid, uuid, {})
    if as_json:
        output.emit_json(dataclasses.asdict(revoked))
    else:
        output.say(f"API key {uuid} is revoked.")


@keys_app.command("rotate")
def rotate_keys(as_json: connection.Json = False) -> None:
    """Put a fresh sealing key in front, reseal what is sealed, drop keys that nothing needs."""
    from penstock.control import secrets

    settings = home.settings()
    from_setting = bool(settings.master_key.get_secret_value())
    keys = secrets.MasterKeys.load(settings).rotated()
    if (
        from_setting
    ):  # the operator's secret store holds them: it must know the new one before anything is sealed with it
        if as_json:
            output.emit_json({"saved": False, "active": keys.active_id, "master_key": keys.text().replace("\n", ",")})
        else:
            output.note("PENSTOCK_MASTER_KEY is set: put this value there, restart, and what is new is sealed with it.")
            output.say(keys.text().strip().replace("\n", ","))
        return
    keys.save(settings.home)  # before anything is sealed with the new key: a crash must not leave it unreadable
    now = _now()
    with home.database() as database:
        with database.begin() as tx:
            resealed = secrets.reseal_all(tx, keys)
            _record(tx, now, "master_key.rotated", None, keys.active_id, {"resealed": resealed})
        with database.read() as tx:
            kept = keys.without_unused(secrets.key_ids_in_use(tx))
    kept.save(settings.home)
    if as_json:
        output.emit_json({"saved": True, "active": kept.active_id, "keys": kept.ids, "resealed": resealed})
    else:
        output.say(f"The active sealing key is {kept.active_id}; {resealed} secrets were resealed.")


def audit(
    community: Annotated[str | None, typer.Option("--community", metavar="C", help="Only its entries.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="An action, or a first part: `export.`.")] = None,
    object_uuid: Annotated[
        str | None, typer.Option("--object", metavar="UUID", help="Only of this task, job, key.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Newest entries to show.")] = 50,
    as_json: connection.Json = False,
) -> None:
    """Show who did what to what, newest first."""
    from penstock.control import audit as audit_module
    from penstock.control import communities

    with home.database() as database, database.read() as tx:
        wanted = [communities.by_name_or_uuid(tx, community).uuid] if community else None
        filters = audit_module.Filters(communities=wanted, action=action, object_uuid=object_uuid)
        found, _ = audit_module.list_entries(tx, filters, limit, 0)
    if as_json:
        output.emit_json([dataclasses.asdict(entry) for entry in found])
        return
    output.table(
        ["AT", "ACTOR", "ACTION", "OBJECT", "DETAIL"],
        [
            [entry.at, f"{entry.actor_type} {entry.actor}", entry.action, entry.object_uuid, _detail(entry.detail)]
            for entry in found
        ],
    )


def _detail(detail: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in detail.items())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _record(
    tx: sa.Connection,
    now: dt.datetime,
    action: str,
    community_uuid: str | None,
    object_uuid: str,
    detail: dict[str, Any],
) -> None:
    from penstock.control import audit as audit_module

    audit_module.record(
        tx,
        now=now,
        actor=home.operator(),
        actor_type="operator",
        action=action,
        community_uuid=community_uuid,
        object_uuid=object_uuid,
        detail=detail,
    )
