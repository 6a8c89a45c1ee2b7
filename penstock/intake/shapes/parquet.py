"""Parquet rows to events: structs are objects, nulls are absent, times are RFC 3339."""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeGuard

import polars as pl

from penstock import errors
from penstock.fields import refused, values

ROWS = 20_000
"""Rows that are turned into events at once."""

_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_INT64_MAX = 2**63 - 1
_EPOCH = dt.date(1970, 1, 1).toordinal()
_NANOSECONDS_A_DAY = 86_400_000_000_000

_COARSER: tuple[Literal["us", "ms"], ...] = ("us", "ms")
"""The units in which columns of nanoseconds are read as well."""

Event = dict[str, Any] | refused.EventRefused


def rows(name: str, path: str | pathlib.Path) -> Iterator[list[Event]]:
    """All rows of a file in order, each an event or why it cannot be one.

    A time without a zone is read as UTC. Nanoseconds come out as nine digits. Refused alone are rows with bytes, a
    duration, a date or time outside the years 0001 to 9999, NaN or an infinity, or two values of one dotted name.

    Raises:
        IngestError: `invalid_parquet`, after all rows before the damage.
    """
    try:
        schema, lazy = _scan(path)
        for frame in lazy.collect_batches(chunk_size=ROWS, maintain_order=True):
            # Cut again: a batch may be larger than asked for, and events of a wide one take much memory.
            for start in range(0, frame.height, ROWS):
                yield _events(schema, frame.slice(start, ROWS))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise errors.IngestError(
            "invalid_parquet",
            f"{name} cannot be read as Parquet: {reason}",
            "Get an undamaged copy of the file.",
            source=name,
        ) from error


def _scan(path: str | pathlib.Path) -> tuple[pl.Schema, pl.LazyFrame]:
    """The schema of a file, and its columns named by their places; those of nanoseconds in coarser units too.

    INT96 holds times that 64 bits of nanoseconds cannot; Polars reads all of those as the last instant in 2262.
    """
    lazy = pl.scan_parquet(path)
    schema = lazy.collect_schema()
    wide = [place for place, dtype in enumerate(schema.dtypes()) if _in_unit(dtype, "ms") != dtype]
    readings = [lazy.select(pl.nth(place).alias(f"{place}") for place in range(len(schema)))]
    for unit in _COARSER if wide else ():
        # The same column in microseconds and milliseconds too: a far year overflows in nanoseconds and fits there.
        coarser = pl.scan_parquet(
            path,
            schema={name: _in_unit(dtype, unit) for name, dtype in schema.items()},
            cast_options=pl.ScanCastOptions(datetime_cast="nanosecond-downcast"),
        )
        readings.append(coarser.select(pl.nth(place).alias(f"{place} {unit}") for place in wide))
    return schema, pl.concat(readings, how="horizontal") if wide else readings[0]


def _in_unit(dtype: Any, unit: Literal["us", "ms"]) -> pl.DataType:
    """The type with another unit in place of nanoseconds, at any nesting."""
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        return pl.Datetime(unit, dtype.time_zone)
    return _nested(dtype, lambda inner: _in_unit(inner, unit))


def _ticks(dtype: Any) -> pl.DataType:
    """The type with integers in place of dates and times, at any nesting: Python's own have too few years."""
    match dtype:
        case pl.Date():
            return pl.Int32()
        case pl.Datetime() | pl.Time() | pl.Duration():
            return pl.Int64()
        case _:
            return _nested(dtype, _ticks)


