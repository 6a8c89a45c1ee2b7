"""Which of an event's fields holds its time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from penstock.fields import types, values

WELL_KNOWN = (
    "timestamp",
    "eventTime",
    "ts",
    "_time",
    "TimeCreated",
    "TimeGenerated",
    "CreationTime",
    "published",
    "__REALTIME_TIMESTAMP",
    "Event.System.TimeCreated.#attributes.SystemTime",
    "Event.System.TimeCreated.@SystemTime",
    "time",
)
"""Fields that hold the time of events without a usable `@timestamp`: of syslog and Suricata, CloudTrail, Zeek, Splunk,
Windows, Azure, Microsoft 365, Okta, journald, dumps of Windows event logs."""

UNUSABLE = "@timestamp.original"
"""Field that keeps an `@timestamp` that is not the event's time."""

_LEAST_US = 100_000_000_000_000
"""1973. A smaller number in any field but `@timestamp` is likelier a duration or a counter."""

_DIGITS = re.compile(r"(?:[0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:\.[0-9]+)?")
"""Seconds, milli-, micro- or nanoseconds of these years as text. Not 14 digits: those are `20240102030405`."""


def candidates(chosen: str | None) -> tuple[str, ...]:
    """Fields that may hold an event's time, best first; `chosen` is what the user named."""
    rest = (types.TIMESTAMP, *WELL_KNOWN)
    return rest if chosen is None else (chosen, *(name for name in rest if name != chosen))


def instant(name: str, value: Any) -> int | None:
    """Microseconds since 1970 of a value in this field; None if it is no usable time."""
    us = values.parse_timestamp(value)
    # `@timestamp` is a time by its name, however small its number; elsewhere a small one is likelier something else.
    if name == types.TIMESTAMP or (us is not None and type(value) is str):
        return us
    if type(value) is str and _DIGITS.fullmatch(value):
        # A Number, so that digits behind the point count exactly; a float would round microseconds.
        us = values.parse_timestamp(values.Number(value))
    return us if us is not None and us >= _LEAST_US else None


def first(found: Iterable[tuple[str, Any]]) -> tuple[str | None, int | None]:
    """The first of (field, value) that is a usable time: its field, and the instant."""
    for name, value in found:
        us = instant(name, value)
        if us is not None:
            return name, us
    return None, None


def settle(event: dict[str, Any], fields: Sequence[str]) -> tuple[dict[str, Any], int | None]:
    """The flat event without its `@timestamp`, and its time; None if it has no usable one.

    An `@timestamp` that is not the time is kept as `@timestamp.original`, with more `.original` where it is taken.
    """
    name, us = first((name, event[name]) for name in fields if name in event)
    kept = UNUSABLE
    while kept in event:
        kept += ".original"
    renamed = {kept if key == types.TIMESTAMP else key: value for key, value in event.items()}
    if name == types.TIMESTAMP:
        del renamed[kept]
    return renamed, us
