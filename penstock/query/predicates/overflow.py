"""A test on the values that no typed column holds: the JSON object in the column `_overflow`.

Few rows have one, and fewer have the field in it: a search for the field's name as JSON text finds those, and only
they are parsed and judged by `evaluate.Leaf`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import polars as pl

from penstock.fields import types
from penstock.query import ast, evaluate
from penstock.query.predicates import columns, judging

_Judge: TypeAlias = Callable[[list[dict[str, Any]]], Iterator[bool]]


def expression(tests: Sequence[ast.Test], field: str, field_type: types.FieldType | None) -> pl.Expr:
    """Whether the overflow has the field, with a value that satisfies one of the tests."""

    def judge(events: list[dict[str, Any]]) -> Iterator[bool]:
        leaves = [evaluate.Leaf(test, field_type) for test in tests]
        for leaf in leaves:
            leaf.prepare(event[field] for event in events if field in event)
        for event in events:
            yield field in event and any(leaf.holds(event[field]) for leaf in leaves)

    # A name with escapes could be written in several ways in JSON; for it every overflow is parsed.
    name = json.dumps(field, ensure_ascii=False)
    if name[1:-1] != field:
        return _expression(judge, None)
    return _expression(judge, lambda texts: texts.str.contains(f"{name}:", literal=True))


def any_field(test: ast.Test, field_types: Mapping[str, types.FieldType]) -> pl.Expr:
    """Whether any value in the overflow satisfies the test."""

    def judge(events: list[dict[str, Any]]) -> Iterator[bool]:
        leaves = _Leaves(test, field_types)
        leaves.prepare(events)
        for event in events:
            yield any(leaves.of(name).holds(value) for name, value in event.items())

    return _expression(judge, columns.json_hint(test, has_texts=types.FieldType.TEXT in field_types.values()))


class _Leaves:
    """One leaf per field type."""

    def __init__(self, test: ast.Test, field_types: Mapping[str, types.FieldType]) -> None:
        self._test = test
        self._types = field_types
        self._leaves: dict[types.FieldType | None, evaluate.Leaf] = {}

    def of(self, field: str) -> evaluate.Leaf:
        field_type = self._types.get(field)
        if field_type not in self._leaves:
            self._leaves[field_type] = evaluate.Leaf(self._test, field_type)
        return self._leaves[field_type]

    def prepare(self, events: list[dict[str, Any]]) -> None:
        batches: dict[types.FieldType | None, list[Any]] = {}
        for event in events:
            for name, value in event.items():
                batches.setdefault(self._types.get(name), []).append(value)
                self.of(name)
        for field_type, batch in batches.items():
            self._leaves[field_type].prepare(batch)


def _expression(judge: _Judge, may_fit: Callable[[pl.Series], pl.Series] | None) -> pl.Expr:
    """Judges the rows whose overflow may fit; all others are false.

    Nulls go first: looking for a needle in a column of nulls takes ten times as long as dropping them.
    """

    def judge_rows(overflow: pl.Series) -> pl.Series:
        found = judging.all_false(len(overflow))
        if overflow.null_count() == len(overflow):
            return found
        rows = overflow.is_not_null().arg_true()
        texts = overflow.gather(rows)
        if may_fit is not None:
            likely = may_fit(texts)
            rows, texts = rows.filter(likely), texts.filter(likely)
        if rows.is_empty():
            return found
        # `or {}`: statistics that were cut short are tried too, see `read_json`.
        events = [evaluate.read_json(text) or {} for text in texts]
        return found.scatter(rows, pl.Series(judge(events), dtype=pl.Boolean))

    return pl.col(types.OVERFLOW).map_batches(judge_rows, return_dtype=pl.Boolean, is_elementwise=True)
