"""AND and OR of many expressions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

import polars as pl


def any_of(expressions: Iterable[pl.Expr | None]) -> pl.Expr | None:
    """OR as a balanced tree, so that a long query does not become a deep expression; None where there are none."""
    return _balanced([one for one in expressions if one is not None], operator.or_)


def all_of(expressions: Iterable[pl.Expr]) -> pl.Expr | None:
    """AND as a balanced tree."""
    return _balanced(list(expressions), operator.and_)


def _balanced(items: list[pl.Expr], join: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> pl.Expr | None:
    while len(items) > 1:
        pairs = [join(*items[at : at + 2]) for at in range(0, len(items) - 1, 2)]
        items = pairs + items[2 * len(pairs) :]
    return items[0] if items else None
