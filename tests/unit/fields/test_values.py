"""JSON values to the letter, and which column holds which value."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.fields import refused, values
from penstock.fields.types import FieldType

TOKENS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        fullmatch=True,
        alphabet=st.characters(codec="ascii"),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | TOKENS.map(values.loads) | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def same(a: object, b: object) -> bool:
    """Value for value, type for type."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


@given(TOKENS)
def test_every_number_is_written_back_to_the_letter(token: str) -> None:
    assert values.dumps(values.loads(token)) == token


@given(JSON)
def test_every_value_is_read_back_value_for_value_and_type_for_type(value: object) -> None:
    text = values.dumps(value)
    text.encode()  # valid UTF-8, whatever the value
    if "\\ud" not in text:  # two escaped halves next to each other would be read as one character
        assert same(values.loads(text), value)


@given(st.text(st.characters(codec="utf-8")))
def test_strings_are_written_as_python_writes_them(text: str) -> None:
    assert values.dumps(text) == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("0", int),
        ("-1", int),
        ("9" * 640, int),
        ("9" * 641, values.Number),
        ("-0", values.Number),
        ("1.5", float),
        ("-0.0", float),
        ("1e+16", float),
        ("1e16", values.Number),
        ("1.0E3", values.Number),
        ("0.10", values.Number),
        ("1e400", values.Number),
        ("0.1234567890123456789", values.Number),
    ],
)
def test_a_number_is_what_python_would_write_again(token: str, kind: type) -> None:
    assert type(values.loads(token)) is kind


def test_a_number_equals_no_string() -> None:
    assert values.Number("1.0") == values.Number("1.0")
    assert values.Number("1.0") != "1.0"
    assert len({values.Number("1.0"), "1.0"}) == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ('{"a":1}x', "invalid_json"),
        ('"\x00"', "invalid_json"),
        ("01", "invalid_json"),
        ("NaN", "invalid_number"),
        ("[Infinity]", "invalid_number"),
        ("-Infinity", "invalid_number"),
        ('{"a":1,"a":1}', "duplicate_name"),
        ('{"b":[{"a":1,"c":2,"a":3}]}', "duplicate_name"),
        (b'"\xff"', "invalid_utf8"),
        (b'"\xed\xa0\x80"', "invalid_utf8"),
        ("[" * 100_000, "too_deep"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes, code: str) -> None:
    with pytest.raises(refused.EventRefused) as refusal:
        values.loads(text)
    assert refusal.value.code == code


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    value = values.loads('["\\ud800x","\\ud83d\\ude00"]')
    assert values.dumps(value) == '["\\ud800x","😀"]'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_number_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match="no JSON number"):
        values.dumps([value])


def test_what_json_lacks_is_never_written() -> None:
    with pytest.raises(TypeError, match="tuple is no JSON value"):
        values.dumps({"a": (1,)})


FITS = {
    FieldType.KEYWORD: ["", "a", "\x00", "😀"],
    FieldType.LONG: [0, -1, 2**63 - 1, -(2**63)],
    FieldType.DOUBLE: [1.5, -0.0, 1e300],
    FieldType.BOOLEAN: [True, False],
    FieldType.DATE: [
        "2024-02-29T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "2024-01-01T00:00:00.010Z",
        "2024-01-01T00:00:00.000001Z",
    ],
    FieldType.KEYWORD_LIST: [[], ["a"], ["", "\x00"]],
}
FITS[FieldType.TEXT] = FITS[FieldType.IP] = FITS[FieldType.KEYWORD]
MISFITS = {
    FieldType.KEYWORD: [None, 1, True, ["a"], {}, "\ud800", values.Number("1.0")],
    FieldType.LONG: [None, True, 1.0, "1", 2**63, -(2**63) - 1, values.Number("-0")],
    FieldType.DOUBLE: [None, 1, "1.5", values.Number("1.50"), True],
    FieldType.BOOLEAN: [None, 0, 1, "true"],
    FieldType.DATE: [
        None,
        0,
        "2024-01-01",
        "2024-02-30T00:00:00Z",
        "2024-01-01T00:00:00z",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00+00:00",
        "2024-01-01T00:00:00.000Z",
        "2024-01-01T00:00:00.1Z",
        "2024-01-01T00:00:00.100000Z",
        "2024-01-01T00:00:00.123456789Z",
        "2016-12-31T23:59:60Z",
        "2024-01-01T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z\n",
        "\uff12024-01-01T00:00:00Z",
    ],
    FieldType.KEYWORD_LIST: [None, "a", [1], ["a", None], ["a", ["b"]], ["\ud800"], {}],
}


