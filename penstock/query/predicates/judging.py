"""Tests that are dear on a whole column: a cheap look first, the exact one on the rows that are left."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from penstock.fields import types
from penstock.query import ast, evaluate

_FEW = 0.25
"""Share of the rows up to which it pays to gather them."""


def by_value(
    test: ast.Test,
    field_type: types.FieldType,
    column: pl.Expr,
    may_fit: Callable[[pl.Series], pl.Series] | None = None,
    read: Callable[[object], object] | None = None,
) -> pl.Expr:
    """Asks Python once per distinct value that may fit; `read` turns the column's value into the event's."""

    def judge(series: pl.Series) -> pl.Series:
        # Python takes a microsecond or more for a value; columns of logs repeat theirs.
        # Nulls go first: most columns of mixed events are nearly all null, and a search in nulls is not free.
        held = series.drop_nulls() if series.null_count() else series
        distinct = (held if may_fit is None or held.is_empty() else held.filter(may_fit(held))).unique()
        if distinct.is_empty():
            return all_false(len(series))
        fitting = _fitting(test, field_type, distinct.to_list(), read)
        return series.is_in(pl.Series([fitting], dtype=pl.List(series.dtype)))

    # Elementwise: the streaming engine may call it batch by batch and push it below other steps.
    return column.map_batches(judge, return_dtype=pl.Boolean, is_elementwise=True)


def if_likely(likely: str, exact: str, column: pl.Expr) -> pl.Expr:
    """Whether a regular expression fits that is slow, where a fast one must fit, too."""

    def judge(series: pl.Series) -> pl.Series:
        found = series.str.contains(likely).fill_null(False)
        rows = found.arg_true()
        if len(rows) > _FEW * len(series):
            return series.str.contains(exact)
        return all_false(len(series)).scatter(rows, series.gather(rows).str.contains(exact))

    return column.map_batches(judge, return_dtype=pl.Boolean, is_elementwise=True)


def all_false(rows: int) -> pl.Series:
    """That many times false."""
    return pl.Series([False]).new_from_index(0, rows)


def _fitting(
    test: ast.Test, field_type: types.FieldType, distinct: list[object], read: Callable[[object], object] | None
) -> list[object]:
    leaf = evaluate.Leaf(test, field_type)
    meanings = distinct if read is None else [read(value) for value in distinct]
    leaf.prepare(meanings)
    return [value for value, meaning in zip(distinct, meanings, strict=True) if leaf.holds(meaning)]
