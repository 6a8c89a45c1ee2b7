"""The events query language: text → tree → Polars predicate. Explained to users in docs/query.md.

    node = query.both(query.parse(text), query.from_filters(filters))
    predicate = query.compile(node, snapshot.query_columns)
    frame = frame if predicate.expression is None else frame.filter(predicate.expression)

`query.matches` says the same of a single event and is the specification; `query.times` reads a search's times.
"""

from __future__ import annotations

from penstock.query.ast import Everything, Node, all_of
from penstock.query.evaluate import matches
from penstock.query.faults import fault_of
from penstock.query.filters import OPERATORS, from_filters
from penstock.query.predicates.predicate import Predicate, compile
from penstock.query.syntax.parser import parse
from penstock.query.syntax.unparse import unparse
from penstock.query.times import END_OF_TIME, parse_time, resolve_range

__all__ = [
    "END_OF_TIME",
    "OPERATORS",
    "Everything",
    "Node",
    "Predicate",
    "both",
    "compile",
    "fault_of",
    "from_filters",
    "matches",
    "parse",
    "parse_time",
    "resolve_range",
    "unparse",
]


def both(a: Node, b: Node) -> Node:
    """Matches what both match."""
    return all_of((a, b))
