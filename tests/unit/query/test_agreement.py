"""The Polars predicate and the reference evaluator agree on every event; queries survive being written as text."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import query_strategies as strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import query
from penstock.fields import types, values
from penstock.query import ast

COLUMNS = {**strategies.TYPES, types.OVERFLOW: types.FieldType.JSON}


def matching(node: query.Node, frame: pl.DataFrame, columns: dict[str, types.FieldType] = COLUMNS) -> list[bool]:
    """Which rows the predicate keeps, both eagerly and by the streaming engine, reading only what it says it reads."""
    predicate = query.compile(node, columns)
    numbered = frame.with_row_index("row")
    if predicate.expression is None:
        return [True] * len(frame)
    narrow = numbered.select("row", *predicate.columns)
    eager = set(narrow.filter(predicate.expression)["row"])
    streamed = set(narrow.lazy().filter(predicate.expression).select("row").collect(engine="streaming")["row"])
    assert eager == streamed
    return [row in eager for row in range(len(frame))]


@settings(max_examples=100, deadline=None)
@given(nodes=st.lists(strategies.nodes, min_size=1, max_size=4), batch=st.lists(strategies.events(), max_size=8))
def test_predicate_and_reference_agree(nodes: list[query.Node], batch: list[dict[str, Any]]) -> None:
    frame = strategies.frame_of(batch)
    for node in nodes:
        expected = [query.matches(node, event, strategies.TYPES) for event in batch]
        assert matching(node, frame) == expected, query.unparse(node)


@settings(max_examples=200, deadline=None)
@given(test=strategies.tests, field=st.sampled_from(strategies.FIELDS), data=st.data())
def test_predicate_and_reference_agree_on_every_kind_of_value(test: ast.Test, field: str, data: st.DataObject) -> None:
    batch = [{field: value} for value in data.draw(st.lists(strategies.usual(field), min_size=1, max_size=12))]
    node = ast.Term(field=field, test=test)
    expected = [query.matches(node, event, strategies.TYPES) for event in batch]
    assert matching(node, strategies.frame_of(batch)) == expected, query.unparse(node)
    assert matching(ast.Not(item=node), strategies.frame_of(batch)) == [not one for one in expected]


@settings(max_examples=60, deadline=None)
@given(node=strategies.nodes, batch=st.lists(strategies.events(), min_size=1, max_size=6))
def test_a_table_without_overflow_needs_no_overflow_column(node: query.Node, batch: list[dict[str, Any]]) -> None:
    held = [{name: value for name, value in event.items() if fits_column(name, value)} for event in batch]
    frame = strategies.frame_of(held).drop(types.OVERFLOW)
    expected = [query.matches(node, event, strategies.TYPES) for event in held]
    assert matching(node, frame, strategies.TYPES) == expected, query.unparse(node)


@settings(max_examples=100, deadline=None)
@given(nodes=st.lists(strategies.nodes, min_size=1, max_size=3), batch=st.lists(strategies.events(), max_size=4))
def test_a_predicate_within_the_fields_of_a_file_agrees_and_reads_no_others(
    nodes: list[query.Node], batch: list[dict[str, Any]]
) -> None:
    frame = strategies.frame_of(batch)
    held = frozenset(column.name for column in frame if column.null_count() < len(column)) - {types.OVERFLOW}
    names = frozenset(name for text in frame[types.OVERFLOW].drop_nulls() for name in values.loads(text))
    for node in nodes:
        whole = query.compile(node, COLUMNS)
        own = whole.within(held, names)
        assert own.columns <= held | ({types.OVERFLOW} if names else set())
        expected = [query.matches(node, event, strategies.TYPES) for event in batch]
        if own.constant is not None:
            assert [own.constant] * len(batch) == expected
        else:
            row = frame.with_row_index("row").select("row", *own.columns).filter(own.expression)["row"]
            assert [n in set(row) for n in range(len(batch))] == expected, query.unparse(node)
        if not whole.looks_at(held, names):
            assert own.constant is not None


def test_a_field_beside_a_term_without_one_is_still_looked_for_in_the_overflow() -> None:
    frame = strategies.frame_of([{"kw": 7}, {"kw": "x"}])
    node = query.parse("kw:7 OR nowhere")
    own = query.compile(node, COLUMNS).within(frozenset({"kw"}), frozenset({"kw"}))
    assert own.expression is not None
    assert frame.filter(own.expression).height == 1


def fits_column(field: str, value: Any) -> bool:
    return field in strategies.TYPES and values.fits(strategies.TYPES[field], value)


@settings(max_examples=60, deadline=None)
@given(node=strategies.nodes, batch=st.lists(strategies.events(), max_size=6))
def test_all_fields_may_live_in_the_overflow(node: query.Node, batch: list[dict[str, Any]]) -> None:
    texts = [values.dumps(event) if event else None for event in batch]
    frame = pl.DataFrame({types.OVERFLOW: texts}, schema={types.OVERFLOW: pl.String})
    expected = [query.matches(node, event, {}) for event in batch]
    assert matching(node, frame, {types.OVERFLOW: types.FieldType.JSON}) == expected, query.unparse(node)


@settings(max_examples=150, deadline=None)
@given(node=strategies.nodes)
def test_text_of_a_query_reads_as_the_same_query(node: query.Node) -> None:
    assert query.parse(query.unparse(node)) == node


@settings(max_examples=30, deadline=None)
@given(a=strategies.nodes, b=strategies.nodes, batch=st.lists(strategies.events(), max_size=5))
def test_laws_of_logic_hold(a: query.Node, b: query.Node, batch: list[dict[str, Any]]) -> None:
    frame = strategies.frame_of(batch)
    all_rows = [True] * len(batch)

    def rows(node: query.Node) -> list[bool]:
        return matching(node, frame)

    def negated(node: query.Node) -> query.Node:
        return ast.Not(item=node)

    assert rows(negated(negated(a))) == rows(a)
    assert rows(negated(ast.all_of([a, b]))) == rows(ast.any_of([negated(a), negated(b)]))
    assert rows(negated(ast.any_of([a, b]))) == rows(ast.all_of([negated(a), negated(b)]))
    assert rows(ast.any_of([a, negated(a)])) == all_rows
    assert rows(query.both(a, b)) == [x and y for x, y in zip(rows(a), rows(b), strict=True)]


@settings(max_examples=50, deadline=None)
@given(node=strategies.nodes)
def test_predicate_names_the_columns_that_it_reads(node: query.Node) -> None:
    predicate = query.compile(node, COLUMNS)
    read = set() if predicate.expression is None else set(predicate.expression.meta.root_names())
    assert predicate.columns == read


@settings(max_examples=30, deadline=None)
@given(nodes=st.lists(strategies.nodes, min_size=1, max_size=3), batch=st.lists(strategies.events(), max_size=8))
def test_row_groups_skipped_by_statistics_hold_no_match(nodes: list[query.Node], batch: list[dict[str, Any]]) -> None:
    numbered = strategies.frame_of(batch).with_row_index("row")
    buffer = io.BytesIO()
    numbered.write_parquet(buffer, row_group_size=2, statistics="full")
    for node in nodes:
        expression = query.compile(node, COLUMNS).expression
        expected = [row for row, event in enumerate(batch) if query.matches(node, event, strategies.TYPES)]
        scan = pl.scan_parquet(buffer.getvalue())
        scan = scan if expression is None else scan.filter(expression)
        assert scan.select("row").collect(engine="streaming")["row"].to_list() == expected, query.unparse(node)
        assert scan.select(pl.len()).collect(engine="streaming").item() == len(expected)


def test_long_overflow_whose_statistics_are_cut_does_not_end_the_scan() -> None:
    texts = [values.dumps({"new": "x" * 100 + str(number)}) for number in range(6)]
    buffer = io.BytesIO()
    pl.DataFrame({types.OVERFLOW: texts, "json": texts}).write_parquet(buffer, row_group_size=2, statistics="full")
    columns = {types.OVERFLOW: types.FieldType.JSON, "json": types.FieldType.JSON}
    for text in ("new:*3", "json:*3", "*3"):
        expression = query.compile(query.parse(text), columns).expression
        assert expression is not None
        found = pl.scan_parquet(buffer.getvalue()).filter(expression).collect(engine="streaming")
        assert found["json"].to_list() == texts[3:4]
