"""The members of a JSON object, by their places in its text: what is inside an envelope comes out as it was written."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence

from penstock.intake.shapes import documents

_SPACE = re.compile(r"[ \t\r\n]*")
_ABOUT_A_HIT = frozenset(("sort", "fields", "highlight", "matched_queries", "inner_hits"))


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One member.

    Attributes:
        name: its name.
        start: where its value begins.
        end: where its value ends; None if the text ends or breaks before.
    """

    name: str
    start: int
    end: int | None


def members(text: str, start: int = 0) -> tuple[list[Member], int | None]:
    """The members of the object that begins at `start`, and the position behind it; None if it is broken or cut off."""
    found: list[Member] = []
    at = _skip(text, start + 1)
    if text.startswith("}", at):
        return found, at + 1
    try:
        while text.startswith('"', at):
            name, at = documents.value(text, at)
            at = _skip(text, at)
            if not text.startswith(":", at):
                break
            begin = _skip(text, at + 1)
            found.append(Member(name, begin, None))
            end = documents.end_of_value(text, begin)
            found[-1] = Member(name, begin, end)
            at = _skip(text, end)
            if text.startswith("}", at):
                return found, at + 1
            if not text.startswith(",", at):
                break
            at = _skip(text, at + 1)
    except (json.JSONDecodeError, RecursionError):
        pass
    return found, None


def is_hit(text: str, found: Sequence[Member]) -> bool:
    """Whether members are those of a hit, as a search of Elasticsearch answers and a dump of an index holds: an object
    `_source`, beside it only what Elasticsearch says about it."""
    by_name = {member.name: member for member in found}
    source = by_name.get("_source")
    return (
        source is not None
        and text.startswith("{", source.start)
        and ("_index" in by_name or "_id" in by_name)
        and all(name.startswith("_") or name in _ABOUT_A_HIT for name in by_name)
    )


def inner(text: bytes, names: Sequence[str]) -> bytes:
    """The object under the first of these names that the object has; the text itself if it has none, or is broken."""
    try:
        content = text.decode()
    except UnicodeDecodeError:
        return text
    found, end = members(content, _skip(content, 0))
    if end is None or _skip(content, end) != len(content):
        return text
    for name in names:
        for member in found:
            if member.name == name and content.startswith("{", member.start):
                return content[member.start : member.end].encode()
    return text


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
