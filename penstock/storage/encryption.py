"""How an export is encrypted where it lies."""

from __future__ import annotations

import enum


class Encryption(enum.StrEnum):
    """The ways; the words are the API's.

    `sse-c`: with the customer key, which every download needs. `sse-kms`: a customer's bucket encrypts with a key of
    its KMS. `bucket-default`: a customer's bucket does what it is set to do. `none`: the service's own storage, where
    the operator allows it: whoever has the URL reads the file.
    """

    SSE_C = "sse-c"
    SSE_KMS = "sse-kms"
    BUCKET_DEFAULT = "bucket-default"
    NONE = "none"

    @property
    def needs_customer_key(self) -> bool:
        """A customer key belongs to the export."""
        return self is Encryption.SSE_C


OF_A_BUCKET = (Encryption.SSE_C, Encryption.SSE_KMS, Encryption.BUCKET_DEFAULT)
"""What the `s3` member of a request may say."""
