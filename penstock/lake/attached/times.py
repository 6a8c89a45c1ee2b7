"""A column's values as @timestamp: microseconds since 1970, null where there is no usable time.

What is usable is what `fields.values.parse_timestamp` takes. Integers and times go by Polars, other texts by that.
"""

from __future__ import annotations

import polars as pl

from penstock.fields import values

FIRST_US = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z: where events without a usable time stand. They come first, and no real event is there."""

END_US = 253_402_300_800_000_000
"""The first microsecond after the year 9999."""

_CANONICAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?Z$"
_PER_UNIT = {"ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}


def expression(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """Microseconds since 1970 as Int64; null where there is no usable time. None: no value of the type is a time."""
    match dtype:
        case pl.Datetime():
            times, by = _PER_UNIT[dtype.time_unit]
            ticks = column.dt.replace_time_zone(None) if dtype.time_zone is None else column
            return _usable(_scaled(ticks.to_physical(), times, by))
        case pl.Date():
            return _usable(column.to_physical().cast(pl.Int64) * 86_400_000_000)
        case pl.UInt64():
            # Beyond 64 signed bits there is no time: the year is past 5138 whatever the unit.
            return _of_numbers(column.cast(pl.Int64, strict=False))
        case _ if dtype.is_integer():
            return _of_numbers(column.cast(pl.Int64))
        case _ if dtype.is_float():
            return column.map_batches(_floats, return_dtype=pl.Int64, is_elementwise=True)
        case pl.String() | pl.Categorical() | pl.Enum():
            return column.cast(pl.String).map_batches(_texts, return_dtype=pl.Int64, is_elementwise=True)
        case pl.Null():
            return pl.lit(None, pl.Int64)
    return None


def bounds(least: int, most: int, dtype: pl.DataType) -> tuple[int, int] | None:
    """The instants between which all times of a row group lie, from its statistics; None where they do not tell.

    The statistics are of the column's integers as they lie in the file.
    """
    if most < least:
        return None  # unsigned integers beyond the signed ones
    if isinstance(dtype, pl.Datetime | pl.Date):
        series = pl.Series([least, most], dtype=pl.Int64)
        # As the file has them: Polars reads seconds and milliseconds in its own units, but says which.
        ticks = (
            series.cast(pl.Int32).cast(pl.Date)
            if isinstance(dtype, pl.Date)
            else series.cast(pl.Datetime(dtype.time_unit))
        )
        found = pl.select(expression(pl.lit(ticks), ticks.dtype)).to_series().to_list()
    elif dtype.is_integer() and least >= 0 and _unit(least) == _unit(most):
        # Of one unit, so that a later number is a later time.
        found = pl.select(_of_numbers(pl.lit(pl.Series([least, most], dtype=pl.Int64)))).to_series().to_list()
    else:
        return None
    return None if None in found else (found[0], found[1])


def _scaled(ticks: pl.Expr, times: int, by: int) -> pl.Expr:
    # Of those that fit only: a product beyond 64 bits would come out as some other time.
    fits = ticks.is_between(FIRST_US // times, END_US // times)
    return ticks // by if by > 1 else pl.when(fits).then(ticks * times)


def _usable(us: pl.Expr) -> pl.Expr:
    return pl.when(us.is_between(FIRST_US, END_US, closed="left")).then(us)


def _of_numbers(number: pl.Expr) -> pl.Expr:
    """By size, as `values.parse_timestamp` does: seconds, milliseconds, microseconds, nanoseconds."""
    # The least integer has no positive counterpart.
    size = pl.when(number > -(2**63)).then(number).abs()
    us = (
        pl.when(size < 10**11)
        .then(number * 1_000_000)
        .when(size < 10**14)
        .then(number * 1_000)
        .when(size < 10**17)
        .then(number)
        .when(size.is_not_null())
        .then(number // 1_000)
    )
    return _usable(us)


def _unit(number: int) -> int:
    return sum(number >= bound for bound in (10**11, 10**14, 10**17))


def _floats(column: pl.Series) -> pl.Series:
    return pl.Series([None if one is None else values.parse_timestamp(one) for one in column.to_list()], dtype=pl.Int64)


def _texts(column: pl.Series) -> pl.Series:
    """Texts in the usual form by Polars, all others one by one."""
    usual = column.str.contains(_CANONICAL)
    parsed = (
        column.to_frame("t")
        .select(pl.when(usual).then(pl.col("t")).str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False))
        .to_series()
        .to_physical()
        .cast(pl.Int64)
    )
    rest = (parsed.is_null() & column.is_not_null()).arg_true()
    if rest.is_empty():
        return parsed
    found = [_text(text) for text in column.gather(rest).to_list()]
    return parsed.scatter(rest, pl.Series(found, dtype=pl.Int64))


def _text(text: str) -> int | None:
    us = values.parse_timestamp(text)
    if us is None and len(text) == 10 and text[4:5] == "-":
        us = values.parse_timestamp(f"{text}T00:00:00Z")  # a date
    if us is None and text.isascii() and text.isdecimal() and len(text) in (10, 13, 16, 19):
        us = values.parse_timestamp(int(text))
    return us
