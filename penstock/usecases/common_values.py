"""The most common values of a field in a community's newest events: what a person who begins to type can be offered."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
from typing import Any

from penstock import query
from penstock.fields import values
from penstock.lake.read import newest, plan
from penstock.process import services as services_module

LOOKED_AT = 1000
"""Newest events that have the field; the shares are those among them."""

MOST_VALUES = 50
MAX_VALUE_LENGTH = 200
"""A longer value is no use as a suggestion."""

_ALWAYS = plan.TimeRange(earliest=dt.datetime(1, 1, 1, tzinfo=dt.UTC), latest=dt.datetime(9999, 12, 31, tzinfo=dt.UTC))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CommonValues:
    """What `common_values` found.

    Attributes:
        events: how many events were looked at.
        shares: (value as text, per cent of those events), the most common first.
    """

    events: int
    shares: list[tuple[str, float]]


def common_values(
    services: services_module.Services, community_uuid: str, field: str, *, prefix: str, limit: int
) -> CommonValues:
    """The most common values that begin with `prefix`; each item of a list counts. Objects and nulls are left out.

    Blocks for as long as a look at the newest files takes.

    Raises:
        InvalidRequest: `invalid_filter`, for what cannot be a field's name.
    """
    snapshot = services.table(community_uuid).snapshot()
    filters = [{"field": field, "operator": "exists"}]
    if prefix:
        filters.append({"field": field, "operator": "starts_with", "value": prefix})
    predicate = query.compile(query.from_filters(filters), snapshot.query_columns)
    # The newest events only: somebody waits while typing, and a scan of all would take minutes.
    events = newest.events(snapshot, _ALWAYS, predicate, LOOKED_AT)
    counts = collections.Counter(text for event in events for text in _texts(event.get(field), prefix))
    return CommonValues(
        events=len(events),
        shares=[(text, round(100 * number / len(events), 1)) for text, number in counts.most_common(limit)],
    )


def _texts(value: Any, prefix: str) -> list[str]:
    """The values of one event, as the query language writes them, each once."""
    items = value if isinstance(value, list) else [value]
    # Not a set, whose order differs from process to process: it orders values that are as common as one another.
    texts = dict.fromkeys(_text(item) for item in items if not isinstance(item, dict | list | None))
    return [text for text in texts if text.startswith(prefix) and len(text) <= MAX_VALUE_LENGTH]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else values.dumps(value)
