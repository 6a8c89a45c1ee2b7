"""The customer key of SSE-C: 256 bits that the service forgets as soon as the export ends."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from penstock import errors

ALGORITHM = "AES256"
KEY_BYTES = 32
_HINT = "Make one with: openssl rand -base64 32"


class CustomerKey:
    """A 256-bit SSE-C key. Prints as ***; compares in constant time; cannot be pickled."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise errors.DestinationError(
                "invalid_customer_key",
                f"The customer key has {len(raw)} bytes; it must have {KEY_BYTES}.",
                _HINT,
            )
        self._raw = bytes(raw)

    @classmethod
    def generate(cls) -> CustomerKey:
        """A new random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, key: str, *, md5: str | None = None, algorithm: str | None = None) -> CustomerKey:
        """A key from its base64 text, as S3 headers and the API carry it.

        Raises:
            DestinationError: `invalid_customer_key` (not base64, not 32 bytes, algorithm other than AES256) or
                `customer_key_md5_mismatch`.
        """
        if algorithm not in (None, ALGORITHM):
            raise errors.DestinationError(
                "invalid_customer_key", f"The algorithm {algorithm!r} is not supported.", "Only AES256 is."
            )
        try:
            # Without `validate` characters outside the alphabet are skipped, and a mistyped key becomes another key.
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise errors.DestinationError(
                "invalid_customer_key", "The customer key is not valid base64.", _HINT
            ) from error
        parsed = cls(raw)
        if md5 is not None and not hmac.compare_digest(md5.encode(), parsed.md5.encode()):
            raise errors.CustomerKeyMismatch(
                "customer_key_md5_mismatch",
                "The MD5 that came with the customer key is not the key's.",
                "Send the base64 of the MD5 of the key's 32 raw bytes, or leave it out.",
            )
        return parsed

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return self._raw

    @property
    def base64(self) -> str:
        """The key as the headers carry it. Show it once, to its owner."""
        return base64.b64encode(self._raw).decode()

    @property
    def md5(self) -> str:
        """Base64 of the MD5 of the raw key: names the key without giving it away."""
        # MD5 is what S3's header asks for. It guards against a damaged header, not against people: the key is random.
        return base64.b64encode(hashlib.md5(self._raw, usedforsecurity=False).digest()).decode()

    def headers(self) -> dict[str, str]:
        """The three request headers of S3."""
        prefix = "x-amz-server-side-encryption-customer-"
        return {f"{prefix}algorithm": ALGORITHM, f"{prefix}key": self.base64, f"{prefix}key-MD5": self.md5}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CustomerKey) and hmac.compare_digest(self._raw, other._raw)

    def __hash__(self) -> int:
        return hash(self.md5)

    def __repr__(self) -> str:
        return "CustomerKey(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a customer key is not pickled")
