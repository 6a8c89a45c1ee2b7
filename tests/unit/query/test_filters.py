"""Filters of a search-job request: what each operator means, and what is refused."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from penstock import errors, query
from penstock.fields import types
from penstock.query import ast

TYPES = {"kw": types.FieldType.KEYWORD, "message": types.FieldType.TEXT, "port": types.FieldType.LONG}


def node_of(operator: str, value: Any = None, field: str = "kw", **more: Any) -> query.Node:
    return query.from_filters([{"field": field, "operator": operator, "value": value, **more}])


@pytest.mark.parametrize(
    ("operator", "value", "text"),
    [
        ("is", "a*", r"kw:a\*"),
        ("is", 443, "kw:443"),
        ("is", 0.5, "kw:0.5"),
        ("is", True, "kw:true"),
        ("is", "", 'kw:""'),
        ("is", "10.0.0.0/8", "kw:10.0.0.0/8"),
        ("is", ["a", 1], "kw:(a OR 1)"),
        ("is_not", "a", "NOT kw:a"),
        ("is_not", ["a", "b"], "NOT kw:(a OR b)"),
        ("is_one_of", ["a", "b"], "kw:(a OR b)"),
        ("is_one_of", "a", "kw:a"),
        ("in", [False, 2], "kw:(false OR 2)"),
        ("is_not_one_of", ["a", "b"], "NOT kw:(a OR b)"),
        ("not_in", ["a"], "NOT kw:a"),
        ("contains", "a?b", r"kw:*a\?b*"),
        ("contains", "", "kw:*"),
        ("contains", ["a", "b"], "kw:(*a* OR *b*)"),
        ("not_contains", "a", "NOT kw:*a*"),
        ("starts_with", "a b", r"kw:a\ b*"),
        ("ends_with", ".exe", "kw:*.exe"),
        ("exists", None, "kw:*"),
        ("not_exists", None, "NOT kw:*"),
        ("gt", 5, "kw:>5"),
        ("gte", 5.5, "kw:>=5.5"),
        ("lt", "2024-01-01", "kw:<2024-01-01"),
        ("lte", "10.0.0.1", "kw:<=10.0.0.1"),
        ("between", [1, 2], "kw:[1 TO 2]"),
        ("between", ["2024-01-01", "2024-01-02T00:00:00Z"], "kw:[2024-01-01 TO 2024-01-02T00:00:00Z]"),
    ],
)
def test_operator_means_the_query(operator: str, value: Any, text: str) -> None:
    assert node_of(operator, value) == query.parse(text)
    assert node_of(operator, value, excluded=True) == _turned(query.parse(text))


def _turned(node: query.Node) -> query.Node:
    return node.item if isinstance(node, ast.Not) else ast.Not(item=node)


def test_every_operator_is_tested_and_documented() -> None:
    marks = test_operator_means_the_query.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {row[0] for row in marks} == set(query.OPERATORS)
    documented = (pathlib.Path(__file__).parents[3] / "docs" / "query.md").read_text("utf-8")
    assert all(f"`{operator}`" in documented for operator in query.OPERATORS)


def test_no_filters_match_everything() -> None:
    assert query.from_filters([]) == query.Everything()
    assert node_of("is", "x", disabled=True) == query.Everything()


def test_all_filters_must_hold() -> None:
    filters = [
        {"field": "kw", "operator": "is", "value": "a", "disabled": False, "excluded": False},
        {"field": "port", "operator": "gt", "value": 5, "excluded": True},
        {"field": "kw", "operator": "nonsense", "value": "off", "disabled": True},
    ]
    assert query.from_filters(filters) == query.parse("kw:a AND NOT port:>5")


def test_query_and_filters_join() -> None:
    node = query.both(query.parse("kw:a OR kw:b"), node_of("is", "x", "message"))
    assert node == query.parse('(kw:a OR kw:b) AND message:"x"')
    assert query.both(query.Everything(), query.Everything()) == query.Everything()
    assert query.both(query.parse(""), query.parse("kw:a")) == query.parse("kw:a")


def test_contains_on_text_ignores_case() -> None:
    node = node_of("contains", "FAIL", "message")
    assert query.matches(node, {"message": "it failed"}, TYPES)
    assert not query.matches(node_of("contains", "FAIL"), {"kw": "it failed"}, TYPES)


@pytest.mark.parametrize(
    ("one", "detail", "hint"),
    [
        ({"field": "kw", "operator": "iss", "value": 1}, "'iss' is not an operator", "Did you mean is?"),
        ({"field": "kw", "operator": "xyzzy", "value": 1}, "'xyzzy' is not an operator", "Known are is, is_not,"),
        ({"field": "kw", "operator": None}, "None is not an operator", "Known are"),
        ({"field": "kw", "operator": ["is"]}, "['is'] is not an operator", "Known are"),
        ({"field": "kw"}, "None is not an operator", "Known are"),
        ({"operator": "is", "value": 1}, "None is not the name of a field", "dotted name"),
        ({"field": "", "operator": "is", "value": 1}, "'' is not the name of a field", "dotted name"),
        ({"field": 5, "operator": "is", "value": 1}, "5 is not the name of a field", "dotted name"),
        ({"field": "kw", "operator": "is", "value": None}, "is needs a string, a number or a boolean, not null", "kw"),
        ({"field": "kw", "operator": "is"}, "is needs a string", "kw"),
        ({"field": "kw", "operator": "is", "value": {"a": 1}}, 'not {"a": 1}', "kw"),
        ({"field": "kw", "operator": "is_one_of", "value": []}, "is_one_of needs at least one value", "kw"),
        ({"field": "kw", "operator": "in", "value": ["a", None]}, "not null", "kw"),
        ({"field": "kw", "operator": "is", "value": "\ud800"}, "half of a surrogate pair", "kw"),
        ({"field": "kw", "operator": "gt", "value": "abc"}, "gt needs a number, a date or an address, not 'abc'", "kw"),
        ({"field": "kw", "operator": "lte", "value": True}, "not 'true'", "kw"),
        ({"field": "kw", "operator": "gt", "value": [1]}, "not [1]", "kw"),
        ({"field": "kw", "operator": "between", "value": 5}, "a list of two values", "kw"),
        ({"field": "kw", "operator": "between", "value": [1, 2, 3]}, "a list of two values", "kw"),
        ({"field": "kw", "operator": "between", "value": [2, 1]}, "'2' lies above '1'", "kw"),
        ({"field": "kw", "operator": "between", "value": [1, "2024-01-01"]}, "two numbers, two dates", "kw"),
        ({"field": "kw", "operator": "is_one_of", "value": list(range(501))}, "more than 500 values", "Split"),
    ],
)
def test_filter_is_refused(one: dict[str, Any], detail: str, hint: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        query.from_filters([one])
    assert caught.value.code == "invalid_filter"
    assert detail in caught.value.detail
    assert hint in caught.value.hint


def test_refusal_names_the_filter_and_the_known_operators() -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        query.from_filters([{"field": "a", "operator": "exists"}, {"field": "a", "operator": "?"}])
    assert caught.value.detail.startswith("Filter 2: ")
    assert caught.value.extra["index"] == 1
    assert caught.value.extra["operators"] == list(query.OPERATORS)
