"""Where exports are put: one contract, S3 and the embedded store; customer keys.

contract        Store, Upload, Receipt, ObjectInfo: what every store does
keys            CustomerKey
bucket          CustomerBucket: the `s3` member of a request
naming          object keys and file names
embedded        EmbeddedStore, and embedded_http for its downloads
s3              S3Store; s3_errors translates every botocore error; s3_http sends requests
endpoint_guard  which endpoints of customers may be spoken to
"""

from __future__ import annotations

from penstock import clock as clocks
from penstock import settings as settings_module
from penstock.storage.bucket import CustomerBucket
from penstock.storage.contract import MAX_PARTS, MIN_PART_BYTES, ObjectInfo, Receipt, Store, Upload
from penstock.storage.keys import CustomerKey
from penstock.storage.naming import (
    EXPORT_CONTENT_TYPE,
    MANIFEST_CONTENT_TYPE,
    content_disposition,
    manifest_key,
    object_key,
)

__all__ = [
    "EXPORT_CONTENT_TYPE",
    "MANIFEST_CONTENT_TYPE",
    "MAX_PARTS",
    "MIN_PART_BYTES",
    "CustomerBucket",
    "CustomerKey",
    "ObjectInfo",
    "Receipt",
    "Store",
    "Upload",
    "content_disposition",
    "manifest_key",
    "object_key",
    "open_customer_store",
    "open_service_store",
]


def open_service_store(settings: settings_module.Settings, *, signing_key: bytes, clock: clocks.Clock) -> Store:
    """The service's own store, as `settings.storage` says: an `EmbeddedStore` in the home folder, or an `S3Store`.

    Args:
        settings: the service's settings.
        signing_key: secret of the service (32 bytes or more) from which the embedded store derives the key that signs
            its URLs; the same in every process.
        clock: the time that URLs expire by.

    Raises:
        ConfigurationError: `incomplete_s3_settings`, `plain_http_refused`; `home_unwritable`.
    """
    raise NotImplementedError


def open_customer_store(bucket: CustomerBucket, settings: settings_module.Settings) -> Store:
    """A store in a customer's bucket, behind the endpoint guard. Opening speaks to nobody but the resolver.

    Raises:
        DestinationError: `endpoint_not_allowed`, `invalid_s3_settings`.
    """
    raise NotImplementedError
