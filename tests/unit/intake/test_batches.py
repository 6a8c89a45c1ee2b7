"""Events become columns, and nothing is lost or coerced on the way."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import pathlib
import random
import sys
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import errors, kernels, testing
from penstock.encode import reference
from penstock.fields import values
from penstock.fields.types import OVERFLOW, FieldType
from penstock.intake import batch, ingest, times, typing_fields
from penstock.kernels import intake as kernel
from penstock.lake import layout, table
from tests.support import hostile_events, lossless

ARRIVED_US = 1_700_000_000_000_000
ARRIVED = values.render_timestamp(ARRIVED_US)


def built(lines: list[bytes], known: typing_fields.Columns) -> tuple[pl.DataFrame, list[bytes]]:
    """The frame of a batch of lines, and the lines it refused."""
    block = kernel.Block(1)
    block.append(b"".join(line + b"\n" for line in lines))
    reader = batch.Reader(known, times.candidates(None), 1 << 30)
    frames, rejected = [pl.DataFrame(schema={"@timestamp": layout.TIMESTAMP_DTYPE})], []
    for found in reader.read(block, len(block), ARRIVED_US):
        frames += list(found.frames)
        rejected += [line.raw for line in found.refused]
    return pl.concat(frames, how="diagonal"), rejected


def frame_of(*events: Any, existing: dict[str, FieldType] | None = None, max_columns: int = 2000) -> pl.DataFrame:
    known = typing_fields.Columns(existing or {}, max_columns)
    frame, rejected = built([e if isinstance(e, bytes) else values.dumps(e).encode() for e in events], known)
    assert not rejected
    assert all(frame.schema[name] == layout.dtype(name, known.types) for name in frame.columns)
    return frame


def exported(frame: pl.DataFrame, fields: list[str], types: dict[str, FieldType]) -> list[str]:
    return reference.encode(frame, fields, types).decode().split("\n")[:-1]


def check_lossless(lines: list[bytes], known: typing_fields.Columns) -> pl.DataFrame:
    """Every line comes out of the frame to the letter, or is rejected where it must be."""
    frame, rejected = built(lines, known)
    wanted = [lossless.expected(line, ARRIVED) for line in lines]
    assert rejected == [line for line, flat in zip(lines, wanted, strict=True) if flat is None]
    flats = [flat for flat in wanted if flat is not None]
    flats.sort(key=lambda flat: values.parse_timestamp(flat["@timestamp"]) or 0)
    fields = list(dict.fromkeys(name for flat in flats for name in flat)) or ["@timestamp"]
    assert frame.height == len(flats)
    if flats:
        assert exported(frame, fields, known.types) == [lossless.line(flat, fields) for flat in flats]
    return frame


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(hostile_events.EVENTS, max_size=6), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.integers(1, 30),
)
def test_every_hostile_event_comes_out_to_the_letter(
    found: list[list[dict[str, Any]]], seed: int, max_columns: int
) -> None:
    style = random.Random(seed)
    known = typing_fields.Columns({"host": FieldType.LONG, "vendor.x": FieldType.DATE}, max_columns)
    for events in found:  # batch after batch: the first fixes types for those that follow
        frame = check_lossless([hostile_events.render(event, style).encode() for event in events], known)
        assert len(known.types) <= max(max_columns, 3)
        folded = [name.lower() for name in frame.columns]
        assert len(set(folded)) == len(folded)


def test_known_fields_take_ecs_types_and_others_what_most_values_have() -> None:
    known = typing_fields.Columns({}, 2000)
    lines = [
        b'{"source":{"ip":"10.0.0.1","port":22},"event":{"category":["network"]},"message":"m","v":1}',
        b'{"source":{"ip":"::1","port":23},"event":{"created":"2024-01-01T00:00:00Z"},"v":2,"w":"a"}',
        b'{"v":"three","event":{"risk_score":1.5},"w":"b"}',
    ]
    frame, _ = built(lines, known)
    assert known.types == {
        "@timestamp": FieldType.DATE,
        "source.ip": FieldType.IP,
        "source.port": FieldType.LONG,
        "event.category": FieldType.KEYWORD_LIST,
        "message": FieldType.TEXT,
        "v": FieldType.LONG,
        "event.created": FieldType.DATE,
        "w": FieldType.KEYWORD,
        "event.risk_score": FieldType.DOUBLE,
    }
    assert frame[OVERFLOW].to_list() == [None, None, '{"v":"three"}']


def test_the_tables_type_goes_before_ecs_type() -> None:
    frame = frame_of(
        {"source": {"port": "443"}}, {"source": {"port": 443}}, existing={"source.port": FieldType.KEYWORD}
    )
    assert frame["source.port"].to_list() == ["443", None]
    assert frame[OVERFLOW].to_list() == [None, '{"source.port":443}']


@pytest.mark.parametrize(
    "event",
    [
        b'{"source.port":"443"}',
        b'{"source.port":[443]}',
        b'{"source.port":1.0}',
        b'{"source.port":-0}',
        b'{"source.port":9223372036854775808}',
        b'{"source.port":true}',
        b'{"source.port":null}',
        b'{"source.ip":["10.0.0.1"]}',
        b'{"source.ip":{}}',
        b'{"message":"\\ud800"}',
        b'{"event.category":"network"}',
        b'{"event.category":["a",1]}',
        b'{"event.category":["\\udfff"]}',
        b'{"event.risk_score":1}',
        b'{"event.risk_score":1.50}',
        b'{"event.risk_score":1e16}',
        b'{"event.created":"2024-01-01T00:00:00.000Z"}',
        b'{"event.created":"2024-01-01T00:00:00.1234567890Z"}',
        b'{"event.created":1700000000}',
        b'{"file.code_signature.exists":"true"}',
    ],
)
def test_what_a_column_cannot_hold_lives_in_the_overflow(event: bytes) -> None:
    frame = frame_of(event)
    assert frame.columns == ["@timestamp", OVERFLOW]
    assert frame[OVERFLOW].to_list() == [event.decode()]


def test_the_overflow_keeps_the_order_of_the_event() -> None:
    event = b'{"z":null,"source.port":"x","a":null,"source.ip":1,"host.name":"ok","b":null}'
    assert frame_of(event)[OVERFLOW].to_list() == ['{"z":null,"source.port":"x","a":null,"source.ip":1,"b":null}']


def test_an_empty_list_and_no_list_are_two_things() -> None:
    frame = frame_of({"tags": []}, {"tags": [""]}, {"a": 1}, {"tags": ["\0", "x"]}, {"tags": ["a", "b"]})
    assert frame["tags"].to_list() == [[], [""], None, ["\0", "x"], ["a", "b"]]
    assert OVERFLOW not in frame.columns


def test_events_keep_their_order_whatever_their_shape() -> None:
    frame = frame_of(*({"n": n} if n % 3 else {"m": "x", "n": n} for n in range(20)))
    assert frame["n"].to_list() == list(range(20))


def test_names_that_differ_only_in_case_share_no_column() -> None:
    frame = frame_of({"ProcessId": 1, "ProcessID": 2}, {"ProcessID": 3})
    assert frame["ProcessID"].to_list() == [2, 3]  # the commoner one
    assert frame[OVERFLOW].to_list() == ['{"ProcessId":1}', None]


def test_reserved_names_live_in_the_overflow() -> None:
    frame = frame_of({"_overflow": "x", "_day": "2024-01-01", "_Day": 1})
    assert frame[OVERFLOW].to_list() == ['{"_overflow":"x","_day":"2024-01-01","_Day":1}']


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a,b", "a;b", "{a}", "(a)", "a=b", "`a`", "'", '"', "\\", "*", "^.$", "\n", "a" * 256]
)
def test_a_name_that_tables_or_queries_could_take_for_something_else_gets_no_column(name: str) -> None:
    frame = frame_of({name: 1, "a": 2})
    assert frame.columns == ["@timestamp", "a", OVERFLOW]
    assert values.loads(frame[OVERFLOW][0]) == {name: 1}


def test_new_fields_beyond_the_cap_live_in_the_overflow() -> None:
    frame = frame_of({f"f{n}": n for n in range(10)}, max_columns=4)
    assert frame.columns == ["@timestamp", "f0", "f1", "f2", OVERFLOW]


def test_a_field_whose_values_are_all_null_waits_for_its_type() -> None:
    known = typing_fields.Columns({}, 2000)
    built([b'{"v":null}'], known)
    assert "v" not in known.types
    frame, _ = built([b'{"v":7}'], known)
    assert known.types["v"] is FieldType.LONG
    assert frame["v"].to_list() == [7]


def test_timestamps_become_canonical_instants() -> None:
    frame = frame_of(
        {"@timestamp": "2024-01-01T02:00:00.000+02:00"},
        {"@timestamp": 1704067200},
        {"@timestamp": "2024-01-01T00:00:00Z"},
    )
    assert frame.columns == ["@timestamp"]
    assert set(frame["@timestamp"].to_physical()) == {1_704_067_200_000_000}


def test_an_event_without_a_usable_timestamp_gets_its_arrival_and_keeps_what_it_had() -> None:
    frame = frame_of(
        {"a": 1},
        {"@timestamp": "yesterday"},
        {"@timestamp": None},
        {"@timestamp": ["x"], "@timestamp.original": "own"},
        {"@timestamp": "10000-01-01T00:00:00Z"},
    )
    assert set(frame["@timestamp"].to_physical()) == {ARRIVED_US}
    assert frame["@timestamp.original"].to_list() == [None, "yesterday", None, "own", "10000-01-01T00:00:00Z"]
    assert frame[OVERFLOW].to_list()[2] == '{"@timestamp.original":null}'
    assert frame["@timestamp.original.original"].to_list()[3] == ["x"]


def test_a_rare_field_has_no_column_unless_ecs_names_it() -> None:
    events = [{"n": n} for n in range(998)]
    frame = frame_of(*events, {"rare": 1, "source.ip": "10.0.0.1"}, {"n": 1, "twice": 2})
    assert frame.columns == ["@timestamp", "n", "source.ip", OVERFLOW]
    assert frame[OVERFLOW].drop_nulls().to_list() == ['{"rare":1}', '{"twice":2}']
    frame = frame_of(*events, *({"rare": n} for n in range(11)))
    assert frame["rare"].drop_nulls().to_list() == list(range(11))


def test_a_file_has_columns_for_its_commonest_fields_only() -> None:
    """The cap counts fields, not the table's columns: those of another file may be others."""
    most = typing_fields.MAX_FILE_COLUMNS
    columns = typing_fields.Columns({}, 10_000)
    for prefix in ("a", "b"):
        present = [(f"{prefix}{number:04d}", 1000 - number) for number in range(most + 50)]
        found = columns.earned(present, 1000, lambda names: [FieldType.KEYWORD] * len(names))
        assert list(found) == [name for name, _ in present[:most]]
    assert len(columns.types) == 2 * most + 1  # and @timestamp


