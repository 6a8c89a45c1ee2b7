"""Reads the times of a search as people type them: `-7d`, `yesterday`, `2026-11-01`, RFC 3339, seconds since 1970."""

from __future__ import annotations

import calendar
import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Mapping

from penstock import errors
from penstock.base import instants
from penstock.fields import values
from penstock.query import literals

END_OF_TIME = dt.datetime.max.replace(tzinfo=dt.UTC)
"""The last instant, 9999-12-31T23:59:59.999999Z. As the end of a range it includes itself."""

FORMS = (
    "now, today, yesterday, a distance back from now (-45s, -15m, -2h, -7d, -1w, -1M, -1y; also 7d or now-7d), a day "
    "(2026-01-31), a time (2026-01-31T08:00:00Z, 2026-01-31 08:00, 2026-01-31T08:00+02:00) or seconds since 1970 "
    "(1767225600)"
)
"""What a time may be, for messages."""

_HINT = f"Write {FORMS}. Times are UTC; @Europe/Paris behind one means that zone."
_STEP = r"([+-]?)([0-9]{1,9})([smhdwMy])"
_RELATIVE = re.compile(rf"(?:now)?{_STEP}")
_ROUNDED = re.compile(r"(.+)/([smhdwMy])")
_FIXED: Mapping[str, str] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SECONDS_SINCE_1970 = re.compile(r"@?(-?[0-9]{9,20}(?:\.[0-9]+)?)")
"""Nine digits at least: 2026 and 20260131 are meant as something else."""

_BEYOND = re.compile(r"10000-01-01(?:[Tt ]00:00(?::00(?:[.,]0+)?)?[Zz]?)?")
"""How the day after the last one is written by those who want the end of time."""


def parse_time(text: str, now: dt.datetime) -> dt.datetime:
    """The instant that `text` names, aware, UTC, to the microsecond (further digits are cut off).

    Args:
        text: `FORMS`; `/d`, `/h` … behind a relative one goes back to the start of that unit. A zone's name behind an
            `@` is the zone of days and times without an offset; without one they are UTC.
        now: the present, aware.

    Raises:
        InvalidRequest: `invalid_time`.
    """
    try:
        found = _read(text.strip(), now)
    except (OverflowError, ValueError) as error:
        raise errors.InvalidRequest(
            "invalid_time", f"The time {text!r} lies outside the years 1 to 9999.", _HINT
        ) from error
    if found is None:
        raise errors.InvalidRequest("invalid_time", f"{text!r} is not a time.", _HINT)
    return found.astimezone(dt.UTC)


def resolve_range(earliest: str, latest: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """The two ends of a time range: the first inclusive, the second exclusive, but for `END_OF_TIME`.

    Raises:
        InvalidRequest: `invalid_time`, or `invalid_time_range` where nothing lies between the two.
    """
    start, end = parse_time(earliest, now), parse_time(latest, now)
    # The last instant has none behind it that could end a range, so it includes itself.
    if start >= end and not start == end == END_OF_TIME:
        raise errors.InvalidRequest(
            "invalid_time_range",
            f"The range is empty: its start {start.isoformat()} does not lie before its end {end.isoformat()}.",
            "Give an earliest_time that lies before latest_time.",
        )
    return start, end


def _read(text: str, now: dt.datetime) -> dt.datetime | None:
    if seconds := _SECONDS_SINCE_1970.fullmatch(text):
        return _of_number(seconds[1])
    if _BEYOND.fullmatch(text):
        return END_OF_TIME
    written, at, name = text.partition("@")
    zone = _zone(name) if at else dt.UTC
    if zone is None:
        return None
    return _relative(written.strip(), now.astimezone(zone)) or _absolute(written.strip(), zone, has_zone=bool(at))


def _zone(name: str) -> dt.tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name.strip())
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _of_number(text: str) -> dt.datetime | None:
    """Seconds, milliseconds, microseconds or nanoseconds, by their size, as intake reads them."""
    microseconds = values.parse_timestamp(values.loads(text))
    return None if microseconds is None else instants.from_microseconds(microseconds)


def _relative(text: str, now: dt.datetime) -> dt.datetime | None:
    """A time counted from now, in now's zone."""
    if rounded := _ROUNDED.fullmatch(text):
        found = _relative(rounded[1], now)
        return None if found is None else _start_of(found, rounded[2])
    match text.lower():
        case "now":
            return now
        case "today":
            return _start_of(now, "d")
        case "yesterday":
            return _start_of(now, "d") - dt.timedelta(days=1)
        case "tomorrow":
            return _start_of(now, "d") + dt.timedelta(days=1)
    if step := _RELATIVE.fullmatch(text):
        sign = 1 if step[1] == "+" else -1
        # `now7d` may be meant either way; `7d` alone is what people type for "the last seven days".
        if step[1] == "" and text.startswith("now"):
            return None
        return _moved(now, sign * int(step[2]), step[3])
    return None


def _moved(moment: dt.datetime, count: int, unit: str) -> dt.datetime:
    """So many units later. Months and years keep the day, or take the month's last; hours and less are real hours."""
    if unit in "smh":
        # Through UTC: at a change of the clocks local arithmetic would be an hour off.
        return (moment.astimezone(dt.UTC) + dt.timedelta(**{_FIXED[unit]: count})).astimezone(moment.tzinfo)
    if unit in _FIXED:
        return moment + dt.timedelta(**{_FIXED[unit]: count})
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "y" else 1)
    year, month = months // 12, months % 12 + 1
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        raise OverflowError
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


_STARTS: Mapping[str, Callable[[dt.datetime], dt.datetime]] = {
    "s": lambda moment: moment.replace(microsecond=0),
    "m": lambda moment: moment.replace(second=0, microsecond=0),
    "h": lambda moment: moment.replace(minute=0, second=0, microsecond=0),
    "d": lambda moment: moment.replace(hour=0, minute=0, second=0, microsecond=0),
    "w": lambda moment: _start_of(moment, "d") - dt.timedelta(days=moment.weekday()),
    "M": lambda moment: _start_of(moment, "d").replace(day=1),
    "y": lambda moment: _start_of(moment, "d").replace(month=1, day=1),
}


def _start_of(moment: dt.datetime, unit: str) -> dt.datetime:
    return _STARTS[unit](moment)


def _absolute(text: str, zone: dt.tzinfo, *, has_zone: bool) -> dt.datetime | None:
    """A day or a time as a query reads it; one with an offset of its own takes no zone."""
    point = literals.day_or_instant(text)
    if point is None or (has_zone and literals.has_offset(text)):
        return None
    moment = instants.from_microseconds(point.microseconds)
    return moment.replace(tzinfo=zone) if has_zone else moment
