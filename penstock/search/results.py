"""The newest events of a search, and the most common values of their fields."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock import query
from penstock.base import findings
from penstock.fields import types, values
from penstock.lake import table
from penstock.lake.read import newest
from penstock.search import question

MAX_EVENTS = 1000
"""Newest events that are kept, and that common values are counted in; more is what exports are for."""

MOST_VALUES = 10
"""Values kept of a field."""

_LONGEST_VALUE = 256
"""Characters of a value's JSON text; a longer one (a whole message) is no value that one looks for."""

Event = Mapping[str, Any]


def compute(asked: question.Question, snapshots: Iterable[tuple[table.Snapshot, query.Predicate]]) -> findings.Results:
    """Scans for the newest `MAX_EVENTS` events and counts the values of their fields.

    Args:
        snapshots: of the question's communities, those that were counted, each with what it was counted by.
    """
    found = [newest.events(snapshot, asked.time_range, predicate, MAX_EVENTS) for snapshot, predicate in snapshots]
    # Each list is sorted already; merged, it takes one comparison an event.
    return of_events(asked, list(heapq.merge(*found, key=_newest_first))[:MAX_EVENTS])


def of_events(asked: question.Question, events: Sequence[Event]) -> findings.Results:
    """The results of a search whose newest `MAX_EVENTS` events are these, newest first."""
    return findings.Results(
        # Common values are of all that was read, though fewer are shown.
        events=tuple(values.dumps(dict(event)) for event in events[: asked.max_last_events]),
        fields=_common_values(events),
        sampled_events=len(events),
    )


def _common_values(events: Sequence[Event]) -> tuple[findings.FieldValues, ...]:
    """Per field, by name: how many events have it, and its values by how many events have them."""
    holders: collections.Counter[str] = collections.Counter()
    counts: dict[str, collections.Counter[str]] = {}
    for event in events:
        for name, value in event.items():
            holders[name] += 1
            counts.setdefault(name, collections.Counter()).update(_texts(value))
    return tuple(
        findings.FieldValues(name=name, events=holders[name], values=tuple(counts[name].most_common(MOST_VALUES)))
        for name in sorted(holders)
    )


def _texts(value: Any) -> list[str]:
    """JSON texts of a value, or of the items of a list, in order: each counts once an event."""
    items = value if isinstance(value, list) else [value]
    # Not a set, whose order differs from process to process: among values as common as one another the first seen is
    # shown first.
    texts = dict.fromkeys(values.dumps(item) for item in items if not isinstance(item, list | dict | None))
    return [text for text in texts if len(text) <= _LONGEST_VALUE]


def _newest_first(event: Event) -> int:
    return -(values.parse_timestamp(event[types.TIMESTAMP]) or 0)
