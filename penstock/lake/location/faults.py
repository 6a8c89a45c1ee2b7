"""What a bucket's answers mean for a lake: codes of their own, since here only the operator can act, and nobody reads
them but the operator."""

from __future__ import annotations

from penstock import errors

_ENDPOINT = "lake_s3_endpoint_url (or s3_endpoint_url)"
_KEYS = "lake_s3_access_key_id and lake_s3_secret_access_key (or s3_access_key_id and s3_secret_access_key)"

_CODES = {
    "storage_unavailable": ("lake_unavailable", f"Check the server, the network and {_ENDPOINT}."),
    "damaged_in_transit": ("lake_unavailable", "Check the network."),
    "no_such_bucket": ("lake_no_such_bucket", f"Create the bucket, or correct lake_path or {_ENDPOINT}."),
    "storage_no_credentials": ("lake_no_credentials", f"Set {_KEYS}, or give the machine a role."),
    "unknown_access_key": ("lake_access_denied", f"Correct {_KEYS}."),
    "wrong_secret_key": ("lake_access_denied", f"Correct {_KEYS}."),
    "expired_credentials": ("lake_access_denied", "Get new credentials, or give the machine a role."),
    "access_denied": ("lake_access_denied", ""),
    "wrong_customer_key": ("lake_access_denied", "The object is encrypted with a key that Penstock does not have."),
    "clock_skew": ("lake_clock_skew", "Set this machine's clock (NTP), or that server's."),
    "wrong_region": ("lake_wrong_region", "Set lake_s3_region (or s3_region) to the bucket's region."),
    "tls_untrusted": (
        "lake_tls_untrusted",
        f"Use the certificate's name in {_ENDPOINT}; for a CA of your own set lake_s3_ca_file (or s3_ca_file).",
    ),
}
"""Code of the storage's error table -> code of the lake, and what to do; empty: what the table says."""


def of_lake(error: errors.PenstockError) -> errors.PenstockError:
    """The lake's error for one that `storage.s3.error_table` made."""
    if isinstance(error, errors.NoRoom):
        return error
    code, hint = _CODES.get(error.code, ("lake_bucket_refused", "Check the bucket, and lake_path."))
    return errors.StorageError(code, f"The lake's bucket: {error.detail}", hint or error.hint)


def lost_updates(bucket: str, endpoint: str) -> errors.ConfigurationError:
    """The error of a server on which two writers would overwrite one another's commits."""
    return errors.ConfigurationError(
        "lake_no_conditional_writes",
        f"{endpoint or 'AWS'} ignores conditional writes (If-None-Match) in the bucket {bucket!r}: of two writers at "
        "once, one would lose its events.",
        "Keep the lake on a disk, or on a server that honours them: AWS, Ceph, MinIO and others do.",
    )
