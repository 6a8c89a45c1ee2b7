"""`penstock community limits`: what one community may export, shown and set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from penstock import errors
from penstock.cli import output, tables
from penstock.cli.commands import local, operator
from penstock.cli.options import administering
from penstock.control import communities, limits

_DEFAULT = "default"


def community_limits(options: administering.CommunityLimits) -> None:
    """Sets the limits that are named, then shows all in force."""
    settings = local.settings()
    with operator.database() as database:
        with database.begin() as tx:
            uuid = communities.by_name_or_uuid(tx, options.community).uuid
            if options.changes:
                limits.set_for_community(tx, uuid, changed(limits.overrides(tx, uuid), options.changes))
                operator.record(
                    tx,
                    "community.limits_set",
                    community_uuid=uuid,
                    object_uuid=uuid,
                    detail={"set": list(options.changes)},
                )
        with database.read() as tx:
            own_values = dataclasses.asdict(limits.overrides(tx, uuid))
            in_force = dataclasses.asdict(limits.for_community(tx, uuid, settings))
    if options.as_json:
        own_only = {name: value for name, value in own_values.items() if value is not None}
        output.emit_json({"community_uuid": uuid, "limits": in_force, "own": own_only})
        return
    tables.table(
        ["LIMIT", "VALUE", "FROM"],
        [[name, value, "setting" if own_values[name] is None else "community"] for name, value in in_force.items()],
        numbers=["VALUE"],
    )


def changed(own: limits.Overrides, changes: Sequence[str]) -> limits.Overrides:
    """The overrides with `LIMIT=N` and `LIMIT=default` put in.

    Raises:
        InvalidRequest: `invalid_limit`.
    """
    for change in changes:
        name, _, text = change.partition("=")
        # `isdigit` alone takes digits of other scripts, some of which `int` refuses.
        if name not in limits.NAMES or not (text == _DEFAULT or (text.isascii() and text.isdigit())):
            raise errors.InvalidRequest(
                "invalid_limit",
                f"{change!r} sets no limit.",
                f"Write LIMIT=N or LIMIT=default; limits are {', '.join(limits.NAMES)}.",
            )
        own = dataclasses.replace(own, **{name: None if text == _DEFAULT else int(text)})
    return own
