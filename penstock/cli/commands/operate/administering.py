"""`penstock community`, `apikey`, `keys`, `audit`: what the operator of a home decides, straight in its database."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.cli import home, output, tables
from penstock.cli.commands import local, operator
from penstock.cli.commands.operate import attaching
from penstock.cli.options import administering
from penstock.control import apikeys, communities, limits
from penstock.control import audit as audit_log


def community_create(options: administering.CommunityCreate) -> None:
    """Creates a community."""
    now = dt.datetime.now(dt.UTC)
    own = limits.Overrides(
        export_max_events=options.export_max_events, quota_bytes_per_month=options.quota_bytes_per_month
    )
    with operator.database() as database, database.begin() as tx:
        made = communities.create(tx, name=options.name, now=now, limits=own)
        operator.record(
            tx,
            "community.created",
            community_uuid=made.uuid,
            object_uuid=made.uuid,
            detail={"name": options.name},
            now=now,
        )
    if options.as_json:
        output.emit_json(dataclasses.asdict(made))
    else:
        output.say(f"Community {made.name} created: {made.uuid}")


def community_list(options: administering.CommunityList) -> None:
    """Lists the communities."""
    with operator.database() as database, database.read() as tx:
        found = communities.list_all(tx)
    settings = local.settings()
    attached = {each.uuid: attaching.attachment(settings, each.uuid) for each in found}
    if options.as_json:
        output.emit_json([{**dataclasses.asdict(each), "attached": attached[each.uuid].as_json} for each in found])
        return
    tables.table(
        ["NAME", "UUID", "CREATED", "EVENTS"],
        [[each.name, each.uuid, each.created_at, attached[each.uuid].called] for each in found],
    )


def apikey_create(options: administering.ApikeyCreate) -> None:
    """Creates an API key, and shows it once."""
    now = dt.datetime.now(dt.UTC)
    with operator.database() as database, database.begin() as tx:
        uuids = [communities.by_name_or_uuid(tx, each).uuid for each in options.community]
        made, token = apikeys.create(tx, communities=uuids, permissions=options.permission, name=options.name, now=now)
        for uuid in made.community_uuids:
            operator.record(
                tx,
                "apikey.created",
                community_uuid=uuid,
                object_uuid=made.uuid,
                detail={"permissions": sorted(made.permissions)},
                now=now,
            )
    if options.as_json:
        output.emit_json({**dataclasses.asdict(made), "api_key": token})
        return
    output.facts([("API key UUID", made.uuid), ("Permissions", sorted(made.permissions))])
    output.say(f"API key, shown once: {token}")


def apikey_list(options: administering.ApikeyList) -> None:
    """Lists API keys."""
    with operator.database() as database, database.read() as tx:
        names = {each.uuid: each.name for each in communities.list_all(tx)}
        wanted = communities.by_name_or_uuid(tx, options.community).uuid if options.community else None
        found = apikeys.list_all(tx, wanted)
    if options.as_json:
        output.emit_json([dataclasses.asdict(each) for each in found])
        return
    tables.table(
        ["UUID", "NAME", "COMMUNITIES", "PERMISSIONS", "CREATED", "REVOKED"], [_row(each, names) for each in found]
    )


def _row(key: apikeys.ApiKey, names: dict[str, str]) -> list[Any]:
    reached = [names.get(uuid, uuid) for uuid in key.community_uuids]
    return [key.uuid, key.name, reached, sorted(key.permissions), key.created_at, key.revoked_at]


def apikey_grant(options: administering.ApikeyGrant) -> None:
    """Lets an API key reach more communities."""
    with operator.database() as database, database.begin() as tx:
        uuids = [communities.by_name_or_uuid(tx, each).uuid for each in options.community]
        wanted = options.uuid or _key_of_init(tx)
        before = {uuid for key in apikeys.list_all(tx) if key.uuid == wanted for uuid in key.community_uuids}
        granted = apikeys.grant(tx, wanted, uuids)
        for uuid in set(uuids) - before:
            operator.record(tx, "apikey.granted", community_uuid=uuid, object_uuid=granted.uuid)
        names = {each.uuid: each.name for each in communities.list_all(tx)}
    if options.as_json:
        output.emit_json(dataclasses.asdict(granted))
    else:
        reached = ", ".join(names[uuid] for uuid in granted.community_uuids)
        output.say(f"API key {granted.uuid} ({granted.name}) reaches: {reached}")


def _key_of_init(tx: sa.Connection) -> str:
    """The UUID of the key that commands on this machine use."""
    stored = home.stored_client()
    if stored is None:
        raise errors.UsageError("api_key_not_given", "No API key is named.", "List them: penstock apikey list.")
    return apikeys.authenticate(tx, stored.api_key, dt.datetime.now(dt.UTC)).uuid


def apikey_revoke(options: administering.ApikeyRevoke) -> None:
    """Revokes an API key."""
    now = dt.datetime.now(dt.UTC)
    with operator.database() as database, database.begin() as tx:
        revoked = apikeys.revoke(tx, options.uuid, now)
        for community_uuid in revoked.community_uuids:
            operator.record(tx, "apikey.revoked", community_uuid=community_uuid, object_uuid=options.uuid, now=now)
    if options.as_json:
        output.emit_json(dataclasses.asdict(revoked))
    else:
        output.say(f"API key {options.uuid} is revoked.")


def audit(options: administering.Audit) -> None:
    """Shows the newest entries of the audit."""
    with operator.database() as database, database.read() as tx:
        wanted = [communities.by_name_or_uuid(tx, options.community).uuid] if options.community else None
        filters = audit_log.Filters(communities=wanted, action=options.action, object_uuid=options.object_uuid)
        found, _ = audit_log.list_entries(tx, filters, options.limit, 0)
    if options.as_json:
        output.emit_json([dataclasses.asdict(entry) for entry in found])
        return
    tables.table(
        ["AT", "ACTOR", "ACTION", "OBJECT", "DETAIL"],
        [
            [entry.at, f"{entry.actor_type} {entry.actor}", entry.action, entry.object_uuid, _detail(entry.detail)]
            for entry in found
        ],
    )


def _detail(detail: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in detail.items())
