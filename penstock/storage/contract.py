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

MAX_S3_URL_SECONDS = 7 * 86_400
"""S3 refuses URLs that are signed for longer."""


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
        number: 1-based, consecutive.
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
    """Where exports are put. All calls are synchronous and safe from several threads and processes.

    Errors: `errors.ObjectMissing` (`object_missing`, `upload_missing`), `errors.AccessDenied` (`wrong_customer_key`, or
    a permission that lacks), `errors.StorageError` (after the store's own bounded retries), `errors.DestinationError`
    (`invalid_prefix`; a customer's bucket or endpoint that cannot be used). Nothing else escapes.

    `customer_key` None, the same in all calls of an object: the store encrypts it in its own way or not at all, and its
    URL needs no key (`encryption.Encryption`).
    """

    def begin(self, key: str, customer_key: CustomerKey | None, *, content_type: str, filename: str) -> Upload:
        """Starts a multipart upload. `filename` is what a browser saves the object as.

        Not idempotent: an answer that is lost leaves an upload that only `list_unfinished` knows.
        """
        ...

    def put_part(
        self, upload: Upload, number: int, body: bytes | memoryview, customer_key: CustomerKey | None
    ) -> Receipt:
        """Puts part `number` (again replaces it). Parts may come in any order and from several threads.

        The receipt is given when the part is durable. Needs only the upload's key and id, so that another process can
        go on. After `complete` or `abort` the upload is missing.
        """
        ...

    def complete(
        self, upload: Upload, receipts: Sequence[Receipt], customer_key: CustomerKey | None, *, gaps: bool = False
    ) -> ObjectInfo:
        """Makes the object of the parts, atomically. Completing again after success returns the same object.

        Raises `invalid_part` when the receipts, in any order, do not run from 1 without a gap (with `gaps`: when one
        comes twice; then the caller knows that none is lost), when a part but the last is under `MIN_PART_BYTES`, or
        when the store does not hold a part as its receipt says; the upload then goes on.
        """
        ...

    def abort(self, upload: Upload) -> None:
        """Drops the upload and its parts. Idempotent; no error if it is gone; a finished object is spared."""
        ...

    def put(
        self, key: str, body: bytes, customer_key: CustomerKey | None, *, content_type: str, filename: str
    ) -> ObjectInfo:
        """Puts a small object in one go (the manifest). Idempotent: again replaces it."""
        ...

    def presign(self, key: str, customer_key: CustomerKey | None, *, expires_in_seconds: int, filename: str) -> str:
        """A URL that GETs the object until it expires; useless without the customer key; never contains it."""
        ...

    def head(self, key: str, customer_key: CustomerKey | None) -> ObjectInfo:
        """Facts of a finished object."""
        ...

    def read(
        self, key: str, customer_key: CustomerKey | None, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """The plain bytes [start, end) in pieces of at most 1 MiB, cut at the object's end as a slice is.

        Existence and key are checked at the call, not at the first piece.
        """
        ...

    def delete(self, key: str) -> None:
        """Deletes a finished object. Idempotent."""
        ...

    def list_unfinished(self, prefix: str = "") -> Iterator[Upload]:
        """Uploads that began and neither completed nor aborted, `started_at` set."""
        ...

    def blocks_customer_keys(self) -> bool:
        """Whether the store is set to refuse objects with customer keys; False where it does not say."""
        ...

    def probe(self, customer_key: CustomerKey | None) -> None:
        """Writes, reads back and deletes a tiny encrypted object, within seconds.

        Raises `DestinationError` `destination_not_writable` with the step that failed and why; `extra["reason"]` is the
        code of the cause.
        """
        ...
