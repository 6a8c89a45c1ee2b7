"""Reads the filters of a search-job request into the same tree that a query text makes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.fields import values
from penstock.query import ast, literals
from penstock.query.syntax import parser

_MANY = ast.Wild.MANY


def from_filters(filters: Sequence[Mapping[str, Any]]) -> ast.Node:
    """AND of the filters; none, or only disabled ones, match everything.

    A filter is `{"field", "operator", "value", "disabled", "excluded"}`. A disabled one is skipped unread; an
    excluded one is negated. Values are taken literally: no wildcards.

    Raises:
        InvalidRequest: `invalid_filter`; `extra` holds the filter's `index` and the known `operators`.
    """
    nodes = [_node(index, one) for index, one in enumerate(filters) if not one.get("disabled")]
    node = ast.all_of(nodes)
    if sum(1 for _ in ast.terms(node)) > parser.MAX_TERMS:
        raise errors.InvalidRequest(
            "invalid_filter",
            f"The filters hold more than {parser.MAX_TERMS} values.",
            "Split the search into several.",
        )
    return node


def _node(index: int, one: Mapping[str, Any]) -> ast.Node:
    field, operator = one.get("field"), one.get("operator")
    if not isinstance(field, str) or not field or not values.is_unicode(field):
        raise _refusal(index, f"{field!r} is not the name of a field", "Give the field's dotted name.")
    if not isinstance(operator, str) or operator not in _OPERATORS:
        close = difflib.get_close_matches(str(operator), _OPERATORS, 1)
        guess = f"Did you mean {close[0]}? " if close else ""
        raise _refusal(index, f"{operator!r} is not an operator", f"{guess}Known are {', '.join(OPERATORS)}.")
    build, is_negative = _OPERATORS[operator]
    try:
        tests = build(one.get("value"))
    except _Unfit as error:
        raise _refusal(index, f"{operator} {error}", f"Field {field}: correct the filter's value.") from None
    node = ast.any_of(ast.Term(field=field, test=test) for test in tests)
    # Two negations cancel each other out.
    return ast.Not(item=node) if is_negative != bool(one.get("excluded")) else node


def _refusal(index: int, problem: str, hint: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        "invalid_filter", f"Filter {index + 1}: {problem}.", hint, index=index, operators=list(OPERATORS)
    )


class _Unfit(Exception):
    """The value does not suit the operator; the message goes on from the operator's name."""


def _text(value: Any) -> str:
    """The literal of a JSON value, as a query would write it."""
    # Before int, which bool is a kind of.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        # `repr` of a float has the fewest digits that read back to the same double.
        text = value if isinstance(value, str) else repr(value)
        if not values.is_unicode(text):
            raise _Unfit("got half of a surrogate pair, which is no character")
        return text
    raise _Unfit(f"needs a string, a number or a boolean, not {json.dumps(value, default=str)[:80]}")


def _texts(value: Any) -> list[str]:
    """One literal, or a list of them."""
    if not isinstance(value, list):
        return [_text(value)]
    if not value:
        raise _Unfit("needs at least one value")
    return [_text(item) for item in value]


def _exists(_: Any) -> list[ast.Test]:
    return [ast.Exists()]


def _equals(value: Any) -> list[ast.Test]:
    return [ast.Equals(text=text) for text in _texts(value)]


def _like(*shape: ast.Wild | None) -> Callable[[Any], list[ast.Test]]:
    """Builds patterns in which None stands for the value."""

    def build(value: Any) -> list[ast.Test]:
        return [ast.like(text if part is None else part for part in shape) for text in _texts(value)]

    return build


def _compare(operator: ast.Operator) -> Callable[[Any], list[ast.Test]]:
    def build(value: Any) -> list[ast.Test]:
        _bound(_text(value))
        return [ast.Compare(operator=operator, bound=_text(value))]

    return build


def _between(value: Any) -> list[ast.Test]:
    if not isinstance(value, list) or len(value) != 2:
        raise _Unfit("needs a list of two values, the lowest and the highest")
    low_text, high_text = _text(value[0]), _text(value[1])
    low, high = _bound(low_text), _bound(high_text)
    if not literals.is_comparable(low, high):
        raise _Unfit("needs two numbers, two dates or two addresses of one version")
    if literals.is_after(low, high):
        raise _Unfit(f"needs the lower value first: {low_text!r} lies above {high_text!r}")
    return [ast.Range(low=low_text, high=high_text)]


def _bound(text: str) -> literals.Bound:
    found = literals.bound(text)
    if found is None:
        raise _Unfit(f"needs a number, a date or an address, not {text!r}")
    return found


_OPERATORS: dict[str, tuple[Callable[[Any], list[ast.Test]], bool]] = {
    "is": (_equals, False),
    "is_not": (_equals, True),
    "is_one_of": (_equals, False),
    "in": (_equals, False),
    "is_not_one_of": (_equals, True),
    "not_in": (_equals, True),
    "contains": (_like(_MANY, None, _MANY), False),
    "not_contains": (_like(_MANY, None, _MANY), True),
    "starts_with": (_like(None, _MANY), False),
    "ends_with": (_like(_MANY, None), False),
    "exists": (_exists, False),
    "not_exists": (_exists, True),
    "gt": (_compare(ast.Operator.GREATER), False),
    "gte": (_compare(ast.Operator.GREATER_OR_EQUAL), False),
    "lt": (_compare(ast.Operator.LESS), False),
    "lte": (_compare(ast.Operator.LESS_OR_EQUAL), False),
    "between": (_between, False),
}

OPERATORS = tuple(_OPERATORS)
"""The operators a filter may have."""
