"""A term without a field finds what the reference finds, and reads the columns alone in which its letters stand."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import polars as pl
import pytest

from penstock import query, testing
from penstock.fields import types
from penstock.intake import ingest
from penstock.lake import table
from penstock.lake.read import newest, plan, scan
from penstock.lake.read.pruning import narrowing, needed, sparse

COMMUNITY = "00000000-0000-4000-8000-000000000001"
EVER = plan.TimeRange.ever()
VALUES: list[tuple[str, Any]] = [
    *[("message", text) for text in ("it FAILED\nonce", "fa\u0131led", "\u212aelvin", "from 10\n20\t30-40", "is true")],
    *[("user.name", text) for text in ("failed", "Failed", "root", "10.20.30.40", "fa\u017ft", "\u00e9t\u00e9 failed")],
    *[("source.ip", text) for text in ("10.20.30.40", "::ffff:10.20.30.40", "fe80::1", "FE80:0::1")],
    *[("source.port", number) for number in (443, 44)],
    *[("tags", held) for held in (["failed", "x"], ["10.20.30.40"], [])],
    *[("details", held) for held in ({"a": "failed", "b": [True, 443.0]}, {"failed": 1}, {"a": "12:00"})],
    *[("is_ok", held) for held in (True, False, "failed")],
    *[("event.created", text) for text in ("2026-01-01T00:00:00Z", "2026-01-02T01:00:00+01:00")],
    *[(f"rare.name{n}", text) for n, text in enumerate(("failed", "FAILED", "once", "10.20.30.40", "443", "tr\\ue"))],
    *[("score", number) for number in (443.0, 1e300, 0.5)],
]
TERMS = (
    *("failed", "FAILED", '"failed once"', "kelvin", "fast", "root", "zzyzzx", "true", "once", "x", "\u00e9t\u00e9"),
    *("10.20.30.40", '"::ffff:10.20.30.40"', '"fe80::1"', "10.20.0.0/16", "443", "443.0", '"12:00"', "2026-01-01"),
    *("fail*", "/fail.*/", '"failed x"', '"tr\\\\ue"'),
    *("NOT failed", "NOT zzyzzx", "failed OR root", "failed AND once", "zzyzzx OR rare.name2:once", "NOT (root once)"),
    *(
        "failed user.name:failed",
        "zzyzzx OR user.name:root",
        "NOT user.name:root root",
        "root AND NOT rare.name0:failed",
    ),
    *("rare.name1:* OR kelvin", "kelvin OR details:443", "failed OR 443"),
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[table.EventTable, list[dict[str, Any]]]:
    """A lake of two files, and its events in file order."""
    events = table.EventTable(str(tmp_path_factory.mktemp("lake")), COMMUNITY)
    made = [
        {"@timestamp": f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z", "n": n, name: value}
        for n, (name, value) in enumerate(VALUES)
    ]
    for part in (made[:20], made[20:]):
        body = [json.dumps(event).encode() + b"\n" for event in part]
        ingest.ingest_stream(events, body, clock=testing.ManualClock(), limits=ingest.Limits(max_columns=9))
    return events, made


@pytest.mark.parametrize("text", TERMS)
def test_finds_what_the_reference_finds(text: str, lake: tuple[table.EventTable, list[dict[str, Any]]]) -> None:
    events, made = lake
    snapshot = events.snapshot()
    # What the lake says an event is: addresses in lists and the like are intake's business.
    kept = newest.events(snapshot, EVER, query.compile(query.parse("*"), snapshot.query_columns), 100)
    assert len(kept) == len(made)
    node = query.parse(text)
    expected = sorted(event["n"] for event in kept if query.matches(node, event, snapshot.columns))
    predicate = query.compile(node, snapshot.query_columns)
    assert scan.count(snapshot, EVER, predicate) == len(expected)
    assert sum(n for _, n in scan.histogram(snapshot, EVER, predicate, 7).counts) == len(expected)
    assert sorted(event["n"] for event in newest.events(snapshot, EVER, predicate, 100)) == expected
    slices = plan.plan_slices(snapshot, EVER, max_rows=7, max_bytes=1 << 30)
    frames = [scan.read_slice(snapshot, each, ["n"], predicate) for each in slices]
    assert sorted(pl.concat([frame.select("n") for frame in frames])["n"]) == expected


def test_columns_without_the_letters_are_not_read(
    lake: tuple[table.EventTable, list[dict[str, Any]]], tmp_path: pathlib.Path
) -> None:
    if sparse.kernel is None:
        pytest.skip("the pages kernel is not compiled")
    events, _ = lake
    snapshot = events.snapshot()
    file = snapshot.files[0]
    fields = snapshot.fields_of([file])[0]

    def left(text: str, stretches: list[tuple[int, int]], location: str = snapshot.location(file.path)) -> set[str]:
        predicate = query.compile(query.parse(text), snapshot.query_columns)
        found = narrowing.narrowed(location, stretches, fields, predicate)
        return set(predicate.within(found.columns, found.overflow).columns)

    whole = [(0, file.rows)]
    assert {"message", "user.name"} <= left("failed", whole)
    assert left("once", whole) & {"message", "user.name", types.OVERFLOW} == {"message"}
    assert not left("once", [(1, 5)]) & {"message", "user.name", types.OVERFLOW}
    assert "message" in left("once", [(5, 1), (0, 1)])
    # Lists as a whole, whichever row has the word.
    assert "tags" in left("failed", whole)
    assert "tags" in left("failed", [(0, 1)])
    assert "tags" not in left("kelvin", whole)
    # A field that is named may be in the overflow, whatever stands there.
    assert {"user.name", types.OVERFLOW} <= left("kelvin OR user.name:x OR rare.name0:y", whole) | {types.OVERFLOW}
    # What is equal in several spellings, and what cannot be read, is looked for everywhere.
    everything = predicate_columns(snapshot, fields, "443")
    assert left("443", whole) == everything
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1")
    assert left("kelvin", whole, str(damaged)) == predicate_columns(snapshot, fields, "kelvin")


def predicate_columns(snapshot: table.Snapshot, fields: Any, text: str) -> set[str]:
    predicate = query.compile(query.parse(text), snapshot.query_columns)
    return set(predicate.within(fields.columns, fields.overflow).columns)


def test_rows_that_must_be_looked_at_are_told(lake: tuple[table.EventTable, list[dict[str, Any]]]) -> None:
    file = lake[0].snapshot().files[0]
    group = needed.needles.RowGroup(offset=3, rows=4)
    assert needed.Needed(files=[file], groups={}).stretches(file) == [(0, file.rows)]
    assert needed.Needed(files=[file], groups={file.path: [group]}).stretches(file) == [(3, 4)]
