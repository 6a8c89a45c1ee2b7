"""What a line looks like: the specification by example."""

from __future__ import annotations

import datetime
import json
import math

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.encode import reference
from penstock.fields.types import FieldType

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NO_TYPES: dict[str, FieldType] = {}


def lines(frame: pl.DataFrame, fields: list[str], types: dict[str, FieldType] = NO_TYPES) -> list[str]:
    return reference.encode(frame, fields, types).decode().removesuffix("\n").split("\n")


def line(values: dict[str, object], dtype: pl.DataType | None = None) -> str:
    columns = [pl.Series(name, [value], dtype=dtype) for name, value in values.items()]
    return lines(pl.DataFrame(columns), list(values))[0]


def test_fields_come_in_the_order_asked_without_spaces() -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"], "c": [True]})
    assert lines(frame, ["c", "a", "b"]) == ['{"c":true,"a":1,"b":"x"}']


def test_absent_and_null_fields_are_left_out() -> None:
    frame = pl.DataFrame({"a": [None, 2], "n": [None, None]})
    assert lines(frame, ["missing", "a", "n"]) == ["{}", '{"a":2}']


def test_no_event_gives_no_byte() -> None:
    assert reference.encode(pl.DataFrame({"a": pl.Series([], dtype=pl.String)}), ["a"], {}) == b""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('say "x" \\ /', r'"say \"x\" \\ /"'),
        ("\n\r\t\b\f", r'"\n\r\t\b\f"'),
        ("\x00\x01\x1f\x7f", '"\\u0000\\u0001\\u001f\x7f"'),
        ("é\u2028\U0001f600", '"é\u2028\U0001f600"'),
        ("", '""'),
    ],
)
def test_strings_are_escaped_only_where_json_requires_it(value: str, text: str) -> None:
    assert line({"a": value}) == '{"a":' + text + "}"


@settings(CALM)
@given(st.text())
def test_strings_are_as_pythons_json_writes_them(value: str) -> None:
    assert reference.render_string(value) == json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e16, "1e+16"), (1e-05, "1e-05"), (100000.0, "100000.0"), (-0.0, "-0.0"), (0.1, "0.1"), (5e-324, "5e-324")],
)
def test_doubles_are_as_pythons_repr_writes_them(value: float, text: str) -> None:
    assert line({"a": value}) == '{"a":' + text + "}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_null(value: float) -> None:
    assert line({"a": value}) == '{"a":null}'


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_500_000, "1970-01-01T00:00:01.500Z"),
        (1_000_001, "1970-01-01T00:00:01.000001Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_instants_have_the_shortest_of_no_three_or_six_decimals(microseconds: int, text: str) -> None:
    assert reference.render_instant(microseconds, 1_000_000) == f'"{text}"'


@settings(CALM)
@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_instants_read_back_as_the_same_instant(instant: datetime.datetime) -> None:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    ticks = (instant - epoch) // datetime.timedelta(microseconds=1)
    assert datetime.datetime.fromisoformat(json.loads(reference.render_instant(ticks, 1_000_000))) == instant


@pytest.mark.parametrize("microseconds", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1, -(2**63)])
def test_instants_outside_the_years_1_to_9999_are_refused(microseconds: int) -> None:
    with pytest.raises(ValueError, match="0001 to 9999"):
        reference.render_instant(microseconds, 1_000_000)


def test_lists_keep_their_nulls() -> None:
    assert line({"a": ["x", None, '"']}, pl.List(pl.String)) == r'{"a":["x",null,"\""]}'


def test_json_columns_are_copied_to_the_letter() -> None:
    text = '[{"x":1.00,"y":"\\u00e9"},null]'
    assert lines(pl.DataFrame({"a": [text]}), ["a"], {"a": FieldType.JSON}) == ['{"a":' + text + "}"]


@pytest.mark.parametrize("text", ["", "1\n2", '"\x00"'])
def test_json_that_would_break_the_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="JSON text"):
        lines(pl.DataFrame({"a": [text]}), ["a"], {"a": FieldType.JSON})


def test_json_field_in_a_column_of_numbers_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'a'"):
        lines(pl.DataFrame({"a": [1]}), ["a"], {"a": FieldType.JSON})


@pytest.mark.parametrize(
    "dtype", [pl.Duration("us"), pl.Time(), pl.Decimal(10, 2), pl.Binary(), pl.Struct({"x": pl.Int8})]
)
def test_a_column_type_without_a_json_form_is_a_type_error(dtype: pl.DataType) -> None:
    with pytest.raises(TypeError, match="'a'"):
        lines(pl.DataFrame({"a": pl.Series([None], dtype=dtype)}), ["a"])


def overflowing(text: str | None, **columns: object) -> pl.DataFrame:
    return pl.DataFrame({"_overflow": pl.Series([text], dtype=pl.String)} | {k: [v] for k, v in columns.items()})


def test_overflow_fills_in_what_the_column_lacks() -> None:
    frame = overflowing('{"port":"443","b":[1, {"c":"]"}],"z":null}', port=pl.Series([None], dtype=pl.Int64)[0], a=1)
    assert lines(frame, ["a", "port", "b", "z", "c"]) == ['{"a":1,"port":"443","b":[1, {"c":"]"}],"z":null}']


def test_column_wins_over_overflow() -> None:
    assert lines(overflowing('{"a":2}', a=1), ["a"]) == ['{"a":1}']


def test_names_are_compared_as_json_writes_them() -> None:
    name = 'odd "name"\né'
    text = json.dumps({name: 1}, ensure_ascii=False, separators=(",", ":"))
    assert lines(overflowing(text), [name]) == [text]


def test_a_field_with_a_reserved_name_comes_from_the_overflow_only() -> None:
    frame = overflowing('{"_overflow":1,"_day":"x"}', _day=datetime.date(2026, 1, 1))
    assert lines(frame, ["_day", "_overflow"]) == ['{"_day":"x","_overflow":1}']


def test_the_last_of_two_members_counts() -> None:
    assert lines(overflowing('{"a":1,"a":2}'), ["a"]) == ['{"a":2}']


MALFORMED = [
    "", " ", "{", "}", "[]", "1", '{"a"', '{"a":', '{"a":}', '{"a":1', '{"a":1,', '{"a":1,}', '{"a":1}x', '{"a":1}}',
    '{"a": 1}', '{ "a":1}', '{a:1}', '{"a":"', '{"a":"\\', '{"a":"\\"}', '{"a":[}', '{"a":[1}', '{"a":[[1]}', '{"a":]}',
    '{"a":"x\ny"}', '{"a":[\n]}', '{"a":1\n}', '{"a":1 ,"b":2}', '{"a":1"b":2}', '{"a""b"}', '{"a":é}', '{,}',
    '{"a\x00":1}',
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_an_overflow_that_is_no_compact_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="overflow"):
        lines(overflowing(text), ["a"])
