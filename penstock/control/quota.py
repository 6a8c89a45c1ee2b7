"""How many compressed bytes a community has exported this month, and whether more fit.

The rule of the month: months are UTC calendar months. An export is charged, once and exactly its compressed bytes, to
the month in which it FINISHES, wherever it began. While it runs, what it has written counts as reserved in the
current month, whichever that is: at the turn of the month the bytes used fall to zero and the reservation moves along.
CANCELED and FAILED exports cost nothing.
"""

from __future__ import annotations

import calendar
import dataclasses
import datetime as dt

import sqlalchemy as sa

from penstock import errors
from penstock.base import instants
from penstock.control import states
from penstock.control.limits import Limits
from penstock.control.schema import tables

_EXPORTS = tables.exports
_CHARGES = tables.quota_charges


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """Where a community stands in the current month.

    Attributes:
        limit_bytes: compressed bytes allowed a month.
        used_bytes: charged to this month.
        reserved_bytes: written so far by active exports.
        resets_at: first instant of the next month (UTC).
        active_task_uuid: the oldest active export; None if there is none.
    """

    limit_bytes: int
    used_bytes: int
    reserved_bytes: int
    resets_at: dt.datetime
    active_task_uuid: str | None

    @property
    def left_bytes(self) -> int:
        """What may still be written this month; never negative."""
        return max(0, self.limit_bytes - self.used_bytes - self.reserved_bytes)


def month_of(now: dt.datetime) -> str:
    """The UTC month of an instant, `2026-01`."""
    now = now.astimezone(dt.UTC)
    return f"{now.year:04d}-{now.month:02d}"


def resets_at(now: dt.datetime) -> dt.datetime:
    """The first instant of the next UTC month."""
    now = now.astimezone(dt.UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return dt.datetime(year, month, 1, tzinfo=dt.UTC)


def usage(tx: sa.Connection, community_uuid: str, now: dt.datetime, limits: Limits) -> Quota:
    """Where the community stands at `now`."""
    # COALESCE: the sum of no rows is NULL.
    used = tx.execute(
        sa.select(sa.func.coalesce(sa.func.sum(_CHARGES.c.compressed_bytes), 0)).where(
            _CHARGES.c.community_uuid == community_uuid, _CHARGES.c.month == month_of(now)
        )
    ).scalar_one()
    active = tx.execute(
        sa.select(_EXPORTS.c.task_uuid, _EXPORTS.c.compressed_bytes)
        .where(_EXPORTS.c.community_uuid == community_uuid, _EXPORTS.c.status.in_(states.ACTIVE))
        .order_by(_EXPORTS.c.created_at, _EXPORTS.c.task_uuid)
    ).all()
    return Quota(
        limit_bytes=limits.quota_bytes_per_month,
        # PostgreSQL's sum of bigint is numeric, which arrives as a Decimal.
        used_bytes=int(used),
        reserved_bytes=sum(row.compressed_bytes for row in active),
        resets_at=resets_at(now),
        active_task_uuid=active[0].task_uuid if active else None,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """What was charged on one day (UTC).

    Attributes:
        day: the day.
        compressed_bytes: bytes charged.
        exports: how many exports were charged.
    """

    day: dt.date
    compressed_bytes: int
    exports: int


def by_day(tx: sa.Connection, community_uuid: str, month: str) -> list[Day]:
    """The charges of a month (`2026-01`, UTC) by the day on which they were made, every day of the month in order."""
    year, number = (int(part) for part in month.split("-"))
    found = {day: [0, 0] for day in _days_of(year, number)}
    charged = sa.select(_CHARGES.c.charged_at, _CHARGES.c.compressed_bytes).where(
        _CHARGES.c.community_uuid == community_uuid, _CHARGES.c.month == month
    )
    for row in tx.execute(charged):  # a few a day: added up here, since the databases cut days out of instants apart
        sums = found[row.charged_at.astimezone(dt.UTC).date()]
        sums[0] += row.compressed_bytes
        sums[1] += 1
    return [Day(day=day, compressed_bytes=size, exports=number) for day, (size, number) in found.items()]


def _days_of(year: int, month: int) -> list[dt.date]:
    _, last = calendar.monthrange(year, month)
    return [dt.date(year, month, day) for day in range(1, last + 1)]


def check(tx: sa.Connection, community_uuid: str, now: dt.datetime, limits: Limits) -> Quota:
    """Where the community stands, if at least one byte is left.

    Raises:
        QuotaExhausted: `monthly_quota_exhausted`; `extra` holds `resets_at` (RFC 3339), `limit_bytes`, `used_bytes`,
            `reserved_bytes`.
    """
    quota = usage(tx, community_uuid, now, limits)
    # One byte is enough to start: how large a file gets is known only once it is written. `check_size` refuses, by an
    # estimate, what clearly cannot fit.
    if quota.left_bytes > 0:
        return quota
    reserved = f", and running exports hold another {quota.reserved_bytes:,}" if quota.reserved_bytes else ""
    raise _exhausted(
        quota,
        f"This community has exported {quota.used_bytes:,} of its {quota.limit_bytes:,} bytes this month{reserved}.",
        f"The quota is reset at {instants.render(quota.resets_at)}; an operator can raise quota_bytes_per_month.",
    )


def check_size(quota: Quota, size_bytes: int) -> None:
    """Refuses a file of that size if it cannot fit what is left of the month.

    Raises:
        QuotaExhausted: `monthly_quota_exhausted`; `extra` as that of `check`, and `estimated_bytes`.
    """
    if size_bytes <= quota.left_bytes:
        return
    raise _exhausted(
        quota,
        f"The export would take about {size_bytes:,} bytes; {quota.left_bytes:,} are left of this month's "
        f"{quota.limit_bytes:,}.",
        f"Take fewer fields or a shorter time range. The quota is reset at {instants.render(quota.resets_at)}.",
        estimated_bytes=size_bytes,
    )


def _exhausted(quota: Quota, detail: str, hint: str, **more: int) -> errors.QuotaExhausted:
    return errors.QuotaExhausted(
        "monthly_quota_exhausted",
        detail,
        hint,
        resets_at=instants.render(quota.resets_at),
        limit_bytes=quota.limit_bytes,
        used_bytes=quota.used_bytes,
        reserved_bytes=quota.reserved_bytes,
        **more,
    )


def would_exceed(
    tx: sa.Connection, community_uuid: str, additional_bytes: int, *, limits: Limits, now: dt.datetime
) -> bool:
    """Whether an active export of the community would cross the month's limit by writing `additional_bytes` more.

    A worker asks before each part, with `exceeded` as the error that ends the export. Two exports of one community
    that ask at the same time may both hear no: with N active exports the limit is crossed by N - 1 parts at most.
    """
    quota = usage(tx, community_uuid, now, limits)
    # Not by `left_bytes`, which hides how far beyond the limit the month already is.
    return quota.used_bytes + quota.reserved_bytes + additional_bytes > quota.limit_bytes


def exceeded(limits: Limits, now: dt.datetime) -> errors.ExportFailed:
    """The error that ends an export which would cross the limit: code `monthly_quota_exceeded`."""
    return errors.ExportFailed(
        "monthly_quota_exceeded",
        f"The export would cross the community's {limits.quota_bytes_per_month:,} bytes a month; "
        "it was stopped, what it wrote is removed and not charged.",
        f"Export a shorter time range or fewer fields, or wait until {resets_at(now):%Y-%m-%d} (UTC).",
    )
