"""Opens tables that somebody else writes, and makes them a community's events."""

from __future__ import annotations

from penstock import settings as settings_module
from penstock.lake.attached import definition, snapshots, stores
from penstock.lake.attached import table as attached
from penstock.process import lakes


def open_attached(
    settings: settings_module.Settings, community_uuid: str, defined: definition.Definition
) -> attached.AttachedTable:
    """A table that somebody else writes, as a community's. Nothing is read or written yet."""
    most_bytes = settings.attach_spill_bytes
    spill = snapshots.SpillPlace(settings.resolved_attach_spill_path, most_bytes, settings.disk_keep_bytes)
    return attached.AttachedTable(
        lakes.open_lake(settings),
        community_uuid,
        defined,
        access_of(settings),
        closed=_closed(settings),
        spill=spill if most_bytes else None,
    )


def _closed(settings: settings_module.Settings) -> str:
    """Where our own lake lies, as attached tables would name it."""
    if settings.lake_bucket is None:
        return settings.resolved_lake_path
    is_same = (settings.lake_s3_endpoint_url or settings.s3_endpoint_url) == settings.attach_s3_endpoint_url
    return "/".join(("s3:/", *filter(None, settings.lake_bucket))) if is_same else ""


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
    """Makes a community's events those of a table that was looked at; a new community, or one whose table was detached.

    Raises StorageError `lake_failed`.
    """
    folder = lakes.open_lake(settings).table(community_uuid)
    definition.write(folder, looked_at.defined)
    looked_at.hand_over(folder)


def detach(settings: settings_module.Settings, community_uuid: str) -> None:
    """Ends that the community's events are an attached table; idempotent. Raises StorageError `lake_failed`."""
    attached.detach(lakes.open_lake(settings).table(community_uuid))