@pytest.mark.parametrize(("field_type", "value"), [(t, v) for t, found in FITS.items() for v in found])
def test_a_column_holds_what_it_renders_back(field_type: FieldType, value: object) -> None:
    assert values.fits(field_type, value)


@pytest.mark.parametrize(("field_type", "value"), [(t, v) for t, found in MISFITS.items() for v in found])
def test_a_column_holds_nothing_else(field_type: FieldType, value: object) -> None:
    assert not values.fits(field_type, value)


@given(JSON)
def test_a_json_column_holds_every_value(value: object) -> None:
    assert values.fits(FieldType.JSON, value)


@pytest.mark.parametrize(
    ("found", "field_type"),
    [
        ([], FieldType.KEYWORD),
        ([None, None, 1], FieldType.LONG),
        (["a", "10.0.0.1", "::1", "2001:db8::1"], FieldType.IP),
        (["a", "b", "10.0.0.1"], FieldType.KEYWORD),
        (["1.2.3", "fe"], FieldType.KEYWORD),
        (
            ["2024-01-01T00:00:00Z", "soon", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:01Z", "2024-01-01T00:00:02Z"],
            FieldType.DATE,
        ),
        ([1, 2, 1.5], FieldType.LONG),
        ([1.5, 2.5, 1], FieldType.DOUBLE),
        ([True, 1, True], FieldType.BOOLEAN),
        ([["a"], [], ["b"], "c"], FieldType.KEYWORD_LIST),
        ([[1], [2]], FieldType.JSON),
        ([{}, {}], FieldType.JSON),
        ([2**70], FieldType.JSON),
        ([values.Number("1.50")], FieldType.JSON),
        (["a", 1], FieldType.KEYWORD),
    ],
)
def test_the_type_of_a_new_field_is_that_of_most_values(found: list[object], field_type: FieldType) -> None:
    assert values.infer(found) is field_type


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_every_instant_is_rendered_and_parsed_to_the_microsecond(instant: dt.datetime) -> None:
    us = (instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    text = values.render_timestamp(us)
    assert values.parse_timestamp(text) == us
    assert values.fits(FieldType.DATE, text)
    assert dt.datetime.fromisoformat(text) == instant
    assert len(text) in (20, 24, 27)


@pytest.mark.parametrize("us", [-62_135_596_800_000_001, 253_402_300_800_000_000])
def test_no_instant_beyond_the_calendar_is_rendered(us: int) -> None:
    with pytest.raises(ValueError):
        values.render_timestamp(us)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z"),
        ("2024-05-06t07:08:09z", "2024-05-06T07:08:09Z"),
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09Z"),
        ("2024-05-06T07:08:09.1", "2024-05-06T07:08:09.100Z"),
        ("2024-05-06T07:08:09,5Z", "2024-05-06T07:08:09.500Z"),
        ("2024-05-06T07:08:09.1234569999Z", "2024-05-06T07:08:09.123456Z"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09Z"),
        ("2024-05-06T07:08:09-0530", "2024-05-06T12:38:09Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59+01:00", "9999-12-31T22:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_700_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        (values.Number("1700000000.1234567890"), "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (-1_700_000_000_123, "1916-02-18T01:46:39.877Z"),
        (99_999_999_999, "5138-11-16T09:46:39Z"),
        (100_000_000_000, "1973-03-03T09:46:40Z"),
    ],
)
def test_usable_times_become_one_instant(value: object, text: str) -> None:
    us = values.parse_timestamp(value)
    assert us is not None
    assert values.render_timestamp(us) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "now",
        "2024-05-06",
        "2024-05-06T07:08",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-05-06T24:00:00Z",
        "2024-05-06T00:60:00Z",
        "2024-05-06T00:00:61Z",
        "2024-05-06T00:00:00+24:00",
        "2024-05-06T00:00:00.Z",
        "2024-05-06T00:00:00 Z",
        "10000-01-01T00:00:00Z",
        "0000-12-31T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "1700000000",
        ["2024-05-06T07:08:09Z"],
        {},
        10**20,
        float("nan"),
        values.Number("1e999999999999"),
        values.Number("1e9999999999999999999999"),
    ],
)
def test_other_values_are_no_time(value: object) -> None:
    assert values.parse_timestamp(value) is None
