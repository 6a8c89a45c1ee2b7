"""Claims about cutting a time range into ranges that fit into one export."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import errors, settings
from penstock.control import limits
from penstock.lake.read import plan
from penstock.usecases import suggest as suggestions

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
START_US = 1_767_225_600_000_000


class Events:
    """Instants (microseconds after START), and their histogram as the lake makes it."""

    def __init__(self, instants: list[int]) -> None:
        self.instants = instants
        self.asked = 0

    def histogram(self, time_range: plan.TimeRange, most_buckets: int) -> list[tuple[int, int]]:
        self.asked += 1
        first, end = (
            round((at - START) / dt.timedelta(microseconds=1)) for at in (time_range.earliest, time_range.latest)
        )
        width = -(-(end - first) // most_buckets)
        starts = range(first, end, width)
        return [
            (START_US + start, sum(start <= at < min(start + width, end) for at in self.instants)) for start in starts
        ]


def suggest(events: Events, span_us: int, most: int) -> list[dict[str, object]]:
    time_range = plan.TimeRange(earliest=START, latest=START + dt.timedelta(microseconds=span_us))
    counts = list(suggestions.close_counts(events.histogram, time_range, most))
    in_force = dataclasses.replace(limits.from_settings(settings.Settings()), export_max_events=most)
    with pytest.raises(errors.InvalidRequest) as caught:
        limits.check_events(len(events.instants), in_force, latest=time_range.latest, histogram=counts)
    assert caught.value.code == "too_many_events"
    found = caught.value.extra["suggested_ranges"]
    assert isinstance(found, list)
    return found


def micros(text: object) -> int:
    return round((dt.datetime.fromisoformat(str(text)) - START) / dt.timedelta(microseconds=1))


@given(
    st.lists(st.integers(0, 999_999), min_size=2, max_size=60, unique=True),
    st.integers(1, 20),
    st.sampled_from([1_000_000, 5_000_000, 86_400_000_000]),
)
def test_every_range_fits_and_together_they_hold_every_event(instants: list[int], most: int, span_us: int) -> None:
    events = Events(instants)
    if len(instants) <= most:
        return
    ranges = suggest(events, span_us, most)
    held = [sum(micros(one["earliest_time"]) <= at < micros(one["latest_time"]) for at in instants) for one in ranges]
    assert held == [one["events"] for one in ranges]
    assert max(held) <= most
    assert sum(held) == len(instants)
    edges = [(micros(one["earliest_time"]), micros(one["latest_time"])) for one in ranges]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))


def test_one_look_is_enough_where_the_events_are_spread() -> None:
    events = Events(list(range(0, 1_000_000, 10_000)))
    assert len(suggest(events, 1_000_000, 30)) == 4
    assert events.asked == 1


def test_a_burst_inside_one_stretch_is_looked_at_more_closely() -> None:
    events = Events([500_000 + n for n in range(50)])
    ranges = suggest(events, 86_400_000_000, 20)
    assert [one["events"] for one in ranges] == [20, 20, 10]  # to the microsecond, out of a day
    assert events.asked > 1


def test_more_at_one_instant_than_an_export_may_hold_ends_the_looking() -> None:
    events = Events([7] * 30)
    suggest(events, 1_000_000, 10)
    assert events.asked <= suggestions.MAX_DEPTH
