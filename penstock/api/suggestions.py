"""Cuts a time range that holds too many events into ranges that each fit into one export.

Works on histograms only. A stretch that is itself too full is looked at more closely; one microsecond is the end of that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from penstock.lake import plan

BUCKETS = 240
MAX_DEPTH = 4
"""240^4 stretches of a year are a hundredth of a second each: closer is of no use to anybody."""

MAX_RANGES = 200
"""Most ranges that an answer names."""

_MICROSECOND = dt.timedelta(microseconds=1)

Counts = Sequence[tuple[int, int]]
HistogramOf = Callable[[plan.TimeRange, int], Counts]
"""(range, most buckets) -> (start of the bucket in microseconds since 1970, events), in time order."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FittingRange:
    """A time range and what it holds.

    Attributes:
        earliest: inclusive.
        latest: exclusive.
        events: matches in it.
    """

    earliest: dt.datetime
    latest: dt.datetime
    events: int

    def to_json(self) -> dict[str, str | int]:
        """As a problem document carries it."""
        return {"earliest_time": _rfc3339(self.earliest), "latest_time": _rfc3339(self.latest), "events": self.events}


def fitting_ranges(
    histogram_of: HistogramOf, time_range: plan.TimeRange, most_events: int, *, most_ranges: int = MAX_RANGES
) -> tuple[list[FittingRange], bool]:
    """Contiguous ranges, in time order, each with 1 to `most_events` events; and whether they cover every match.

    They do not when there are more than `most_ranges`, or when more than `most_events` share one instant.
    """
    ranges: list[FittingRange] = []
    complete = True
    held: FittingRange | None = None
    for found in _stretches(histogram_of, time_range, most_events, MAX_DEPTH):
        if held is not None and held.events + found.events <= most_events and held.latest == found.earliest:
            held = FittingRange(earliest=held.earliest, latest=found.latest, events=held.events + found.events)
            continue
        if held is not None and held.events:
            ranges.append(held)
        if len(ranges) >= most_ranges:
            return ranges, False
        held = found if found.events <= most_events else None
        complete = complete and held is not None
    if held is not None and held.events:
        ranges.append(held)
    return ranges, complete


def _stretches(
    histogram_of: HistogramOf, time_range: plan.TimeRange, most_events: int, depth: int
) -> Iterator[FittingRange]:
    """The range in pieces with at most `most_events` each, where closer looking can bring that about."""
    counts = histogram_of(time_range, BUCKETS)
    ends = [*(_instant(start) for start, _ in counts[1:]), time_range.latest]
    for (start_us, events), latest in zip(counts, ends, strict=True):
        piece = plan.TimeRange(earliest=max(_instant(start_us), time_range.earliest), latest=latest)
        if events > most_events and depth > 1 and piece.latest - piece.earliest > _MICROSECOND:
            yield from _stretches(histogram_of, piece, most_events, depth - 1)
        else:
            yield FittingRange(earliest=piece.earliest, latest=piece.latest, events=events)


def _instant(us: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)


def _rfc3339(instant: dt.datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
