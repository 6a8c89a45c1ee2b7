"""Claims about attached Iceberg tables, written by pyiceberg in a catalogue: evolved, and deleted from."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from penstock import errors
from penstock.fields.values import render_timestamp

catalogs = pytest.importorskip("pyiceberg.catalog.sql", reason="pip install 'penstock[iceberg]'")
config = pytest.importorskip("pyiceberg.utils.config")


def rows(first: int, count: int, **more: Any) -> pa.Table:
    """Unsorted events of one hour."""
    at = [dt.datetime(2024, 1, 1, 0, (n * 17) % 60, n % 60, n) for n in range(first, first + count)]
    return pa.table(
        {
            "at": pa.array(at, pa.timestamp("us")),
            "n": pa.array(range(first, first + count), pa.int32()),
            "who": pa.array(
                [{"name": f"u{n}", "ip": f"10.0.0.{n}"} for n in range(first, first + count)],
                pa.struct([("name", pa.string()), ("ip", pa.string())]),
            ),
            "tags": pa.array([[("k", f"{n}")] for n in range(first, first + count)], pa.map_(pa.string(), pa.string())),
            **more,
        }
    )


@pytest.fixture
def catalog(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A SQL catalogue, named as pyiceberg's own configuration names it: by the environment."""
    (tmp_path / "warehouse").mkdir()
    uri, warehouse = f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/warehouse"
    monkeypatch.setenv("PYICEBERG_CATALOG__TEST__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__TEST__URI", uri)
    monkeypatch.setenv("PYICEBERG_CATALOG__TEST__WAREHOUSE", warehouse)
    # Read once, when pyiceberg is imported.
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", config.Config())
    made = catalogs.SqlCatalog("test", uri=uri, warehouse=warehouse)
    made.create_namespace("sec")
    yield made
    made.engine.dispose()


@pytest.fixture
def evolved(catalog: Any) -> Any:
    """A table whose columns were renamed, added and widened, and from which rows were deleted."""
    from pyiceberg import types

    table = catalog.create_table("sec.events", schema=rows(0, 1).schema)
    table.append(rows(0, 40))
    with table.update_schema() as update:
        update.rename_column("who.name", "user")
        update.rename_column("n", "number")
        update.add_column("level", types.StringType())
    with table.update_schema() as update:
        update.update_column("number", types.LongType())
    renamed = rows(40, 20, level=pa.array(["high"] * 20))
    who = pa.array(
        [{"user": f"u{n}", "ip": f"10.0.0.{n}"} for n in range(40, 60)],
        pa.struct([("user", pa.string()), ("ip", pa.string())]),
    )
    renamed = renamed.set_column(2, "who", who).rename_columns(["at", "number", "who", "tags", "level"])
    renamed = renamed.set_column(1, "number", renamed["number"].cast(pa.int64()))
    table.append(renamed)
    table.delete("number >= 10 and number < 15")
    return table


def as_it_is(table: Any) -> list[dict[str, Any]]:
    """pyiceberg's reading of the table by DuckDB, in order of time (the times of `rows` are all different)."""
    arrow = table.scan().to_arrow()
    text = """SELECT epoch_us("at"), "number", who."user", who.ip, tags['k'], "level" FROM arrow ORDER BY "at" """
    found = duckdb.sql(text).fetchall()
    assert arrow.num_rows == len(found)
    events = []
    for us, number, user, ip, tag, level in found:
        event = {"@timestamp": render_timestamp(us), "at": render_timestamp(us), "number": number, "who.user": user}
        event |= {"who.ip": ip, "tags": {"k": tag}, "level": level}
        events.append({name: value for name, value in event.items() if value is not None})
    return events


def test_an_evolved_table_is_exported_as_it_is_now(lake: Any, evolved: Any) -> None:
    snapshot = lake.attach("sec.events", "iceberg", time="at", catalog="test").snapshot()
    assert snapshot.version == evolved.current_snapshot().snapshot_id
    expected = as_it_is(evolved)
    assert len(expected) == 55
    assert lake.events(snapshot, max_rows=20) == expected
    assert len(lake.events(snapshot, "who.user:u1*")) == 6
    assert lake.events(snapshot, "level:high AND number:>50") == expected_of(expected, lambda e: e["number"] > 50)


