"""`penstock init`: the home folder, made once, completed when half made."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import Any

from penstock import errors
from penstock import settings as settings_module
from penstock.cli import home, output
from penstock.cli.commands import operator
from penstock.cli.options import operating
from penstock.control import apikeys, communities, secrets, states


def init(options: operating.Init) -> None:
    """Makes the home, and says what is in it."""
    made = make_home(options.community, if_missing=options.if_missing)
    if options.as_json:
        output.emit_json(made)
        return
    if not made["created"]:
        output.say(f"The home folder {made['home']} is already made.")
        return
    output.facts([("Home", made["home"]), ("Community", made["community"]), ("Community UUID", made["community_uuid"])])
    output.say(f"API key (also kept in {made['client_file']}, for commands on this machine): {made['api_key']}")
    output.say("Next: penstock serve")


def make_home(community: str, *, if_missing: bool) -> dict[str, Any]:
    """Makes what is missing of the home; a half-made home (a crash in between) is completed.

    Raises:
        Conflict: `home_exists`, unless `if_missing`.
        UsageError: `home_not_writable`, and those of the master key and the database.
    """
    folder = home.path()
    known = home.stored_client()
    if known is not None:
        if not if_missing:
            raise errors.Conflict(
                "home_exists",
                f"The home folder {folder} is already made.",
                "Use it, or set PENSTOCK_HOME to another place. More API keys: penstock apikey create.",
            )
        return {"created": False, "home": str(folder), "community": known.community}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A home in a checkout must not be committed: it holds keys.
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise errors.UsageError(
            "home_not_writable", f"The home folder {folder} cannot be made: {error.strerror}.", "Set PENSTOCK_HOME."
        ) from error
    return _fill_home(folder, community)


def _fill_home(folder: pathlib.Path, community: str) -> dict[str, Any]:
    settings = settings_module.load()
    if not settings.master_key.reveal():
        secrets.MasterKeys.create(folder)
    now = dt.datetime.now(dt.UTC)
    with operator.database() as database, database.begin() as tx:
        found = [each for each in communities.list_all(tx) if each.name == community]
        first = found[0] if found else communities.create(tx, name=community, now=now)
        key, token = apikeys.create(
            tx, communities=[first.uuid], permissions=list(states.Permission), name="first key", now=now
        )
        for action, uuid in (("community.created", first.uuid), ("apikey.created", key.uuid)):
            operator.record(tx, action, community_uuid=first.uuid, object_uuid=uuid, now=now)
    # Last: the file is the sign that the home is whole. A crash before it lets `init` complete what is there.
    home.store_client(home.StoredClient(api_key=token, community_uuid=first.uuid, community=first.name))
    return {
        "created": True,
        "home": str(folder),
        "community": first.name,
        "community_uuid": first.uuid,
        "api_key": token,
        "api_key_uuid": key.uuid,
        "client_file": str(folder / "client.json"),
    }
