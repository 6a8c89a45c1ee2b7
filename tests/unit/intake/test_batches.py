"""Events become columns, and nothing is lost or coerced on the way."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.encode import reference
from penstock.fields import flatten, refused, values
from penstock.fields.types import OVERFLOW, FieldType
from penstock.intake import batch as batches
from penstock.intake import conflicts, parse, typing_fields
from penstock.lake import layout
from tests.support import hostile_events, lossless

ARRIVED_US = 1_700_000_000_000_000
ARRIVED = values.render_timestamp(ARRIVED_US)


def built(lines: list[bytes], known: typing_fields.Columns) -> tuple[pl.DataFrame, list[bytes]]:
    """The frame of a batch of lines, and the lines it refused."""
    batch = batches.Batch(known)
    rejected = []
    for line in lines:
        try:
            parse.add_line(batch, line)
        except refused.EventRefused:
            rejected.append(line)
    return batch.build(ARRIVED_US), rejected


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


@given(hostile_events.EVENTS, st.integers(0, 2**32))
def test_the_fast_way_gives_what_the_exact_way_gives(event: dict[str, Any], seed: int) -> None:
    text = hostile_events.render(event, random.Random(seed)).encode()
    frames = []
    for add in (parse.add_line, lambda batch, text: batch.add(parse.parse(text))):
        batch = batches.Batch(typing_fields.Columns({}, 2000))
        try:
            add(batch, text)
        except refused.EventRefused as refusal:
            frames.append(refusal.code)
        else:
            frames.append(batch.build(ARRIVED_US).to_dicts())
    assert frames[0] == frames[1]


@given(hostile_events.EVENTS)
def test_the_tree_of_names_flattens_as_the_specification_does(event: dict[str, Any]) -> None:
    parsed = values.loads(hostile_events.render(event))
    batch = batches.Batch(typing_fields.Columns({}, 9))
    wanted, code = None, ""
    try:
        wanted = flatten.flatten(parsed)
    except refused.EventRefused as refusal:
        code = refusal.code
    if wanted is None:
        with pytest.raises(refused.EventRefused) as raised:
            batch.add(parsed)
        assert raised.value.code == code
        return
    batch.add(parsed)
    ((names, shape),) = batch._shapes.items()
    assert list(zip(names, shape.values, strict=True)) == list(wanted.items())


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
    assert frame["ProcessId"].to_list() == [1, None]
    assert frame[OVERFLOW].to_list() == ['{"ProcessID":2}', '{"ProcessID":3}']


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


def test_a_batch_is_empty_after_it_was_built() -> None:
    batch = batches.Batch(typing_fields.Columns({}, 10))
    parse.add_line(batch, b'{"a":1}')
    assert batch.build(ARRIVED_US).height == 1
    assert batch.events == 0
    parse.add_line(batch, b'{"b":1}')
    assert batch.build(ARRIVED_US).columns == ["@timestamp", "b"]


def test_a_refused_event_leaves_the_batch_as_it_was() -> None:
    batch = batches.Batch(typing_fields.Columns({}, 10))
    parse.add_line(batch, b'{"a":1}')
    for bad in (b'{"a.b":1,"a":{"b":2}}', b'{"x":', b'{"\\ud800":1}', b"7"):
        with pytest.raises(refused.EventRefused):
            parse.add_line(batch, bad)
    assert batch.events == 1
    assert batch.build(ARRIVED_US)["a"].to_list() == [1]


def test_settling_a_lost_race_moves_columns_to_the_overflow_to_the_letter() -> None:
    known = typing_fields.Columns({}, 2000)
    lines = [
        b'{"n":1,"s":"a","j":{"x":[1.50]},"d":"2024-01-01T00:00:00.100Z","l":["a"],"b":true,"f":1.5,"z":null}',
        b'{"n":2,"k":"K"}',
    ]
    lines[0] = lines[0].replace(b'"j":{"x":[1.50]}', b'"j":[{"x":1.50}]')
    frame, _ = built(lines, known)
    now = {
        "@timestamp": FieldType.DATE,
        "n": FieldType.KEYWORD,
        "S": FieldType.KEYWORD,
        "j": FieldType.KEYWORD,
        "d": FieldType.LONG,
        "l": FieldType.JSON,
        "b": FieldType.LONG,
        "f": FieldType.LONG,
        "k": FieldType.IP,
    }
    (settled,) = conflicts.settle([frame], known, now)
    assert settled.columns == ["@timestamp", "k", OVERFLOW]
    fields = list("nsjdlbfzk")
    assert exported(settled, fields, known.types) == exported(frame, fields, {"j": FieldType.JSON})
    assert "s" not in known.types
    assert known.types["n"] is FieldType.KEYWORD