def expected_of(events: list[dict[str, Any]], keeps: Any) -> list[dict[str, Any]]:
    return [event for event in events if keeps(event)]


def test_a_table_is_found_by_its_folder_and_by_its_metadata(lake: Any, evolved: Any) -> None:
    folder = evolved.location().removeprefix("file://")
    by_catalog = lake.lines(lake.attach("sec.events", "iceberg", time="at", catalog="test").snapshot())
    assert lake.lines(lake.attach(folder, "iceberg", time="at").snapshot()) == by_catalog
    metadata = evolved.metadata_location.removeprefix("file://")
    assert lake.lines(lake.attach(metadata, "iceberg", time="at").snapshot()) == by_catalog


def test_snapshots_are_the_tables_own(lake: Any, evolved: Any) -> None:
    table = lake.attach("sec.events", "iceberg", time="at", catalog="test")
    before = table.snapshot()
    table.keep(before)
    lines = lake.lines(before)
    evolved.delete("number < 30")
    assert table.snapshot().rows == 30
    again = lake.attach("sec.events", "iceberg", time="at", catalog="test")
    assert lake.lines(again.snapshot(before.version)) == lines
    first = evolved.metadata.snapshots[0].snapshot_id
    assert {event["n"] for event in lake.events(again.snapshot(first))} == set(range(40))
    with pytest.raises(errors.NotFound) as raised:
        again.snapshot(12345)
    assert raised.value.code == "snapshot_not_found"


def test_what_a_plain_reader_gets_wrong_is_refused(
    lake: Any, catalog: Any, evolved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted rows beside the data: pyiceberg plans them, and cannot write them, so a plan is given one."""
    from pyiceberg.table import FileScanTask

    class WithDeletes(FileScanTask):
        delete_files = property(lambda self: {self.file}, lambda self, value: None)  # type: ignore[assignment]

    plan = evolved.scan().plan_files()
    fake = [WithDeletes(task.file) for task in plan]
    monkeypatch.setattr("pyiceberg.table.DataScan.plan_files", lambda self: fake)
    with pytest.raises(errors.ConfigurationError) as raised:
        lake.attach("sec.events", "iceberg", time="at", catalog="test")
    assert raised.value.code == "attached_table_unsupported"
    assert "deleted rows" in raised.value.detail


def test_members_renamed_inside_a_list_are_refused(lake: Any, catalog: Any) -> None:
    kind = pa.list_(pa.struct([("old", pa.string())]))
    made = pa.table({"time": pa.array([1], pa.int64()), "items": pa.array([[{"old": "x"}]], kind)})
    table = catalog.create_table("sec.nested", schema=made.schema)
    table.append(made)
    assert lake.events(lake.attach("sec.nested", "iceberg", catalog="test").snapshot())[0]["items"] == [{"old": "x"}]
    with table.update_schema() as update:
        update.rename_column("items.element.old", "new")
    with pytest.raises(errors.ConfigurationError) as raised:
        lake.attach("sec.nested", "iceberg", catalog="test")
    assert raised.value.code == "attached_table_unsupported"


def test_an_empty_table_has_no_events(lake: Any, catalog: Any) -> None:
    catalog.create_table("sec.empty", schema=rows(0, 1).schema)
    with pytest.raises(errors.InvalidRequest) as raised:
        lake.attach("sec.empty", "iceberg", time="nope", catalog="test")
    assert raised.value.code == "attached_time_missing"
    assert lake.attach("sec.empty", "iceberg", time="at", catalog="test").snapshot().rows == 0


def test_a_table_that_is_not_there_is_said(lake: Any, catalog: Any) -> None:
    with pytest.raises(errors.StorageError) as raised:
        lake.attach("sec.nothing", "iceberg", catalog="test")
    assert raised.value.code == "attached_table_unreadable"
