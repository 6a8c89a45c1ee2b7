"""Values that Polars cannot render as Penstock does: nested ones as JSON text, and those that live in the overflow."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from penstock.fields import values
from penstock.lake.attached import times

_Render = Callable[[Any], Any]
_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = dt.date(1970, 1, 1).toordinal()


def as_json(column: pl.Series) -> pl.Series:
    """Compact JSON text of each value; null where it is null.

    Structs are objects without the members that are null, maps are objects, lists keep their nulls. Times are
    RFC 3339, bytes base64, decimals keep their digits, NaN and infinities are the texts `NaN`, `Infinity`, `-Infinity`.
    """
    render = _renderer(column.dtype)
    texts = [None if value is None else values.dumps(render(value)) for value in plain(column)]
    return pl.Series(texts, dtype=pl.String)


def overflow(names: Sequence[str]) -> Callable[[pl.Series], pl.Series]:
    """Gives, of a struct of columns named by their places in `names`, the overflow of each row; null where all fits.

    A column is there if some of its values may not fit the field's type; see `misfits`.
    """

    def of(row: pl.Series) -> pl.Series:
        frame = row.struct.unnest()
        members: dict[int, dict[str, Any]] = {}
        for place, name in enumerate(names):
            column = frame[f"{place}"]
            bad = column.to_frame("v").select(misfits(pl.col("v"), column.dtype)).to_series().fill_null(False)
            if not bad.any():
                continue
            rows = bad.arg_true()
            render = _renderer(column.dtype)
            for number, value in zip(rows.to_list(), plain(column.gather(rows)), strict=True):
                members.setdefault(number, {})[name] = render(value)
        found: list[str | None] = [None] * frame.height
        for number, member in members.items():
            found[number] = values.dumps(member)
        return pl.Series(found, dtype=pl.String)

    return of


def misfits(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Which values of a column its field's type cannot hold, and so live in the overflow.

    Numbers that JSON lacks; times finer than a microsecond or outside the years 0001 to 9999; lists with nulls.
    """
    match dtype:
        case _ if dtype.is_float():
            return ~column.is_finite()
        case pl.Datetime():
            us = times.expression(column, dtype)
            assert us is not None
            finer = column.to_physical() % 1_000 != 0 if dtype.time_unit == "ns" else pl.lit(False)
            return column.is_not_null() & (us.is_null() | finer)
        case pl.List() | pl.Array():
            items = column if isinstance(dtype, pl.List) else column.arr.to_list()
            return items.list.eval(pl.element().is_null()).list.any()
    return pl.lit(False)


def may_misfit(dtype: pl.DataType) -> bool:
    """Whether a column that is no JSON may have values that live in the overflow."""
    return dtype.is_float() or isinstance(dtype, pl.Datetime | pl.List | pl.Array)


def clock_text(column: pl.Series) -> pl.Series:
    """Times of day as text: `HH:MM:SS`, with six or nine digits where they are needed."""
    texts = [None if ns is None else _time(ns) for ns in column.to_physical().to_list()]
    return pl.Series(texts, dtype=pl.String)


def plain(column: pl.Series) -> list[Any]:
    """Python values, with integers in place of dates and times: Python's own have too few years and digits."""
    ticks = _ticks(column.dtype)
    return (column if ticks == column.dtype else column.cast(ticks)).to_list()


def _ticks(dtype: Any) -> Any:
    match dtype:
        case pl.Date():
            return pl.Int32()
        case pl.Datetime() | pl.Time() | pl.Duration():
            return pl.Int64()
        case pl.Struct():
            return pl.Struct({field.name: _ticks(field.dtype) for field in dtype.fields})
        case pl.Array():
            return pl.Array(_ticks(dtype.inner), dtype.size)
        case pl.List():
            return pl.List(_ticks(dtype.inner))
        case pl.Map():
            return pl.Map(_ticks(dtype.key), _ticks(dtype.value))
        case _:
            return dtype


def _renderer(dtype: Any) -> _Render:
    match dtype:
        case pl.Struct():
            return functools.partial(_object, {field.name: _renderer(field.dtype) for field in dtype.fields})
        case pl.List() | pl.Array():
            return functools.partial(_array, _renderer(dtype.inner))
        case pl.Map():
            return functools.partial(_map, _renderer(dtype.key), _renderer(dtype.value))
        case pl.Datetime():
            return functools.partial(_instant, per_second=_PER_SECOND[dtype.time_unit])
        case pl.Date():
            return _date
        case pl.Time():
            return _time
        case _:
            return _scalar


def _object(renderers: dict[str, _Render], value: dict[str, Any]) -> dict[str, Any]:
    return {name: render(value[name]) for name, render in renderers.items() if value[name] is not None}


def _array(render: _Render, value: Sequence[Any]) -> list[Any]:
    return [None if item is None else render(item) for item in value]


def _map(key: _Render, render: _Render, value: Any) -> dict[str, Any]:
    items = value.items() if isinstance(value, dict) else ((each["key"], each["value"]) for each in value)
    return {_name(key(name)): None if item is None else render(item) for name, item in items}


def _name(key: Any) -> str:
    return key if type(key) is str else values.dumps(key)


def _scalar(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case bool() | int() | str() | float():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case decimal.Decimal():
            # By its digits: through a float a decimal of 38 digits would lose most of them.
            return values.loads(format(value, "f"))
        case _:
            return str(value)


def _date(days: int) -> str:
    try:
        return dt.date.fromordinal(_EPOCH + days).isoformat()
    except (ValueError, OverflowError):
        return f"{days} days since 1970-01-01"  # no year of four digits


def _time(ns: int) -> str:
    us, nanoseconds = divmod(ns, 1000)
    time = (dt.datetime.min + dt.timedelta(microseconds=us)).time()
    return f"{time.isoformat('microseconds')}{nanoseconds:03}" if nanoseconds else time.isoformat()


def _instant(ticks: int, per_second: int) -> str:
    us, nanoseconds = divmod(ticks * (1_000_000_000 // per_second), 1000)
    try:
        text = values.render_timestamp(us)
    except (ValueError, OverflowError):
        return f"{us} microseconds since 1970-01-01T00:00:00Z"
    if not nanoseconds:
        return text
    second, _, fraction = text.removesuffix("Z").partition(".")
    return f"{second}.{fraction.ljust(6, '0')}{nanoseconds:03}Z"


def dates(column: pl.Series) -> pl.Series:
    """Dates as text, `YYYY-MM-DD`."""
    few = column.unique()
    known = {day: None if day is None else _date(day) for day in few.to_physical().to_list()}
    return pl.Series([known[day] for day in column.to_physical().to_list()], dtype=pl.String)
