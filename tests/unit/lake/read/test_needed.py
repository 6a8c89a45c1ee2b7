"""What sidecars leave out has no match: a pruned scan finds what a scan of everything finds, and less is read."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pytest

from penstock import query
from penstock.fields import values
from penstock.fields.types import OVERFLOW, TIMESTAMP, FieldType
from penstock.lake import files, needles, table, upkeep
from penstock.lake.needles import sidecar
from penstock.lake.read import newest, plan, scan
from penstock.lake.read.pruning import needed
from penstock.query import ast, words

QUERIES = int(os.environ.get("PENSTOCK_TEST_QUERIES", "300"))
"""10,000 were run once; see docs/lake.md."""

GROUP_ROWS = 32
FILES, ROWS = 5, 160
TYPES = {
    "user.name": FieldType.KEYWORD,
    "source.ip": FieldType.IP,
    "source.port": FieldType.LONG,
    "score": FieldType.DOUBLE,
    "message": FieldType.TEXT,
    "tags": FieldType.KEYWORD_LIST,
    "raw": FieldType.JSON,
    "event.created": FieldType.DATE,
    "is_ok": FieldType.BOOLEAN,
}
ALL_TIME = plan.TimeRange(earliest=dt.datetime(1, 1, 1, tzinfo=dt.UTC), latest=query.END_OF_TIME)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def event(chance: random.Random, number: int) -> dict[str, Any]:
    """One with common and with rare values, in columns and in the overflow."""
    address = chance.choice(
        [f"10.{number % 7}.{number % 200}.{number % 5}", f"2001:db8:{number % 9:x}::{number % 40:x}"]
    )
    texts = [
        f"Failed password for user{number} from {address} port {number}",
        f"Straße {number} ÉCOLE -> K{number % 50}",
        "connection closed",
    ]
    made: dict[str, Any] = {
        "user.name": chance.choice(["alice", "Bob", f"user{number}", f"{number}"]),
        "source.ip": chance.choice([address, f"::ffff:10.0.{number % 90}.1", f"fe80::{number % 70:x}%eth0", "unknown"]),
        "source.port": chance.choice([443, number, -number, 2**53 + number]),
        "score": number / 4,
        "message": chance.choice(texts),
        "tags": [f"tag{number % 60}", address],
        "raw": {"deep": [{"x": f"needle{number}"}, number, address]},
        "event.created": START + dt.timedelta(days=number % 40),
        "is_ok": number % 3 == 0,
        "other": chance.choice([f"hidden{number}", number, {"a": [f"inner {number}"]}, "Hidden words\n" + address]),
    }
    return {name: value for name, value in made.items() if chance.random() < 0.6}


def frame_of(events: Sequence[dict[str, Any]], first: int) -> pl.DataFrame:
    chance = random.Random(first)
    rows: dict[str, list[Any]] = {name: [] for name in (*TYPES, OVERFLOW)}
    for one in events:
        odd = {name for name in one if name not in TYPES or (chance.random() < 0.1 and name != "event.created")}
        for name in TYPES:
            held = one.get(name) if name not in odd else None
            rows[name].append(values.dumps(held) if name == "raw" and held is not None else held)
        overflow = {name: one[name] if chance.random() < 0.7 else [one[name], None] for name in odd}
        rows[OVERFLOW].append(values.dumps(overflow) if overflow else None)
    stamps = [START + dt.timedelta(seconds=first + n) for n in range(len(events))]
    dtypes = dict.fromkeys((*TYPES, OVERFLOW), pl.String)
    dtypes |= {"source.port": pl.Int64, "score": pl.Float64, "is_ok": pl.Boolean, "tags": pl.List(pl.String)}
    dtypes |= {"event.created": pl.Datetime("us", "UTC")}
    return pl.DataFrame(
        {TIMESTAMP: stamps, **rows}, schema={TIMESTAMP: pl.Datetime("us", "UTC"), **dtypes}, strict=True
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[table.EventTable, list[dict[str, Any]]]]:
    """A table of several files with several row groups each, and its events."""
    chance = random.Random(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "MIN_ROW_GROUP_ROWS", GROUP_ROWS)
        patch.setattr(files, "ROW_GROUP_ROWS", GROUP_ROWS)
        patch.setattr(sidecar, "SMALLEST_BYTES", 1)
        events = table.EventTable(str(tmp_path_factory.mktemp("lake")), "c")
        known: list[dict[str, Any]] = []
        for number in range(FILES):
            batch = [event(chance, number * ROWS + n) for n in range(ROWS)]
            events.append([frame_of(batch, number * ROWS)], types=TYPES)
            known += batch
        yield events, known


def unpruned(predicate: query.Predicate) -> query.Predicate:
    return dataclasses.replace(predicate, origin=None)


def literals_of(one: dict[str, Any], chance: random.Random) -> Iterator[tuple[str, ast.Test]]:
    """Tests that find a value of an event, or nearly."""
    for name, value in one.items():
        for scalar in value if isinstance(value, list) else [value]:
            text = scalar if isinstance(scalar, str) else json.dumps(scalar, default=str, ensure_ascii=False)
            found = words.folded_words(text)
            some = found[chance.randrange(len(found)) :][: chance.randint(1, 4)] if found else [text]
            for literal in (
                text,
                text + "0",
                text[:-1],
                " ".join(some).upper(),
                f"{text}/{chance.choice([8, 16, 24])}",
            ):
                yield name, ast.Equals(text=literal)
            yield name, ast.like([text[: len(text) // 2], ast.Wild.MANY])
            yield name, ast.like([ast.Wild.MANY, " ".join(some), " ", ast.Wild.MANY])
            yield name, ast.Exists()


def random_query(known: list[dict[str, Any]], chance: random.Random) -> query.Node:
    def term() -> query.Node:
        while True:
            tests = list(literals_of(chance.choice(known), chance))
            if tests:
                name, test = chance.choice(tests)
                is_bare = chance.random() < 0.3 and not isinstance(test, ast.Exists)
                return ast.Term(field=None if is_bare else name, test=test)

    node = term()
    for _ in range(chance.randint(0, 3)):
        other = ast.Not(item=term()) if chance.random() < 0.2 else term()
        node = chance.choice([ast.all_of, ast.any_of])([node, other])
    return node


def kept_rows(snapshot: table.Snapshot, predicate: query.Predicate) -> set[int]:
    """Rows that a scan looks at, numbered through all files."""
    kept = needed.needed(snapshot, snapshot.files, predicate)
    rows: set[int] = set()
    for place, file in enumerate(snapshot.files):
        if file in kept.files:
            whole = [needles.RowGroup(offset=0, rows=file.rows)]
            for group in kept.groups.get(file.path, whole):
                rows.update(range(place * ROWS + group.offset, place * ROWS + group.offset + group.rows))
    return rows


def test_no_match_lies_in_what_is_not_looked_at(lake: tuple[table.EventTable, list[dict[str, Any]]]) -> None:
    events, known = lake
    snapshot = events.snapshot()
    chance = random.Random(os.environ.get("PENSTOCK_TEST_SEED", "1"))
    everything = pl.concat([pl.read_parquet(snapshot.location(file.path)) for file in snapshot.files], how="diagonal")
    numbered = everything.with_row_index("row")
    looked_at = 0
    for _ in range(QUERIES):
        node = random_query(known, chance)
        predicate = query.compile(node, snapshot.query_columns)
        assert predicate.expression is not None
        rows = kept_rows(snapshot, predicate)
        looked_at += len(rows)
        if len(rows) < FILES * ROWS:
            left_out = numbered.filter(~pl.col("row").is_in(list(rows)))
            assert left_out.filter(predicate.expression).is_empty(), query.unparse(node)
    print(f"{QUERIES} queries looked at {100 * looked_at / (QUERIES * FILES * ROWS):.0f} % of the rows")
    assert looked_at < 0.9 * QUERIES * FILES * ROWS


def test_pruned_scans_find_what_scans_of_everything_find(lake: tuple[table.EventTable, list[dict[str, Any]]]) -> None:
    events, known = lake
    snapshot = events.snapshot()
    chance = random.Random(os.environ.get("PENSTOCK_TEST_SEED", "1"))
    slices = plan.plan_slices(snapshot, ALL_TIME, max_rows=100, max_bytes=10**9, fields=[TIMESTAMP])
    for _ in range(15):
        node = random_query(known, chance)
        predicate = query.compile(node, snapshot.query_columns)
        plain = unpruned(predicate)
        expected = scan.count(snapshot, ALL_TIME, plain)
        assert scan.count(snapshot, ALL_TIME, predicate) == expected, query.unparse(node)
        found = newest.events(snapshot, ALL_TIME, predicate, 20)
        assert found == newest.events(snapshot, ALL_TIME, plain, 20), query.unparse(node)
        counted = scan.histogram(snapshot, ALL_TIME, predicate, 7)
        assert counted == scan.histogram(snapshot, ALL_TIME, plain, 7), query.unparse(node)
        read = [scan.read_slice(snapshot, one, ["message", "user.name"], predicate) for one in slices]
        assert sum(frame.height for frame in read) == expected, query.unparse(node)


def rows_looked_at(snapshot: table.Snapshot, text: str) -> int:
    kept = needed.needed(snapshot, snapshot.files, query.compile(query.parse(text), snapshot.query_columns))
    cut = sum(group.rows for groups in kept.groups.values() for group in groups)
    return cut + sum(file.rows for file in kept.files if file.path not in kept.groups)


def test_one_rare_value_costs_one_row_group(lake: tuple[table.EventTable, list[dict[str, Any]]]) -> None:
    snapshot = lake[0].snapshot()
    place, rare = next((n, one) for n, one in enumerate(lake[1]) if one.get("user.name") == f"user{n}")
    assert rows_looked_at(snapshot, f"user.name:{rare['user.name']}") <= 2 * GROUP_ROWS
    assert rows_looked_at(snapshot, "user.name:nobody") == 0
    assert rows_looked_at(snapshot, "NOT user.name:nobody") == FILES * ROWS
    assert place < FILES * ROWS


def test_missing_and_damaged_sidecars_hide_nothing(
    lake: tuple[table.EventTable, list[dict[str, Any]]],
) -> None:
    snapshot = lake[0].snapshot()
    predicate = query.compile(query.parse("user.name:alice"), snapshot.query_columns)
    expected = scan.count(snapshot, ALL_TIME, unpruned(predicate))
    first, second = (pathlib.Path(snapshot.location(needles.path_of(f.path))) for f in snapshot.files[:2])
    kept = first.read_bytes(), second.read_bytes()
    try:
        first.unlink()
        second.write_bytes(bytes(len(kept[1])))
        assert rows_looked_at(snapshot, "user.name:nobody") == 2 * ROWS
        assert scan.count(snapshot, ALL_TIME, predicate) == expected
    finally:
        first.write_bytes(kept[0])
        second.write_bytes(kept[1])


def test_compaction_writes_sidecars_and_vacuum_deletes_them_with_their_files(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "SMALLEST_BYTES", 1)
    events = table.EventTable(str(tmp_path), "c")
    for number in range(4):
        batch = [{"user.name": f"user{number}-{n}"} for n in range(20)]
        events.append([frame_of(batch, 100 * number)], types=TYPES)
    root = pathlib.Path(events.root)
    assert len(list(root.glob("_*.needles"))) == 4
    upkeep.compact(events)
    upkeep.vacuum(events, pinned_versions=(), keep_seconds=-1)
    (file,) = events.snapshot().files
    assert [path.name for path in root.glob("_*.needles")] == [needles.path_of(file.path)]
    assert rows_looked_at(events.snapshot(), "user.name:user2-3") > 0
    assert rows_looked_at(events.snapshot(), "user.name:user2-99") == 0


def test_small_files_get_no_sidecar(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "SMALLEST_BYTES", 1000)
    events = table.EventTable(str(tmp_path), "c")
    events.append([frame_of([{"user.name": "alice"}], 0)], types=TYPES)
    assert list(pathlib.Path(events.root).glob("_*.needles")) == []
