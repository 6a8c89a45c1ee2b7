"""Parquet rows become events: structs are objects, nulls are absent, times are RFC 3339."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import io
import pathlib
import struct
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
    return readings_of(tmp_path / "f.parquet")


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


def readings_of(path: pathlib.Path) -> list[Any]:
    found = [event for batch in parquet.rows("f", path) for event in batch]
    return [(e.code, e.detail) if isinstance(e, refused.EventRefused) else e for e in found]


OUTSIDE = "lies outside the years 0001 to 9999"


@pytest.mark.parametrize(
    ("series", "refusal"),
    [
        (pl.Series([2_932_897, 1], dtype=pl.Int32).cast(pl.Date), f"v: the date {OUTSIDE}"),
        (pl.Series([-719_163, 1], dtype=pl.Int32).cast(pl.Date), f"v: the date {OUTSIDE}"),
        (pl.Series([2**31 - 1, 1], dtype=pl.Int32).cast(pl.Date), f"v: the date {OUTSIDE}"),
        (pl.Series([[-719_163], []], dtype=pl.List(pl.Int32)).cast(pl.List(pl.Date)), f"v: the date {OUTSIDE}"),
        (pl.Series([[2**62], []], dtype=pl.List(pl.Int64)).cast(pl.List(pl.Datetime("us"))), f"v: the time {OUTSIDE}"),
        (
            pl.Series([[{"t": 2**62}], []]).cast(pl.List(pl.Struct({"t": pl.Datetime("ms", "UTC")}))),
            f"v: the time {OUTSIDE}",
        ),
        (
            pl.Series([{"t": 2**62}, None]).cast(pl.Struct({"t": pl.Datetime("ms")})),
            f"v.t: the time {OUTSIDE}",
        ),
    ],
)
def test_a_date_or_time_of_no_year_we_have_rejects_its_row_alone(
    tmp_path: pathlib.Path, series: pl.Series, refusal: str
) -> None:
    first, second = events_of(tmp_path, v=series, n=[1, 2])
    assert first == ("unsupported_value", refusal)
    assert second["n"] == 2


def test_nanoseconds_are_kept_at_any_nesting_and_to_both_ends(tmp_path: pathlib.Path) -> None:
    ticks = [1_700_000_000_000_000_001, -1, 2**63 - 1, None]
    times = pl.Series(ticks, dtype=pl.Int64).cast(pl.Datetime("ns"))
    texts = ["2023-11-14T22:13:20.000000001Z", "1969-12-31T23:59:59.999999999Z", "2262-04-11T23:47:16.854775807Z"]
    frame = pl.DataFrame({"t": times}).select(
        t="t", list=pl.concat_list("t"), s=pl.struct("t"), lists=pl.concat_list(pl.struct("t", n=7))
    )
    found = events_of(tmp_path, **{column.name: column for column in frame})
    assert found[:3] == [{"t": x, "list": [x], "s.t": x, "lists": [{"t": x, "n": 7}]} for x in texts]
    assert found[3] == {"list": [None], "lists": [{"n": 7}]}


def test_times_of_day_keep_their_nanoseconds(tmp_path: pathlib.Path) -> None:
    series = pl.Series([1, 1_000, 86_399_999_999_999], dtype=pl.Int64).cast(pl.Time)
    assert [event["v"] for event in events_of(tmp_path, v=series)] == [
        "00:00:00.000000001",
        "00:00:00.000001",
        "23:59:59.999999999",
    ]


@pytest.mark.parametrize("with_schema", [False, True])
def test_int96_holds_every_year_at_any_nesting(tmp_path: pathlib.Path, with_schema: bool) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    instants = [dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(1, 1, 1), dt.datetime(2024, 5, 6), None]
    times = pa.array(instants, pa.timestamp("us"))
    objects = pa.StructArray.from_arrays([times, pa.array([1, 2, 3, 4])], ["t", "n"])
    columns = {"t": times, "s": objects}
    columns |= {"l": pa.ListArray.from_arrays([0, 1, 2, 3, 4], times)}
    columns |= {"ls": pa.ListArray.from_arrays([0, 1, 2, 3, 4], objects)}
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table(columns), path, use_deprecated_int96_timestamps=True, store_schema=with_schema)
    texts = ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "2024-05-06T00:00:00Z"]
    found = readings_of(path)
    for n, text in enumerate(texts, 1):
        assert found[n - 1] == {"t": text, "s.t": text, "s.n": n, "l": [text], "ls": [{"t": text, "n": n}]}
    assert found[3] == {"s.n": 4, "l": [None], "ls": [{"n": 4}]}


def test_int96_keeps_its_nanoseconds_and_refuses_years_beyond_all_units(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f.parquet"
    write_int96(path, 19_000, 123_456_789)
    assert readings_of(path) == [{"t": "2022-01-08T00:00:00.123456789Z"}]
    write_int96(path, 213_504_082, 0)
    assert readings_of(path) == [("unsupported_value", f"t: the time {OUTSIDE}")]


def write_int96(path: pathlib.Path, day: int, nanoseconds: int) -> None:
    """One row with a time that may lie beyond what pyarrow itself can write."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False, "store_schema": False}
    times = pa.array([dt.datetime(1970, 1, 2)], pa.timestamp("us"))
    pq.write_table(pa.table({"t": times}), path, use_deprecated_int96_timestamps=True, **options)
    written = struct.pack("<qi", 0, 2_440_589)
    whole = path.read_bytes()
    assert whole.count(written) == 1
    path.write_bytes(whole.replace(written, struct.pack("<qi", nanoseconds, 2_440_588 + day)))


