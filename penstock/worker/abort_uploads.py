"""Clears an unfinished upload away from a customer's bucket, as long as the sealed credentials are at hand."""

from __future__ import annotations

import structlog

from penstock import errors, storage
from penstock.control import exports, secrets
from penstock.process import services

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
"""Of a customer's store, see `storage.open_customer_store`: to abort an upload takes five times as long at the most."""


def abort_at_customer(open_services: services.Services, claim: exports.Claim, upload: storage.Upload) -> None:
    """Aborts the upload. Best effort, bounded, idempotent: what cannot be aborted is named in the log."""
    assert claim.sealed_destination is not None, "a customer's bucket"
    try:
        context = secrets.destination_context(claim.task_uuid)
        bucket = storage.CustomerBucket.from_bytes(open_services.master_keys.unseal(claim.sealed_destination, context))
        open_services.customer_store(bucket, patience_seconds=PATIENCE_SECONDS).abort(upload)
    except errors.PenstockError as error:
        tell_what_is_left(claim, upload, error.code, error.detail)


def tell_what_is_left(claim: exports.Claim, upload: storage.Upload, code: str, detail: str) -> None:
    """A warning with all that the customer needs to abort the upload."""
    log.warning(
        "customers_upload_left",
        export_id=claim.task_uuid,
        destination=claim.export.destination,
        object_key=upload.key,
        upload_id=upload.upload_id,
        code=code,
        detail=detail,
    )
