"""The catalog of fields: exact, made with each file, stored beside them, made again where it is damaged or missing."""

from __future__ import annotations

import json
import pathlib
import zipfile
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import testing
from penstock.intake import ingest
from penstock.lake import catalog, layout, location, table, upkeep
from penstock.lake.location import disk
from penstock.lake.read import names

COMMUNITY = "00000000-0000-4000-8000-000000000001"


def take(events: table.EventTable, made: list[dict[str, Any]]) -> None:
    body = [json.dumps(event).encode() + b"\n" for event in made]
    ingest.ingest_stream(events, body, clock=testing.ManualClock(), limits=ingest.Limits(max_columns=3))


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    made = table.EventTable(str(tmp_path), COMMUNITY)
    take(made, [{"a": 1, "b": "x"}, {"a": "seven", "c": {"d": [1, None]}}])
    take(made, [{"a": 2, 'odd "name"': 1, "Ünïcode": {}}, {"a": 3}])
    return made


def again(events: table.EventTable) -> table.EventTable:
    return table.EventTable(str(pathlib.Path(events.root).parent), COMMUNITY)


@pytest.fixture
def no_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: location.Disk, path: str) -> catalog.Fields:
        raise AssertionError(f"the footer of {path} was read")

    monkeypatch.setattr(catalog, "read_fields", read)
    return


ALL = {"@timestamp", "a", "b", "c.d", 'odd "name"', "Ünïcode"}


def test_fields_of_columns_and_of_the_overflow_are_known(events: table.EventTable) -> None:
    assert names.known([events.snapshot()]) == ALL
    assert events.snapshot().files_by_field() == {"@timestamp": 2} | dict.fromkeys(ALL - {"@timestamp", "a"}, 1) | {
        "a": 2
    }


@pytest.mark.usefixtures("no_footer")
def test_who_wrote_the_files_reads_nothing(events: table.EventTable) -> None:
    assert names.known([events.snapshot()]) == ALL


def test_names_are_gathered_once_for_a_snapshot(events: table.EventTable) -> None:
    found = names.known([events.snapshot()])
    assert names.known([events.snapshot()]) is found
    take(events, [{"brand.new": 1}])
    assert names.known([events.snapshot()]) == found | {"brand.new"}


def test_another_process_reads_footers_or_the_stored_catalog(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = again(events)
    assert names.known([other.snapshot()]) == ALL
    other.catalog.store([file.path for file in other.snapshot().files])
    monkeypatch.setattr(catalog, "read_fields", None)
    assert names.known([again(events).snapshot()]) == ALL


@pytest.mark.parametrize("cut", [0, 5, 30, -1])
def test_a_damaged_catalog_is_made_again(events: table.EventTable, cut: int) -> None:
    events.catalog.store([file.path for file in events.snapshot().files])
    stored = pathlib.Path(events.root, catalog.NAME)
    stored.write_bytes(stored.read_bytes()[:cut])
    assert names.known([again(events).snapshot()]) == ALL


def test_footers_that_were_read_are_stored_for_others(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_STORE_AFTER_FOOTERS", 2)
    names.known([again(events).snapshot()])
    monkeypatch.setattr(catalog, "read_fields", None)
    assert names.known([again(events).snapshot()]) == ALL


def test_a_catalog_that_cannot_be_stored_is_no_error(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(disk.os, "replace", full)
    events.catalog.store([file.path for file in events.snapshot().files])
    assert names.known([events.snapshot()]) == ALL
    assert list(pathlib.Path(events.root).glob("_catalog*")) == []


def test_names_survive_a_compaction_and_stay_exact(events: table.EventTable) -> None:
    upkeep.compact(events, min_files=2)
    assert len(events.snapshot().files) == 1
    assert names.known([again(events).snapshot()]) == ALL


def test_a_lake_of_version_0_1_is_looked_through_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(pathlib.Path(__file__).with_name("old") / "lake-0.1.0.zip") as packed:
        packed.extractall(tmp_path)
    events = table.EventTable(str(tmp_path), COMMUNITY)
    assert "User.Name" in names.known([events.snapshot()])  # it lives in the overflow, beside user.name
    events.catalog.store([file.path for file in events.snapshot().files])
    monkeypatch.setattr(catalog, "read_fields", None)
    assert "User.Name" in names.known([table.EventTable(str(tmp_path), COMMUNITY).snapshot()])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.dictionaries(st.text(max_size=6), json_values, max_size=4), max_size=5))
def test_names_in_an_overflow_are_those_of_its_objects(objects: list[dict[str, Any] | None]) -> None:
    overflow = pl.Series([None if one is None else json.dumps(one) for one in objects], dtype=pl.String)
    assert layout.overflow_names(overflow) == {name for one in objects for name in one or {}}
