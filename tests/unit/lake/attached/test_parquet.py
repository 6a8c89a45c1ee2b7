"""Claims about attached Parquet: what DuckDB reads is what is exported, in order of time, the same every time."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import pathlib
import random
import shutil
import types
from typing import Any

import duckdb
import polars as pl
import pytest
from support import attached

from penstock import errors, query, testing
from penstock.fields import mapping, values
from penstock.fields.types import FieldType
from penstock.intake import ingest
from penstock.lake import table as own_table
from penstock.lake.attached import facts, footers, ledger, stores, times
from penstock.lake.attached import table as attached_table
from penstock.lake.read import newest, plan, scan, unsorted

NONE_AT = "0001-01-01T00:00:00Z"
DAY_MS = 86_400_000
FIRST_DAY_MS = 1_704_067_200_000

MAP = """
# OCSF to ECS
src_endpoint.ip = source.ip
src_endpoint.port = source.port   # a number there, too
"dst_endpoint.ip" = destination.ip
"""


def ocsf(rnd: random.Random, day: int, number: int) -> dict[str, Any]:
    """An event as Amazon Security Lake has it."""
    return {
        "time": FIRST_DAY_MS + day * DAY_MS + rnd.randrange(DAY_MS // 1000) * 1000 if number % 37 else None,
        "class_uid": rnd.choice([3002, 4001, 4003]),
        "severity": rnd.choice(["Low", "High", None]),
        "message": rnd.choice(["Failed password for root", "Connection accepted", "failed: timed out"]),
        "metadata": {"product": {"name": "Flow", "version": None}, "uid": f"u{number}", "profiles": ["cloud", "host"]},
        "src_endpoint": {"ip": f"10.0.{rnd.randrange(3)}.{rnd.randrange(250)}", "port": rnd.randrange(1, 65536)}
        if number % 5
        else None,
        "dst_endpoint": {"ip": f"2001:db8::{rnd.randrange(1, 9)}"},
        "traffic": {"bytes": rnd.randrange(10**12), "share": rnd.choice([0.5, 1e-7, float("nan"), float("inf")])},
        "observables": [{"name": "ip", "type_id": 2, "value": None}, {"name": "x", "type_id": number, "value": "v"}],
        "unmapped": {"started": dt.datetime(2024, 1, 1, 0, 0, 0, number)},
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Four files of unsorted events below hive folders, in row groups that all overlap."""
    rnd = random.Random(7)
    root = tmp_path_factory.mktemp("security") / "ext"
    number = 0
    for region in ("eu-central-1", "us-east-1"):
        for day in (0, 1):
            folder = root / f"region={region}" / "accountId=000123456789" / f"eventDay=2024010{day + 1}"
            folder.mkdir(parents=True)
            rows = []
            for _ in range(150):
                number += 1
                rows.append(ocsf(rnd, day, number))
            pl.DataFrame(rows).write_parquet(folder / "part-0.parquet", row_group_size=50)
    (root / "_SUCCESS").touch()
    (root / "_temporary").mkdir()
    (root / "_temporary" / "half.parquet").write_bytes(b"PAR1")
    return root


