"""A test as a Polars expression on a column of numbers or instants."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable

import polars as pl

from penstock.query import ast, literals
from penstock.query.predicates import logic

_LEAST_LONG, _GREATEST_LONG = -(2**63), 2**63 - 1

_NEVER = None
"""The column can hold no value that satisfies the test."""


def interval_of(test: ast.Test) -> literals.Interval | None:
    """The numbers that satisfy an equality, comparison or range; None where none do."""
    match test:
        case ast.Equals(text=text):
            number = literals.number(text)
            return None if number is None else literals.Interval(low=number, high=number)
        case ast.Compare() | ast.Range():
            interval = literals.interval(test)
            return interval if interval.kind is literals.Number else None
    return None


def long_inside(interval: literals.Interval, column: pl.Expr) -> pl.Expr | None:
    """Whether a column of 64-bit integers lies inside; None where none can."""
    # Bounds become integers here. Compared with a double, Polars would turn the column into doubles, and ids above 2^53
    # would equal their neighbours.
    low = _whole(interval.low, interval.low_included, math.ceil, 1)
    high = _whole(interval.high, interval.high_included, math.floor, -1)
    if (low is not None and low > _GREATEST_LONG) or (high is not None and high < _LEAST_LONG):
        return _NEVER
    # A literal beyond 64 bits is one that Polars cannot compare with; outside of the column's range it says nothing
    # anyway.
    low = None if low is None or low <= _LEAST_LONG else low
    high = None if high is None or high >= _GREATEST_LONG else high
    return _closed(column, low, high)


def double_inside(interval: literals.Interval, column: pl.Expr) -> pl.Expr | None:
    """Whether a column of doubles lies inside."""
    return _between(column, interval, _double_of)


def instant_inside(interval: literals.Interval, column: pl.Expr) -> pl.Expr | None:
    """Whether a column of instants lies inside."""
    return _between(column, interval, _instant_of)


def _closed(column: pl.Expr, low: float | None, high: float | None) -> pl.Expr | None:
    """The column between two values, both included."""
    if low is not None and low == high:
        return column == int(low)
    if low is not None and high is not None:
        return column.is_between(int(low), int(high)) if low <= high else _NEVER
    if low is not None:
        return column >= int(low)
    return column.is_not_null() if high is None else column <= int(high)


def _whole(
    bound: literals.Bound | None,
    is_included: bool,
    to_whole: Callable[[float | decimal.Decimal], int],
    inwards: int,
) -> float | None:
    """The outermost integer that lies inside a bound; infinite if none or all do."""
    if not isinstance(bound, literals.Number):
        return None
    # `ceil` of infinity raises; written numbers like 1e400 get here.
    if math.isinf(bound.double):
        return bound.double
    whole = to_whole(bound.exact)
    return whole + inwards if whole == bound.exact and not is_included else whole


def _double_of(bound: literals.Bound) -> pl.Expr:
    return pl.lit(bound.double if isinstance(bound, literals.Number) else None, dtype=pl.Float64)


def _instant_of(bound: literals.Bound) -> pl.Expr:
    microseconds = bound.microseconds if isinstance(bound, literals.Instant) else None
    return pl.lit(microseconds, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _between(
    column: pl.Expr, interval: literals.Interval, value_of: Callable[[literals.Bound], pl.Expr]
) -> pl.Expr | None:
    sides = []
    if interval.low is not None:
        low = value_of(interval.low)
        sides.append(column >= low if interval.low_included else column > low)
    if interval.high is not None:
        high = value_of(interval.high)
        sides.append(column <= high if interval.high_included else column < high)
    return logic.all_of(sides)
