"""Starting an export: all checks and the row in one transaction, so that races cannot slip between them.

`start` locks the community's row first (on SQLite the whole transaction holds the write lock), which lines up all
starts of a community. The unique index on (community, active slot) would refuse a second active export even without it.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from penstock import errors
from penstock.control import audit, quota, states
from penstock.control import limits as limits_module
from penstock.control.exports import reading, records
from penstock.control.schema import inserting, tables

_EXPORTS = tables.exports
_KEYS = tables.idempotency_keys
_COMMUNITIES = tables.communities

_COPIED = (
    "task_uuid",
    "job_uuid",
    "community_uuid",
    "term",
    "term_lang",
    "earliest",
    "latest",
    "expected_events",
    "compression",
    "destination",
    "in_customer_bucket",
    "encryption",
    "customer_key_generated",
    "sealed_customer_key",
    "sealed_destination",
    "created_by",
    "created_by_type",
)


def start(
    tx: sa.Connection, new: records.NewExport, *, limits: limits_module.Limits, now: dt.datetime
) -> records.StartedExport:
    """Starts an export (PENDING), or returns the one that the same Idempotency-Key started.

    Raises:
        NotFound: `community_not_found`.
        Conflict: `idempotency_key_reused` (same key, other request); `search_job_export_limit` (`extra`: `limit`);
            `export_in_progress` (`extra`: `task_uuid` of the oldest active export).
        InvalidRequest: `too_many_events`, without ranges: callers that have a histogram call `limits.check_events`.
        QuotaExhausted: `monthly_quota_exhausted`.
    """
    _lock_community(tx, new.community_uuid)
    # Before every limit: a client that lost the first answer gets it again, though that very export fills the slot now.
    earlier = replay(tx, new.created_by, new.idempotency_key, new.idempotency_fingerprint, now)
    if earlier is not None:
        return earlier
    limits_module.check_events(new.expected_events, limits)
    slot = _slot(tx, new, limits, now)
    # Can happen only to starts that `_lock_community` does not line up; the unique index has the last word.
    if not _insert(tx, new, slot, limits, now):
        raise _in_progress(_oldest_active(tx, new.community_uuid), limits.active_exports)
    if not _remember_key(tx, new, now):  # a start in another community had it first
        raise _reused(new.idempotency_key, None)
    audit.record(
        tx,
        now=now,
        actor=new.created_by,
        actor_type=new.created_by_type,
        action="export.started",
        community_uuid=new.community_uuid,
        object_uuid=new.task_uuid,
        detail={
            "job_uuid": new.job_uuid,
            "fields": list(new.fields),
            "destination": new.destination,
            "encryption": new.encryption,
        },
    )
    export = reading.get(tx, new.task_uuid, None)
    return records.StartedExport(export=export, replayed=False, sealed_customer_key=new.sealed_customer_key)


def check(
    tx: sa.Connection, new: records.NewExport, *, limits: limits_module.Limits, now: dt.datetime
) -> records.StartedExport | None:
    """What `start` would answer a repeated request; None: it would start, as things are now.

    Reads only, so that costly checks of a request come after it; the number of events is not judged. Raises what
    `start` raises.
    """
    earlier = replay(tx, new.created_by, new.idempotency_key, new.idempotency_fingerprint, now)
    if earlier is None:
        _slot(tx, new, limits, now)
    return earlier


def _slot(tx: sa.Connection, new: records.NewExport, limits: limits_module.Limits, now: dt.datetime) -> int:
    """The slot that the export would take, when job, community and quota have room for it."""
    _check_job_limit(tx, new.job_uuid, limits)
    slot = _free_slot(tx, new.community_uuid, limits)
    quota.check(tx, new.community_uuid, now, limits)
    return slot


def replay(
    tx: sa.Connection,
    api_key_uuid: str,
    idempotency_key: str | None,
    idempotency_fingerprint: str | None,
    now: dt.datetime,
) -> records.StartedExport | None:
    """The export that this key started earlier; None if the key is new, expired or not given.

    Callers may ask before costly checks of a request; `start` asks again.

    Raises:
        Conflict: `idempotency_key_reused`; `extra` holds `task_uuid`.
    """
    if idempotency_key is None:
        return None
    row = tx.execute(
        _KEYS.select().where(_KEYS.c.api_key_uuid == api_key_uuid, _KEYS.c.idempotency_key == idempotency_key)
    ).one_or_none()
    if row is None or row.expires_at <= now:
        return None
    if row.fingerprint != idempotency_fingerprint:
        raise _reused(idempotency_key, row.task_uuid)
    found = tx.execute(
        sa.select(*reading.COLUMNS, _EXPORTS.c.sealed_customer_key).where(_EXPORTS.c.task_uuid == row.task_uuid)
    ).one()
    return records.StartedExport(
        export=reading.record_of(found._mapping), replayed=True, sealed_customer_key=found.sealed_customer_key
    )


def _lock_community(tx: sa.Connection, community_uuid: str) -> None:
    # FOR NO KEY UPDATE: rows elsewhere that merely refer to the community may still be written.
    query = sa.select(_COMMUNITIES.c.uuid).where(_COMMUNITIES.c.uuid == community_uuid)
    if tx.execute(query.with_for_update(key_share=True)).one_or_none() is None:
        raise errors.NotFound("community_not_found", f"There is no community {community_uuid}.")


def _check_job_limit(tx: sa.Connection, job_uuid: str, limits: limits_module.Limits) -> None:
    started = tx.execute(
        sa.select(sa.func.count()).select_from(_EXPORTS).where(_EXPORTS.c.job_uuid == job_uuid)
    ).scalar_one()
    if started >= limits.exports_per_search_job:
        raise errors.Conflict(
            "search_job_export_limit",
            f"The search job {job_uuid} has started {started} exports; it may start {limits.exports_per_search_job}.",
            "Create the search job again and export that one.",
            limit=limits.exports_per_search_job,
        )


def _free_slot(tx: sa.Connection, community_uuid: str, limits: limits_module.Limits) -> int:
    active = tx.execute(
        sa.select(_EXPORTS.c.task_uuid, _EXPORTS.c.active_slot)
        .where(_EXPORTS.c.community_uuid == community_uuid, _EXPORTS.c.active_slot.is_not(None))
        .order_by(_EXPORTS.c.created_at, _EXPORTS.c.task_uuid)
    ).all()
    if len(active) >= limits.active_exports:
        raise _in_progress(active[0].task_uuid, limits.active_exports)
    # The lowest free number: with a limit of one export it is always 0, so that of two starts that race the unique
    # index lets one through.
    return min(set(range(len(active) + 1)) - {row.active_slot for row in active})


def _oldest_active(tx: sa.Connection, community_uuid: str) -> str:
    active = sa.and_(_EXPORTS.c.community_uuid == community_uuid, _EXPORTS.c.active_slot.is_not(None))
    query = sa.select(_EXPORTS.c.task_uuid).where(active).order_by(_EXPORTS.c.created_at, _EXPORTS.c.task_uuid)
    task_uuid: str = tx.execute(query.limit(1)).scalar_one()
    return task_uuid


def _in_progress(task_uuid: str, limit: int) -> errors.Conflict:
    return errors.Conflict(
        "export_in_progress",
        f"The export {task_uuid} of this community is still active; {limit} may be active at once.",
        f"Wait until it ends, or cancel it: POST /v1/tasks/{task_uuid}/cancel.",
        task_uuid=task_uuid,
    )


def _insert(
    tx: sa.Connection, new: records.NewExport, slot: int, limits: limits_module.Limits, now: dt.datetime
) -> bool:
    return inserting.insert_if_absent(
        tx,
        _EXPORTS,
        **{name: getattr(new, name) for name in _COPIED},
        sse_customer_key_md5=new.sse_customer_key_md5 or "",
        status=states.ExportStatus.PENDING,
        active_slot=slot,
        fields=list(new.fields),
        filters=[dict(each) for each in new.filters],
        created_at=now,
        progress_events=0,
        written_bytes=0,
        compressed_bytes=0,
        fence=0,
        attempts=0,
        max_attempts=limits.export_max_attempts,
        deadline_seconds=limits.export_deadline_seconds,
    )


def _remember_key(tx: sa.Connection, new: records.NewExport, now: dt.datetime) -> bool:
    if new.idempotency_key is None:
        return True
    mine = (_KEYS.c.api_key_uuid == new.created_by) & (_KEYS.c.idempotency_key == new.idempotency_key)
    # An expired key that the sweeper has not come to yet would else keep its name taken.
    tx.execute(_KEYS.delete().where(mine, _KEYS.c.expires_at <= now))
    return inserting.insert_if_absent(
        tx,
        _KEYS,
        api_key_uuid=new.created_by,
        idempotency_key=new.idempotency_key,
        fingerprint=new.idempotency_fingerprint,
        task_uuid=new.task_uuid,
        expires_at=now + dt.timedelta(seconds=new.idempotency_ttl_seconds),
    )


def _reused(key: str | None, task_uuid: str | None) -> errors.Conflict:
    return errors.Conflict(
        "idempotency_key_reused",
        f"The Idempotency-Key {key!r} came earlier with another request.",
        "Use a fresh key for each export; repeat a request exactly to get its task again.",
        task_uuid=task_uuid,
    )
