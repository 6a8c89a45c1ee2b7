"""Where the event tables lie, as the settings say: in a folder of a disk, or in a bucket."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from penstock import errors
from penstock import settings as settings_module
from penstock.lake import location

if TYPE_CHECKING:
    from penstock.lake.location import s3


def open_lake(settings: settings_module.Settings) -> location.Lake:
    """Where the event tables lie, as the settings say. Speaks to nobody.

    Raises:
        ConfigurationError: `lake_settings_incomplete`, `lake_plain_http_refused`.
    """
    place = settings.lake_bucket
    return location.DiskLake(settings.resolved_lake_path) if place is None else _bucket_lake(settings, *place)


def check_lake(settings: settings_module.Settings) -> None:
    """Asks the bucket of a lake once whether it answers; nothing for a lake on a disk.

    Raises:
        ConfigurationError: as `open_lake`.
        StorageError: `lake_…`.
    """
    place = settings.lake_bucket
    if place is not None:
        _bucket_lake(settings, *place).check()


def probe_lake(settings: settings_module.Settings) -> str | None:
    """Tries what a lake needs of its bucket; the bucket's name, None for a lake on a disk. Raises as `check_lake`."""
    place = settings.lake_bucket
    if place is None:
        return None
    _bucket_lake(settings, *place).probe()
    return place[0]


def _bucket_lake(settings: settings_module.Settings, name: str, prefix: str) -> s3.S3Lake:
    from penstock.lake.location import bucket, s3  # boto3 costs a third of a second that a lake on a disk never needs

    key, secret = settings.lake_s3_access_key_id or settings.s3_access_key_id, settings.resolved_lake_secret
    if bool(key) != bool(secret):
        raise errors.ConfigurationError(
            "lake_settings_incomplete",
            "The lake's bucket has one half of its credentials.",
            "Set both or neither of lake_s3_access_key_id and lake_s3_secret_access_key (or of the s3_ ones).",
        )
    address = bucket.Address(
        bucket=name,
        region=settings.lake_s3_region or settings.s3_region,
        endpoint_url=settings.lake_s3_endpoint_url or settings.s3_endpoint_url,
        access_key_id=key,
        secret_access_key=secret,
        ca_file=settings.lake_s3_ca_file or settings.s3_ca_file,
        allow_http=settings.s3_allow_http,
        retry_seconds=settings.s3_retry_seconds,
        connect_timeout_seconds=settings.s3_connect_timeout_seconds,
        read_timeout_seconds=settings.s3_read_timeout_seconds,
    )
    return s3.S3Lake(
        address=address,
        prefix=prefix,
        cache_folder=pathlib.Path(settings.resolved_lake_cache_path),
        cache_bytes=settings.lake_cache_bytes,
        keep_bytes=settings.disk_keep_bytes,
    )
