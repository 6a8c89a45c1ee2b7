"""A lake that Penstock 0.1.0 wrote (a file a day, made by `old/make_lake.py`) is read, added to, and rewritten."""

from __future__ import annotations

import json
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
from penstock.lake import table, upkeep
from penstock.lake.read import plan, scan

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
    found = scan.newest(snapshot, ALL_TIME, EVERYTHING, 1000)[::-1]
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

    upkeep.vacuum(events, pinned_versions=[], keep_seconds=0)
    assert {path.name for path in pathlib.Path(events.root).rglob("*.parquet") if "_delta_log" not in str(path)} == {
        file.path for file in rewritten.files
    }
    assert in_order(table.EventTable(str(lake), COMMUNITY).snapshot()) == wanted
