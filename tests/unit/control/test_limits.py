"""Limits: the event cap and the time ranges it suggests, the months, the fingerprint, the clock of the tests."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import errors, testing
from penstock import settings as settings_module
from penstock.control import exports, limits, quota

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LIMITS = limits.from_settings(settings_module.Settings())


def at(hours: float) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def test_limits_are_the_settings() -> None:
    assert (
        limits.Limits(
            export_max_events=100_000_000,
            quota_bytes_per_month=10_000_000_000,
            active_exports=1,
            exports_per_search_job=10,
            download_window_seconds=86_400,
            export_deadline_seconds=21_600,
            export_max_attempts=5,
        )
        == LIMITS
    )
    assert {field.name for field in dataclasses.fields(limits.Overrides)} == set(limits.NAMES)


def test_cap_is_inclusive() -> None:
    limits.check_events(100_000_000, LIMITS)
    with pytest.raises(errors.InvalidRequest) as refused:
        limits.check_events(100_000_001, LIMITS)
    assert refused.value.code == "too_many_events"
    assert refused.value.extra == {"events": 100_000_001, "limit": 100_000_000, "suggested_ranges": []}
    assert refused.value.detail == "The search matches 100,000,001 events; an export may hold 100,000,000."


def test_refusal_suggests_ranges_that_each_fit() -> None:
    few = dataclasses.replace(LIMITS, export_max_events=100)
    histogram = [(at(0), 60), (at(1), 40), (at(2), 1), (at(3), 0), (at(4), 250)]
    with pytest.raises(errors.InvalidRequest) as refused:
        limits.check_events(351, few, latest=at(5), histogram=histogram)
    assert refused.value.extra["suggested_ranges"] == [
        {"earliest_time": "2026-01-01T00:00:00Z", "latest_time": "2026-01-01T02:00:00Z", "events": 100},
        {"earliest_time": "2026-01-01T02:00:00Z", "latest_time": "2026-01-01T04:20:00Z", "events": 84},
        {"earliest_time": "2026-01-01T04:20:00Z", "latest_time": "2026-01-01T04:40:00Z", "events": 83},
        {"earliest_time": "2026-01-01T04:40:00Z", "latest_time": "2026-01-01T05:00:00Z", "events": 84},
    ]
    assert "4 search jobs" in refused.value.hint


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(1, 200))
def test_suggested_ranges_cover_the_search_without_gap_and_each_fits(counts: list[int], cap: int) -> None:
    histogram = [(at(number), count) for number, count in enumerate(counts)]
    ranges = limits.ranges_that_fit(histogram, at(len(counts)), cap)
    if not ranges:
        assert sum(counts) > cap * limits.MAX_SUGGESTED_RANGES / 2
        return
    assert (ranges[0][0], ranges[-1][1]) == (at(0), at(len(counts)))
    assert all(left[1] == right[0] for left, right in itertools.pairwise(ranges))
    assert all(start < end for start, end, _ in ranges)
    assert all(events <= cap for _, _, events in ranges)
    assert sum(events for _, _, events in ranges) == sum(counts)
    assert len(ranges) <= limits.MAX_SUGGESTED_RANGES


def test_search_far_over_the_cap_gets_no_list_of_a_thousand_ranges() -> None:
    assert limits.ranges_that_fit([(at(0), 1_000_000)], at(1), 10) == []


@pytest.mark.parametrize(
    ("now", "month", "resets"),
    [
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "2026-01", dt.datetime(2026, 2, 1, tzinfo=dt.UTC)),
        (dt.datetime(2026, 12, 31, 23, 59, 59, 999_999, dt.UTC), "2026-12", dt.datetime(2027, 1, 1, tzinfo=dt.UTC)),
        (dt.datetime(2024, 2, 29, tzinfo=dt.UTC), "2024-02", dt.datetime(2024, 3, 1, tzinfo=dt.UTC)),
        # 00:30 on the 1st in Paris is still the old month in UTC
        (
            dt.datetime(2026, 3, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            "2026-02",
            dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
        ),
    ],
)
def test_months_are_utc(now: dt.datetime, month: str, resets: dt.datetime) -> None:
    assert quota.month_of(now) == month
    assert quota.resets_at(now) == resets


def test_fingerprint_knows_body_job_and_key_but_not_the_order_of_names() -> None:
    one = exports.fingerprint({"fields": ["a", "b"], "s3": None}, "job", "key")
    assert exports.fingerprint({"s3": None, "fields": ["a", "b"]}, "job", "key") == one
    others = [
        exports.fingerprint({"fields": ["b", "a"], "s3": None}, "job", "key"),
        exports.fingerprint({"fields": ["a", "b"]}, "job", "key"),
        exports.fingerprint(None, "job", "key"),
        exports.fingerprint({"fields": ["a", "b"], "s3": None}, "other", "key"),
        exports.fingerprint({"fields": ["a", "b"], "s3": None}, "job", "other"),
    ]
    assert len({one, *others}) == 6


def test_manual_clock_moves_only_when_told_and_waiting_moves_it() -> None:
    clock = testing.ManualClock()
    before, event = clock.now(), threading.Event()
    assert (clock.now(), clock.monotonic()) == (before, 0.0)
    clock.advance(1.5)
    assert clock.now() - before == dt.timedelta(seconds=1.5)
    assert not clock.wait(event, 10)
    assert clock.monotonic() == 11.5
    event.set()
    assert clock.wait(event, 10)
    assert clock.monotonic() == 11.5