def _nested(dtype: Any, change: Callable[[Any], pl.DataType]) -> pl.DataType:
    """The type with its inner types changed, if it has any."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: change(field.dtype) for field in dtype.fields})
    if isinstance(dtype, pl.Array):
        return pl.Array(change(dtype.inner), dtype.size)
    if isinstance(dtype, pl.List):
        return pl.List(change(dtype.inner))
    result: pl.DataType = dtype
    return result


def _is_list(dtype: Any) -> TypeGuard[pl.List | pl.Array]:
    return isinstance(dtype, pl.List | pl.Array)


def _events(schema: pl.Schema, frame: pl.DataFrame) -> list[Event]:
    fields: list[tuple[str, list[Any]]] = []
    for place, name in enumerate(schema):
        labels = [f"{place}", *(f"{place} {unit}" for unit in _COARSER)]
        fields += _leaves(name, [frame[label] for label in labels if label in frame.columns])
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


def _leaves(name: str, readings: list[pl.Series]) -> Iterator[tuple[str, list[Any]]]:
    """Dotted names and JSON values of a column, given in one unit or in all: one field, or those of a struct."""
    dtype = readings[0].dtype
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _leaves(f"{name}.{field.name}", [_member(reading, field.name) for reading in readings])
        return
    found = [_plain(reading) for reading in readings]
    # Only columns with nanoseconds are read in several units.
    if len(found) > 1:
        found[0] = [_finest(dtype, *each) for each in zip(*found, strict=True)]
    render = _renderer(dtype)
    yield name, [None if value is None else _settled(render, value) for value in found[0]]


def _member(column: pl.Series, name: str) -> pl.Series:
    # Members of a null struct may hold anything in Arrow; without this they would show up as values.
    return pl.select(pl.when(column.is_not_null()).then(column.struct.field(name))).to_series()


def _plain(column: pl.Series) -> list[Any]:
    ticks = _ticks(column.dtype)
    return (column if ticks == column.dtype else column.cast(ticks)).to_list()


def _finest(dtype: Any, ns: Any, us: Any, ms: Any) -> Any:
    """A value with its times in nanoseconds of any size: from the finest reading that could hold them."""
    if ns is None:
        return None
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        # A reading that overflowed says another time; only the coarser one tells that it did.
        us = us if abs(ms) < _INT64_MAX // 1000 else ms * 1000
        return ns if abs(us) <= _INT64_MAX // 1000 else us * 1000
    if isinstance(dtype, pl.Struct):
        return {
            field.name: _finest(field.dtype, *(each[field.name] for each in (ns, us, ms))) for field in dtype.fields
        }
    if _is_list(dtype):
        return [_finest(dtype.inner, *each) for each in zip(ns, us, ms, strict=True)]
    return ns


def _settled(render: Callable[[Any], Any], value: Any) -> Any:
    """The value's JSON form, or why there is none."""
    try:
        return render(value)
    except refused.EventRefused as refusal:
        return refusal


def _renderer(dtype: Any) -> Callable[[Any], Any]:
    """What makes the JSON form of a type's values, in which dates and times are integers."""
    match dtype:
        case pl.Struct():
            return functools.partial(_object, {field.name: _renderer(field.dtype) for field in dtype.fields})
        case pl.List() | pl.Array():
            return functools.partial(_array, _renderer(dtype.inner))
        case pl.Datetime():
            return functools.partial(_instant, per_second=_PER_SECOND[dtype.time_unit])
        case pl.Date():
            return _date
        case pl.Time():
            return _time
        case pl.Duration():
            return _duration
        case _:
            return _scalar


def _object(renderers: dict[str, Callable[[Any], Any]], value: dict[str, Any]) -> dict[str, Any]:
    return {name: render(value[name]) for name, render in renderers.items() if value[name] is not None}


def _array(render: Callable[[Any], Any], value: Iterable[Any]) -> list[Any]:
    return [None if item is None else render(item) for item in value]


def _scalar(value: Any) -> Any:
    match value:
        case bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise refused.EventRefused("invalid_number", f"{value} is no JSON number")
            return value
        case decimal.Decimal():
            # By its digits: through a float a decimal of 38 digits would lose most of them.
            return values.loads(format(value, "f"))
        case _:
            raise refused.EventRefused("unsupported_value", f"{type(value).__name__} has no JSON form")


def _date(days: int) -> str:
    try:
        return dt.date.fromordinal(_EPOCH + days).isoformat()
    except (ValueError, OverflowError):
        raise refused.EventRefused("unsupported_value", "the date lies outside the years 0001 to 9999") from None


def _time(ns: int) -> str:
    if not 0 <= ns < _NANOSECONDS_A_DAY:
        raise refused.EventRefused("unsupported_value", "the time lies outside the day")
    us, nanoseconds = divmod(ns, 1000)
    time = (dt.datetime.min + dt.timedelta(microseconds=us)).time()
    return f"{time.isoformat('microseconds')}{nanoseconds:03}" if nanoseconds else time.isoformat()


def _duration(_ticks: int) -> str:
    raise refused.EventRefused("unsupported_value", "timedelta has no JSON form")


def _instant(ticks: int, per_second: int) -> str:
    us, nanoseconds = divmod(ticks * (1_000_000_000 // per_second), 1000)
    try:
        text = values.render_timestamp(us)
    except (ValueError, OverflowError):
        raise refused.EventRefused("unsupported_value", "the time lies outside the years 0001 to 9999") from None
    if not nanoseconds:
        return text
    second, _, fraction = text.removesuffix("Z").partition(".")
    return f"{second}.{fraction.ljust(6, '0')}{nanoseconds:03}Z"