def test_a_rare_field_of_the_table_keeps_its_type_for_files_where_it_is_common() -> None:
    existing = {"v": FieldType.KEYWORD}
    assert OVERFLOW in frame_of(*({"n": n} for n in range(500)), {"v": "x"}, existing=existing).columns
    assert frame_of({"v": "x"}, {"v": 1}, existing=existing)["v"].to_list() == ["x", None]


def test_columns_that_the_table_has_meanwhile_go_before_those_wanted() -> None:
    def publish(wanted: Mapping[str, FieldType]) -> dict[str, FieldType]:
        assert wanted == {"v": FieldType.LONG, "name": FieldType.KEYWORD}
        return {"@timestamp": FieldType.DATE, "v": FieldType.KEYWORD, "Name": FieldType.KEYWORD}

    frame, _ = built([b'{"v":1,"name":"a"}'], typing_fields.Columns({}, 2000, publish))
    assert frame[OVERFLOW].to_list() == ['{"v":1,"name":"a"}']


def test_reasons_are_worked_out_for_so_many_lines_and_all_are_kept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that begin like an object are looked at whatever their number: the reference may take them in."""
    monkeypatch.setattr(batch, "REASONS", 3)
    monkeypatch.setattr(batch, "_REFUSED", 2)
    bad = [b"a", b"\xff", b"[1]", b"b", b"\xff", b'{"n":', b'{"a":[{"\\u0062":1}]}', b"c"]
    text = b"".join(line + b"\n" + b'{"n":%d}\n' % number for number, line in enumerate(bad))
    events = table.EventTable(str(tmp_path), "11111111-2222-3333-4444-555555555555")
    report = ingest.ingest(events, [io.BytesIO(text)], clock=testing.ManualClock(), rejects_path=tmp_path / "rejects")
    assert (report.accepted, report.rejected) == (9, 7)
    assert [(one.line, one.code) for one in report.rejects] == [
        (1, "invalid_json"),
        (3, "invalid_utf8"),
        (5, "not_an_object"),
        (7, "not_an_object"),
        (9, "not_an_object"),
        (11, "invalid_json"),
        (15, "not_an_object"),
    ]
    kept = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert [entry.get("raw", "").encode() or base64.b64decode(entry["raw_base64"]) for entry in kept] == [
        line for line in bad if b"u0062" not in line
    ]
    assert kept[3]["reason"] == "not_an_object: the line does not begin with {"


def test_kernel_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(kernels, "intake")
    monkeypatch.setitem(sys.modules, "penstock.kernels.intake", None)
    spec = importlib.util.spec_from_file_location("batch_without_kernel", batch.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(errors.ConfigurationError) as raised:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert raised.value.code == "kernel_missing"
