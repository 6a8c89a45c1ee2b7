"""Whose events a dump takes, and its entry in the audit: without SQLAlchemy where the home's own database allows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from penstock import settings as settings_module
from penstock.cli import home
from penstock.cli.commands import local
from penstock.control.schema import embedded


def community_uuid(settings: settings_module.Settings, wanted: str | None) -> str:
    """The community that is meant; without a name the one of `penstock init`, or the only one there is.

    Raises:
        NotFound: `community_not_found`.
        UsageError: `community_needed`.
    """
    stored = home.stored_client()
    name = wanted or (stored.community_uuid if stored else None)
    with embedded.opened(settings.resolved_database_url) as quick:
        found = quick.community(name) if quick and name else None
    if found is not None:
        return found[0]
    from penstock.cli.commands import operator  # brings SQLAlchemy, which takes longer to load than a small dump

    with operator.database() as database:
        return operator.community_of(database, wanted).uuid


def record(settings: settings_module.Settings, action: str, owner: str, detail: Mapping[str, Any]) -> None:
    """An entry of the audit by whoever is at the terminal."""
    with embedded.opened(settings.resolved_database_url) as quick:
        if quick is not None:
            now = dt.datetime.now(dt.UTC)
            quick.record(now=now, actor=local.operator(), action=action, community_uuid=owner, detail=detail)
            return
    from penstock.cli.commands import operator  # as above

    with operator.database() as database, database.begin() as tx:
        operator.record(tx, action, community_uuid=owner, detail=dict(detail))