@pytest.fixture
def security_lake(made: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """The same, to be changed."""
    return pathlib.Path(shutil.copytree(made, tmp_path / "ext"))


@pytest.fixture(scope="module")
def world(made: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    """The files attached and mapped, and all of their events as they are exported."""
    own = attached.Lake(tmp_path_factory.mktemp("lake"))
    snapshot = own.attach(made, names=mapping.parse(MAP)).snapshot()
    return snapshot, own.events(snapshot)


def as_duckdb_reads(root: pathlib.Path) -> list[dict[str, Any]]:
    """Flat events by DuckDB, in (time, file, row) order, keys as exported. NaN stays DuckDB's text."""
    rows = duckdb.sql(
        f"""SELECT time, class_uid, severity, message, metadata.product.name AS "metadata.product.name",
            metadata.uid AS "metadata.uid", metadata.profiles AS "metadata.profiles",
            src_endpoint.ip AS "source.ip", src_endpoint.port AS "source.port", dst_endpoint.ip AS "destination.ip",
            traffic.bytes AS "traffic.bytes", traffic.share AS "traffic.share", observables,
            unmapped.started AS "unmapped.started", region, accountId, eventDay
        FROM read_parquet('{root}/**/part-*.parquet', hive_partitioning = true,
            hive_types = {{'region': VARCHAR, 'accountId': VARCHAR, 'eventDay': BIGINT}}, filename = true,
            file_row_number = true)
        ORDER BY time NULLS FIRST, filename, file_row_number"""
    )
    found = []
    for record in rows.fetchall():
        event = {name: value for name, value in zip(rows.columns, record, strict=True) if value is not None}
        share = event.pop("traffic.share")
        started = event.pop("unmapped.started")
        observables = [{k: v for k, v in each.items() if v is not None} for each in event.pop("observables")]
        us = event["time"] * 1000 if "time" in event else None
        found.append(
            event
            | {
                "@timestamp": NONE_AT if us is None else _text(us),
                "traffic.share": {"nan": "NaN", "inf": "Infinity"}.get(str(share), share),
                "unmapped.started": _text((started - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)),
                "observables": observables,
            }
        )
    return found


def _text(us: int) -> str:
    return values.render_timestamp(us)


def test_security_lake_is_exported_as_duckdb_reads_it(lake: Any, security_lake: pathlib.Path) -> None:
    table = lake.attach(security_lake, names=mapping.parse(MAP))
    snapshot = table.snapshot()
    assert snapshot.columns["source.ip"] is FieldType.IP
    assert snapshot.columns["message"] is FieldType.TEXT
    assert snapshot.columns["metadata.profiles"] is FieldType.KEYWORD_LIST
    assert snapshot.columns["accountId"] is FieldType.KEYWORD  # a number would lose its zeros
    assert snapshot.columns["eventDay"] is FieldType.LONG
    expected = as_duckdb_reads(security_lake)
    assert lake.events(snapshot) == expected
    assert sum(event["@timestamp"] == NONE_AT for event in expected) == 16


@pytest.mark.parametrize(
    ("max_rows", "max_bytes", "budget"), [(71, 10**9, 10**6), (1000, 30_000, 10**6), (97, 10**9, 128)]
)
def test_slices_of_any_size_are_the_same_events(
    lake: Any, security_lake: pathlib.Path, max_rows: int, max_bytes: int, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = lake.attach(security_lake).snapshot()
    whole = lake.lines(snapshot)
    monkeypatch.setattr(unsorted.plan_slices, "__kwdefaults__", {"budget_instants": budget})
    slices = plan.plan_slices(snapshot, plan.TimeRange.ever(), max_rows=max_rows, max_bytes=max_bytes)
    assert all(0 < each.rows <= max_rows for each in slices)
    assert sum(each.rows for each in slices) == 600
    assert [each.first_us for each in slices] == sorted(each.first_us for each in slices)
    assert lake.lines(snapshot, max_rows=max_rows, max_bytes=max_bytes) == whole
    part = plan.TimeRange.of(FIRST_DAY_MS * 1000 + 3_600_000_000, FIRST_DAY_MS * 1000 + 30 * 3_600_000_000)
    inside = [
        event
        for event in map(json.loads, whole.splitlines())
        if "2024-01-01T01:00:00Z" <= event["@timestamp"] < "2024-01-02T06:00:00Z"
    ]
    assert lake.events(snapshot, time_range=part, max_rows=max_rows) == inside
    assert scan.count(snapshot, part, query.compile(query.parse(""), snapshot.query_columns)) == len(inside)


def test_more_events_of_one_instant_than_a_slice_holds_are_cut_by_row(lake: Any, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "same"
    root.mkdir()
    for name in "ab":
        pl.DataFrame({"time": [5, 1_704_067_200, 5] * 40, "n": range(120)}).write_parquet(
            root / f"{name}.parquet", row_group_size=17
        )
    snapshot = lake.attach(root).snapshot()
    slices = plan.plan_slices(snapshot, plan.TimeRange.ever(), max_rows=10, max_bytes=10**9)
    assert all(each.rows <= 10 for each in slices)
    expected = [n for _ in "ab" for n in range(120) if n % 3 != 1] + [n for _ in "ab" for n in range(120) if n % 3 == 1]
    assert [event["n"] for event in lake.events(snapshot, max_rows=10)] == expected
    assert lake.lines(snapshot, max_rows=10) == lake.lines(snapshot, max_rows=10**6)


@pytest.mark.parametrize(
    "term",
    [
        "source.ip:10.0.1.0/24",
        "source.ip:[10.0.0.5 TO 10.0.1.9] AND source.port:>1024",
        "message:failed",
        'message:"failed password"',
        "severity:low OR severity:High",
        "NOT source.ip:*",
        "traffic.share:NaN",
        "traffic.share:<0.6",
        "Infinity",
        "observables:42",
        "metadata.profiles:cloud AND region:us-*",
        "accountId:000123456789 class_uid:(3002 OR 4003)",
        "@timestamp:<1970-01-01",
        "@timestamp:[2024-01-01T06:00:00Z TO 2024-01-02] eventDay:20240101",
        "unmapped.started:>=2024-01-01T00:00:00.000300Z",
        '"2001:db8::3"',
        "nothing_has_this",
    ],
)
def test_queries_find_what_the_reference_finds(lake: Any, world: Any, term: str) -> None:
    snapshot, every = world
    node = query.parse(term)
    expected = [event for event in every if query.matches(node, event, snapshot.columns)]
    assert lake.events(snapshot, term, max_rows=300) == expected
    predicate = query.compile(node, snapshot.query_columns)
    ever = plan.TimeRange.ever()
    assert scan.count(snapshot, ever, predicate) == len(expected)
    assert sum(events for _, events in scan.histogram(snapshot, ever, predicate, 9).counts) == len(expected)
    assert newest.events(snapshot, ever, predicate, 20) == expected[::-1][:20]


def test_every_type_of_column_comes_out_as_documented(lake: Any, tmp_path: pathlib.Path) -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    far = 253_402_300_800_000  # the first millisecond of the year 10000
    said = f"{far * 1000} microseconds since 1970-01-01T00:00:00Z"
    paris = pl.Datetime("us", "Europe/Paris")
    then = dt.datetime(2024, 1, 1)
    counts = pl.Map(pl.String, pl.Int64)
    midnight, nanos = "2024-01-01T00:00:00Z", "1970-01-01T00:00:00.000001001Z"
    columns: dict[str, tuple[pl.Series, Any, Any]] = {
        # Values, JSON of the first row, JSON of the second (None: absent).
        "i8": (pl.Series([-1, None], dtype=pl.Int8), -1, None),
        "u32": (pl.Series([2**32 - 1, 0], dtype=pl.UInt32), 2**32 - 1, 0),
        "u64": (pl.Series([2**64 - 1, 5], dtype=pl.UInt64), 2**64 - 1, 5),
        "f32": (pl.Series([0.5, float("-inf")], dtype=pl.Float32), 0.5, "-Infinity"),
        "f64": (pl.Series([1e300, float("nan")]), 1e300, "NaN"),
        "dec": (pl.Series([decimal.Decimal("1.50"), None], dtype=pl.Decimal(38, 2)), 1.5, None),
        "whole": (pl.Series([decimal.Decimal(7), None], dtype=pl.Decimal(18, 0)), 7, None),
        "bool": (pl.Series([True, False]), True, False),
        "text": (pl.Series(["é\n", ""]), "é\n", ""),
        "kind": (pl.Series(["a", None], dtype=pl.Categorical), "a", None),
        "bytes": (pl.Series([b"\x00\xff", b""]), "AP8=", ""),
        "day": (pl.Series([dt.date(2024, 2, 29), dt.date(1, 1, 1)]), "2024-02-29", "0001-01-01"),
        "clock": (pl.Series([dt.time(1, 2, 3), dt.time(1, 2, 3, 4)]), "01:02:03", "01:02:03.000004"),
        "ms": (pl.Series([1, far], dtype=pl.Datetime("ms")), "1970-01-01T00:00:00.001Z", said),
        "us": (pl.Series([dt.datetime(2024, 1, 1, 2, tzinfo=zone), None]).cast(paris), midnight, None),
        "ns": (pl.Series([0, 1_001], dtype=pl.Datetime("ns")), "1970-01-01T00:00:00Z", nanos),
        "words": (pl.Series([["a", "b"], ["a", None]]), ["a", "b"], ["a", None]),
        "numbers": (pl.Series([[1, None], []], dtype=pl.List(pl.Int64)), [1, None], []),
        "pairs": (pl.Series([{"a": 1, "b": None}, {"c d": 2}], dtype=counts), {"a": 1, "b": None}, {"c d": 2}),
        "tags": (pl.Series([[{"key": "k", "n": None, "at": then}], None]), [{"key": "k", "at": midnight}], None),
        "nothing": (pl.Series([None, None], dtype=pl.Null), None, None),
    }  # fmt: skip
    frame = pl.DataFrame([series.alias(name) for name, (series, _, _) in columns.items()])
    frame = frame.with_columns(time=pl.Series([1_704_067_200, 1_704_067_201]))
    frame.write_parquet(tmp_path / "types.parquet")
    snapshot = lake.attach(tmp_path / "types.parquet").snapshot()
    first, second = lake.events(snapshot)
    for name, (_, one, two) in columns.items():
        assert (first.get(name), second.get(name)) == (one, two), name
    assert newest.events(
        snapshot, plan.TimeRange.ever(), query.compile(query.parse("words:a"), snapshot.query_columns), 9
    )
    lines = lake.lines(snapshot).decode().splitlines()
    assert '"dec":1.50,' in lines[0]  # its digits, also the last


def test_names_that_collide_are_told_apart(lake: Any, tmp_path: pathlib.Path) -> None:
    frame = pl.DataFrame(
        {
            "a.b": [1],
            "a": [{"b": 2, "c": 3}],
            "@timestamp": ["2024-01-01T02:00:00+02:00"],
            "_overflow": ["mine"],
            "A": [4],
        }
    )
    frame.write_parquet(tmp_path / "names.parquet")
    snapshot = lake.attach(tmp_path / "names.parquet").snapshot()
    assert lake.events(snapshot) == [
        {
            "a.b": 1,
            "a.b#2": 2,
            "a.c": 3,
            "@timestamp": "2024-01-01T00:00:00Z",
            "@timestamp.original": "2024-01-01T02:00:00+02:00",
            "_overflow#2": "mine",
            "A": 4,
        }
    ]


def test_files_may_differ_in_their_columns(lake: Any, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "differ"
    root.mkdir()
    pl.DataFrame({"time": [1_704_067_200], "n": [1], "only": ["x"], "s": [{"x": 1}]}).write_parquet(root / "a.parquet")
    pl.DataFrame({"time": [1_704_067_201], "n": ["one"], "s": ["text"]}).write_parquet(root / "b.parquet")
    pl.DataFrame({"time": [1_704_067_202], "n": [None]}).write_parquet(root / "c.parquet")
    snapshot = lake.attach(root).snapshot()
    assert snapshot.columns["n"] is FieldType.JSON
    found = lake.events(snapshot)
    assert [{k: v for k, v in event.items() if k not in ("time", "@timestamp")} for event in found] == [
        {"n": 1, "only": "x", "s.x": 1},
        {"n": "one", "s": "text"},
        {},
    ]
    assert [event["n"] for event in lake.events(snapshot, "n:1 OR n:one")] == [1, "one"]


@pytest.mark.parametrize("kind", ["text", "seconds", "nanoseconds", "date-time", "without statistics", "double"])
def test_time_is_found_whatever_its_form(lake: Any, tmp_path: pathlib.Path, kind: str) -> None:
    root = tmp_path / "t"
    root.mkdir()
    rnd = random.Random(3)
    seconds = [1_704_067_200 + rnd.randrange(1000) for _ in range(90)]
    made = {
        "text": pl.Series([dt.datetime.fromtimestamp(s, dt.UTC).isoformat() for s in seconds]),
        "seconds": pl.Series(seconds),
        "nanoseconds": pl.Series(seconds) * 10**9,
        "date-time": (pl.Series(seconds) * 1000).cast(pl.Datetime("ms")),
        "without statistics": pl.Series(seconds) * 1000,
        "double": pl.Series(seconds).cast(pl.Float64),
    }[kind]
    frame = pl.DataFrame({"when": made, "n": range(90)}).with_columns(pl.when(pl.col("n") % 30 > 0).then("when"))
    frame.write_parquet(root / "a.parquet", row_group_size=20, statistics=kind != "without statistics")
    snapshot = lake.attach(root, time="when").snapshot()
    expected = sorted(range(90), key=lambda n: (seconds[n] if n % 30 else 0, n))
    assert [event["n"] for event in lake.events(snapshot, max_rows=40)] == expected
    hour = plan.TimeRange.of(1_704_067_200_000_000 + 100_000_000, 1_704_067_200_000_000 + 400_000_000)
    assert [event["n"] for event in lake.events(snapshot, time_range=hour)] == [
        n for n in expected if n % 30 and 1_704_067_300 <= seconds[n] < 1_704_067_600
    ]


@pytest.mark.parametrize(
    "change",
    [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()), lambda file: os.utime(file)],
)
def test_a_file_that_changed_since_the_pin_is_an_error(lake: Any, security_lake: pathlib.Path, change: Any) -> None:
    table = lake.attach(security_lake)
    pinned = table.snapshot()
    table.keep(pinned)
    change(sorted(security_lake.rglob("part-0.parquet"))[1])
    everything = query.compile(query.parse("class_uid:*"), pinned.query_columns)
    for attempt in (
        lambda: lake.lines(pinned),
        lambda: scan.count(pinned, plan.TimeRange.ever(), everything),
        lambda: scan.histogram(pinned, plan.TimeRange.ever(), everything, 5),
        lambda: newest.events(pinned, plan.TimeRange.ever(), everything, 5),
        lambda: lake.attach(security_lake).snapshot(pinned.version),
    ):
        with pytest.raises(errors.Conflict) as raised:
            attempt()
        assert raised.value.code == "attached_file_changed"
        assert "part-0.parquet" in raised.value.detail
        assert str(security_lake) not in raised.value.detail


def test_a_snapshot_is_kept_while_files_come(lake: Any, security_lake: pathlib.Path) -> None:
    table = lake.attach(security_lake)
    before = table.snapshot()
    assert table.snapshot().version == lake.attach(security_lake).snapshot().version == before.version
    table.keep(before)
    lines = lake.lines(before)
    pl.DataFrame({"time": [FIRST_DAY_MS]}).write_parquet(security_lake / "late.parquet")
    after = table.snapshot()
    assert (after.rows, before.rows, after.version == before.version) == (601, 600, False)
    again = lake.attach(security_lake)  # another process
    assert lake.lines(again.snapshot(before.version)) == lines
    again.forget([before.version], -1)
    assert lake.attach(security_lake).snapshot(before.version).rows == 600
    again.forget([], -1)
    with pytest.raises(errors.NotFound, match="kept no more"):
        lake.attach(security_lake).snapshot(before.version)


def test_what_one_process_found_out_spares_another_the_footers(
    lake: Any, security_lake: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of columns of every type; of a file that changed, and after damage, the footer is asked."""
    monkeypatch.setattr(facts, "_STORE_AFTER", 1)
    kinds = {"m": pl.Map(pl.String, pl.Int64), "c": pl.Categorical(), "z": pl.Null(), "d": pl.Decimal(38, 2)}
    frame = pl.DataFrame({name: [None] for name in kinds}, schema=kinds).with_columns(time=pl.lit(FIRST_DAY_MS))
    frame.write_parquet(security_lake / "types.parquet")
    table = lake.attach(security_lake)
    table.hand_over(table.folder)
    first = table.snapshot()
    lines = lake.lines(first)
    asked: list[int] = []
    read = footers.read
    monkeypatch.setattr(footers, "read", lambda size, ranges: asked.append(size) or read(size, ranges))
    again = lake.attach(security_lake)
    assert again.snapshot().columns == first.columns
    assert len(asked) == 5  # a look before it is attached asks all files
    assert lake.lines(again.snapshot()) == lines
    other = type(again)(str(lake.folder), "acme", again.defined, stores.Access())
    assert lake.lines(other.snapshot()) == lines
    frame.write_parquet(security_lake / "types.parquet", compression="uncompressed")
    assert type(again)(str(lake.folder), "acme", again.defined, stores.Access()).snapshot().rows == 601
    assert len(asked) == 6
    kept = pathlib.Path(again.folder.disk, ledger.NAME)
    kept.write_bytes(kept.read_bytes()[:-1])
    assert type(again)(str(lake.folder), "acme", again.defined, stores.Access()).snapshot().rows == 601
    assert len(asked) == 11


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("attached_time_missing", {"time": "when"}),
        ("attached_time_unusable", {"time": "observables"}),
        ("unknown_column", {"names": {"src_endpoint.adress": "source.ip"}}),
        ("duplicate_target", {"names": {"severity": "message"}}),
    ],
)
def test_a_definition_that_does_not_suit_is_refused(
    lake: Any, security_lake: pathlib.Path, code: str, how: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidRequest) as raised:
        lake.attach(security_lake, **how)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("a = source.ip\nb = source.ip", "duplicate_target", "'a' and 'b'"),
        ("a = source.ipp", "unknown_target", "source.ipp"),
        ("a = @timestamp", "unknown_target", "@timestamp"),
        ("a source.ip", "invalid_map", "Line 1"),
        ("a = source.ip\n\na = source.port", "invalid_map", "Line 3"),
    ],
)
def test_a_wrong_map_is_refused_by_its_line(text: str, code: str, named: str) -> None:
    with pytest.raises(errors.PenstockError) as raised:
        mapping.parse(text)
    assert raised.value.code == code
    assert named in raised.value.detail


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1", b"x" * 99 + b"PARE"]
)
def test_what_is_no_parquet_file_is_said(lake: Any, tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(errors.PenstockError) as raised:
        lake.attach(tmp_path / "a.parquet")
    assert raised.value.code in ("attached_table_unreadable", "attached_table_empty")


def test_a_partition_named_as_the_time_column_is_the_time(lake: Any, tmp_path: pathlib.Path) -> None:
    """As in DuckDB, the folder's value goes before the file's; its statistics are of the other one."""
    for day in ("2024-01-01", "2024-01-02"):
        folder = tmp_path / "t" / f"when={day}"
        folder.mkdir(parents=True)
        pl.DataFrame({"when": [0, 1], "n": [1, 2]}).write_parquet(folder / "a.parquet")
    snapshot = lake.attach(tmp_path / "t", time="when").snapshot()
    day = plan.TimeRange.of((FIRST_DAY_MS + DAY_MS) * 1000, (FIRST_DAY_MS + 2 * DAY_MS) * 1000)
    assert lake.events(snapshot, time_range=day) == [
        {"@timestamp": "2024-01-02T00:00:00Z", "when": "2024-01-02", "n": n} for n in (1, 2)
    ]


def test_unsigned_seconds_after_2038_are_in_order(lake: Any, tmp_path: pathlib.Path) -> None:
    frame = pl.DataFrame({"time": pl.Series([2**31 + 9, 5, 2**31 + 3], dtype=pl.UInt32), "n": [0, 1, 2]})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=2)
    assert [e["n"] for e in lake.events(lake.attach(tmp_path / "a.parquet").snapshot(), max_rows=1)] == [1, 2, 0]


def test_a_slow_look_serves_for_a_while(
    lake: Any, security_lake: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = lake.attach(security_lake)
    seconds = iter([0.0, 3.0, 32.0, 34.0, 34.0])  # a look takes 3 s; then 29 s and 31 s later
    monkeypatch.setattr(attached_table, "time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    before = table.snapshot().version
    (security_lake / "late.parquet").write_bytes(next(security_lake.rglob("part-0.parquet")).read_bytes())
    assert table.snapshot().version == before
    assert table.snapshot().version != before


def test_numbers_and_statistics_agree_on_the_time() -> None:
    for dtype in (pl.Int64(), pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns"), pl.Date()):
        for low, high in ((10, 20_000), (1_704_067_200_000, 1_704_067_300_000), (-(2**62), 2**62)):
            if dtype == pl.Date() and high > 10**6:
                continue
            found = times.bounds(low, high, dtype)
            series = (
                pl.Series([low, high]).cast(pl.Int32).cast(dtype)
                if dtype == pl.Date()
                else pl.Series([low, high]).cast(dtype)
            )
            own = pl.select(times.expression(pl.lit(series), dtype)).to_series().to_list()
            assert found in (None, tuple(own))


def test_an_export_is_that_of_the_same_files_taken_in(lake: Any, made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Value for value and type for type: to attach a table and to ingest it are two ways to one file."""
    files = []
    for number, file in enumerate(sorted(made.rglob("part-0.parquet"))):
        frame = pl.read_parquet(file, hive_partitioning=False).drop("traffic")  # intake rejects NaN
        frame = frame.with_columns(
            when=pl.col("time").cast(pl.Datetime("ms", "UTC")), blob=pl.col("class_uid").cast(pl.Decimal(20, 3))
        )
        files.append(tmp_path / f"{number}.parquet")
        frame.filter(pl.col("time").is_not_null()).write_parquet(files[-1])
    folder = tmp_path / "same"
    folder.mkdir()
    for file in files:
        file.rename(folder / file.name)
    own = own_table.EventTable(str(tmp_path / "own"), "00000000-0000-4000-8000-000000000001")
    taken = ingest.ingest(own, sorted(map(str, folder.iterdir())), clock=testing.ManualClock(), time_field="when")
    assert (taken.rejected, taken.untimed) == (0, 0)
    snapshot = lake.attach(folder, time="when").snapshot()
    fields = sorted(snapshot.columns)
    assert taken.accepted == snapshot.rows > 500
    assert lake.lines(snapshot, fields=fields) == lake.lines(own.snapshot(), fields=fields)
