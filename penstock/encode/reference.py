"""The specification of a line, in plain Python: what the kernel must write, byte for byte.

A line is `{`, then each field in the order asked that the event has, then `}` and a newline; no spaces. A field's value
is its column's, if the column is there and not null; else the value of that name in the event's overflow, copied to the
letter; else the field is left out.

| Arrow type                                 | written as                                                              |
|--------------------------------------------|-------------------------------------------------------------------------|
| string, categorical, enum                  | as `json.dumps(…, ensure_ascii=False)` does                             |
| the same, of FieldType.JSON                | the text itself; ValueError if empty or with a control character        |
| integers                                   | decimal                                                                 |
| floats                                     | `repr(float)`: shortest digits that read back; NaN, infinities: `null`  |
| boolean                                    | `true`, `false`                                                         |
| timestamp                                  | `"2026-01-31T09:30:00.125Z"`: UTC, shortest of 0, 3, 6, 9 decimals      |
| date                                       | `"2026-01-31"`                                                          |
| list                                       | `[…]`, items as above, null items `null`                                |
| null                                       | left out                                                                |

A timestamp or date outside the years 0001 to 9999 has no RFC 3339 form: ValueError. A type not named here: TypeError.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock.fields.types import OVERFLOW, RESERVED, FieldType

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_LAST_DAY = datetime.date.max.toordinal()
_TICKS_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

_CONTROL = re.compile(r"[\x00-\x1f]")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"')
_SCALAR = re.compile(r"[0-9A-Za-z+.\-]+")
_INSIDE = re.compile(r'[^"\[\]{}\x00-\x1f]*')


def encode(frame: Any, fields: Sequence[str], types: Mapping[str, FieldType]) -> bytes:
    """JSON Lines of the chosen fields of a frame (anything with `__arrow_c_stream__`).

    Raises:
        TypeError: a chosen column's type has no JSON form here.
        ValueError: a value cannot have come from ingest (see the module's table), or an overflow text is no object.
    """
    table = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    columns = {
        name: rendered(table[name], types.get(name))
        for name in fields
        # An event may have a field named `_day`; the lake's column of that name is something else.
        if name in table.columns and name not in RESERVED
    }
    overflows = _overflow_texts(table)
    lines = []
    for row in range(table.height):
        overflow = overflows[row]
        extra = members(overflow) if overflow is not None else {}
        texts = ((name, _value(columns.get(name), row, extra.get(_name(name)))) for name in fields)
        lines.append("{" + ",".join(f"{_name(name)}:{text}" for name, text in texts if text is not None) + "}\n")
    return "".join(lines).encode()


def rendered(column: pl.Series, field_type: FieldType | None) -> list[str | None]:
    """JSON text of each value of a column; None where it is null."""
    if field_type is FieldType.JSON and column.dtype != pl.Null:
        if not _is_string(column.dtype):
            raise TypeError(f"field {column.name!r} is JSON but its column is {column.dtype}")
        return [None if value is None else raw_json(value) for value in column.cast(pl.String).to_list()]
    values, render = _physical(column), _renderer(column.dtype, column.name)
    return [None if value is None else render(value) for value in values]


def members(text: str) -> dict[str, str]:
    """The top-level members of an overflow text: name as written, quotes included → value as written.

    Checks what is needed to cut values out safely, no more: strings end, brackets balance, no control characters, no
    spaces between members. Of two members of one name the last counts, as in Python's json.

    Raises:
        ValueError: the text is no such object.
    """
    found: dict[str, str] = {}
    at = _expect(text, 0, "{")
    if text[at:] == "}":
        return found
    while True:
        end = _end_of_string(text, at)
        name = text[at:end]
        start = _expect(text, end, ":")
        at = _end_of_value(text, start)
        # Cut out, never parsed: a number like 1.0 or 1e400 must leave as it came in.
        found[name] = text[start:at]
        if text[at : at + 1] != ",":
            break
        at += 1
    if text[at:] != "}":
        raise ValueError("the overflow is not one compact JSON object")
    return found


def raw_json(text: str) -> str:
    """A text of FieldType.JSON, unchanged.

    Raises:
        ValueError: it is empty or holds a control character, which would break the line.
    """
    if not text or _CONTROL.search(text):
        raise ValueError("a JSON text is empty or holds a control character")
    return text


def render_double(value: float) -> str:
    """`repr`, or `null` for what JSON has no number for."""
    return repr(value) if math.isfinite(value) else "null"


def render_instant(ticks: int, per_second: int) -> str:
    """A time in ticks since 1970 as a JSON string, RFC 3339 in UTC."""
    # divmod rounds down, so that the fraction is positive before 1970 too.
    second, fraction = divmod(ticks, per_second)
    day, second = divmod(second, 86_400)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    digits = f"{fraction * (1_000_000_000 // per_second):09}"
    # By threes, so that there are 0, 3, 6 or 9 digits: forms that every reader of RFC 3339 knows.
    while digits.endswith("000"):
        digits = digits[:-3]
    return f'"{_date(day)}T{clock}{"." if digits else ""}{digits}Z"'


def render_string(value: str) -> str:
    """A JSON string, escaped only where JSON requires it."""
    return json.dumps(value, ensure_ascii=False)


_name = render_string


def _value(column: list[str | None] | None, row: int, extra: str | None) -> str | None:
    typed = column[row] if column is not None else None
    return extra if typed is None else typed


def _is_string(dtype: pl.DataType) -> bool:
    return dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum))


def _overflow_texts(table: pl.DataFrame) -> list[str | None]:
    if OVERFLOW not in table.columns or table[OVERFLOW].dtype == pl.Null:
        return [None] * table.height
    if not _is_string(table[OVERFLOW].dtype):
        raise TypeError(f"the column {OVERFLOW} is {table[OVERFLOW].dtype}, not a string")
    return table[OVERFLOW].cast(pl.String).to_list()


def _physical(column: pl.Series) -> list[Any]:
    """Values as `_renderer` wants them: times as whole ticks, since Python's own lose nanoseconds and far years."""
    if isinstance(column.dtype, pl.List):
        return [None if items is None else _physical(items) for items in column]
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return column.to_physical().to_list()
    return column.to_list()


def _renderer(dtype: pl.DataType, name: str) -> Callable[[Any], str]:
    if _is_string(dtype):
        return render_string
    if dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128):
        return str
    if dtype in (pl.Float32, pl.Float64):
        return render_double
    if dtype == pl.Boolean:
        return lambda value: "true" if value else "false"
    if isinstance(dtype, pl.Datetime):
        per_second = _TICKS_PER_SECOND[dtype.time_unit]
        return lambda ticks: render_instant(ticks, per_second)
    if dtype == pl.Date:
        return lambda day: f'"{_date(day)}"'
    if dtype == pl.Null:
        return lambda value: "null"
    if isinstance(dtype, pl.List):
        item = _renderer(dtype.inner, name)  # type: ignore[arg-type]
        return lambda items: "[" + ",".join("null" if i is None else item(i) for i in items) + "]"
    raise TypeError(f"field {name!r}: no JSON form for a column of {dtype}")


