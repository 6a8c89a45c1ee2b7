"""Clears what an export leaves in a customer's bucket, as long as the sealed credentials are at hand."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from penstock import errors, storage
from penstock.control import exports, secrets
from penstock.process import services

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
"""Of a customer's store, see `opening.open_customer_store`: each call takes five times as long at the most."""


def abort_at_customer(
    open_services: services.Services, claim: exports.Claim, object_key: str, upload: storage.Upload | None
) -> None:
    """Aborts the export's upload, and any that a dead worker had begun and could not write down.

    Best effort, bounded, idempotent: what cannot be aborted is named in the log.
    """
    try:
        store = _store(open_services, claim)
        if upload is not None:
            store.abort(upload)
        abort_unrecorded(store, claim, object_key)
    except errors.PenstockError as error:
        tell_what_is_left(claim, object_key, upload, error.code, error.detail)


def abort_unrecorded(store: storage.Store, claim: exports.Claim, object_key: str) -> None:
    """Aborts all unfinished uploads to the export's own key. Best effort: credentials may not allow to list them."""
    try:
        for upload in _unfinished(store, object_key):
            store.abort(upload)
            log.info("unrecorded_upload_aborted", export_id=claim.task_uuid, upload_id=upload.upload_id)
    except errors.PenstockError as error:
        tell_what_is_left(claim, object_key, None, error.code, error.detail)


def delete_at_customer(open_services: services.Services, claim: exports.Claim, object_key: str) -> None:
    """Deletes the file of an export that was canceled when it was complete, and its manifest. Best effort."""
    try:
        store = _store(open_services, claim)
        for key in (object_key, storage.manifest_key(object_key)):
            store.delete(key)
    except errors.PenstockError as error:
        tell_what_is_left(claim, object_key, None, error.code, error.detail)


def tell_what_is_left(
    claim: exports.Claim, object_key: str, upload: storage.Upload | None, code: str, detail: str
) -> None:
    """A warning with all that the customer needs to clear the bucket."""
    log.warning(
        "customers_upload_left",
        export_id=claim.task_uuid,
        destination=claim.export.destination,
        object_key=object_key,
        upload_id=upload.upload_id if upload else None,
        code=code,
        detail=detail,
    )


def _store(open_services: services.Services, claim: exports.Claim) -> storage.Store:
    assert claim.sealed_destination is not None, "a customer's bucket"
    context = secrets.destination_context(claim.task_uuid)
    bucket = storage.CustomerBucket.from_bytes(
        open_services.vault.unseal(claim.task_uuid, claim.sealed_destination, context)
    )
    return open_services.customer_store(bucket, patience_seconds=PATIENCE_SECONDS)


def _unfinished(store: storage.Store, object_key: str) -> Iterator[storage.Upload]:
    # S3 lists by prefix: `a/export_1` finds `a/export_10` too, and that may be another export's.
    return (upload for upload in store.list_unfinished(object_key) if upload.key == object_key)
