"""Claims about attached Delta tables, written by deltalake as others write them: honoured or refused, never ignored."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import deltalake
import duckdb
import polars as pl
import pytest

from penstock import errors
from penstock.fields.types import FieldType
from penstock.fields.values import render_timestamp
from penstock.lake.attached import stores


def frame(day: int, region: str | None, events: int = 40) -> pl.DataFrame:
    """Unsorted events of one day."""
    start = dt.datetime(2024, 1, 1 + day, tzinfo=dt.UTC)
    return pl.DataFrame(
        {
            "eventTime": [start + dt.timedelta(seconds=(n * 7919) % 86_400, microseconds=n) for n in range(events)],
            "region": [region] * events,
            "day": [start.date()] * events,
            "account": [12 + day] * events,
            "actor": [{"name": f"u{n % 3}", "ip": f"10.0.0.{n}" if n % 4 else None} for n in range(events)],
        },
        schema_overrides={"region": pl.String},
    )


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    """A table partitioned by three columns of somebody else's; two versions of it."""
    root = tmp_path / "delta"
    how: dict[str, Any] = {"partition_by": ["region", "day", "account"]}
    deltalake.write_deltalake(root, pl.concat([frame(0, "a b/ü%"), frame(1, None)]), **how)
    deltalake.write_deltalake(root, frame(0, "eu"), mode="append", **how)
    return root


def as_duckdb_reads(root: pathlib.Path, version: int | None = None) -> list[dict[str, Any]]:
    """DuckDB reads the files that delta-rs names; what the log says of each is put beside it."""
    table = deltalake.DeltaTable(root, version=version)
    partitions = pl.DataFrame(table.get_add_actions()).select("path", pl.col("partition").struct.unnest()).to_dicts()
    found = []
    for uri, own in zip(table.file_uris(), partitions, strict=True):
        path = uri.removeprefix("file://")
        rows = duckdb.execute(
            "SELECT epoch_us(eventTime), actor.name, actor.ip FROM read_parquet($1, hive_partitioning = false)", [path]
        ).fetchall()
        for row, (us, name, ip) in enumerate(rows):
            event = {
                "@timestamp": render_timestamp(us),
                "eventTime": render_timestamp(us),
                "actor.name": name,
                "source.ip": ip,
                "region": own["region"],
                "day": own["day"].isoformat(),
                "account": own["account"],
            }
            found.append((us, path, row, {k: v for k, v in event.items() if v is not None}))
    return [event for *_, event in sorted(found, key=lambda each: each[:3])]


def test_files_of_other_communities_are_no_files_of_a_table(lake: Any, tmp_path: pathlib.Path) -> None:
    """A log may name any file; whoever writes it must not read what the service may read."""
    place = lake.folder / "other" / "x.parquet"
    place.parent.mkdir()
    (tmp_path / "link").symlink_to(place.parent)
    table = tmp_path / "theirs"
    deltalake.write_deltalake(str(table), pl.DataFrame({"time": [1], "n": [1]}))
    log = table / "_delta_log" / f"{0:020d}.json"
    mine = next(table.glob("*.parquet")).name
    place.write_bytes((table / mine).read_bytes())
    plain = log.read_text()
    for named in (place, tmp_path / "link" / "x.parquet"):
        log.write_text(plain.replace(mine, str(named)))
        assert lake.attach(table, "delta").snapshot().rows == 1  # so that the refusal is of the place alone
        with pytest.raises(errors.ConfigurationError, match=r"x\.parquet") as raised:
            lake.attach(table, "delta", closed=str(lake.folder))
        assert raised.value.code == "attached_table_unsupported"
    log.write_text(plain)
    assert lake.attach(table, "delta", closed=str(lake.folder)).snapshot().rows == 1


def test_a_table_in_s3_has_no_files_of_this_machine_nor_of_our_lake() -> None:
    stores.check_place(["s3://b/t/x", "s3://lake-2/x"], "s3://b/t", "s3://lake")
    stores.check_place(["/data/x", "s3://b/x"], "/data", "")
    for uris, table in (
        (["s3://b/t/x", "/etc/x"], "s3://b/t"),
        (["s3://lake/c/x"], "s3://b/t"),
        (["s3://lake/c"], None),
    ):
        with pytest.raises(errors.ConfigurationError):
            stores.check_place(uris, table, "s3://lake")


def test_partition_columns_of_others_are_honoured(lake: Any, place: pathlib.Path) -> None:
    table = lake.attach(place, "delta", time="eventTime", names={"actor.ip": "source.ip"})
    snapshot = table.snapshot()
    assert snapshot.version == 1
    assert [snapshot.columns[name] for name in ("region", "day", "account", "source.ip")] == [
        FieldType.KEYWORD,
        FieldType.KEYWORD,
        FieldType.LONG,
        FieldType.IP,
    ]
    expected = as_duckdb_reads(place)
    assert len(expected) == 120
    assert lake.events(snapshot, max_rows=50) == expected
    assert lake.events(snapshot, "region:eu AND source.ip:10.0.0.0/28") == [
        event for event in expected if event.get("region") == "eu" and int(event.get("source.ip", "10.0.0.99")[7:]) < 16
    ]
    assert len(lake.events(snapshot, "NOT region:*")) == 40
    assert lake.events(snapshot, 'account:12 AND region:"a b/ü%"') == [
        event for event in expected if event.get("region") == "a b/ü%"
    ]