def _date(day: int) -> str:
    ordinal = day + _EPOCH_DAY
    if not 1 <= ordinal <= _LAST_DAY:
        raise ValueError("a time lies outside the years 0001 to 9999")
    return datetime.date.fromordinal(ordinal).isoformat()


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise ValueError("the overflow is not one compact JSON object")
    return at + 1


def _end_of_string(text: str, at: int) -> int:
    match = _STRING.match(text, at)
    if match is None:
        raise ValueError("the overflow is not one compact JSON object")
    return match.end()


def _end_of_value(text: str, at: int) -> int:
    """Position after the value that begins at `at`: a string, a bare word or number, or balanced brackets."""
    first = text[at : at + 1]
    if first == '"':
        return _end_of_string(text, at)
    # Which scalars are valid JSON was checked by ingest; here only its end matters.
    if first not in ("[", "{"):
        scalar = _SCALAR.match(text, at)
        if scalar is None:
            raise ValueError("the overflow is not one compact JSON object")
        return scalar.end()
    depth = 0
    while True:
        character = text[at : at + 1]
        if character == '"':
            at = _end_of_string(text, at)
        elif character in ("[", "{", "]", "}") and character:
            depth += 1 if character in "[{" else -1
            at += 1
            if depth == 0:
                return at
        else:
            inside = _INSIDE.match(text, at)
            if inside is None or inside.end() == at:
                raise ValueError("the overflow is not one compact JSON object")
            at = inside.end()
