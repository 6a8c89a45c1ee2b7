"""What a search finds, as it goes from the process that looks to the database that keeps it: values only."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SoFar:
    """What a search that runs has counted so far.

    Attributes:
        total: matching events, over all communities.
        share: of the events of the range, how many need no look any more; 0 to 1.
        histogram: as that of a search job.
    """

    total: int
    share: float
    histogram: Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FieldValues:
    """The most common values of one field among the events looked at.

    Attributes:
        name: the field.
        events: how many of them have it.
        values: (value as JSON text, events that have it), most common first; the items of a list count each.
    """

    name: str
    events: int
    values: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What is kept.

    Attributes:
        events: JSON texts of the newest events, each a flat object of dotted names; newest first.
        fields: the fields of the newest `sampled_events` events, by name.
        sampled_events: how many events `fields` was made of: all of the job's, or its newest.
    """

    events: tuple[str, ...]
    fields: tuple[FieldValues, ...]
    sampled_events: int
