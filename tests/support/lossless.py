"""What an export must hold of an event, by the lossless rule (docs/fields.md), worked out from its text alone."""

from __future__ import annotations

from typing import Any

from penstock.fields import flatten, refused, values

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
    original = flat.get(TIMESTAMP)
    us = values.parse_timestamp(original)
    if TIMESTAMP in flat and us is None:
        name = "@timestamp.original"
        while name in flat:
            name += ".original"
        flat[name] = original
    flat[TIMESTAMP] = arrived if us is None else values.render_timestamp(us)
    return flat


def line(flat: dict[str, Any], fields: list[str]) -> str:
    """The line of an export of `fields`."""
    return values.dumps({name: flat[name] for name in fields if name in flat})
