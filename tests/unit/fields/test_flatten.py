"""Nested events to dotted names, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.fields import flatten, refused

NAMES = st.sampled_from(["a", "b", "c", "a.b", "b.c", "a.b.c", "", ".", "a.", ".b", "a..b"])
EVENTS = st.dictionaries(
    NAMES,
    st.recursive(
        st.integers(0, 3) | st.just([{"x": {"y": 1}}]) | st.just([]),
        lambda inner: st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def test_nested_and_dotted_events_are_the_same() -> None:
    flat = {"source.ip": "10.0.0.1", "source.port": 22, "message": "m"}
    assert flatten.flatten({"source": {"ip": "10.0.0.1", "port": 22}, "message": "m"}) == flat
    assert flatten.flatten({"source": {"ip": "10.0.0.1"}, "source.port": 22, "message": "m"}) == flat
    assert flatten.flatten(flat) == flat


def test_lists_and_empty_objects_are_values() -> None:
    assert flatten.flatten({"a": {"b": {}, "c": [{"d": {"e": 1}}]}}) == {"a.b": {}, "a.c": [{"d": {"e": 1}}]}


def test_a_name_may_be_a_value_and_a_prefix() -> None:
    assert flatten.flatten({"a": 1, "a.b": 2}) == {"a": 1, "a.b": 2}


def test_names_come_out_in_the_order_of_the_event() -> None:
    assert list(flatten.flatten({"z": 1, "a": {"y": 1, "b": 2}, "m": 3})) == ["z", "a.y", "a.b", "m"]


@pytest.mark.parametrize("event", [{"a.b": 1, "a": {"b": 2}}, {"a": {"b.c": 1, "b": {"c": 1}}}])
def test_an_event_with_two_values_of_one_name_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(refused.EventRefused, match=r"give the one name 'a\.b") as refusal:
        flatten.flatten(event)
    assert refusal.value.code == "duplicate_name"


def deep_object(levels: int) -> dict[str, Any]:
    event: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        event = {"a": event}
    return event


def deep_list(levels: int) -> dict[str, Any]:
    value: Any = [1]
    for level in range(levels - 2):
        value = [value] if level % 2 else {"a": value}
    return {"a": value}


@pytest.mark.parametrize("deep", [deep_object, deep_list])
def test_two_hundred_levels_are_allowed_and_more_are_refused(deep: Any) -> None:
    flatten.flatten(deep(flatten.MAX_DEPTH))
    with pytest.raises(refused.EventRefused) as refusal:
        flatten.flatten(deep(flatten.MAX_DEPTH + 1))
    assert refusal.value.code == "too_deep"


def test_nesting_beyond_pythons_recursion_is_refused_not_a_crash() -> None:
    with pytest.raises(refused.EventRefused, match="200 levels"):
        flatten.flatten(deep_object(50_000))
    with pytest.raises(refused.EventRefused, match="200 levels"):
        flatten.flatten(deep_list(50_000))


def test_events_are_nested_where_names_allow() -> None:
    flat = {"source.ip": "x", "source.geo.name": "y", "message": "m", "tags": ["t"]}
    assert flatten.nest(flat) == {"source": {"ip": "x", "geo": {"name": "y"}}, "message": "m", "tags": ["t"]}


def test_a_name_below_a_value_stays_dotted() -> None:
    assert flatten.nest({"a": 1, "a.b": 2, "c.d": 3, "c.d.e.f": 4}) == {"a": 1, "a.b": 2, "c": {"d": 3, "d.e.f": 4}}


@given(EVENTS)
def test_nesting_and_flattening_again_loses_nothing(event: dict[str, Any]) -> None:
    try:
        flat = flatten.flatten(event)
    except refused.EventRefused:
        return
    assert flatten.flatten(flatten.nest(flat)) == flat
