"""Where exports are put: one contract, S3 and the embedded store; customer keys.

opening         opens the stores that settings and requests name
contract        Store, Upload, Receipt, ObjectInfo: what every store does
keys            CustomerKey
bucket          CustomerBucket: the `s3` member of a request
naming          object keys and file names
embedded        EmbeddedStore, its encrypted files and signed URLs
s3              S3Store, a table that translates every botocore error, which endpoints of customers may be spoken to
"""

from __future__ import annotations

from penstock.base.secret import Secret
from penstock.storage.bucket import CustomerBucket
from penstock.storage.contract import MAX_PARTS, MAX_S3_URL_SECONDS, MIN_PART_BYTES, ObjectInfo, Receipt, Store, Upload
from penstock.storage.encryption import Encryption
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
    "MAX_S3_URL_SECONDS",
    "MIN_PART_BYTES",
    "CustomerBucket",
    "CustomerKey",
    "Encryption",
    "ObjectInfo",
    "Receipt",
    "Secret",
    "Store",
    "Upload",
    "content_disposition",
    "manifest_key",
    "object_key",
]
