"""Opens a community's event table where the settings say that it lies: Penstock's own, or an attached one."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TypeVar

from penstock import settings as settings_module
from penstock.lake import table
from penstock.lake.attached import definition
from penstock.process import lakes

K = TypeVar("K")


def open_table(settings: settings_module.Settings, community_uuid: str) -> table.EventTable:
    """The community's event table; made on first use, unless it is attached.

    Raises:
        Conflict: `community_detached`.
        StorageError: `lake_failed`: what is attached is not known.
    """
    defined = attached_to(settings, community_uuid)
    if defined is not None:
        # What reads others' tables takes a tenth of a command's start to load, and most lakes have none.
        from penstock.process import attached_tables

        return attached_tables.open_attached(settings, community_uuid, defined)
    return table.EventTable(
        lakes.open_lake(settings),
        community_uuid,
        keep_bytes=settings.disk_keep_bytes,
        batch_ttl_seconds=settings.batch_id_ttl_seconds,
    )


def kept(
    opened: MutableMapping[K, table.EventTable], key: K, settings: settings_module.Settings, community_uuid: str
) -> table.EventTable:
    """The community's event table out of those that a process has open, or opened now. Raises as `open_table`.

    One object for each, since it keeps the newest snapshot; another one when another table was attached.
    """
    known = opened.get(key)
    if known is not None and known.is_current():
        return known
    made = open_table(settings, community_uuid)
    if known is None:
        # One step: of two threads that come first at once, both get the same table.
        return opened.setdefault(key, made)
    opened[key] = made
    return made


def attached_to(settings: settings_module.Settings, community_uuid: str) -> definition.Definition | None:
    """What the community's events are attached to; None if they are Penstock's own.

    Raises:
        Conflict: `community_detached`.
        StorageError: `lake_failed`.
    """
    return definition.read(lakes.open_lake(settings).table(community_uuid))
