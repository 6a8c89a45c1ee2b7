"""What the sweeper asks and forgets. Every call is idempotent and safe with several sweepers.

The order for an object is: delete it in the store, then `forget_object`. A sweeper that dies in between deletes again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import sqlalchemy as sa

from penstock.control import states
from penstock.control.exports import records
from penstock.control.schema import tables

_EXPORTS = tables.exports
_STATUS = states.ExportStatus


def expired_objects(
    tx: sa.Connection, now: dt.datetime, limit: int = 100, skip: Collection[str] = ()
) -> list[records.LeftObject]:
    """Objects of the service's storage that must go: past their window, or of exports that FAILED or were CANCELED.

    Objects in customers' buckets are never among them, nor those of the tasks in `skip`: a caller that cannot delete
    some names them, so that they do not stand before all others.
    """
    columns = (
        _EXPORTS.c.task_uuid,
        _EXPORTS.c.community_uuid,
        _EXPORTS.c.status,
        _EXPORTS.c.object_key,
        _EXPORTS.c.upload_id,
    )
    expired = sa.and_(_EXPORTS.c.status == _STATUS.FINISHED, _EXPORTS.c.expire_at <= now)
    rows = tx.execute(
        sa.select(*columns)
        .where(
            # FAILED and CANCELED ones too: their worker may have died after it ended them and before it removed the
            # object.
            sa.or_(expired, _EXPORTS.c.status.in_([_STATUS.FAILED, _STATUS.CANCELED])),
            _EXPORTS.c.task_uuid.not_in(list(skip)),
            _EXPORTS.c.object_key.is_not(None),
            _EXPORTS.c.object_deleted_at.is_(None),
            # What lies in a customer's bucket is the customer's; and the credentials are erased by now.
            _EXPORTS.c.in_customer_bucket.is_(sa.false()),
        )
        .order_by(_EXPORTS.c.ended_at, _EXPORTS.c.task_uuid)
        .limit(limit)
    )
    return [records.LeftObject(**row._mapping) for row in rows]


def forget_object(tx: sa.Connection, task_uuid: str, now: dt.datetime) -> bool:
    """Notes that an ended export's object is gone; its URLs go with it. False if nothing changed."""
    done = tx.execute(
        _EXPORTS.update()
        .where(
            _EXPORTS.c.task_uuid == task_uuid,
            _EXPORTS.c.status.not_in(states.ACTIVE),
            _EXPORTS.c.object_deleted_at.is_(None),
        )
        .values(object_deleted_at=now, download_url=None, manifest_url=None)
    )
    return bool(done.rowcount)


def keys_to_forget(tx: sa.Connection, skip: Collection[str] = (), limit: int = 100) -> list[str]:
    """Tasks that have ended and whose wrapping key may still be there (`vault`), oldest first, but for `skip`."""
    rows = tx.execute(
        sa.select(_EXPORTS.c.task_uuid)
        .where(
            _EXPORTS.c.status.not_in(states.ACTIVE),
            _EXPORTS.c.key_forgotten_at.is_(None),
            _EXPORTS.c.task_uuid.not_in(list(skip)),
        )
        .order_by(_EXPORTS.c.ended_at)
        .limit(limit)
    )
    return list(rows.scalars())


def needs_key(tx: sa.Connection, task_uuid: str) -> bool:
    """Whether the wrapping key of a task is needed: there is such an export, and it is active."""
    active = sa.select(_EXPORTS.c.task_uuid).where(
        _EXPORTS.c.task_uuid == task_uuid, _EXPORTS.c.status.in_(states.ACTIVE)
    )
    return tx.execute(active).first() is not None


def forget_key(tx: sa.Connection, task_uuid: str, now: dt.datetime) -> None:
    """Notes that an ended export's wrapping key is destroyed."""
    ended = sa.and_(_EXPORTS.c.task_uuid == task_uuid, _EXPORTS.c.status.not_in(states.ACTIVE))
    tx.execute(_EXPORTS.update().where(ended).values(key_forgotten_at=now))


def owns_upload(tx: sa.Connection, upload_id: str, object_key: str | None = None) -> bool:
    """Whether an active export needs this unfinished upload of the store; if not, it is an orphan.

    With `object_key`, an upload of an active export that has not written any upload down yet counts as owned: its
    worker may be between the store's answer and `record_upload`.
    """
    mine = _EXPORTS.c.upload_id == upload_id
    if object_key is not None:
        # Without this the sweeper would abort an upload of a living export in the moment between `begin` and the record
        # of it.
        mine = sa.or_(mine, sa.and_(_EXPORTS.c.object_key == object_key, _EXPORTS.c.upload_id.is_(None)))
    query = sa.select(_EXPORTS.c.task_uuid).where(mine, _EXPORTS.c.status.in_(states.ACTIVE)).limit(1)
    return tx.execute(query).first() is not None


def delete_old(tx: sa.Connection, now: dt.datetime, keep_days: int) -> int:
    """Deletes exports that ended more than `keep_days` ago and whose object is gone; charges and audit stay."""
    # The row is all that knows the object's name: deleted first, the object would stay for ever.
    gone = sa.or_(
        _EXPORTS.c.object_deleted_at.is_not(None),
        _EXPORTS.c.object_key.is_(None),
        _EXPORTS.c.in_customer_bucket.is_(sa.true()),
    )
    done = tx.execute(
        _EXPORTS.delete().where(
            _EXPORTS.c.status.not_in(states.ACTIVE),
            _EXPORTS.c.ended_at < now - dt.timedelta(days=keep_days),
            gone,
        )
    )
    return done.rowcount
