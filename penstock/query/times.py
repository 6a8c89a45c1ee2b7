"""Reads the times of a search: `now`, `-7d`, or an RFC 3339 instant."""

from __future__ import annotations

import datetime as dt
import re

from penstock import errors
from penstock.base import instants
from penstock.query import literals

_RELATIVE = re.compile(r"-([0-9]{1,9})([smhdw])")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HINT = "Write now, a distance back from now (-45s, -15m, -2h, -7d, -1w) or a time like 2026-01-31T08:00:00Z."


def parse_time(text: str, now: dt.datetime) -> dt.datetime:
    """The instant that `text` names, aware, UTC, to the microsecond (further digits are cut off).

    Args:
        text: `now`; `-N` with a unit of s, m, h, d or w; a date (its first instant); a date and time, in UTC unless
            it carries an offset.
        now: the present, aware.

    Raises:
        InvalidRequest: `invalid_time`.
    """
    written = text.strip()
    if written == "now":
        return now.astimezone(dt.UTC)
    try:
        if relative := _RELATIVE.fullmatch(written):
            return now.astimezone(dt.UTC) - dt.timedelta(**{_UNIT[relative[2]]: int(relative[1])})
        if (instant := literals.instant(written)) is not None:
            return instants.from_microseconds(instant)
    except OverflowError as error:
        raise errors.InvalidRequest(
            "invalid_time", f"The time {text!r} lies outside the years 1 to 9999.", _HINT
        ) from error
    raise errors.InvalidRequest("invalid_time", f"{text!r} is not a time.", _HINT)


def resolve_range(earliest: str, latest: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """The two ends of a time range: the first inclusive, the second exclusive.

    Raises:
        InvalidRequest: `invalid_time`, or `invalid_time_range` where nothing lies between the two.
    """
    start, end = parse_time(earliest, now), parse_time(latest, now)
    if start >= end:
        raise errors.InvalidRequest(
            "invalid_time_range",
            f"The range is empty: its start {start.isoformat()} does not lie before its end {end.isoformat()}.",
            "Give an earliest_time that lies before latest_time.",
        )
    return start, end
