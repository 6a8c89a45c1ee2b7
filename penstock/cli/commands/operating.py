"""`penstock init`, `serve`, `worker`: a home folder, and the processes that work from it."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock import errors
from penstock.cli import home, output
from penstock.cli.options import connection

if TYPE_CHECKING:
    from penstock.process.server import Listening


def init(
    community: Annotated[
        str, typer.Option("--community", metavar="NAME", help="Name of the first community.")
    ] = "main",
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Do nothing if the home is already made.")] = False,
    as_json: connection.Json = False,
) -> None:
    """Make the home folder: master key, database, first community, first API key."""
    made = make_home(community, if_missing=if_missing)
    if as_json:
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
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise errors.UsageError(
            "home_not_writable", f"The home folder {folder} cannot be made: {error.strerror}.", "Set PENSTOCK_HOME."
        ) from error
    return _fill_home(folder, community)


def _fill_home(folder: pathlib.Path, community: str) -> dict[str, Any]:
    import datetime as dt

    from penstock import settings as settings_module
    from penstock.control import apikeys, audit, communities, secrets, states

    settings = settings_module.load()
    if not settings.master_key.get_secret_value():
        secrets.MasterKeys.create(folder)
    now = dt.datetime.now(dt.UTC)
    with home.database() as database, database.begin() as tx:
        found = [each for each in communities.list_all(tx) if each.name == community]
        first = found[0] if found else communities.create(tx, name=community, now=now)
        key, token = apikeys.create(
            tx, communities=[first.uuid], permissions=list(states.Permission), name="first key", now=now
        )
        for action, uuid in (("community.created", first.uuid), ("apikey.created", key.uuid)):
            audit.record(
                tx,
                now=now,
                actor=home.operator(),
                actor_type="operator",
                action=action,
                community_uuid=first.uuid,
                object_uuid=uuid,
            )
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


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on. Default: the setting `host`.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one. Default: the setting `port`."),
    ] = None,
    with_tls: Annotated[
        bool, typer.Option("--tls", help="Serve https, with a certificate of the home's own CA (made if missing).")
    ] = False,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Answer requests only; exports are run by `penstock worker` elsewhere.")
    ] = False,
) -> None:
    """Run the service: the API, and a worker beside it. Ctrl-C or SIGTERM stop it without losing work."""
    from penstock.process import server

    values: dict[str, Any] = {}
    if host is not None:
        values["host"] = host
    if port is not None:
        values["port"] = port
    settings = home.settings(**values)
    announcement = home.Announcement()

    def announce(listening: Listening) -> None:
        announcement.make(
            home.RunningService(
                url=listening.url, ca_file=str(listening.ca_file) if listening.ca_file else None, pid=os.getpid()
            )
        )
        output.say(listening.announcement())

    with announcement:
        server.serve(settings, tls=with_tls, worker=not no_worker, announce=announce)


def worker() -> None:
    """Run a worker: search jobs, exports, sweeping. SIGTERM lets it finish its part and give its lease back."""
    from penstock import worker as worker_module
    from penstock.process import logs

    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        settings = home.settings()
        logs.configure(settings)
        with home.services() as services:
            working = worker_module.Worker(services)
            working.start()
            try:
                output.say(f"Worker {working.worker_id} looks for work. Ctrl-C stops it.")
                stop.wait()
            finally:
                working.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
