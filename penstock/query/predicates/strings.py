"""A test as a Polars expression on a column of strings: keywords, texts, addresses.

A literal is never compiled into a large regular expression: the engine refuses those above 10 MB, which 225 words are.
Long ones are looked for piece by piece, and what holds the pieces is judged by the reference.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from penstock.fields import types
from penstock.query import ast, literals, patterns, words
from penstock.query.predicates import judging, logic, numbers

_NEVER = None
"""The column can hold no value that satisfies the test."""

_TEXT = types.FieldType.TEXT


def expression(test: ast.Test, field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    """The test on a column; None where no string can satisfy it."""
    match test:
        case ast.Equals(text=text):
            return phrase(text, column) if field_type is _TEXT else _equals(test, field_type, column)
        case ast.Like(parts=parts):
            return _within(test, column) if field_type is _TEXT else like(parts, column)
        case ast.Regex(pattern=pattern):
            return column.str.contains(patterns.anchored(pattern))
        case ast.Compare() | ast.Range():
            return _NEVER if field_type is _TEXT else _inside(test, field_type, column)
    raise TypeError(f"{test} is no test of a string")


def phrase(text: str, column: pl.Expr) -> pl.Expr:
    """Whether the column has the literal's words side by side."""
    wanted = words.folded_words(text)
    if not wanted:
        return column.str.contains(text, literal=True) if text else column == ""
    if not patterns.is_short(wanted):
        return judging.by_value(ast.Equals(text=text), _TEXT, column, _contains(patterns.part_of_phrase(wanted)))
    if all(word.isascii() for word in wanted):
        return column.str.contains(patterns.phrase(wanted))
    # The engine searches quickly for a literal of another script, but not for one at the edge of a word.
    return judging.if_likely(f"(?i){patterns.escaped(max(wanted, key=len))}", patterns.phrase(wanted), column)


def _within(test: ast.Like, column: pl.Expr) -> pl.Expr:
    if patterns.is_short(test.parts):
        return column.str.contains(patterns.within(test.parts))
    return judging.by_value(test, _TEXT, column, _contains(f"(?i){patterns.longest_literal(test.parts)}"))


def like(parts: tuple[str | ast.Wild, ...], column: pl.Expr) -> pl.Expr:
    """Whether the column fits a pattern. The forms that Polars knows without a regex are two to ten times faster."""
    match parts:
        case (str(text), ast.Wild.MANY):
            return column.str.starts_with(text)
        case (ast.Wild.MANY, str(text)):
            return column.str.ends_with(text)
        case (ast.Wild.MANY, str(text), ast.Wild.MANY):
            return column.str.contains(text, literal=True)
    if all(isinstance(part, ast.Wild) for part in parts):
        length, least = column.str.len_chars(), parts.count(ast.Wild.ONE)
        return length >= least if ast.Wild.MANY in parts else length == least
    if patterns.is_short(parts):
        return column.str.contains(patterns.like(parts))
    likely = _contains(patterns.longest_literal(parts))
    return judging.by_value(ast.Like(parts=parts), types.FieldType.KEYWORD, column, likely)


def _contains(pattern: str) -> Callable[[pl.Series], pl.Series]:
    return lambda series: series.str.contains(pattern)


def _equals(test: ast.Equals, field_type: types.FieldType, column: pl.Expr) -> pl.Expr:
    same = column == test.text
    if (network := literals.network(test.text)) is not None:
        addresses = _addresses_inside(network, test, field_type, column)
        return same if addresses is None else same | addresses
    address = literals.address(test.text) if field_type is not types.FieldType.KEYWORD else None
    if address is None:
        return same
    if address.version == 4:
        dotted = literals.dotted(test.text)
        # IPv4 has one spelling, and two more as a mapped address; IPv6 has many, so Python judges what has a colon.
        return column.is_in([dotted, *(prefix + dotted for prefix in literals.MAPPED_PREFIXES)])
    return same | judging.by_value(test, field_type, column, _has_colon)


def _inside(test: ast.Compare | ast.Range, field_type: types.FieldType, column: pl.Expr) -> pl.Expr | None:
    interval = literals.interval(test)
    if interval.kind is literals.Number:
        return _numbers_inside(test, interval, field_type, column)
    if interval.kind is literals.Instant:
        return judging.by_value(test, field_type, column, _contains(f"^{literals.DATE_START}"))
    return _addresses_inside(interval, test, field_type, column)


def _numbers_inside(
    test: ast.Test, interval: literals.Interval, field_type: types.FieldType, column: pl.Expr
) -> pl.Expr | None:
    """Integers compare exactly: those of 64 bits as such, longer ones by Python; all others as doubles."""
    # 18 digits always fit 64 bits; of 19 some do not. `strict=False`: Polars may cast all rows before it looks at
    # `when`.
    short = pl.when(column.str.contains("^-?[0-9]{1,18}$")).then(column).cast(pl.Int64, strict=False)
    is_other = column.str.contains(f"^{literals.NUMBER}$") & ~column.str.contains("^-?[0-9]+$")
    other = pl.when(is_other).then(column).cast(pl.Float64, strict=False)
    return logic.any_of(
        [
            numbers.long_inside(interval, short),
            numbers.double_inside(interval, other),
            judging.by_value(test, field_type, column, _contains("^-?[0-9]{19,}$")),
        ]
    )


def _addresses_inside(
    interval: literals.Interval, test: ast.Test, field_type: types.FieldType, column: pl.Expr
) -> pl.Expr | None:
    low, high = interval.low, interval.high
    some = low or high
    if not isinstance(some, literals.Address) or some.version == 6:
        return judging.by_value(test, field_type, column, _has_colon)
    first = low.value + (not interval.low_included) if isinstance(low, literals.Address) else 0
    last = high.value - (not interval.high_included) if isinstance(high, literals.Address) else 2**32 - 1
    return column.str.contains(patterns.ipv4(first, last)) if first <= last else _NEVER


def _has_colon(text: pl.Series) -> pl.Series:
    return text.str.contains(":", literal=True)
