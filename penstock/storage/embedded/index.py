"""The embedded store's records: one small file per upload; the folder where it lies is the upload's state."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
import json
from typing import Any, Self

from penstock import errors
from penstock.storage.contract import ObjectInfo, Receipt, Upload
from penstock.storage.embedded import crypto
from penstock.storage.keys import CustomerKey

VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is known of an upload from its first moment.

    Attributes:
        key: the object's key.
        upload_id: names the folder of its parts.
        started_at: UTC.
        content_type: for downloads.
        filename: for downloads whose URL names none.
        salt: hex; see `crypto`.
        check_value: hex; see `crypto`.
        own_key: hex of the key of an object without a customer key; None: it has one. Such an object is as good as
            plain to whoever can read this folder, but still chunked and authenticated like all others.
    """

    key: str
    upload_id: str
    started_at: dt.datetime
    content_type: str
    filename: str
    salt: str
    check_value: str
    own_key: str | None = None

    @property
    def upload(self) -> Upload:
        """As the contract names it."""
        return Upload(key=self.key, upload_id=self.upload_id, started_at=self.started_at)

    def to_bytes(self) -> bytes:
        """One line of JSON."""
        return _line(self._members())

    def _members(self) -> dict[str, object]:
        members = {field.name: getattr(self, field.name) for field in dataclasses.fields(Record)}
        return {"version": VERSION, **members, "started_at": self.started_at.isoformat()}

    @classmethod
    def from_bytes(cls, content: bytes) -> Record:
        """The record in an upload's or in a finished object's file."""
        members = _members_of(content)
        names = [field.name for field in dataclasses.fields(Record)]
        values = {name: members[name] for name in names if name in members}
        return Record(**{**values, "started_at": dt.datetime.fromisoformat(values["started_at"])})

    def keys(self, customer_key: CustomerKey | None) -> crypto.ObjectKeys:
        """The keys of this upload, if `customer_key` is the one it began with; one that began without needs none.

        Raises:
            AccessDenied: `wrong_customer_key`.
        """
        used = CustomerKey(bytes.fromhex(self.own_key)) if self.own_key else customer_key
        if used is None:
            raise errors.AccessDenied(
                "wrong_customer_key", f"{self.key!r} is encrypted with a customer key, and none was given."
            )
        keys = derive_keys(used, self.salt, self.upload_id, self.key)
        # A value of its own, before any chunk: a wrong key would else look like damage, and only after the answer had
        # begun.
        if not hmac.compare_digest(keys.check_value, bytes.fromhex(self.check_value)):
            raise errors.AccessDenied(
                "wrong_customer_key",
                f"The customer key is not the one that {self.key!r} was encrypted with.",
                "Use the key that was shown when the export was started; its MD5 is `sse_customer_key_md5`.",
            )
        return keys


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """A finished object: its upload's record and its parts, authenticated under the customer key.

    Attributes:
        record: the upload it was.
        parts: receipts in order.
        modified_at: when it was completed, UTC.
    """

    record: Record
    parts: tuple[Receipt, ...]
    modified_at: dt.datetime

    @property
    def info(self) -> ObjectInfo:
        """As the contract describes it."""
        digest = hashlib.sha256("".join(part.etag for part in self.parts).encode()).hexdigest()[:32]
        return ObjectInfo(
            key=self.record.key,
            size=sum(part.size for part in self.parts),
            etag=f"{digest}-{len(self.parts)}",
            modified_at=self.modified_at,
        )

    def to_bytes(self, keys: crypto.ObjectKeys) -> bytes:
        """Two lines: JSON, and its authentication code."""
        parts = [[part.number, part.size, part.etag] for part in self.parts]
        line = _line({**self.record._members(), "parts": parts, "modified_at": self.modified_at.isoformat()})
        return line + keys.authenticate_index(line).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, customer_key: CustomerKey | None) -> tuple[Self, crypto.ObjectKeys]:
        """The index and the keys of the object, when `customer_key` is the right one.

        Raises:
            AccessDenied: `wrong_customer_key`.
            StorageError: `object_damaged`.
        """
        # Read before it is authenticated, since it holds the salt that the authenticating key is derived with.
        record = Record.from_bytes(content)
        keys = record.keys(customer_key)
        line, _, code = content.partition(b"\n")
        # Before anything of it is believed: whoever can write the folder could else leave parts out or put them in
        # again.
        if not hmac.compare_digest(keys.authenticate_index(line + b"\n").encode(), code.strip()):
            raise crypto.damaged("its index is not the one that was written")
        members = _members_of(content)
        parts = tuple(Receipt(number=number, size=size, etag=etag) for number, size, etag in members["parts"])
        return cls(record=record, parts=parts, modified_at=dt.datetime.fromisoformat(members["modified_at"])), keys


def derive_keys(customer_key: CustomerKey, salt: str, upload_id: str, key: str) -> crypto.ObjectKeys:
    """The keys of one upload, unchecked."""
    # The zero bytes keep id and key apart; `naming.check_key` lets none into a key.
    return crypto.ObjectKeys(customer_key, bytes.fromhex(salt), f"{upload_id}\0{key}\0".encode())


def _line(members: dict[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def _members_of(content: bytes) -> dict[str, Any]:
    try:
        members: dict[str, Any] = json.loads(content.partition(b"\n")[0])
        version = members["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise crypto.damaged("its record cannot be read") from error
    if version != VERSION:
        raise crypto.damaged(f"its record has version {version!r}, and this program knows {VERSION}")
    return members
