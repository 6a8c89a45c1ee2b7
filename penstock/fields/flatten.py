"""Nested events to dotted names, and back."""

from __future__ import annotations

import sys
from typing import Any

from penstock.fields import refused

MAX_DEPTH = 200
"""Levels of objects and lists (empty ones aside) that an event may have: far more than real ones do, and far below
Python's recursion limit."""


FREE_NAME_BYTES = 65_536
NAME_BYTES_A_BYTE = 32
"""Bytes that the dotted names of an event may have: so many in any case, and so many for each byte of its text. In a
text that nests deep, each value's name repeats the whole path: 16 MB of it could become a terabyte of names."""


def name_budget(text_bytes: int) -> int:
    """Bytes that the dotted names of an event of this length may have."""
    return FREE_NAME_BYTES + NAME_BYTES_A_BYTE * text_bytes


def flatten(event: dict[str, Any], name_bytes: int | None = None) -> dict[str, Any]:
    """The event under dotted names, in its order. Lists and empty objects are values.

    `a` and `a.b` may both come out, where the event has `{"a": 1, "a.b": 2}`.

    Raises:
        EventRefused: `duplicate_name` when two paths give one name (`{"a.b": 1, "a": {"b": 2}}`); `too_deep` when
            objects and lists nest more than `MAX_DEPTH` levels; `too_large` when the names together have more than
            `name_bytes` bytes.
    """
    flat: dict[str, Any] = {}
    _walk(event, "", flat, 1, [sys.maxsize if name_bytes is None else name_bytes])
    return flat


def _walk(members: dict[str, Any], prefix: str, flat: dict[str, Any], depth: int, left: list[int]) -> None:
    """`left`: bytes of names that may still come."""
    if depth > MAX_DEPTH:
        raise too_deep()
    for key, value in members.items():
        name = prefix + key
        if isinstance(value, dict) and value:
            _walk(value, name + ".", flat, depth + 1, left)
            continue
        # Counted before the name is kept; the list is one number that all levels of the recursion share.
        left[0] -= len(name) if name.isascii() else len(name.encode(errors="surrogatepass"))
        if left[0] < 0:
            raise refused.EventRefused("too_large", "its dotted names have far more bytes than its text")
        if isinstance(value, list) and value:
            check_depth(value, depth + 1)
        # Refused, not merged: whichever value were kept, the other would be lost, and ingest promises to lose none.
        if name in flat:
            raise refused.EventRefused("duplicate_name", f"two paths of the event give the one name {name!r}")
        flat[name] = value


def check_depth(value: list[Any], depth: int) -> None:
    """Refuses a list, itself at level `depth` of its event, that nests too deep; looks level by level.

    Raises:
        EventRefused: `too_deep`.
    """
    # Level by level instead of recursing: 100,000 brackets in a line would end at Python's recursion limit.
    level: list[Any] = [value]
    while level:
        if depth > MAX_DEPTH:
            raise too_deep()
        below: list[Any] = []
        for item in level:
            children = item.values() if isinstance(item, dict) else item
            below.extend(child for child in children if isinstance(child, (dict, list)) and child)
        level = below
        depth += 1


def too_deep() -> refused.EventRefused:
    """The refusal of an event that nests more than `MAX_DEPTH` levels."""
    return refused.EventRefused("too_deep", f"objects and lists nest more than {MAX_DEPTH} levels deep")


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as nested objects, where the names allow.

    Where a name is both a value and a prefix (`a` and `a.b`), or a part of it is empty (`a..b`), the longer name
    stays dotted below the deepest object there is; so `flatten(nest(flat))` holds what `flat` holds.
    """
    values = set(flat)
    root: dict[str, Any] = {}
    for name, value in flat.items():
        parts = name.split(".")
        target, used = root, 0
        if all(parts):
            # Half of the levels: what nests here must be taken in again by `flatten`, with the value's own levels below
            # it.
            while used < len(parts) - 1 and used < MAX_DEPTH // 2:
                # That name is a value of its own; an object in its place would hide it.
                if ".".join(parts[: used + 1]) in values:
                    break
                target = target.setdefault(parts[used], {})
                used += 1
        target[".".join(parts[used:])] = value
    return root