def test_files_as_spark_and_others_write_them(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(base64.b64decode(CASES["int96_sentinels"]))
    assert [event["event.end"] for event in readings_of(path)] == [
        "9999-12-31T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "2300-06-01T00:00:00Z",
        "2026-06-01T12:00:00Z",
    ]
    report = ingest.ingest(events, [path], clock=testing.ManualClock())
    assert (report.accepted, report.rejected) == (4, 0)


@pytest.mark.parametrize(
    ("case", "line"), [("date32_out_of_range", 2), ("date32_year0", 2), ("list_ts_out_of_range", 1)]
)
def test_one_bad_date_leaves_the_rest_of_the_file(
    events: table.EventTable, tmp_path: pathlib.Path, case: str, line: int
) -> None:
    (tmp_path / "f").write_bytes(base64.b64decode(CASES[case]))
    report = ingest.ingest(events, [tmp_path / "f"], clock=testing.ManualClock())
    assert report.accepted == 1
    assert [(reject.line, reject.code) for reject in report.rejects] == [(line, "unsupported_value")]


CASES = {
    "int96_sentinels": (
        "UEFSMRUEFWAVSEwVCBUAEgAAMAAADQEcco0lAADKmjsBDwUMCJQ1dxUMKF7QsgAAAAByjSUAFQAVFBUYLBUIFRAVBhUGHAAAAAokAgAA"
        "AAgBAgPkABUEFUAVOEwVCBUAEgAAIAQBAAkBAAIJB0AAAwAAAAAAAAAEAAAAAAAAABUAFRQVGCwVCBUQFQYVBhwYCAQAAAAAAAAAGAgB"
        "AAAAAAAAABYAKAgEAAAAAAAAABgIAQAAAAAAAAAREQAAAAokAgAAAAgBAgPkABUEFWAVSkwVCBUAEgAAMAAADQEILP5RDQoUAABSRBoA"
        "EQE89RQnAACAp0hKJwAACY4lABUAFRQVGCwVCBUQFQYVBhwAAAAKJAIAAAAIAQID5AAVBBlMNQAYBnNjaGVtYRUGABUGJQIYCkB0aW1l"
        "c3RhbXAAFQQlAhgBbgAVBiUCGAlldmVudC5lbmQAFggZHBk8JgAcFQYZNQAGEBkYCkB0aW1lc3RhbXAVAhYIFrYBFqIBJmwmCCksFQQV"
        "ABUCABUAFRAVAgA8KQYZJgAIAAAAJgAcFQQZNQAGEBkYAW4VAhYIFu4BFuoBJv4BJqoBHBgIBAAAAAAAAAAYCAEAAAAAAAAAFgAoCAQA"
        "AAAAAAAAGAgBAAAAAAAAABERABksFQQVABUCABUAFRAVAgA8KQYZJgAIAAAAJgAcFQYZNQAGEBkYCWV2ZW50LmVuZBUCFggWtgEWpAEm"
        "+gMmlAMpLBUEFQAVAgAVABUQFQIAPCkGGSYACAAAABbaBBYIJggWsAQAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRk8"
        "HAAAHAAAHAAAAF4BAABQQVIx"
    ),
    "date32_out_of_range": (
        "UEFSMRUEFSAVJEwVBBUAEgAAEDwAQCBGSEcGAECCL0ZIRwYAFQAVEhUWLBUEFRAVBhUGHBgIQIIvRkhHBgAYCABAIEZIRwYAFgAoCECC"
        "L0ZIRwYAGAgAQCBGSEcGABERAAAACSACAAAABAEBAwIVBBUgFSRMFQQVABIAABA8AQAAAAAAAAACAAAAAAAAABUAFRIVFiwVBBUQFQYV"
        "BhwYCAIAAAAAAAAAGAgBAAAAAAAAABYAKAgCAAAAAAAAABgIAQAAAAAAAAAREQAAAAkgAgAAAAQBAQMCFQQVEBUUTBUEFQASAAAIHAAA"
        "AAChwCwAFQAVEhUWLBUEFRAVBhUGHBgEocAsABgEAAAAABYAKAShwCwAGAQAAAAAEREAAAAJIAIAAAAEAQEDAhUEGUw1ABgGc2NoZW1h"
        "FQYAFQQlAhgKQHRpbWVzdGFtcCUUTIwSHCwAAAAAABUEJQIYAW4AFQIlAhgBZCUMTGwAAAAWBBkcGTwmABwVBBk1AAYQGRgKQHRpbWVz"
        "dGFtcBUCFgQWzAEW1AEmSCYIHBgIQIIvRkhHBgAYCABAIEZIRwYAFgAoCECCL0ZIRwYAGAgAQCBGSEcGABERABksFQQVABUCABUAFRAV"
        "AgA8KQYZJgAEAAAAJgAcFQQZNQAGEBkYAW4VAhYEFswBFtQBJpwCJtwBHBgIAgAAAAAAAAAYCAEAAAAAAAAAFgAoCAIAAAAAAAAAGAgB"
        "AAAAAAAAABERABksFQQVABUCABUAFRAVAgA8KQYZJgAEAAAAJgAcFQIZNQAGEBkYAWQVAhYEFpwBFqQBJuADJrADHBgEocAsABgEAAAA"
        "ABYAKAShwCwAGAQAAAAAEREAGSwVBBUAFQIAFQAVEBUCADwpBhkmAAQAAAAWtAQWBCYIFswEABkcGAxBUlJPVzpzY2hlbWEYuAIvLy8v"
        "LytBQUFBQVFBQUFBQUFBS0FBd0FCZ0FGQUFnQUNnQUFBQUFCQkFBTUFBQUFDQUFJQUFBQUJBQUlBQUFBQkFBQUFBTUFBQUI0QUFBQU1B"
        "QUFBQVFBQUFDay8vLy9BQUFCQ0JBQUFBQVVBQUFBQkFBQUFBQUFBQUFCQUFBQVpBQUFBSXIvLy84QUFBQUF6UC8vL3dBQUFRSVFBQUFB"
        "SEFBQUFBUUFBQUFBQUFBQUFRQUFBRzRBQUFBSUFBd0FDQUFIQUFnQUFBQUFBQUFCUUFBQUFCQUFGQUFJQUFZQUJ3QU1BQUFBRUFBUUFB"
        "QUFBQUFCQ2hBQUFBQWtBQUFBQkFBQUFBQUFBQUFLQUFBQVFIUnBiV1Z6ZEdGdGNBQUFBQUFHQUFnQUJnQUdBQUFBQUFBQ0FBPT0AGCBw"
        "YXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRk8HAAAHAAAHAAAAPcCAABQQVIx"
    ),
    "date32_year0": (
        "UEFSMRUEFSAVJEwVBBUAEgAAEDwAQCBGSEcGAECCL0ZIRwYAFQAVEhUWLBUEFRAVBhUGHBgIQIIvRkhHBgAYCABAIEZIRwYAFgAoCECC"
        "L0ZIRwYAGAgAQCBGSEcGABERAAAACSACAAAABAEBAwIVBBUgFSRMFQQVABIAABA8AQAAAAAAAAACAAAAAAAAABUAFRIVFiwVBBUQFQYV"
        "BhwYCAIAAAAAAAAAGAgBAAAAAAAAABYAKAgCAAAAAAAAABgIAQAAAAAAAAAREQAAAAkgAgAAAAQBAQMCFQQVEBUUTBUEFQASAAAIHAAA"
        "AADFBvX/FQAVEhUWLBUEFRAVBhUGHBgEAAAAABgExQb1/xYAKAQAAAAAGATFBvX/EREAAAAJIAIAAAAEAQEDAhUEGUw1ABgGc2NoZW1h"
        "FQYAFQQlAhgKQHRpbWVzdGFtcCUUTIwSHCwAAAAAABUEJQIYAW4AFQIlAhgBZCUMTGwAAAAWBBkcGTwmABwVBBk1AAYQGRgKQHRpbWVz"
        "dGFtcBUCFgQWzAEW1AEmSCYIHBgIQIIvRkhHBgAYCABAIEZIRwYAFgAoCECCL0ZIRwYAGAgAQCBGSEcGABERABksFQQVABUCABUAFRAV"
        "AgA8KQYZJgAEAAAAJgAcFQQZNQAGEBkYAW4VAhYEFswBFtQBJpwCJtwBHBgIAgAAAAAAAAAYCAEAAAAAAAAAFgAoCAIAAAAAAAAAGAgB"
        "AAAAAAAAABERABksFQQVABUCABUAFRAVAgA8KQYZJgAEAAAAJgAcFQIZNQAGEBkYAWQVAhYEFpwBFqQBJuADJrADHBgEAAAAABgExQb1"
        "/xYAKAQAAAAAGATFBvX/EREAGSwVBBUAFQIAFQAVEBUCADwpBhkmAAQAAAAWtAQWBCYIFswEABkcGAxBUlJPVzpzY2hlbWEYuAIvLy8v"
        "LytBQUFBQVFBQUFBQUFBS0FBd0FCZ0FGQUFnQUNnQUFBQUFCQkFBTUFBQUFDQUFJQUFBQUJBQUlBQUFBQkFBQUFBTUFBQUI0QUFBQU1B"
        "QUFBQVFBQUFDay8vLy9BQUFCQ0JBQUFBQVVBQUFBQkFBQUFBQUFBQUFCQUFBQVpBQUFBSXIvLy84QUFBQUF6UC8vL3dBQUFRSVFBQUFB"
        "SEFBQUFBUUFBQUFBQUFBQUFRQUFBRzRBQUFBSUFBd0FDQUFIQUFnQUFBQUFBQUFCUUFBQUFCQUFGQUFJQUFZQUJ3QU1BQUFBRUFBUUFB"
        "QUFBQUFCQ2hBQUFBQWtBQUFBQkFBQUFBQUFBQUFLQUFBQVFIUnBiV1Z6ZEdGdGNBQUFBQUFHQUFnQUJnQUdBQUFBQUFBQ0FBPT0AGCBw"
        "YXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRk8HAAAHAAAHAAAAPcCAABQQVIx"
    ),
    "list_ts_out_of_range": (
        "UEFSMRUEFSAVJEwVBBUAEgAAEDwAQCBGSEcGAECCL0ZIRwYAFQAVEhUWLBUEFRAVBhUGHBgIQIIvRkhHBgAYCABAIEZIRwYAFgAoCECC"
        "L0ZIRwYAGAgAQCBGSEcGABERAAAACSACAAAABAEBAwIVBBUgFSRMFQQVABIAABA8AQAAAAAAAAACAAAAAAAAABUAFRIVFiwVBBUQFQYV"
        "BhwYCAIAAAAAAAAAGAgBAAAAAAAAABYAKAgCAAAAAAAAABgIAQAAAAAAAAAREQAAAAkgAgAAAAQBAQMCFQQVIBUkTBUEFQASAAAQPABg"
        "c8wMRIQDAAAAAAAAAAAVABUeFSIsFQQVEBUGFQYcGAgAYHPMDESEAxgIAAAAAAAAAAAWACgIAGBzzAxEhAMYCAAAAAAAAAAAEREAAAAP"
        "OAIAAAAEAAIAAAAEAwEDAhUEGWw1ABgGc2NoZW1hFQYAFQQlAhgKQHRpbWVzdGFtcCUUTIwSHCwAAAAAABUEJQIYAW4ANQIYAWwVAhUG"
        "TDwAAAA1BBgEbGlzdBUCABUEJQIYB2VsZW1lbnQlFEyMEhwsAAAAAAAWBBkcGTwmABwVBBk1AAYQGRgKQHRpbWVzdGFtcBUCFgQWzAEW"
        "1AEmSCYIHBgIQIIvRkhHBgAYCABAIEZIRwYAFgAoCECCL0ZIRwYAGAgAQCBGSEcGABERABksFQQVABUCABUAFRAVAgA8KQYZJgAEAAAA"
        "JgAcFQQZNQAGEBkYAW4VAhYEFswBFtQBJpwCJtwBHBgIAgAAAAAAAAAYCAEAAAAAAAAAFgAoCAIAAAAAAAAAGAgBAAAAAAAAABERABks"
        "FQQVABUCABUAFRAVAgA8KQYZJgAEAAAAJgAcFQQZNQAGEBk4AWwEbGlzdAdlbGVtZW50FQIWBBbYARbgASbwAyawAxwYCABgc8wMRIQD"
        "GAgAAAAAAAAAABYAKAgAYHPMDESEAxgIAAAAAAAAAAAREQAZLBUEFQAVAgAVABUQFQIAPCkmBAAZRgAAAAQAAAAW8AQWBCYIFogFABkc"
        "GAxBUlJPVzpzY2hlbWEY+AIvLy8vL3hBQkFBQVFBQUFBQUFBS0FBd0FCZ0FGQUFnQUNnQUFBQUFCQkFBTUFBQUFDQUFJQUFBQUJBQUlB"
        "QUFBQkFBQUFBTUFBQUNvQUFBQVlBQUFBQVFBQUFCMC8vLy9BQUFCREJRQUFBQWNBQUFBQkFBQUFBRUFBQUFVQUFBQUFRQUFBR3dBQUFB"
        "RUFBUUFCQUFBQUtELy8vOEFBQUVLRUFBQUFCZ0FBQUFFQUFBQUFBQUFBQVFBQUFCcGRHVnRBQUFBQUlyLy8vOEFBQUlBelAvLy93QUFB"
        "UUlRQUFBQUhBQUFBQVFBQUFBQUFBQUFBUUFBQUc0QUFBQUlBQXdBQ0FBSEFBZ0FBQUFBQUFBQlFBQUFBQkFBRkFBSUFBWUFCd0FNQUFB"
        "QUVBQVFBQUFBQUFBQkNoQUFBQUFrQUFBQUJBQUFBQUFBQUFBS0FBQUFRSFJwYldWemRHRnRjQUFBQUFBR0FBZ0FCZ0FHQUFBQUFBQUNB"
        "QT09ABggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZPBwAABwAABwAAAB8AwAAUEFSMQ=="
    ),
}
"""Small whole files, base64."""
