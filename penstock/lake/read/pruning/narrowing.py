"""Which columns of a data file can hold what a term without a field looks for.

A word is in few of a file's columns, often in none. To search the packed pages of a column for its letters costs a
fraction of reading the column and asking each value. What is left out cannot match; every doubt keeps the column.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from penstock import query
from penstock.fields import types
from penstock.lake import catalog
from penstock.lake.read.pruning import sparse


def narrowed(
    location: str, stretches: Sequence[tuple[int, int]], fields: catalog.Fields, predicate: query.Predicate
) -> catalog.Fields:
    """The fields of a data file without those in which no value can satisfy a term of the query.

    The predicate compiled for these finds the same rows. Fields that a term names are never left out.

    Args:
        location: the file.
        stretches: offset and length of the rows that are looked at.
        fields: what the file holds.
        predicate: compiled for the table.
    """
    wanted = predicate.anywhere
    if wanted is None or sparse.kernel is None:
        return fields
    # Any named field may be in the overflow.
    kept = predicate.named | {types.OVERFLOW} if predicate.named else frozenset[str]()
    candidates = predicate.columns & (fields.columns | {types.OVERFLOW}) - kept
    literals = [[literal.encode() for literal in each] for each in wanted]
    try:
        with sparse.opened(location) as file:
            useless = {name for name in candidates if not _may_hold(file, name, stretches, literals)}
    except (OSError, ValueError):  # kernel.Unfit is one
        return fields
    names = frozenset[str]() if types.OVERFLOW in useless else fields.overflow
    return catalog.Fields(columns=fields.columns - useless, overflow=names)


def _may_hold(file: Any, name: str, stretches: Sequence[tuple[int, int]], literals: Sequence[list[bytes]]) -> bool:
    """Whether a column may hold all literals of one term in one value."""
    kind = file.kind(name)
    if kind is not None and kind[0] != sparse.kernel.STRING:
        return True
    try:
        return any(
            file.may_hold(group, name, each)
            # Of a list as a whole: which of its values are which row's is not looked at.
            if kind is None
            else file.search(group, name, first, end, each, 0) != _NOTHING
            for group, first, end in _parts(file.rows, stretches)
            for each in literals
        )
    except sparse.kernel.Unfit:
        return True


_NOTHING: tuple[bytes, list[str]] = (b"", [])


def _parts(rows: Sequence[int], stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Row groups that stretches lie in: number, and which of their rows."""
    starts = list(itertools.accumulate(rows, initial=0))
    return [
        (group, max(start, offset) - start, min(end, offset + length) - start)
        for offset, length in stretches
        for group, (start, end) in enumerate(itertools.pairwise(starts))
        if start < offset + length and offset < end
    ]
