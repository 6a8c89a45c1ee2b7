"""The wide stream: the same bytes for the same seed, and as mixed as what real devices send."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
from typing import Any

import pytest

from penstock.fields import flatten, values
from penstock.samples import wide, wide_sources

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def made() -> tuple[list[dict[str, Any]], collections.Counter[str]]:
    """Flat events, and how many of each source."""
    kinds: collections.Counter[str] = collections.Counter()
    text = b"".join(wide.lines(events=12_000, start=START, days=30, kinds=kinds))
    return [flatten.flatten(values.loads(line), 1 << 20) for line in text.splitlines()], kinds


def test_same_seed_makes_the_same_bytes_and_another_does_not() -> None:
    first, again, other = (b"".join(wide.lines(events=500, seed=seed, start=START)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert first.count(b"\n") == 500
    assert not list(wide.lines(events=0, start=START))


def test_sources_and_fields_are_many(made: tuple[list[dict[str, Any]], collections.Counter[str]]) -> None:
    events, kinds = made
    assert (len(kinds), sum(kinds.values())) == (wide_sources.COUNT, len(events))
    assert wide_sources.COUNT >= 60
    assert len({name for event in events for name in event}) >= 2000
    assert kinds == collections.Counter(event["event.dataset"] for event in events)
    assert len({tuple(event) for event in events}) >= 60 * 8


def test_values_are_mixed(made: tuple[list[dict[str, Any]], collections.Counter[str]]) -> None:
    events, _ = made
    kinds: dict[str, set[type]] = collections.defaultdict(set)
    for event in events:
        for name, value in event.items():
            kinds[name].add(type(value))
    assert {int, str} <= kinds["source.port"] & kinds["event.code"]
    assert {str, list} <= kinds["event.category"] & kinds["host.ip"]
    assert {float, values.Number} <= set().union(*kinds.values())
    assert any(type(value) is list and value and type(value[0]) is dict for event in events for value in event.values())
    assert any(name.rpartition(".")[0] in event for event in events for name in event)  # a value and a prefix
    assert {"ProcessId", "ProcessID"} <= set(kinds)


def test_messages_have_every_form_and_are_long(
    made: tuple[list[dict[str, Any]], collections.Counter[str]],
) -> None:
    events, _ = made
    messages = [event["message"] for event in events]
    for start in ("<", "CEF:0|", "LEEF:2.0|", "date=", '{"event":', "<Event xmlns="):
        assert sum(message.startswith(start) for message in messages) > len(messages) // 20
    assert 300 < sum(map(len, messages)) / len(messages) < 1500
    assert len(set(messages)) > 0.99 * len(messages)
    for event in events[:500]:
        if event["message"].startswith("{"):
            assert values.loads(event["message"])["actor"]["user"]


def test_some_events_arrive_late_and_over_many_days(
    made: tuple[list[dict[str, Any]], collections.Counter[str]],
) -> None:
    events, _ = made
    instants = [
        next(
            us
            for name in ("@timestamp", "timestamp", "eventTime", "ts")
            if (us := values.parse_timestamp(event.get(name)))
        )
        for event in events
    ]
    late = sum(later < earlier - 3600 * 10**6 for earlier, later in itertools.pairwise(instants))
    assert 0.01 * len(events) < late < 0.1 * len(events)
    assert len({us // (86_400 * 10**6) for us in instants}) > 150
