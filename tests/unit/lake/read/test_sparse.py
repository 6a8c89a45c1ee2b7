"""Rows that are taken out one by one are those that a scan finds, whatever the query and whatever the values."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import random
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from penstock import query
from penstock.fields.types import OVERFLOW, TIMESTAMP, FieldType
from penstock.lake import files, table
from penstock.lake.read import plan, scan
from penstock.lake.read.pruning import sparse

QUERIES = int(os.environ.get("PENSTOCK_TEST_QUERIES", "150"))
"""Of each lake. 2,500 of each were run once."""

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
EVER = plan.TimeRange.ever()
ROWS = 400
TYPES = {
    "message": FieldType.TEXT,
    "user.name": FieldType.KEYWORD,
    "source.port": FieldType.LONG,
    "score": FieldType.DOUBLE,
    "is_ok": FieldType.BOOLEAN,
    "tags": FieldType.KEYWORD_LIST,
    "event.created": FieldType.DATE,
}
DTYPES = {
    "source.port": pl.Int64,
    "score": pl.Float64,
    "is_ok": pl.Boolean,
    "tags": pl.List(pl.String),
    "event.created": pl.Datetime("us", "UTC"),
}
MESSAGES = (
    *("Failed password for {n}", "FAILED PASSWORD", "failed-passwords", "faiſled paſſword", "failed paſsword {n}"),
    *(
        "Kelvin \u212aelvin {n}",
        "straße É {n}",
        "unfailed password",
        "password failed",
        "",
        "x",
        "failed  password\n{n}",
    ),
    "a" * 600 + " failed password",
)
TERMS = (
    *(
        'message:"failed password"',
        "message:password",
        "message:kelvin",
        "message:KELVIN",
        "message:fail*",
        "message:*ssw*",
    ),
    *(
        "message:straße",
        'message:"a failed"',
        "message:x",
        "message:17",
        "user.name:user7",
        "user.name:user*",
        "user.name:/user1./",
    ),
    *(
        "source.port:>300",
        "source.port:7",
        "score:<2",
        "is_ok:true",
        "tags:t3",
        "event.created:>2026-01-02",
        "user.name:*",
    ),
    *('message:""', "17", "failed", "no.such:1", "other:hidden3"),
)


def lake_at(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *, with_overflow: bool) -> table.Snapshot:
    """Three files of four row groups in tiny pages, values of all kinds, often none."""
    monkeypatch.setattr(files, "MIN_ROW_GROUP_ROWS", 100)
    monkeypatch.setattr(files, "ROW_GROUP_ROWS", 100)
    monkeypatch.setattr(files, "PAGE_BYTES", 512)
    chance = random.Random(3)
    events = table.EventTable(str(folder), "c")
    for number in range(3):
        rows: dict[str, list[Any]] = {name: [] for name in TYPES}
        for n in range(number * ROWS, (number + 1) * ROWS):
            event = {
                "message": chance.choice(MESSAGES).format(n=n),
                "user.name": f"user{n % 20}" if number < 2 else f"user{n}",
                "source.port": n,
                "score": n / 7,
                "is_ok": n % 3 == 0,
                "tags": [f"t{n % 5}", "é"],
                "event.created": START + dt.timedelta(hours=n),
            }
            for name, value in event.items():
                rows[name].append(value if chance.random() < 0.8 else None)
        # One file begins in the middle of another, so that slices of several pieces are sorted.
        first = START + dt.timedelta(seconds=number * ROWS * 3 // 4)
        columns: dict[str, Any] = {TIMESTAMP: [first + dt.timedelta(seconds=n) for n in range(ROWS)], **rows}
        dtypes: dict[str, Any] = {TIMESTAMP: pl.Datetime("us", "UTC"), **dict.fromkeys(TYPES, pl.String), **DTYPES}
        if with_overflow:
            columns[OVERFLOW] = [f'{{"other":"hidden{n}"}}' if n % 9 == 0 else None for n in range(ROWS)]
            dtypes[OVERFLOW] = pl.String
        events.append([pl.DataFrame(columns, schema=dtypes)], types=TYPES)
    return events.snapshot()


@pytest.mark.parametrize("with_overflow", [False, True])
def test_sparse_reading_finds_what_scans_find(
    with_overflow: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("penstock.kernels.pages")
    snapshot = lake_at(tmp_path, monkeypatch, with_overflow=with_overflow)
    chance = random.Random(os.environ.get("PENSTOCK_TEST_SEED", "1"))
    slices = plan.plan_slices(snapshot, EVER, max_rows=250, max_bytes=10**9, fields=[TIMESTAMP])
    read, answers = sparse.read, 0

    def counted(*given: Any) -> pl.DataFrame | None:
        nonlocal answers
        found = read(*given)
        answers += found is not None
        return found

    monkeypatch.setattr(sparse, "LIGHT", 1e9)
    for number in range(QUERIES):
        text = random_text(chance)
        predicate = query.compile(query.parse(text), snapshot.query_columns)
        fields = chance.sample([TIMESTAMP, *TYPES, "other"], chance.randint(1, 6))
        monkeypatch.setattr(sparse, "FEW", chance.choice([1.0, 1 / 16]))
        one = slices[number % len(slices)]
        monkeypatch.setattr(sparse, "read", counted)
        found = scan.read_slice(snapshot, one, fields, predicate)
        monkeypatch.setattr(sparse, "read", lambda *given: None)
        expected = scan.read_slice(snapshot, one, fields, predicate)
        assert found.schema == expected.schema, text
        assert found.equals(expected), f"{text} of {fields}"
    assert answers > QUERIES // 3


def random_text(chance: random.Random) -> str:
    terms = [("NOT " if chance.random() < 0.15 else "") + chance.choice(TERMS) for _ in range(chance.randint(1, 3))]
    return chance.choice([" AND ", " OR "]).join(terms)


def test_letters_that_fold_to_ascii_are_found(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = lake_at(tmp_path, monkeypatch, with_overflow=False)
    monkeypatch.setattr(sparse, "FEW", 1.0)
    predicate = query.compile(query.parse("message:kelvin"), snapshot.query_columns)
    slices = plan.plan_slices(snapshot, EVER, max_rows=10_000, max_bytes=10**9)
    texts = [text for one in slices for text in scan.read_slice(snapshot, one, ["message"], predicate)["message"]]
    assert texts
    assert all("\u212aelvin" in text for text in texts)


def test_damaged_file_is_left_to_the_scan(tmp_path: pathlib.Path) -> None:
    for content in (b"", b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1"):
        path = tmp_path / "x.parquet"
        path.write_bytes(content)
        assert sparse.read(str(path), [(0, 1)], {}, [], predicate_of("a:1"), no_scan) is None


def predicate_of(text: str) -> query.Predicate:
    return query.compile(query.parse(text), {"a": FieldType.KEYWORD})


def no_scan(names: Sequence[str]) -> pl.LazyFrame:
    raise AssertionError("the file was scanned")
