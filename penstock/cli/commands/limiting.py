"""`penstock community limits`: what one community may export, shown and set."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from penstock import errors
from penstock.cli import home, output
from penstock.cli.options import connection

if TYPE_CHECKING:
    from penstock.control import limits as limits_module

_DEFAULT = "default"


def community_limits(
    community: Annotated[str, typer.Argument(metavar="COMMUNITY", help="Name or UUID.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="LIMIT=N",
            help="Set a limit of this community; LIMIT=default takes the setting again. May be repeated.",
        ),
    ] = None,
    as_json: connection.Json = False,
) -> None:
    """Show the limits in force for a community, or set its own."""
    from penstock.control import audit, communities, limits

    settings = home.settings()
    with home.database() as database:
        with database.begin() as tx:
            uuid = communities.by_name_or_uuid(tx, community).uuid
            if changes:
                own = changed(limits.overrides(tx, uuid), changes)
                limits.set_for_community(tx, uuid, own)
                audit.record(
                    tx,
                    now=dt.datetime.now(dt.UTC),
                    actor=home.operator(),
                    actor_type="operator",
                    action="community.limits_set",
                    community_uuid=uuid,
                    object_uuid=uuid,
                    detail={"set": list(changes)},
                )
        with database.read() as tx:
            own_values = dataclasses.asdict(limits.overrides(tx, uuid))
            in_force = dataclasses.asdict(limits.for_community(tx, uuid, settings))
    if as_json:
        own_only = {name: value for name, value in own_values.items() if value is not None}
        output.emit_json({"community_uuid": uuid, "limits": in_force, "own": own_only})
        return
    output.table(
        ["LIMIT", "VALUE", "FROM"],
        [[name, value, "setting" if own_values[name] is None else "community"] for name, value in in_force.items()],
        numbers=["VALUE"],
    )


def changed(own: limits_module.Overrides, changes: Sequence[str]) -> limits_module.Overrides:
    """The overrides with `LIMIT=N` and `LIMIT=default` put in.

    Raises:
        InvalidRequest: `invalid_limit`.
    """
    from penstock.control import limits

    for change in changes:
        name, _, text = change.partition("=")
        if name not in limits.NAMES or not (text == _DEFAULT or (text.isascii() and text.isdigit())):
            raise errors.InvalidRequest(
                "invalid_limit",
                f"{change!r} sets no limit.",
                f"Write LIMIT=N or LIMIT=default; limits are {', '.join(limits.NAMES)}.",
            )
        own = dataclasses.replace(own, **{name: None if text == _DEFAULT else int(text)})
    return own
