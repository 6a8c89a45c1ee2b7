"""A test as a Polars expression on one typed column. Says what `evaluate.Leaf` says of the column's values.

A null in the column gives null, or false. What Polars cannot compute is asked of Python once per distinct value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import polars as pl

from penstock.fields import types, values
from penstock.query import ast, evaluate, literals, patterns, words
from penstock.query.predicates import judging, logic, numbers, sought, strings

_JSON_WITH_VALUE = r'["{tf0-9]'
"""In compact JSON text, all but null and lists of lists of null have one of these."""

_SMALL_WHOLE = re.compile("[1-9][0-9]{0,8}")
_NOT_PLAIN = r"(?:^|[:,\[])[0-9.]+[eE]|\.9{7}"
"""JSON keeps numbers as they came in. One that equals a small whole number and lacks its digits has an exponent, or is
so little less that a double does not tell the two apart."""

_NEVER = None
"""The column can hold no value that satisfies the test."""


def expression(test: ast.Test, field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    """The test on a column; None where no value of its type can satisfy it."""
    if isinstance(test, ast.Exists):
        return _exists(field_type, column)
    match field_type:
        case types.FieldType.KEYWORD | types.FieldType.TEXT | types.FieldType.IP:
            return strings.expression(test, field_type, column)
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
        # Hundreds of literals are one hash look-up; as comparisons each would read the whole column again.
        plain = [text for text in texts if literals.network(text) is None]
        others = [strings.expression(ast.Equals(text=text), field_type, column) for text in texts if text not in plain]
        return logic.any_of([column.is_in(plain) if plain else None, *others])
    return logic.any_of(expression(ast.Equals(text=text), field_type, column) for text in texts)


def _exists(field_type: types.FieldType, column: pl.Expr) -> pl.Expr:
    match field_type:
        case types.FieldType.KEYWORD_LIST:
            # An empty list is no value; a null list gives null, which counts as false.
            return column.list.len() > 0
        case types.FieldType.JSON:
            return column.str.contains(_JSON_WITH_VALUE)
        case _:
            return column.is_not_null()


def _long(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    match test:
        case ast.Like() | ast.Regex():
            return strings.expression(test, types.FieldType.KEYWORD, column.cast(pl.String))
    interval = numbers.interval_of(test)
    return _NEVER if interval is None else numbers.long_inside(interval, column)


def _double(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    match test:
        case ast.Like() | ast.Regex():
            return judging.by_value(test, types.FieldType.DOUBLE, column)
    interval = numbers.interval_of(test)
    return _NEVER if interval is None else numbers.double_inside(interval, column)


def _boolean(test: ast.Test, column: pl.Expr) -> pl.Expr | None:
    # There are two values only: the reference is asked about both while compiling.
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
            return strings.expression(test, types.FieldType.KEYWORD, _rendered(column))
        case ast.Equals(text=text):
            point = literals.day_or_instant(text)
            return _NEVER if point is None else numbers.instant_inside(literals.moments(point), column)
        case ast.Compare() | ast.Range():
            interval = literals.interval(test)
            return numbers.instant_inside(interval, column) if interval.kind is literals.Instant else _NEVER
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
    item = strings.expression(test, types.FieldType.KEYWORD_LIST, pl.element())
    return _NEVER if item is None else column.list.eval(item).list.any()


def _json(test: ast.Test, column: pl.Expr) -> pl.Expr:
    return judging.by_value(
        test, types.FieldType.JSON, column, json_hint(test), lambda text: evaluate.read_json(str(text))
    )


def json_hint(test: ast.Test, *, has_texts: bool = False) -> Callable[[pl.Series], pl.Series] | None:
    """Which JSON texts may hold a value that satisfies the test; None where nothing is sure.

    Args:
        has_texts: whether values of text fields are among them, which hold a literal's words in any case.
    """
    if not has_texts and (needle := json_needle(test)):
        return lambda text: text.str.contains(needle, literal=True)
    if (pattern := _json_pattern(test)) is not None:
        return lambda text: text.str.contains(pattern)
    return None


def _json_pattern(test: ast.Test) -> str | None:
    """A regular expression that fits the JSON of all that equals the literal, in texts too; None where none is sure."""
    if isinstance(test, ast.Equals) and _SMALL_WHOLE.fullmatch(test.text):
        return f"{test.text}|{_NOT_PLAIN}"
    literal = sought.spelling(test)
    if literal is None:
        return None
    wanted = words.folded_words(literal)
    if not wanted:
        return patterns.escaped(values.dumps(literal)[1:-1]) or None
    return patterns.words_in_json(wanted) if all(word.isascii() for word in wanted) else None


def json_needle(test: ast.Test) -> str | None:
    """What the JSON text of every value that equals the literal must contain; None where nothing is sure.

    Numbers, dates and addresses are equal in more than one spelling.
    """
    if not isinstance(test, ast.Equals):
        return None
    if literals.bound(test.text) is not None or literals.network(test.text) is not None:
        return None
    # As the column holds it: compact JSON, with the same escapes.
    return values.dumps(test.text)[1:-1]
