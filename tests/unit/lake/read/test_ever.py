"""Events of the last instant belong to a range without an end."""

from __future__ import annotations

import json
import pathlib

from penstock import query, testing
from penstock.intake import ingest
from penstock.lake import table
from penstock.lake.read import plan, scan


def test_events_of_the_last_instant_belong_to_all_of_time(tmp_path: pathlib.Path) -> None:
    events = table.EventTable(str(tmp_path / "lake"), "c")
    lines = [{"@timestamp": "2026-01-01T00:00:00Z"}, {"@timestamp": "9999-12-31T23:59:59.9999999Z"}]
    file = tmp_path / "e.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    ingest.ingest(events, [file], clock=testing.ManualClock())
    everything = query.compile(query.Everything(), events.snapshot().query_columns)
    assert scan.count(events.snapshot(), plan.TimeRange.ever(), everything) == 2
