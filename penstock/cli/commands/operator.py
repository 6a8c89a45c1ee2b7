"""What the operator's commands open: the settings in force, the control plane, all services of the home."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.cli import home
from penstock.cli.commands import local
from penstock.control import audit, communities
from penstock.control import database as database_module


@contextlib.contextmanager
def database() -> Iterator[database_module.Database]:
    """The control plane alone, its tables brought up to date: for commands that need no more."""
    opened = database_module.Database(local.settings().resolved_database_url)
    try:
        opened.migrate()
        yield opened
    finally:
        opened.close()


def community_of(opened: database_module.Database, wanted: str | None) -> communities.Community:
    """The community that is meant; without a name the one of `penstock init`, or the only one there is."""
    stored = home.stored_client()
    with opened.read() as tx:
        if wanted is None and stored is not None:
            wanted = stored.community_uuid
        if wanted is not None:
            return communities.by_name_or_uuid(tx, wanted)
        known = communities.list_all(tx)
    if len(known) == 1:
        return known[0]
    raise errors.UsageError(
        "community_needed",
        f"There are {len(known)} communities.",
        f"Name one with --community: {', '.join(each.name for each in known) or 'create one first'}.",
    )


def record(
    tx: sa.Connection,
    action: str,
    *,
    community_uuid: str | None,
    object_uuid: str | None = None,
    detail: dict[str, Any] | None = None,
    now: dt.datetime | None = None,
) -> None:
    """An entry of the audit by whoever is at the terminal."""
    audit.record(
        tx,
        now=now or dt.datetime.now(dt.UTC),
        actor=local.operator(),
        actor_type="operator",
        action=action,
        community_uuid=community_uuid,
        object_uuid=object_uuid,
        detail=detail or {},
    )
