"""JSON text to flat events, exactly: what the kernel is held to, and what reads the lines it refuses."""

from __future__ import annotations

from typing import Any

from penstock.fields import flatten, refused, values


def events(text: bytes, max_bytes: int) -> list[dict[str, Any]]:
    """The flat events of one line: one, or several objects with nothing or spaces between them.

    Raises:
        EventRefused: what `fields.values.loads` and `fields.flatten.flatten` refuse; `not_an_object`, `invalid_name`;
            `line_too_long`, more than `max_bytes`.
    """
    if len(text) > max_bytes:
        raise refused.EventRefused("line_too_long", f"the line has {len(text)} bytes, more than {max_bytes}")
    left = flatten.name_budget(len(text))
    found = []
    for event in values.load_all(text):
        found.append(flat(event, left))
        left -= sum(len(name.encode()) for name in found[-1])
    return found


def flat(event: Any, name_bytes: int) -> dict[str, Any]:
    """The event under dotted names, all of which UTF-8 can hold. Raises as `events`."""
    if type(event) is not dict:
        kind = "an array" if type(event) is list else "a single value"
        raise refused.EventRefused("not_an_object", f"the line is {kind}, not an object")
    found = flatten.flatten(event, name_bytes)
    for name in found:
        if not values.is_unicode(name):
            raise refused.EventRefused("invalid_name", f"the name {name!r} is no valid Unicode (a lone surrogate)")
    return found
