"""The reference evaluator: says for one event whether a query matches it. The specification of the language.

`Leaf` judges single values. The predicate uses it too, wherever a value is in the overflow or inside JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from penstock.fields import refused, types, values
from penstock.query import ast, globs, literals, patterns, words


def matches(node: ast.Node, event: Mapping[str, Any], field_types: Mapping[str, types.FieldType]) -> bool:
    """Whether the query matches a flat event (values as `fields.values.loads` gives them).

    Args:
        node: the query.
        event: field → value; a field that is not there is absent.
        field_types: the fields whose columns have a type; any other field is compared by its value alone.
    """
    match node:
        case ast.Everything():
            return True
        case ast.Not(item=item):
            return not matches(item, event, field_types)
        case ast.And(items=items):
            return all(matches(item, event, field_types) for item in items)
        case ast.Or(items=items):
            return any(matches(item, event, field_types) for item in items)
        case ast.Term(field=None, test=test):
            return any(Leaf(test, field_types.get(name)).holds(value) for name, value in event.items())
        case ast.Term(field=field, test=test):
            name = str(field)
            return name in event and Leaf(test, field_types.get(name)).holds(event[name])


class Leaf:
    """One test for the values of a field of one type. Not safe from several threads: make one per batch."""

    def __init__(self, test: ast.Test, field_type: types.FieldType | None) -> None:
        self._test = test
        self._judge: Callable[[Any], bool] | None = None
        self._fitting: dict[str, bool] = {}
        match test:
            case ast.Equals(text=text):
                self._judge = _equals(text, field_type)
            case ast.Like(parts=parts):
                self._judge = _like(parts, field_type)
            case ast.Compare() | ast.Range():
                self._judge = _inside(literals.interval(test), field_type)
            case ast.Regex():
                self._judge = lambda value: self._fitting[text_of(value)]

    def prepare(self, batch: Iterable[Any]) -> None:
        """Looks at many values at once, so that `holds` is fast for each of them. Needed by no test, good for regex."""
        if isinstance(self._test, ast.Regex):
            texts = {text_of(scalar) for value in batch for scalar in scalars(value)}
            self._fitting |= _regex(self._test.pattern, texts - self._fitting.keys())

    def holds(self, value: Any) -> bool:
        """Whether the value, or anything inside it, satisfies the test."""
        if self._judge is None:
            return has_value(value)
        if type(value) is str and not isinstance(self._test, ast.Regex):  # the many; the rest leads to the same
            return self._judge(value)
        self.prepare((value,))
        return any(map(self._judge, scalars(value)))


def read_json(text: str) -> Any:
    """The value of JSON text in a column; null if it is none.

    A scan tries predicates on a row group's least and greatest value, and statistics cut long texts short. Polars
    trusts the answer only where the two are one, so any answer will do, but an error would end the scan.
    """
    try:
        return values.loads(text)
    except refused.EventRefused:
        return None


def has_value(value: Any) -> bool:
    """Whether there is more than null and empty lists."""
    if isinstance(value, list):
        return any(map(has_value, value))
    return value is not None


def scalars(value: Any) -> Iterator[Any]:
    """Strings, numbers and booleans in a value, at any depth; names of members are none."""
    if isinstance(value, list):
        for item in value:
            yield from scalars(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from scalars(item)
    elif value is not None:
        yield value


def text_of(scalar: Any) -> str:
    """A scalar as JSON writes it; a string without its quotes."""
    return str.__str__(scalar) if isinstance(scalar, str) else values.dumps(scalar)


def _regex(pattern: str, texts: Iterable[str]) -> dict[str, bool]:
    """Which texts fit, by the engine that defines the syntax."""
    found = dict.fromkeys(texts, False)
    # Not by Python's `re`: it knows other syntax and another version of Unicode, and may take exponential time.
    sound = pl.Series([text for text in found if values.is_unicode(text)], dtype=pl.String)
    found.update(zip(sound, sound.str.contains(patterns.anchored(pattern)), strict=True))
    return found


def _equals(literal: str, field_type: types.FieldType | None) -> Callable[[Any], bool]:
    is_string = _string_equals(literal, field_type)
    number = literals.number(literal)

    def judge(scalar: Any) -> bool:
        if type(scalar) is str:
            return is_string(scalar)
        if type(scalar) is bool:
            # Before the numbers: to Python True is 1, and `field:1` must not find true.
            return literal == text_of(scalar)
        if number is None:
            return False
        # A 64-bit id has more digits than a double holds: as doubles, neighbours would be equal.
        return bool(scalar == number.exact if type(scalar) is int else float(scalar) == number.double)

    return judge


def _string_equals(literal: str, field_type: types.FieldType | None) -> Callable[[str], bool]:
    if field_type is types.FieldType.TEXT:
        return lambda text: words.has_phrase(text, literal)
    by_kind = _equal_kind(literal, field_type)
    return lambda text: text == literal or (by_kind is not None and by_kind(text))


def _equal_kind(literal: str, field_type: types.FieldType | None) -> Callable[[str], bool] | None:
    """What else than the literal itself equals it: the same instant, the same address, an address of the network."""
    if (network := literals.network(literal)) is not None:
        return _inside(network, field_type)
    if field_type is types.FieldType.DATE and (day := literals.day_or_instant(literal)) is not None:
        return _inside(literals.moments(day), field_type)
    # A keyword is exact: two spellings of an address are two keywords. A network is no spelling and holds for all.
    if field_type is not types.FieldType.KEYWORD and literals.address(literal) is not None:
        return lambda text: literals.is_same_address(literal, text)
    return None


def _like(parts: tuple[str | ast.Wild, ...], field_type: types.FieldType | None) -> Callable[[Any], bool]:
    def judge(scalar: Any) -> bool:
        if field_type is types.FieldType.TEXT and type(scalar) is str:
            return globs.has_pattern(parts, scalar)
        return globs.fits(parts, text_of(scalar))

    return judge


def _inside(interval: literals.Interval, field_type: types.FieldType | None) -> Callable[[Any], bool]:
    def judge(scalar: Any) -> bool:
        if type(scalar) is str:
            return field_type is not types.FieldType.TEXT and interval.holds_text(scalar)
        if type(scalar) is bool:
            return False
        return interval.holds_number(scalar if type(scalar) is int else float(scalar))

    return judge