def test_versions_are_the_tables_own_and_stay(lake: Any, place: pathlib.Path) -> None:
    table = lake.attach(place, "delta", time="eventTime")
    before = table.snapshot()
    table.keep(before)
    lines = lake.lines(before)
    deltalake.DeltaTable(place).delete("region = 'eu'")
    assert (table.snapshot().version, table.snapshot().rows) == (2, 80)
    again = lake.attach(place, "delta", time="eventTime")
    assert lake.lines(again.snapshot(1)) == lines
    assert again.snapshot(0).rows == 80  # not kept; its own log has it
    with pytest.raises(errors.NotFound) as raised:
        again.snapshot(99)
    assert raised.value.code == "snapshot_not_found"
    # Its owner's vacuum takes a file that a pinned version needs: an error, never fewer events.
    deltalake.DeltaTable(place).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(errors.Conflict) as gone:
        lake.lines(before)
    assert gone.value.code == "attached_file_changed"


def test_columns_that_came_later_are_absent_before(lake: Any, place: pathlib.Path) -> None:
    late = frame(2, "eu", 3).with_columns(extra=pl.lit("new"))
    deltalake.write_deltalake(place, late, mode="append", schema_mode="merge")
    found = lake.events(lake.attach(place, "delta", time="eventTime").snapshot(), "extra:*")
    assert [event["extra"] for event in found] == ["new"] * 3


@pytest.mark.parametrize(
    ("protocol", "configuration", "named"),
    [
        ({"minReaderVersion": 3, "readerFeatures": ["deletionVectors"]}, {}, "deletionVectors"),
        ({"minReaderVersion": 1}, {"delta.enableDeletionVectors": "true"}, "deletionVectors"),
        ({"minReaderVersion": 2}, {"delta.columnMapping.mode": "name"}, "Delta"),
        ({"minReaderVersion": 3, "readerFeatures": ["columnMapping"]}, {"delta.columnMapping.mode": "id"}, "Delta"),
        ({"minReaderVersion": 3, "readerFeatures": ["typeWidening"]}, {}, "typeWidening"),
        ({"minReaderVersion": 3, "readerFeatures": ["variantType"]}, {}, "variantType"),
        ({"minReaderVersion": 3, "readerFeatures": ["fromTheFuture"]}, {}, "fromTheFuture"),
        ({"minReaderVersion": 4}, {}, "4"),
    ],
)
def test_what_a_plain_reader_gets_wrong_is_refused(
    lake: Any, place: pathlib.Path, protocol: dict[str, Any], configuration: dict[str, str], named: str
) -> None:
    """As Spark writes it into the log: the next entry changes the protocol and the table's settings."""
    first = [json.loads(line) for line in (place / "_delta_log" / f"{0:020d}.json").read_text().splitlines()]
    about = next(entry["metaData"] for entry in first if "metaData" in entry)
    if "delta.columnMapping.mode" in configuration:
        schema = json.loads(about["schemaString"])
        _annotate(schema["fields"], itertools.count(1))
        about["schemaString"] = json.dumps(schema)
    writer: dict[str, Any] = {"minWriterVersion": 2}
    if protocol["minReaderVersion"] >= 3:
        writer = {"minWriterVersion": 7, "writerFeatures": protocol.get("readerFeatures", [])}
    entries = [
        {"protocol": {**protocol, **writer}},
        {"metaData": {**about, "configuration": configuration}},
    ]
    if "deletionVectors" in str(protocol):
        add = next(entry["add"] for entry in first if "add" in entry)
        vector = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "sizeInBytes": 34, "cardinality": 2}
        entries.append({"add": {**add, "deletionVector": {**vector, "offset": 1}}})
    (place / "_delta_log" / f"{2:020d}.json").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    with pytest.raises(errors.ConfigurationError) as raised:
        lake.attach(place, "delta", time="eventTime")
    assert raised.value.code == "attached_table_unsupported"
    assert named in raised.value.detail


def _annotate(fields: list[dict[str, Any]], ids: Iterator[int]) -> None:
    for field in fields:
        names = {"delta.columnMapping.id": next(ids), "delta.columnMapping.physicalName": f"col-{field['name']}"}
        field["metadata"] = names
        if isinstance(field["type"], dict):
            _annotate(field["type"]["fields"], ids)


def test_a_folder_without_a_log_is_no_delta_table(lake: Any, tmp_path: pathlib.Path) -> None:
    pl.DataFrame({"time": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(errors.StorageError) as raised:
        lake.attach(tmp_path, "delta")
    assert raised.value.code == "attached_table_unreadable"
