"""The tiny lake of `penstock.testing`: events in, the very same events out."""

from __future__ import annotations

import datetime as dt
import pathlib

import pytest

from penstock import query, testing
from penstock.lake.read import newest, plan
from penstock.samples import generate

ALWAYS = plan.TimeRange(earliest=dt.datetime(1, 1, 1, tzinfo=dt.UTC), latest=dt.datetime(9999, 1, 1, tzinfo=dt.UTC))
EVERYTHING = query.Predicate(expression=None, columns=frozenset())


def test_a_tiny_lake_gives_back_its_events(tmp_path: pathlib.Path) -> None:
    events = generate.sample_events(300, 4)
    made = testing.tiny_lake(str(tmp_path), events)
    shown = newest.events(made.snapshot(), ALWAYS, EVERYTHING, 1000)
    assert list(reversed(shown)) == events


def test_an_event_without_time_gets_the_clocks(tmp_path: pathlib.Path) -> None:
    made = testing.tiny_lake(str(tmp_path), [{"user": {"name": "alice"}}], clock=testing.ManualClock())
    assert newest.events(made.snapshot(), ALWAYS, EVERYTHING, 1) == [
        {"@timestamp": "2026-01-15T12:00:00Z", "user.name": "alice"}
    ]


def test_events_that_cannot_be_taken_in_are_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="1 of the events"):
        testing.tiny_lake(str(tmp_path), [{"user": "x" * 20_000_000}])
