"""A customer's own bucket: the `s3` member of an export request, and its sealed form while the export is active."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Self

from penstock import errors
from penstock.base.secret import Secret
from penstock.storage import naming
from penstock.storage.encryption import OF_A_BUCKET, Encryption

_REQUIRED = ("bucket_name", "access_key_id", "secret_access_key")
_OPTIONAL = ("prefix", "endpoint_url", "region_name", "encryption", "kms_key_id")
MEMBERS = _REQUIRED + _OPTIONAL
DEFAULT_REGION = "us-east-1"

# Wider than today's rule for new buckets: old ones in us-east-1 may have capitals, underscores and 255 characters.
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CustomerBucket:
    """Where a customer wants an export, and the credentials to put it there.

    Attributes:
        bucket_name: the bucket; the service never makes one.
        access_key_id: name of the credentials.
        secret_access_key: their secret; prints as ***.
        prefix: first part of the object keys, without outer `/`; may be empty.
        endpoint_url: https URL of an S3-compatible server; None: AWS.
        region_name: the bucket's region.
        encryption: `sse-c`, `sse-kms` or `bucket-default`.
        kms_key_id: the key of its KMS, for `sse-kms`; None: the bucket's own choice.
    """

    bucket_name: str
    access_key_id: str
    secret_access_key: Secret
    prefix: str = ""
    endpoint_url: str | None = None
    region_name: str = DEFAULT_REGION
    encryption: Encryption = Encryption.SSE_C
    kms_key_id: str | None = None

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> Self:
        """A bucket from the `s3` member of a request; members it does not know are ignored (the `sse_customer_*` ones).

        Only the text is judged here. `opening.open_customer_store` judges the endpoint, its `probe` the bucket.

        Raises:
            DestinationError: `incomplete_s3_settings` (names every missing member), `invalid_s3_settings` (a member
                that is no text, no bucket name, no region name), `invalid_prefix`.
        """
        for name in MEMBERS:
            if not isinstance(members.get(name), str | None):
                raise _invalid(name, "it must be a text")
        # Pasted keys often bring a space or a line break along; none of these values can begin or end with one.
        values = {name: (members.get(name) or "").strip() for name in MEMBERS}
        missing = [name for name in _REQUIRED if not values[name]]
        if missing:
            raise errors.DestinationError(
                "incomplete_s3_settings",
                f"The s3 settings lack {' and '.join(missing)}.",
                f"A bucket of your own needs {', '.join(_REQUIRED)}; leave `s3` out to use the service's storage.",
                missing=missing,
            )
        if not _BUCKET_NAME.fullmatch(values["bucket_name"]):
            raise _invalid("bucket_name", f"{values['bucket_name']!r} is not a name a bucket can have")
        if values["region_name"] and not _REGION_NAME.fullmatch(values["region_name"]):
            raise _invalid("region_name", f"{values['region_name']!r} is not a region's name")
        encryption = _checked_encryption(values["encryption"], values["kms_key_id"])
        # They become header text, where a line break would begin another header.
        if not (values["access_key_id"] + values["secret_access_key"]).isprintable():
            raise _invalid("access_key_id or secret_access_key", "it has a control character")
        return cls(
            bucket_name=values["bucket_name"],
            access_key_id=values["access_key_id"],
            secret_access_key=Secret(values["secret_access_key"]),
            prefix=_checked_prefix(values["prefix"]),
            endpoint_url=values["endpoint_url"] or None,
            region_name=values["region_name"] or DEFAULT_REGION,
            encryption=encryption,
            kms_key_id=values["kms_key_id"] or None,
        )

    def seal_bytes(self) -> bytes:
        """JSON with the secret in clear, for `control.secrets` to seal. Keep it nowhere else."""
        members = {name: getattr(self, name) for name in MEMBERS}
        return json.dumps({**members, "secret_access_key": self.secret_access_key.reveal()}).encode()

    @classmethod
    def from_bytes(cls, unsealed: bytes) -> Self:
        """The bucket whose `seal_bytes` were unsealed."""
        members = json.loads(unsealed)
        known = {
            "secret_access_key": Secret(members["secret_access_key"]),
            # What an earlier version sealed has no such member; then there was one way only.
            "encryption": Encryption(members.get("encryption", Encryption.SSE_C)),
        }
        return cls(**(members | known))

    @property
    def destination(self) -> str:
        """For people: `s3://bucket/prefix`, with the endpoint where it is not AWS."""
        place = f"s3://{self.bucket_name}/{self.prefix}".rstrip("/")
        return f"{place} at {self.endpoint_url}" if self.endpoint_url else place


def _checked_encryption(encryption: str, kms_key_id: str) -> Encryption:
    known = ", ".join(OF_A_BUCKET)
    if encryption and encryption not in OF_A_BUCKET:
        raise _invalid("encryption", f"{encryption!r} is none of {known}")
    chosen = Encryption(encryption or Encryption.SSE_C)
    if kms_key_id and chosen is not Encryption.SSE_KMS:
        raise _invalid("kms_key_id", f"it belongs to encryption sse-kms, not to {chosen}")
    if not kms_key_id.isprintable() or len(kms_key_id) > 2048:
        raise _invalid("kms_key_id", "it is no name of a key")
    return chosen


def _checked_prefix(prefix: str) -> str:
    prefix = prefix.strip("/")
    if prefix:
        naming.check_key(prefix)
    return prefix


def _invalid(member: str, why: str) -> errors.DestinationError:
    return errors.DestinationError(
        "invalid_s3_settings",
        f"The s3 setting {member} cannot be used: {why}.",
        "Correct it and send the request again.",
    )
