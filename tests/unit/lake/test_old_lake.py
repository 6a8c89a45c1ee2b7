"""A lake that Penstock 0.1.0 wrote (a file a day, made by `old/make_lake.py`) is read, added to, and rewritten."""

from __future__ import annotations

import json
import os
import pathlib
import zipfile
from typing import Any

import deltalake
import polars as pl
import pytest

from penstock import query, testing
from penstock.fields import flatten
from penstock.fields.types import FieldType
from penstock.intake import ingest
from penstock.lake import log, table, upkeep
from penstock.lake.read import newest, plan, scan

COMMUNITY = "00000000-0000-4000-8000-000000000001"
ALL_TIME = plan.TimeRange.of(0, 4_000_000_000_000_000)
EVERYTHING = query.Predicate(expression=None, columns=frozenset())


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> pathlib.Path:
    with zipfile.ZipFile(pathlib.Path(__file__).with_name("old") / "lake-0.1.0.zip") as packed:
        packed.extractall(tmp_path)
    return tmp_path


@pytest.fixture
def events(lake: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(lake), COMMUNITY)


def expected(lake: pathlib.Path) -> list[dict[str, Any]]:
    return [flatten.flatten(event) for event in json.loads((lake / "events.json").read_text())]


def in_order(snapshot: table.Snapshot) -> list[dict[str, Any]]:
    found = newest.events(snapshot, ALL_TIME, EVERYTHING, 1000)[::-1]
    slices = plan.plan_slices(snapshot, ALL_TIME, max_rows=7, max_bytes=1 << 40)
    numbers = pl.concat(scan.read_slice(snapshot, one, ["n"], EVERYTHING).select("n") for one in slices)["n"]
    assert numbers.to_list() == [event["n"] for event in found]
    return found


def test_every_event_is_read(lake: pathlib.Path, events: table.EventTable) -> None:
    snapshot = events.snapshot()
    assert len(snapshot.files) > 10
    assert all(file.path.startswith("_day=") for file in snapshot.files)
    assert in_order(snapshot) == expected(lake)
    assert events.has_batch("first")


def test_events_are_added_and_upkeep_rewrites_the_files_by_size(lake: pathlib.Path, events: table.EventTable) -> None:
    old = events.snapshot()
    more = [{"@timestamp": f"2025-0{month}-01T00:00:00Z", "n": 900 + month} for month in range(1, 10)]
    body = [json.dumps(event).encode() + b"\n" for event in more]
    ingest.ingest_stream(events, body, clock=testing.ManualClock())
    wanted = sorted([*expected(lake), *more], key=lambda event: event["@timestamp"])
    assert in_order(events.snapshot()) == wanted

    upkeep.compact(events)
    rewritten = events.snapshot()
    assert [file.path for file in rewritten.files if file.path.startswith("_day=")] == []
    assert len(rewritten.files) <= 2
    assert in_order(rewritten) == wanted
    assert in_order(events.snapshot(old.version)) == expected(lake)
    assert rewritten.columns == {**old.columns, "n": FieldType.LONG}
    assert deltalake.DeltaTable(events.root).count() == len(wanted)

    pinned = events.snapshot(old.version)
    upkeep.vacuum(events, pinned_versions=[old.version], keep_seconds=0)
    assert in_order(pinned) == expected(lake)
    upkeep.vacuum(events, pinned_versions=[], keep_seconds=0)
    assert {path.name for path in pathlib.Path(events.root).rglob("*.parquet") if "_delta_log" not in str(path)} == {
        file.path for file in rewritten.files
    }
    assert in_order(table.EventTable(str(lake), COMMUNITY).snapshot()) == wanted


def test_its_log_is_shortened_once_pinned_snapshots_are_kept_and_no_batch_id_is_lost(
    lake: pathlib.Path, events: table.EventTable
) -> None:
    def post(number: int, batch_id: str) -> int:
        body = [json.dumps({"@timestamp": "2025-01-01T00:00:00Z", "n": number}).encode()]
        return ingest.ingest_stream(events, body, clock=testing.ManualClock(), batch_id=batch_id).accepted

    def shorten(numbers: range) -> None:
        for number in numbers:
            assert post(number, f"new-{number}") == 1
        for path in pathlib.Path(events.root, "_delta_log").iterdir():
            os.utime(path, (0, 0))

    old = events.snapshot()
    shorten(range(25))
    shorten(range(25, 50))
    assert log.holds(events.folder, old.version)  # nobody has said yet which versions are read
    assert post(0, "first") == 0
    upkeep.vacuum(events, pinned_versions=[old.version], keep_seconds=0)
    shorten(range(50, 75))
    shorten(range(75, 100))
    assert not log.holds(events.folder, old.version)
    again = table.EventTable(str(lake), COMMUNITY)
    assert in_order(again.snapshot(old.version)) == expected(lake)
    assert again.batches_taken(["first", "new-0", "new-99", "newer"]) == {"first", "new-0", "new-99"}
    assert again.snapshot().rows == old.rows + 100
