"""Parquet rows to events: structs are objects, nulls are absent, times are RFC 3339."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import polars as pl

from penstock import errors
from penstock.base import instants
from penstock.fields import refused, values

ROWS = 20_000
"""Rows that are turned into events at once."""

_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

Event = dict[str, Any] | refused.EventRefused


def rows(name: str, path: str | pathlib.Path) -> Iterator[list[Event]]:
    """All rows of a file in order, each an event or why it cannot be one.

    A time without a zone is read as UTC. Nanoseconds come out as nine digits; inside lists, times have microseconds.
    Refused alone are rows with bytes, a duration, NaN or an infinity, or two values of one dotted name.

    Raises:
        IngestError: `invalid_parquet`, after all rows before the damage.
    """
    try:
        for frame in pl.scan_parquet(path).collect_batches(chunk_size=ROWS, maintain_order=True):
            for start in range(0, frame.height, ROWS):
                yield _events(frame.slice(start, ROWS))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise errors.IngestError(
            "invalid_parquet",
            f"{name} cannot be read as Parquet: {reason}",
            "Get an undamaged copy of the file.",
            source=name,
        ) from error


def _events(frame: pl.DataFrame) -> list[Event]:
    fields = [field for column in frame for field in _leaves(column.name, column)]
    names = [name for name, _ in fields]
    return [_event(names, row) for row in zip(*(column for _, column in fields), strict=True)]


def _event(names: list[str], row: tuple[Any, ...]) -> Event:
    event: dict[str, Any] = {}
    for name, value in zip(names, row, strict=True):
        if value is None:
            continue
        if isinstance(value, refused.EventRefused):
            return refused.EventRefused(value.code, f"{name}: {value.detail}")
        if name in event:
            return refused.EventRefused("duplicate_name", f"two columns give the one name {name!r}")
        event[name] = value
    return event


def _leaves(name: str, column: pl.Series) -> Iterator[tuple[str, list[Any]]]:
    """Dotted names and JSON values of a column: one field, or those of a struct."""
    if isinstance(column.dtype, pl.Struct):
        for field in column.dtype.fields:
            member = pl.select(pl.when(column.is_not_null()).then(column.struct.field(field.name))).to_series()
            yield from _leaves(f"{name}.{field.name}", member)
    elif isinstance(column.dtype, pl.Datetime):
        per_second = _PER_SECOND[column.dtype.time_unit]
        yield name, [None if t is None else _instant(t, per_second) for t in column.to_physical().to_list()]
    else:
        yield name, [None if value is None else _settled(value) for value in column.to_list()]


def _settled(value: Any) -> Any:
    """The value, or why there is none."""
    try:
        return _json(value)
    except refused.EventRefused as refusal:
        return refusal


def _json(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise refused.EventRefused("invalid_number", f"{value} is no JSON number")
            return value
        case decimal.Decimal():
            return values.loads(format(value, "f"))
        case dt.datetime():
            aware = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
            return values.render_timestamp(instants.to_microseconds(aware))
        case dt.date() | dt.time():
            return value.isoformat()
        case list():
            return [_json(item) for item in value]
        case dict():
            return {name: _json(member) for name, member in value.items() if member is not None}
        case _:
            raise refused.EventRefused("unsupported_value", f"{type(value).__name__} has no JSON form")


def _instant(ticks: int, per_second: int) -> str | refused.EventRefused:
    us, nanoseconds = divmod(ticks * (1_000_000_000 // per_second), 1000)
    try:
        text = values.render_timestamp(us)
    except (ValueError, OverflowError):
        return refused.EventRefused("unsupported_value", "the time lies outside the years 0001 to 9999")
    if not nanoseconds:
        return text
    second, _, fraction = text.removesuffix("Z").partition(".")
    return f"{second}.{fraction.ljust(6, '0')}{nanoseconds:03}Z"
