"""What an export must hold of an event, by the lossless rule (docs/fields.md), worked out from its text alone."""

from __future__ import annotations

from typing import Any

from penstock.fields import flatten, refused, values
from penstock.intake import times

TIMESTAMP = "@timestamp"


def expected(text: bytes, arrived: str) -> dict[str, Any] | None:
    """The flat event that must come out for a line that went in; None if the line must be rejected."""
    try:
        event = values.loads(text)
        if type(event) is not dict:
            return None
        flat = flatten.flatten(event)
    except refused.EventRefused:
        return None
    if any(not values.is_unicode(name) for name in flat):
        return None
    rest, us = times.settle(flat, times.candidates(None))
    return {**rest, TIMESTAMP: arrived if us is None else values.render_timestamp(us)}


def line(flat: dict[str, Any], fields: list[str]) -> str:
    """The line of an export of `fields`."""
    return values.dumps({name: flat[name] for name in fields if name in flat})
