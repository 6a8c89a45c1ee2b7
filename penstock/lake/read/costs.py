"""What a query costs, told before it runs: from the tree and what the files' facts say, without reading an event.

A cost is the number of values that each term looks at, times what one takes: seconds of CPU on one core, to within a
few times. Indexes are not asked, so a rare word costs less than is said; rare words in many terms cost what is said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from penstock import errors, query
from penstock.fields.types import FieldType
from penstock.lake import files, table
from penstock.lake.read import plan
from penstock.query import ast

# Microseconds a value takes, measured on 500,000 sample events of 40 columns and 60,000 of a thousand columns.
_ANYWHERE = {ast.Like: 0.13, ast.Regex: 0.25}
_ANYWHERE_ELSE = 0.015
_TEXT = {ast.Like: 0.4, ast.Regex: 1.0}
_TEXT_ELSE = 0.3
_COLUMN = {ast.Like: 0.1, ast.Regex: 0.2}
_COLUMN_ELSE = 0.05
_OVERFLOW = 1.0
"""Of an event with an overflow, whose text is parsed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a query costs.

    Attributes:
        seconds: of CPU on one core.
        events: that it looks at.
        terms: that the query has.
        costliest: the term that costs most; None if nothing costs anything.
    """

    seconds: float
    events: int
    terms: int
    costliest: ast.Term | None


@dataclasses.dataclass(slots=True)
class _Rows:
    """Events of files that hold the same fields."""

    columns: frozenset[str]
    rows: float = 0.0
    overflow_rows: float = 0.0


def of(snapshots: Iterable[table.Snapshot], time_range: plan.TimeRange, node: query.Node) -> Cost:
    """The cost of a query over a time range. Milliseconds, whatever the tables hold. Raises StorageError."""
    terms = list(ast.terms(node))
    spent = [0.0] * len(terms)
    events = 0.0
    for snapshot in snapshots:
        alike = _alike(snapshot, time_range)
        events += sum(each.rows for each in alike)
        for place, term in enumerate(terms):
            spent[place] += sum(_of_term(term, each, snapshot.columns) for each in alike)
    most = max(range(len(terms)), key=spent.__getitem__, default=None)
    return Cost(
        seconds=sum(spent) / 1e6,
        events=round(events),
        terms=len(terms),
        costliest=None if most is None or not spent[most] else terms[most],
    )


def check(snapshots: Iterable[table.Snapshot], time_range: plan.TimeRange, node: query.Node, most: float) -> None:
    """Refuses a query that costs more than `most` seconds of CPU; 0: none is refused.

    Raises:
        InvalidRequest: `search_too_costly`; `extra` holds `cost_seconds`, `limit_seconds`, `events`, `terms`, and of
            the costliest term `term` and `position` (0-based character of the query).
        StorageError: `lake_failed`.
    """
    if not most:
        return
    cost = of(snapshots, time_range, node)
    if cost.seconds <= most or cost.costliest is None:
        return
    worst = query.unparse(cost.costliest)
    raise errors.InvalidRequest(
        "search_too_costly",
        f"The search would take about {cost.seconds:,.0f} seconds of CPU; {most:,.0f} are allowed. "
        f"It has {cost.terms:,} terms over {cost.events:,} events; the costliest is {_short(worst)}.",
        f"{_advice(cost.costliest)} Or narrow the time range, or split the query.",
        cost_seconds=round(cost.seconds),
        limit_seconds=most,
        events=cost.events,
        terms=cost.terms,
        term=worst,
        position=cost.costliest.position,
    )


def _alike(snapshot: table.Snapshot, time_range: plan.TimeRange) -> Sequence[_Rows]:
    chosen = [file for file in snapshot.files if time_range.touches(file)]
    found: dict[frozenset[str], _Rows] = {}
    for file, fields in zip(chosen, snapshot.fields_of(chosen), strict=True):
        share = _share(file, time_range)
        alike = found.setdefault(fields.columns, _Rows(columns=fields.columns))
        alike.rows += share * file.rows
        alike.overflow_rows += share * file.overflow_rows
    return list(found.values())


def _share(file: files.DataFile, time_range: plan.TimeRange) -> float:
    """How much of the file lies in the range, if its events are spread evenly."""
    inside = min(file.last_us + 1, time_range.latest_us) - max(file.first_us, time_range.earliest_us)
    return inside / (file.last_us + 1 - file.first_us)


def _of_term(term: ast.Term, alike: _Rows, columns: Mapping[str, FieldType]) -> float:
    """Microseconds."""
    test = type(term.test)
    if term.field is None:
        every = _ANYWHERE.get(test, _ANYWHERE_ELSE)
        return alike.rows * len(alike.columns) * every + alike.overflow_rows * _OVERFLOW
    spent = alike.overflow_rows * _OVERFLOW
    if term.field in alike.columns:
        is_text = columns.get(term.field) is FieldType.TEXT
        spent += alike.rows * (_TEXT.get(test, _TEXT_ELSE) if is_text else _COLUMN.get(test, _COLUMN_ELSE))
    return spent


def _advice(term: ast.Term) -> str:
    if term.field is None:
        return "Name the field to look in (`message:…`, `source.ip:…`)."
    if isinstance(term.test, ast.Like | ast.Regex):
        return "Look for whole words or values instead of patterns."
    return "Look for fewer values."


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
