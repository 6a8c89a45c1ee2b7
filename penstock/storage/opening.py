"""Opens the stores that settings and requests name. Apart from the rest of the room: clients need the keys and the
contract, and have no use for the stores and what these load."""

from __future__ import annotations

import contextlib
import math
import urllib.parse
from typing import TYPE_CHECKING, Any

from penstock import errors
from penstock.base import clock as clocks
from penstock.storage import wrapping
from penstock.storage.bucket import CustomerBucket
from penstock.storage.contract import MIN_PART_BYTES, Store
from penstock.storage.embedded import store as embedded
from penstock.storage.s3 import endpoint_guard

if TYPE_CHECKING:
    from penstock import settings as settings_module
    from penstock.storage.s3.store import S3Store


def open_service_store(settings: settings_module.Settings, *, signing_key: bytes, clock: clocks.Clock) -> Store:
    """The service's own store, as `settings.storage` says: an `EmbeddedStore` in the home folder, or an `S3Store`.

    Opening touches neither disk nor network.

    Args:
        settings: the service's settings.
        signing_key: secret of the service (32 bytes or more) from which the embedded store derives the key that signs
            its URLs; the same in every process.
        clock: the time that URLs expire by, and that paces retries.

    Raises:
        ConfigurationError: `incomplete_s3_settings`, `plain_http_refused`, `invalid_s3_settings`.
    """
    if settings.storage == "embedded":
        return embedded.EmbeddedStore(
            settings.home.resolve() / "exports",
            signing_key=signing_key,
            public_url=settings.resolved_public_url,
            clock=clock,
            keep_bytes=settings.disk_keep_bytes,
            min_part_bytes=min(MIN_PART_BYTES, settings.part_bytes),  # S3's rule holds where S3 is
        )
    return open_service_bucket(settings, clock=clock)


def open_service_bucket(settings: settings_module.Settings, *, clock: clocks.Clock) -> S3Store:
    """The service's own bucket, for `penstock storage init` and `check`. Raises what `open_service_store` raises."""
    from penstock.storage.s3 import store as s3  # boto3 costs a third of a second that the embedded mode never needs

    if not settings.s3_bucket or bool(settings.s3_access_key_id) != bool(settings.s3_secret_access_key):
        raise errors.ConfigurationError(
            "storage_settings_incomplete",
            "The S3 storage lacks its bucket, or half of its credentials.",
            "Set s3_bucket, and both or neither of s3_access_key_id and s3_secret_access_key.",
        )
    try:
        return s3.S3Store(
            s3.S3Settings(
                bucket=settings.s3_bucket,
                prefix=settings.s3_prefix,
                region=settings.s3_region,
                endpoint_url=settings.s3_endpoint_url,
                access_key_id=settings.s3_access_key_id,
                secret_access_key=settings.s3_secret_access_key,
                ca_file=settings.s3_ca_file,
                allow_http=settings.s3_allow_http,
                **_patience(settings),
            ),
            clock=clock,
        )
    except errors.DestinationError as error:
        raise errors.ConfigurationError("storage_settings_invalid", error.detail, error.hint) from error


def open_customer_store(
    bucket: CustomerBucket,
    settings: settings_module.Settings,
    *,
    patience_seconds: float = math.inf,
    clock: clocks.Clock | None = None,
) -> S3Store:
    """A store in a customer's bucket, behind the endpoint guard. Opening speaks to nobody but the resolver.

    A host that cannot be resolved passes: the store's `probe` says so better. `patience_seconds` is the most that
    retries, connecting and silence may take, each: a call then lasts five times as long at the most.

    Raises:
        DestinationError: `endpoint_not_allowed`, `invalid_s3_settings`.
    """
    from penstock.storage.s3 import store as s3  # as above

    guard = endpoint_guard.EndpointGuard(settings.endpoint_allow_list)
    store = s3.S3Store(
        s3.S3Settings(
            bucket=bucket.bucket_name,
            prefix=bucket.prefix,
            region=bucket.region_name,
            endpoint_url=bucket.endpoint_url or "",
            access_key_id=bucket.access_key_id,
            secret_access_key=bucket.secret_access_key,
            ca_file=settings.customer_ca_file,
            guard=guard,
            encryption=bucket.encryption,
            kms_key_id=bucket.kms_key_id or "",
            **_patience(settings, patience_seconds),
        ),
        clock=clock,
    )
    if bucket.endpoint_url:
        parts = urllib.parse.urlsplit(bucket.endpoint_url)
        # For a clear refusal before anything starts. It does not replace the check at each connection: a name may
        # resolve differently a moment later.
        with contextlib.suppress(OSError, UnicodeError):
            guard.addresses(parts.hostname or "", parts.port or endpoint_guard.HTTPS_PORT)
    return store


def open_wrapping_keys(settings: settings_module.Settings, store: Store) -> wrapping.FileKeys | wrapping.BucketKeys:
    """Where the wrapping keys of exports lie: beside the exports of the service's own `store`."""
    if settings.storage == "embedded":
        return wrapping.FileKeys(settings.home.resolve() / "exports" / "keys")
    return wrapping.BucketKeys(store, settings.s3_prefix)


def _patience(settings: settings_module.Settings, most_seconds: float = math.inf) -> dict[str, Any]:
    return {
        "retry_seconds": min(settings.s3_retry_seconds, most_seconds),
        "connect_timeout_seconds": min(settings.s3_connect_timeout_seconds, most_seconds),
        "read_timeout_seconds": min(settings.s3_read_timeout_seconds, most_seconds),
    }
