"""Instants: aware UTC datetimes, microseconds since 1970, and RFC 3339, each into the others."""

from __future__ import annotations

import datetime as dt

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def to_microseconds(instant: dt.datetime) -> int:
    """Microseconds since 1970 of an aware datetime; exact, negative before 1970."""
    # Integers all the way: `timestamp()` is a float, and off by a microsecond now and then.
    return (instant - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> dt.datetime:
    """The aware UTC datetime. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + dt.timedelta(microseconds=microseconds)


def render(instant: dt.datetime) -> str:
    """RFC 3339 in UTC with `Z`, with 0 or 6 digits of fraction, of an aware datetime."""
    return instant.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
