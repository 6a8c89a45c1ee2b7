"""Looks closely enough at where the events are, that a range with too many of them can be cut into ranges that fit.

`control.limits.check_events` joins the buckets found here into the ranges that it suggests; since no bucket holds more
than an export may, what it suggests is counted and not guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from penstock.base import instants
from penstock.lake.read import plan

BUCKETS = 240
MAX_DEPTH = 6
"""240^6 microseconds are six years: every range of less is told apart to the microsecond."""

_MICROSECOND = dt.timedelta(microseconds=1)

Counts = Sequence[tuple[int, int]]
HistogramOf = Callable[[plan.TimeRange, int], Counts]
"""(range, most buckets) -> (start of the bucket in microseconds since 1970, events), in time order."""


def close_counts(
    histogram_of: HistogramOf, time_range: plan.TimeRange, most_events: int, *, depth: int = MAX_DEPTH
) -> Iterator[tuple[dt.datetime, int]]:
    """(start, events) of consecutive stretches that cover the range, each of `most_events` at most.

    A stretch holds more only where more share an instant than closer looking (`depth` rounds) can tell apart.
    """
    counts = histogram_of(time_range, BUCKETS)
    ends = [*(instant(start) for start, _ in counts[1:]), time_range.latest]
    for (start_us, events), latest in zip(counts, ends, strict=True):
        piece = plan.TimeRange(earliest=max(instant(start_us), time_range.earliest), latest=latest)
        if events > most_events and depth > 1 and piece.latest - piece.earliest > _MICROSECOND:
            yield from close_counts(histogram_of, piece, most_events, depth=depth - 1)
        else:
            yield piece.earliest, events


def instant(us: int) -> dt.datetime:
    """Microseconds since 1970 as an aware UTC instant."""
    return instants.from_microseconds(us)
