"""What an export is, as its callers see it: values only, no SQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from penstock.control import leases
from penstock.control.states import ExportStatus


class CancelRequested(Exception):
    """Somebody asked for the export to be canceled, and was told that it would be: it must not finish any more."""


def new_task_uuid() -> str:
    """A fresh UUID for `NewExport.task_uuid`; needed first, since secrets are sealed to it."""
    return str(uuid.uuid4())


def fingerprint(body: Any, job_uuid: str, api_key_uuid: str) -> str:
    """SHA-256 (hex) that tells whether two requests with one Idempotency-Key ask for the same.

    `body` is the request's JSON value, or None for no body; the order of its names does not matter. Only the hash is
    stored: a customer key in the body cannot be read back from it.
    """
    # ASCII with escapes: a lone surrogate in the body could not be encoded as UTF-8.
    canonical = json.dumps([body, job_uuid, api_key_uuid], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NewExport:
    """All that `start` needs to know.

    Attributes:
        task_uuid: from `new_task_uuid`.
        job_uuid: the search job it exports.
        community_uuid: the one community it reads.
        fields: checked field names, in the order asked.
        term: the query text.
        term_lang: always `dork` today.
        filters: the search job's filters, as JSON values.
        earliest: inclusive (UTC).
        latest: exclusive (UTC).
        expected_events: the search job's total, for progress and the event cap.
        compression: `fast` or `small`.
        destination: where it lands, for people: `service` or `s3://bucket/prefix`; never a secret.
        in_customer_bucket: a customer's bucket; its objects are never deleted by us.
        encryption: `sse-c`, `sse-kms`, `bucket-default` or `none` (`storage.Encryption`).
        sse_customer_key_md5: base64 MD5 that names the customer key; None: it has none, as `encryption` says.
        customer_key_generated: the service made the key, so the answer that starts the export shows it.
        sealed_customer_key: sealed under `secrets.customer_key_context(task_uuid)`; None: there is none.
        sealed_destination: the customer's bucket settings, sealed under `secrets.destination_context(task_uuid)`;
            None for the service's own storage.
        wrapping_key: of the sealed secrets (`vault`), for the caller to keep before the start; never in the database.
        created_by: API key UUID.
        created_by_type: `apikey`.
        idempotency_key: the Idempotency-Key header; None if there was none.
        idempotency_fingerprint: from `fingerprint`; needed with `idempotency_key`.
        idempotency_ttl_seconds: how long the key is remembered.
    """

    task_uuid: str
    job_uuid: str
    community_uuid: str
    fields: tuple[str, ...]
    term: str
    term_lang: str = "dork"
    filters: tuple[Mapping[str, Any], ...] = ()
    earliest: dt.datetime
    latest: dt.datetime
    expected_events: int
    compression: str = "fast"
    destination: str = "service"
    in_customer_bucket: bool = False
    encryption: str = "sse-c"
    sse_customer_key_md5: str | None
    customer_key_generated: bool
    sealed_customer_key: bytes | None
    sealed_destination: bytes | None = None
    created_by: str
    created_by_type: str = "apikey"
    wrapping_key: bytes | None = dataclasses.field(default=None, repr=False)
    idempotency_key: str | None = None
    idempotency_fingerprint: str | None = None
    idempotency_ttl_seconds: int = 86_400


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """One export; to API clients, a task. Sealed secrets are not part of it: see Claim and StartedExport.

    Attributes:
        task_uuid: its name.
        job_uuid: the search job that started it; may be gone by now.
        community_uuid: whose events it reads.
        status: where it stands.
        fields, term, term_lang, filters, earliest, latest, compression, destination, in_customer_bucket,
            encryption, sse_customer_key_md5, customer_key_generated, created_by, created_by_type: as in NewExport.
        expected_events: events it should hold; the plan's count once there is a plan.
        created_at, started_at, ended_at: UTC; started_at is the first claim's.
        snapshot_version: version of the community's table it reads; None before the plan.
        plan_json: the deterministic plan; None before the plan.
        object_key: key of the object in the destination; None before the plan.
        part_bytes: size of its parts; None before the plan.
        upload_id: the store's name for the running upload; None before it began.
        progress_events: events written so far; never falls while one upload goes on.
        written_bytes: uncompressed bytes in recorded parts; at the end, of the whole file.
        compressed_bytes: bytes in recorded parts; at the end, of the whole file. This is what the quota counts.
        cancel_requested_at, cancel_requested_by: somebody asked the worker to cancel.
        worker_id, lease_until: who holds it, until when; None when nobody does.
        attempts: leases taken and not given back, the present one included; beyond `max_attempts`, those of sweepers.
        max_attempts: how many there may be.
        deadline_at: when it ends FAILED at the latest; None before the first claim.
        waits: how often in a row it was given back because of a fault that passes; 0 once it goes on.
        waiting_for: a sentence about that fault; None while nothing holds it up.
        error_code, error_message: why it FAILED.
        download_url, manifest_url: presigned; None before it FINISHED and after the object is gone.
        expire_at: end of the download window; None before it FINISHED.
        object_deleted_at: when the sweeper removed the object.
    """

    task_uuid: str
    job_uuid: str
    community_uuid: str
    status: ExportStatus
    fields: tuple[str, ...]
    term: str
    term_lang: str
    filters: tuple[dict[str, Any], ...]
    earliest: dt.datetime
    latest: dt.datetime
    compression: str
    destination: str
    in_customer_bucket: bool
    encryption: str
    sse_customer_key_md5: str | None
    customer_key_generated: bool
    expected_events: int
    created_at: dt.datetime
    created_by: str
    created_by_type: str
    snapshot_version: int | None
    plan_json: str | None
    object_key: str | None
    part_bytes: int | None
    upload_id: str | None
    progress_events: int
    written_bytes: int
    compressed_bytes: int
    started_at: dt.datetime | None
    cancel_requested_at: dt.datetime | None
    cancel_requested_by: str | None
    worker_id: str | None
    lease_until: dt.datetime | None
    attempts: int
    max_attempts: int
    deadline_seconds: int
    deadline_at: dt.datetime | None
    waits: int
    waiting_for: str | None
    ended_at: dt.datetime | None
    error_code: str | None
    error_message: str | None
    download_url: str | None
    manifest_url: str | None
    expire_at: dt.datetime | None
    object_deleted_at: dt.datetime | None

    def is_downloadable(self, now: dt.datetime) -> bool:
        """FINISHED, and its window has not closed: only then may `download_url` be shown."""
        return self.download_url is not None and self.expire_at is not None and now < self.expire_at


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StartedExport:
    """The answer of `start`.

    Attributes:
        export: the new export, or the one that the same Idempotency-Key started earlier.
        replayed: True in the latter case; the caller's freshly generated key must then be thrown away.
        sealed_customer_key: the key of `export`, so that the answer can show a generated one. In a replay it is there
            as long as the export is active; once the export has ended the key is erased and this is None.
    """

    export: Export
    replayed: bool
    sealed_customer_key: bytes | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One uploaded part: a checkpoint.

    Attributes:
        number: 1-based.
        etag: the store's receipt.
        size: compressed bytes.
        events: events whose lines end in this part.
        raw_bytes: bytes before compression.
        sha256: of the part's bytes, hex.
        crc32: of its raw bytes.
        next_slice: the slice that a resumed export goes on with after this part.
        segments_json: what the manifest says of its deflate segments, JSON text.
    """

    number: int
    etag: str
    size: int
    events: int
    raw_bytes: int
    sha256: str
    crc32: int
    next_slice: int
    segments_json: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Claim(leases.Hold):
    """A worker's hold on one export; `uuid` is the task's.

    Attributes:
        export: the export when it was claimed; `cancel_requested_at` may already be set.
        parts: recorded parts in ascending number; a gap means that what follows must be written again.
        sealed_customer_key: under `secrets.customer_key_context(task_uuid)`; None: the export has no customer key.
        sealed_destination: under `secrets.destination_context(task_uuid)`; None for the service's storage.
    """

    export: Export
    parts: tuple[Part, ...]
    sealed_customer_key: bytes | None = dataclasses.field(repr=False)
    sealed_destination: bytes | None = dataclasses.field(repr=False)

    @property
    def task_uuid(self) -> str:
        """The export."""
        return self.uuid


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Renewal:
    """What a worker learns when it renews its lease.

    Attributes:
        cancel_requested: stop, abort the upload, call `canceled`.
        deadline_passed: stop, abort the upload, call `fail` with `deadline_exceeded(export)`.
        lease_until: when the lease ends unless renewed.
    """

    cancel_requested: bool
    deadline_passed: bool
    lease_until: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LeftObject:
    """An object in the service's storage that must not be there any more.

    Attributes:
        task_uuid, community_uuid: whose it is.
        status: FINISHED (its window closed), FAILED or CANCELED (it may or may not exist).
        object_key: its key; the manifest lies beside it.
        upload_id: an upload to abort first; None if there was none.
    """

    task_uuid: str
    community_uuid: str
    status: ExportStatus
    object_key: str
    upload_id: str | None
