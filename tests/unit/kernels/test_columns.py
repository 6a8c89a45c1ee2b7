"""The kernel of column facts against its specification in penstock/lake/layout.py: weights, names in an overflow."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples

from penstock.kernels import columns
from penstock.lake import layout

texts = st.none() | st.text(max_size=40)


def assert_weighed(frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(layout, "BLOCK_ROWS", block)
    expected = layout._texts(frame)
    assert columns.weights(frame, frame.height, block) == expected
    found = layout.weigh(frame)
    monkeypatch.setattr(layout, "kernel", None)
    assert layout.weigh(frame) == found
    monkeypatch.undo()


@settings(max_examples=examples.some(150), deadline=None)
@given(st.lists(st.tuples(texts, st.none() | st.lists(texts, max_size=3), st.none() | st.integers(0, 9)), max_size=300))
def test_weights_are_those_of_the_specification(rows: list[tuple[Any, Any, Any]]) -> None:
    schema = {"text": pl.String, "list": pl.List(pl.String), "number": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    with pytest.MonkeyPatch.context() as patch:
        for block in (1, 7, 64, 1000):
            assert_weighed(frame, patch, block)
            assert_weighed(frame[3:-5], patch, block)  # an offset that is no whole byte
            assert_weighed(pl.concat([frame[:11], frame, frame[70:]], rechunk=False), patch, block)


def test_stretches_of_nulls_weigh_nothing() -> None:
    frame = pl.DataFrame({"a": [None if n % 97 else "x" * n for n in range(5000)]}, schema={"a": pl.String})
    with pytest.MonkeyPatch.context() as patch:
        for start in range(70):
            assert_weighed(frame[start : 4000 + start], patch, 512)


@pytest.mark.parametrize("frame", [pl.DataFrame(), pl.DataFrame({"a": [1]}), pl.DataFrame(schema={"a": pl.String})])
def test_without_texts_there_is_nothing_to_weigh(frame: pl.DataFrame) -> None:
    assert not any(columns.weights(frame, frame.height, 10).values())


def test_more_rows_than_said_are_refused() -> None:
    frame = pl.DataFrame({"a": ["x"] * 10})
    with pytest.raises(ValueError, match="rows"):
        columns.weights(frame, 5, 4)
    with pytest.raises(ValueError, match="block"):
        columns.weights(frame, 10, 0)


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
objects = st.none() | st.dictionaries(st.text(max_size=30), json_values, max_size=5)


@settings(max_examples=examples.some(200), deadline=None)
@given(st.lists(objects, max_size=12), st.booleans())
def test_members_are_those_of_the_objects(found: list[dict[str, Any] | None], is_ascii: bool) -> None:
    dumped = [None if one is None else json.dumps(one, ensure_ascii=is_ascii, separators=(",", ":")) for one in found]
    series = pl.Series(dumped, dtype=pl.String)
    names = {name for one in found for name in one or {}}
    assert layout.overflow_names(series) == names
    assert layout.overflow_names(pl.concat([series[:2], series], rechunk=False)) == names
    assert {json.loads(b'"%b"' % raw) for raw in columns.members(series)} == names


def test_names_that_resemble_one_another_are_all_found() -> None:
    """More than are remembered, alike in length, beginning and end: those of which a cheap hash sees nothing else."""
    names = [f"a.field.{middle:08d}.of.them" for middle in range(20_000)]
    series = pl.Series([json.dumps({name: 1}) for name in names] * 2)
    assert layout.overflow_names(series) == set(names)


@pytest.mark.parametrize("text", ['{"a', '{"a":"b', '{"a\\', '{"a\\"'])
def test_a_string_without_an_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        columns.members(pl.Series([text]))


def test_other_columns_have_no_members() -> None:
    with pytest.raises(TypeError, match="Arrow format"):
        columns.members(pl.Series([1]))
