"""Opens a community's event table where the settings say that it lies: Penstock's own, or an attached one."""

from __future__ import annotations

from penstock import settings as settings_module
from penstock.lake import table
from penstock.lake.attached import definition, stores
from penstock.lake.attached import table as attached
from penstock.process import lakes


def open_table(settings: settings_module.Settings, community_uuid: str) -> table.EventTable:
    """The community's event table; made on first use, unless it is attached.

    Raises:
        StorageError: `lake_failed`: what is attached is not known.
    """
    defined = attached_to(settings, community_uuid)
    if defined is not None:
        return open_attached(settings, community_uuid, defined)
    return table.EventTable(
        lakes.open_lake(settings),
        community_uuid,
        keep_bytes=settings.disk_keep_bytes,
        batch_ttl_seconds=settings.batch_id_ttl_seconds,
    )


def open_attached(
    settings: settings_module.Settings, community_uuid: str, defined: definition.Definition
) -> attached.AttachedTable:
    """A table that somebody else writes, as a community's. Nothing is read or written yet."""
    return attached.AttachedTable(lakes.open_lake(settings), community_uuid, defined, access_of(settings))


def access_of(settings: settings_module.Settings) -> stores.Access:
    """How attached tables in S3 are reached."""
    return stores.Access(
        endpoint_url=settings.attach_s3_endpoint_url,
        region=settings.attach_s3_region,
        access_key_id=settings.attach_s3_access_key_id,
        secret_access_key=settings.attach_s3_secret_access_key,
        allow_http=settings.attach_s3_allow_http,
    )


def attach(settings: settings_module.Settings, community_uuid: str, looked_at: attached.AttachedTable) -> None:
    """Makes a new community's events those of a table that was looked at. Raises StorageError `lake_failed`."""
    folder = lakes.open_lake(settings).table(community_uuid)
    definition.write(folder, looked_at.defined)
    looked_at.hand_over(folder)


def attached_to(settings: settings_module.Settings, community_uuid: str) -> definition.Definition | None:
    """What the community's events are attached to; None if they are Penstock's own. Raises StorageError."""
    return definition.read(lakes.open_lake(settings).table(community_uuid))
