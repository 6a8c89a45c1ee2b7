"""The ends of a run that are not FINISHED: one table of what is written down and what becomes of the upload."""

from __future__ import annotations

import dataclasses
import uuid

import structlog

from penstock import errors
from penstock.base import pacing
from penstock.control import exports, leases
from penstock.worker import telling

log = structlog.get_logger(__name__)

WAITS = pacing.Pace(first_seconds=2.0, longest_seconds=300.0)
"""How long an export rests after a fault that passes; longer each time, until it makes progress again."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a run ends.

    Attributes:
        name: for steps and the log.
        write: writes it down, under the claim's fence; raises LeaseLost.
        clears: the export is over, and what it has in its store goes; else the next worker goes on from there.
    """

    name: str
    write: leases.Change
    clears: bool


def canceled(claim: exports.Claim) -> End:
    """Somebody asked for it."""
    return End(name="cancel", write=lambda tx, now: exports.canceled(tx, claim, now), clears=True)


def released(claim: exports.Claim) -> End:
    """This process ends; the next worker goes on at once."""
    return End(name="release", write=lambda tx, now: exports.release(tx, claim, now), clears=False)


def after(error: errors.PenstockError, claim: exports.Claim) -> End:
    """A fault that passes lets the export wait; all else ends it FAILED.

    | fault                                   | end    | counts as an attempt |
    |-----------------------------------------|--------|----------------------|
    | store, disk, database do not answer     | waits  | no                   |
    | the lake, or an object, is damaged      | waits  | yes: it may well last |
    | a shard is lost again and again         | waits  | yes: it may be what kills |
    | the master key of a secret is not here  | waits  | no: another worker may have it |
    | a customer's bucket refuses             | FAILED |                      |
    | anything else                           | FAILED |                      |
    """
    # Joins the tenant's message to the log line that has the paths and addresses which tenants must not read.
    error_id = uuid.uuid4().hex[:12]
    reason = telling.for_tenant(error, error_id, is_own_bucket=claim.export.in_customer_bucket)
    counts = error.code in LASTING
    # Here and not at the next claim: the error at hand tells more than "5 workers stopped without finishing".
    passes = _passes(error, claim) and not (counts and claim.export.attempts >= claim.export.max_attempts)
    log.warning(
        "export_waits" if passes else "export_failed",
        export_id=claim.task_uuid,
        code=error.code,
        detail=error.detail,
        error_id=error_id,
    )
    if not passes:
        return End(name="fail", write=lambda tx, now: exports.fail(tx, claim, error.code, reason, now), clears=True)
    # A worker that lacks the key leaves the export alone for a while by itself; others may take it at once.
    lacks_key = isinstance(error, errors.MasterKeyUnknown)
    pause_seconds = 0.0 if lacks_key else WAITS.pause_seconds(claim.export.waits + 1)
    return End(
        name="wait",
        write=lambda tx, now: exports.wait(tx, claim, reason, now, pause_seconds=pause_seconds, counts=counts),
        clears=False,
    )


LASTING = frozenset(
    {"lake_failed", "attached_table_unreadable", "object_damaged", "invalid_part", "upload_missing", "shard_lost"}
)
"""Faults of a store, of the lake or of a slice that may be damage, which no waiting helps against."""


def _passes(error: errors.PenstockError, claim: exports.Claim) -> bool:
    if isinstance(error, errors.BucketRefused):
        return not claim.export.in_customer_bucket  # in the service's own bucket the operator can change what is wrong
    return error.retriable or isinstance(error, errors.MasterKeyUnknown)
