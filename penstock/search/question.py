"""What a search job asks."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import Any

from penstock import query
from penstock.lake.read import plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """Which events are looked for; the part of a search job that reading the lake needs.

    Attributes:
        term, filters: the query, as asked.
        earliest, latest: the range (UTC); earliest inclusive, latest exclusive.
        community_uuids: whose events; sorted.
        max_last_events: newest events that are shown.
    """

    term: str
    filters: tuple[dict[str, Any], ...]
    earliest: dt.datetime
    latest: dt.datetime
    community_uuids: tuple[str, ...]
    max_last_events: int

    @functools.cached_property
    def node(self) -> query.Node:
        """What matches: the query text and the filters."""
        return query.both(query.parse(self.term), query.from_filters(self.filters))

    @property
    def time_range(self) -> plan.TimeRange:
        """The range, as plans and scans take it."""
        return plan.TimeRange(earliest=self.earliest, latest=self.latest)
