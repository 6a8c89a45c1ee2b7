"""What a field can be, and the names that the lake keeps for itself."""

from __future__ import annotations

import dataclasses
import enum

TIMESTAMP = "@timestamp"
"""The one field that every event has: a UTC instant with microseconds, canonical."""

OVERFLOW = "_overflow"
"""Column of the lake: one JSON object (compact text) with the values no typed column can hold; null if none."""

DAY = "_day"
"""Partition column of the lake: the UTC date of @timestamp."""

RESERVED = frozenset({OVERFLOW, DAY})
"""Names the lake keeps for itself. An event's own field of such a name lives in the overflow."""


class FieldType(enum.StrEnum):
    """The column type of a field, and what a column of it holds.

    A column holds a value only if the column's rendering is the very JSON that came in (design §4).
    """

    KEYWORD = "keyword"  # utf-8 string; JSON strings
    TEXT = "text"  # utf-8 string, searched by words
    IP = "ip"  # utf-8 string as it came in; searched as an address where it is one
    LONG = "long"  # int64; JSON integers in canonical digits
    DOUBLE = "double"  # float64; JSON numbers that equal Python's repr(float) exactly, never an integer's digits
    BOOLEAN = "boolean"
    DATE = "date"  # timestamp[us, UTC]; strings that equal the canonical RFC 3339 form exactly
    KEYWORD_LIST = "keyword-list"  # list of utf-8; JSON arrays whose items are all strings
    JSON = "json"  # utf-8 string that is compact JSON text; any JSON value


STRING_TYPES = frozenset({FieldType.KEYWORD, FieldType.TEXT, FieldType.IP})
"""Types whose column is plain utf-8 rendered as a JSON string."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FieldSpec:
    """One field of the ECS registry.

    Attributes:
        name: dotted name.
        type: column type.
        description: one line for people; may be empty.
    """

    name: str
    type: FieldType
    description: str = ""
