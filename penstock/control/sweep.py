"""All rows that time has overtaken, swept in one call; objects in stores are the worker's to delete."""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from penstock import settings as settings_module
from penstock.control import audit, exports, searches
from penstock.control.schema import tables


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """What one sweep did; all zero when there was nothing to do.

    Attributes:
        ended_exports: exports that nobody would have finished; their secrets are erased.
        search_jobs: expired search jobs deleted.
        search_results: what search jobs had found, deleted.
        idempotency_keys: forgotten.
        old_exports: rows of exports that ended long ago.
        audit_entries: deleted for their age.
    """

    ended_exports: int
    search_jobs: int
    search_results: int
    idempotency_keys: int
    old_exports: int
    audit_entries: int


def rows(tx: sa.Connection, now: dt.datetime, settings: settings_module.Settings) -> Swept:
    """Ends dead exports and deletes old rows. Idempotent; safe with several sweepers.

    Rows of ended exports are kept as long as audit entries (`audit_keep_days`); charges are kept for ever.
    """
    # Dead exports end before old rows go: what ends here is at least `audit_keep_days` away from being deleted.
    keys = tables.idempotency_keys
    return Swept(
        ended_exports=len(exports.end_dead(tx, now)),
        search_jobs=searches.delete_expired(tx, now),
        search_results=searches.delete_expired_results(tx, now),
        idempotency_keys=tx.execute(keys.delete().where(keys.c.expires_at <= now)).rowcount,
        old_exports=exports.delete_old(tx, now, settings.audit_keep_days),
        audit_entries=audit.sweep(tx, now, settings.audit_keep_days),
    )
