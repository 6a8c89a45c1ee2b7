"""Parquet rows become events: structs are objects, nulls are absent, times are RFC 3339."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import pathlib
from typing import Any

import polars as pl
import pytest

from penstock import errors, testing
from penstock.fields import refused, values
from penstock.intake import ingest
from penstock.intake.shapes import parquet
from penstock.lake import table

INSTANT = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)


def events_of(tmp_path: pathlib.Path, **columns: Any) -> list[Any]:
    pl.DataFrame(columns).write_parquet(tmp_path / "f.parquet")
    found = [event for batch in parquet.rows("f", tmp_path / "f.parquet") for event in batch]
    return [(e.code, e.detail) if isinstance(e, refused.EventRefused) else e for e in found]


def test_nulls_are_absent_and_other_values_are_what_they_are(tmp_path: pathlib.Path) -> None:
    assert events_of(tmp_path, a=[1, None], b=["x", ""], c=[None, 1.5], d=[True, None], e=[None, None]) == [
        {"a": 1, "b": "x", "d": True},
        {"b": "", "c": 1.5},
    ]


def test_structs_are_nested_events(tmp_path: pathlib.Path) -> None:
    source = [{"ip": "::1", "geo": {"name": "here", "at": INSTANT}}, {"ip": None, "geo": None}, None]
    assert events_of(tmp_path, source=source, n=[1, 2, 3]) == [
        {"source.ip": "::1", "source.geo.name": "here", "source.geo.at": "2024-05-06T07:08:09.123456Z", "n": 1},
        {"n": 2},
        {"n": 3},
    ]


def test_lists_keep_their_nulls_and_their_objects(tmp_path: pathlib.Path) -> None:
    assert events_of(
        tmp_path, tags=[["a", None, "b"], []], answers=[[{"name": "x", "ttl": 5}, {"name": None, "ttl": 6}], None]
    ) == [{"tags": ["a", None, "b"], "answers": [{"name": "x", "ttl": 5}, {"ttl": 6}]}, {"tags": []}]


@pytest.mark.parametrize(
    ("series", "wanted"),
    [
        (pl.Series([INSTANT], dtype=pl.Datetime("us", "UTC")), "2024-05-06T07:08:09.123456Z"),
        (
            pl.Series([INSTANT], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo"),
            "2024-05-06T07:08:09.123456Z",
        ),
        (pl.Series([INSTANT.replace(tzinfo=None)], dtype=pl.Datetime("ms")), "2024-05-06T07:08:09.123Z"),
        (
            pl.Series([1_700_000_000_000_000_001], dtype=pl.Int64).cast(pl.Datetime("ns")),
            "2023-11-14T22:13:20.000000001Z",
        ),
        (pl.Series([1_700_000_000_123_000_000], dtype=pl.Int64).cast(pl.Datetime("ns")), "2023-11-14T22:13:20.123Z"),
        (pl.Series([[INSTANT]], dtype=pl.List(pl.Datetime("us", "UTC"))), ["2024-05-06T07:08:09.123456Z"]),
        (pl.Series([dt.date(2024, 5, 6)]), "2024-05-06"),
        (pl.Series([dt.time(7, 8, 9)]), "07:08:09"),
        (pl.Series([decimal.Decimal("1.50")]), values.Number("1.50")),
        (pl.Series([decimal.Decimal("15")], dtype=pl.Decimal(10, 0)), 15),
        (pl.Series([0.1], dtype=pl.Float32), 0.10000000149011612),
        (pl.Series(["x"], dtype=pl.Categorical), "x"),
        (pl.Series([2**63], dtype=pl.UInt64), 2**63),
    ],
)
def test_every_parquet_type_has_its_json_form(tmp_path: pathlib.Path, series: pl.Series, wanted: Any) -> None:
    (event,) = events_of(tmp_path, v=series)
    assert event == {"v": wanted}
    assert type(event["v"]) is type(wanted)


@pytest.mark.parametrize(
    ("series", "refusal"),
    [
        (pl.Series([b"x", None]), ("unsupported_value", "v: bytes has no JSON form")),
        (pl.Series([dt.timedelta(1), None]), ("unsupported_value", "v: timedelta has no JSON form")),
        (pl.Series([float("nan"), None]), ("invalid_number", "v: nan is no JSON number")),
        (pl.Series([[float("inf")], None]), ("invalid_number", "v: inf is no JSON number")),
        (
            pl.Series([2**62, None], dtype=pl.Int64).cast(pl.Datetime("us")),
            ("unsupported_value", "v: the time lies outside the years 0001 to 9999"),
        ),
    ],
)
def test_a_row_without_a_json_form_is_rejected_alone(
    tmp_path: pathlib.Path, series: pl.Series, refusal: tuple[str, str]
) -> None:
    assert events_of(tmp_path, v=series, n=[1, 2]) == [refusal, {"n": 2}]


def test_two_columns_of_one_dotted_name_are_refused_where_both_have_a_value(tmp_path: pathlib.Path) -> None:
    found = events_of(tmp_path, **{"a": [{"b": 1}, {"b": None}], "a.b": [2, 3]})
    assert found == [("duplicate_name", "two columns give the one name 'a.b'"), {"a.b": 3}]


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path / "lake"), "11111111-2222-3333-4444-555555555555")


def test_parquet_comes_in_from_a_file_and_from_a_stream(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    frame = pl.DataFrame({"@timestamp": [INSTANT] * 50_000, "n": range(50_000), "source": [{"port": 1}] * 50_000})
    frame.write_parquet(tmp_path / "f")
    clock = testing.ManualClock()
    report = ingest.ingest(events, [tmp_path / "f"], clock=clock)
    assert (report.accepted, report.rejected) == (50_000, 0)
    assert report.bytes == (tmp_path / "f").stat().st_size
    report = ingest.ingest_stream(events, io.BytesIO((tmp_path / "f").read_bytes()), clock=clock)
    assert report.accepted == 50_000
    assert events.snapshot().columns["n"].value == "long"
    assert events.snapshot().rows == 100_000


def test_a_rejected_row_is_told_by_its_number_and_kept(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    pl.DataFrame({"n": [1, 2, 3], "v": [None, b"x", None]}).write_parquet(tmp_path / "f")
    report = ingest.ingest(events, [tmp_path / "f"], clock=testing.ManualClock(), rejects_path=tmp_path / "rejects")
    assert report.accepted == 2
    assert [(reject.line, reject.code) for reject in report.rejects] == [(2, "unsupported_value")]
    assert '"reason": "unsupported_value: v: bytes has no JSON form"' in (tmp_path / "rejects").read_text()


@pytest.mark.parametrize("size", [10, 400, -1])
def test_a_broken_parquet_file_is_refused(events: table.EventTable, tmp_path: pathlib.Path, size: int) -> None:
    pl.DataFrame({"n": range(1000)}).write_parquet(tmp_path / "whole")
    (tmp_path / "f").write_bytes((tmp_path / "whole").read_bytes()[:size])
    with pytest.raises(errors.IngestError, match="cannot be read as Parquet") as raised:
        ingest.ingest(events, [tmp_path / "f"], clock=testing.ManualClock())
    assert raised.value.code == "invalid_parquet"
    assert events.snapshot().rows == 0
