"""What every store does. One behaviour suite (tests/behaviour) holds all implementations to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Protocol

from penstock.storage.keys import CustomerKey

MIN_PART_BYTES = 5 * 1024 * 1024
"""S3's smallest part, save the last."""

MAX_PARTS = 10_000
"""S3's largest number of parts in one upload."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """An upload that has begun and is neither completed nor aborted.

    Attributes:
        key: object key, below the store's prefix rules; `/`-separated, no leading `/`.
        upload_id: the store's name for the upload; opaque.
        started_at: when it began (UTC); None where the caller did not need it.
    """

    key: str
    upload_id: str
    started_at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """The store's word that it holds one part.

    Attributes:
        number: 1-based; rising in the order of the file, gaps allowed.
        etag: opaque; needed to complete.
        size: bytes of the part's plain content.
    """

    number: int
    etag: str
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """What `head` says.

    Attributes:
        key: object key.
        size: bytes of the plain content.
        etag: opaque.
        modified_at: UTC.
    """

    key: str
    size: int
    etag: str
    modified_at: dt.datetime


class Store(Protocol):
    """Where exports are put. All calls are synchronous and safe from several threads.

    Errors: `errors.ObjectMissing`, `errors.AccessDenied`, `errors.StorageError` (after the store's own bounded
    retries), `errors.DestinationError` (a customer's bucket that cannot be used). Nothing else escapes.
    """

    def begin(self, key: str, customer_key: CustomerKey, *, content_type: str, filename: str) -> Upload:
        """Starts a multipart upload. `filename` is what a browser saves the object as."""
        ...

    def put_part(self, upload: Upload, number: int, body: bytes | memoryview, customer_key: CustomerKey) -> Receipt:
        """Puts part `number` (again replaces it). Parts may come in any order and from several threads."""
        ...

    def complete(self, upload: Upload, receipts: Sequence[Receipt], customer_key: CustomerKey) -> ObjectInfo:
        """Makes the object of the parts with these receipts, atomically; other parts of the upload are dropped.

        Part numbers rise and may have gaps. Completing again after success returns the same object.
        """
        ...

    def abort(self, upload: Upload) -> None:
        """Drops the upload and its parts. Idempotent; no error if it is gone."""
        ...

    def put(self, key: str, body: bytes, customer_key: CustomerKey, *, content_type: str, filename: str) -> ObjectInfo:
        """Puts a small object in one go (the manifest)."""
        ...

    def presign(self, key: str, customer_key: CustomerKey, *, expires_in_seconds: int, filename: str) -> str:
        """A URL that GETs the object until it expires; useless without the customer key; never contains it."""
        ...

    def head(self, key: str, customer_key: CustomerKey) -> ObjectInfo:
        """Facts of a finished object."""
        ...

    def read(self, key: str, customer_key: CustomerKey, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The plain bytes [start, end) in pieces of bounded size."""
        ...

    def delete(self, key: str) -> None:
        """Deletes a finished object. Idempotent."""
        ...

    def list_unfinished(self, prefix: str = "") -> Iterator[Upload]:
        """Uploads that began and neither completed nor aborted, `started_at` set."""
        ...

    def probe(self, customer_key: CustomerKey) -> None:
        """Writes, reads back and deletes a tiny encrypted object; raises DestinationError that names what failed."""
        ...
