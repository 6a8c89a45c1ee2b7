"""A test as a Polars expression on one typed column. Says what `evaluate.Leaf` says of the column's values.

A null in the column gives null, or false. What Polars cannot compute is asked of Python once per distinct value.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence

import polars as pl

from penstock.fields import types, values
from penstock.query import ast, evaluate, literals, patterns, words

_LEAST_LONG, _GREATEST_LONG = -(2**63), 2**63 - 1
_JSON_WITH_VALUE = r'["{tf0-9]'
"""In compact JSON text, all but null and lists of lists of null have one of these."""

_NEVER = None
"""The column can hold no value that satisfies the test."""


def expression(test: ast.Test, field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    """The test on a column; None where no value of its type can satisfy it."""
    if isinstance(test, ast.Exists):
        return _exists(field_type, column)
    match field_type:
        case types.FieldType.KEYWORD | types.FieldType.TEXT | types.FieldType.IP:
            return _string(test, field_type, column)
        case types.FieldType.LONG:
            return _long(test, column)
        case types.FieldType.DOUBLE:
            return _double(test, column)
        case types.FieldType.BOOLEAN:
            return _boolean(test, column)
        case types.FieldType.DATE:
            return _date(test, column)
        case types.FieldType.KEYWORD_LIST:
            return _keyword_list(test, column)
        case types.FieldType.JSON:
            return _json(test, column)


def one_of(texts: Sequence[str], field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    """Whether the column equals any of the literals; None where it cannot."""
    if field_type is types.FieldType.KEYWORD:
        plain = [text for text in texts if literals.network(text) is None]
        others = [_string(ast.Equals(text=text), field_type, column) for text in texts if text not in plain]
        return any_of([column.is_in(plain) if plain else None, *others])
    return any_of(expression(ast.Equals(text=text), field_type, column) for text in texts)


def all_false(rows: int) -> pl.Series:
    """That many times false."""
    return pl.Series([False]).new_from_index(0, rows)


def any_of(expressions: Iterable[pl.Expr | None]) -> pl.Expr | None:
    """OR as a balanced tree, so that a long query does not become a deep expression; None where there are none."""
    return _balanced([one for one in expressions if one is not None], operator.or_)


def all_of(expressions: Iterable[pl.Expr]) -> pl.Expr | None:
    """AND as a balanced tree."""
    return _balanced(list(expressions), operator.and_)


def _balanced(items: list[pl.Expr], join: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> pl.Expr | None:
    while len(items) > 1:
        pairs = [join(*items[at : at + 2]) for at in range(0, len(items) - 1, 2)]
        items = pairs + items[2 * len(pairs) :]
    return items[0] if items else None


def _exists(field_type: types.FieldType, column: pl.Expr) -> pl.Expr:
    match field_type:
        case types.FieldType.KEYWORD_LIST:
            return column.list.len() > 0
        case types.FieldType.JSON:
            return column.str.contains(_JSON_WITH_VALUE)
        case _:
            return column.is_not_null()


def _string(test: ast.Test, field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    is_text = field_type is types.FieldType.TEXT
    match test:
        case ast.Equals(text=text):
            return _phrase(text, column) if is_text else _string_equals(test, field_type, column)
        case ast.Like(parts=parts):
            return column.str.contains(patterns.within(parts)) if is_text else _like(parts, column)
        case ast.Regex(pattern=pattern):
            return column.str.contains(patterns.anchored(pattern))
        case ast.Compare() | ast.Range():
            return _NEVER if is_text else _string_inside(test, field_type, column)
    raise TypeError(f"{test} is no test of a string")


def _phrase(text: str, column: pl.Expr) -> pl.Expr:
    if wanted := words.folded_words(text):
        return column.str.contains(patterns.phrase(wanted))
    return column.str.contains(text, literal=True) if text else column == ""


def _like(parts: tuple[str | ast.Wild, ...], column: pl.Expr) -> pl.Expr:
    """The forms that Polars knows without a regex are two to ten times faster."""
    match parts:
        case (str(text), ast.Wild.MANY):
            return column.str.starts_with(text)
        case (ast.Wild.MANY, str(text)):
            return column.str.ends_with(text)
        case (ast.Wild.MANY, str(text), ast.Wild.MANY):
            return column.str.contains(text, literal=True)
    return column.str.contains(patterns.like(parts))


def _string_equals(test: ast.Equals, field_type: types.FieldType, column: pl.Expr) -> pl.Expr:
    same = column == test.text
    if (network := literals.network(test.text)) is not None:
        addresses = _addresses_inside(network, test, field_type, column)
        return same if addresses is None else same | addresses
    address = literals.address(test.text) if field_type is not types.FieldType.KEYWORD else None
    if address is None:
        return same
    if address.version == 4:
        dotted = test.text.removeprefix(literals.MAPPED_PREFIXES[0]).removeprefix(literals.MAPPED_PREFIXES[1])
        return column.is_in([dotted, *(prefix + dotted for prefix in literals.MAPPED_PREFIXES)])
    return same | _by_value(test, field_type, column, _has_colon)


def _string_inside(test: ast.Compare | ast.Range, field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    interval = literals.interval(test)
    if interval.kind is literals.Number:
        is_number = column.str.contains(f"^{literals.NUMBER}$")
        number = pl.when(is_number).then(column).cast(pl.Float64, strict=False)
        return _between(number, interval, _double_of)
    if interval.kind is literals.Instant:
        return _by_value(test, field_type, column, lambda text: text.str.contains(f"^{literals.DATE_START}"))
    return _addresses_inside(interval, test, field_type, column)


def _addresses_inside(
    interval: literals.Interval, test: ast.Test, field_type: types.FieldType, column: pl.Expr
) -> pl.Expr | None:
    low, high = interval.low, interval.high
    some = low or high
    if not isinstance(some, literals.Address) or some.version == 6:
        return _by_value(test, field_type, column, _has_colon)
    first = low.value + (not interval.low_included) if isinstance(low, literals.Address) else 0
    last = high.value - (not interval.high_included) if isinstance(high, literals.Address) else 2**32 - 1
    return column.str.contains(patterns.ipv4(first, last)) if first <= last else _NEVER


def _has_colon(text: pl.Series) -> pl.Series:
    return text.str.contains(":", literal=True)


def _by_value(
    test: ast.Test,
    field_type: types.FieldType,
    column: pl.Expr,
    may_fit: Callable[[pl.Series], pl.Series] | None = None,
    read: Callable[[object], object] | None = None,
) -> pl.Expr:
    """Asks Python once per distinct value that may fit; `read` turns the column's value into the event's."""

    def judge(series: pl.Series) -> pl.Series:
        distinct = (series if may_fit is None else series.filter(may_fit(series))).drop_nulls().unique()
        if distinct.is_empty():
            return all_false(len(series))
        fitting = _fitting(test, field_type, distinct.to_list(), read)
        return series.is_in(pl.Series([fitting], dtype=pl.List(series.dtype)))

    return column.map_batches(judge, return_dtype=pl.Boolean, is_elementwise=True)


def _fitting(
    test: ast.Test, field_type: types.FieldType, distinct: list[object], read: Callable[[object], object] | None
) -> list[object]:
    leaf = evaluate.Leaf(test, field_type)
    meanings = distinct if read is None else [read(value) for value in distinct]
    leaf.prepare(meanings)
    return [value for value, meaning in zip(distinct, meanings, strict=True) if leaf.holds(meaning)]


def _long(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    match test:
        case ast.Like() | ast.Regex():
            return _string(test, types.FieldType.KEYWORD, column.cast(pl.String))
    interval = _number_interval(test)
    if interval is None:
        return _NEVER
    low = _whole(interval.low, interval.low_included, math.ceil, 1)
    high = _whole(interval.high, interval.high_included, math.floor, -1)
    if (low is not None and low > _GREATEST_LONG) or (high is not None and high < _LEAST_LONG):
        return _NEVER
    low = None if low is None or low <= _LEAST_LONG else low
    high = None if high is None or high >= _GREATEST_LONG else high
    return _closed(column, low, high)


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
    bound: literals.Bound | None, is_included: bool, to_whole: Callable[[float], int], inwards: int
) -> float | None:
    """The outermost integer that lies inside a bound; infinite if none or all do."""
    if not isinstance(bound, literals.Number):
        return None
    if math.isinf(bound.double) and isinstance(bound.exact, float):
        return bound.exact
    whole = to_whole(bound.exact)
    return whole + inwards if whole == bound.exact and not is_included else whole


def _number_interval(test: ast.Test) -> literals.Interval | None:
    match test:
        case ast.Equals(text=text):
            number = literals.number(text)
            return None if number is None else literals.Interval(low=number, high=number)
        case ast.Compare() | ast.Range():
            interval = literals.interval(test)
            return interval if interval.kind is literals.Number else None
    return None


def _double(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    match test:
        case ast.Like() | ast.Regex():
            return _by_value(test, types.FieldType.DOUBLE, column)
    interval = _number_interval(test)
    return _NEVER if interval is None else _between(column, interval, _double_of)


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
    return all_of(sides)


def _boolean(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    leaf = evaluate.Leaf(test, types.FieldType.BOOLEAN)
    match leaf.holds(True), leaf.holds(False):
        case True, True:
            return column.is_not_null()
        case True, False:
            return column
        case False, True:
            return ~column
    return _NEVER


def _date(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    match test:
        case ast.Like() | ast.Regex():
            return _string(test, types.FieldType.KEYWORD, _rendered(column))
        case ast.Equals(text=text):
            point = literals.day_or_instant(text)
            return _NEVER if point is None else _between(column, literals.moments(point), _instant_of)
        case ast.Compare() | ast.Range():
            interval = literals.interval(test)
            return _between(column, interval, _instant_of) if interval.kind is literals.Instant else _NEVER
    raise TypeError(f"{test} is no test of a date")


def _rendered(column: pl.Expr) -> pl.Expr:
    """What `fields.values.render_timestamp` makes of a date."""
    microsecond = column.dt.microsecond()
    return (
        pl.when(microsecond == 0)
        .then(column.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        .when(microsecond % 1000 == 0)
        .then(column.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
        .otherwise(column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    )


def _keyword_list(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    if isinstance(test, ast.Equals) and literals.network(test.text) is None and literals.address(test.text) is None:
        return column.list.contains(test.text)
    item = _string(test, types.FieldType.KEYWORD_LIST, pl.element())
    return _NEVER if item is None else column.list.eval(item).list.any()


def _json(test: ast.Test, column: pl.Expr) -> pl.Expr:
    hint = functools.partial(_may_hold, needle) if (needle := json_needle(test)) else None
    return _by_value(test, types.FieldType.JSON, column, hint, lambda text: evaluate.read_json(str(text)))


def _may_hold(needle: str, text: pl.Series) -> pl.Series:
    return text.str.contains(needle, literal=True)


def json_needle(test: ast.Test) -> str | None:
    """What the JSON text of every value that equals the literal must contain; None where nothing is sure.

    Numbers, dates and addresses are equal in more than one spelling.
    """
    if not isinstance(test, ast.Equals):
        return None
    if literals.bound(test.text) is not None or literals.network(test.text) is not None:
        return None
    return values.dumps(test.text)[1:-1]
