"""A term without a field looks into an overflow's JSON only where a cheap look says that it may match."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from penstock import query
from penstock.fields import types, values
from penstock.query import evaluate

TYPES = {"message": types.FieldType.TEXT, "name": types.FieldType.KEYWORD, "source.ip": types.FieldType.IP}


def found(text: str, overflows: list[dict[str, Any]]) -> list[bool]:
    frame = pl.DataFrame(
        {
            types.OVERFLOW: [values.dumps(event) for event in overflows],
            **dict.fromkeys(TYPES, pl.Series([None] * len(overflows), dtype=pl.String)),
        }
    )
    predicate = query.compile(query.parse(text), {**TYPES, types.OVERFLOW: types.FieldType.JSON})
    assert predicate.expression is not None
    return frame.select(predicate.expression.fill_null(False).alias("found"))["found"].to_list()


HELD: list[dict[str, Any]] = [
    {"message": ["it\nFailed\tagain"]},
    {"message": ["it fa\u0131led"]},
    {"message": ["it\u0001ris\u212a"]},
    {"message": ['a "quoted\\word"']},
    {"message": ["from 10\n20 30\r\n40"]},
    {"message": ["10.20.30.401"]},
    {"message": ["\ud800fa\u017ft"]},
    {"x": "failed again"},
    {"x": "10.20.30.40"},
    {"source.ip": ["::ffff:10.20.30.40"]},
    {"source.ip": ["::FFFF:10.20.30.40"]},
    {"x": "??\u001f!"},
    {"x": {"failed": 1}, "y": [True, 443, "12:00"]},
    {"x": "2026-01-05T00:00:00Z"},
    {},
]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("failed", [0]),
        ("AGAIN", [0]),
        ('"failed again"', [0, 7]),
        ("risk", [2]),
        ("fast", [6]),
        ('"quoted word"', [3]),
        ("10.20.30.40", [4, 8, 9, 10]),
        ('"::ffff:10.20.30.40"', [8, 9, 10]),
        ("true", [12]),
        ("443", [12]),
        ("443.0", [12]),
        ('"12:00"', [12]),
        ('"2026-01-05T00:00:00Z"', [13]),
        ("10.20.0.0/16", [8, 9, 10]),
    ],
)
def test_finds_what_the_reference_finds_however_json_writes_it(text: str, places: list[int]) -> None:
    expected = [query.matches(query.parse(text), event, TYPES) for event in HELD]
    assert found(text, HELD) == expected
    assert [place for place, fits in enumerate(expected) if fits] == places


@pytest.mark.parametrize("text", ["failed", '"failed again"', "10.20.30.40", "true", "443"])
def test_an_overflow_without_the_words_is_not_parsed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(_: str) -> Any:
        raise AssertionError("parsed")

    monkeypatch.setattr(evaluate, "read_json", parsed)
    assert found(text, [{"message": ["nothing of it"]}, {"x": "fail", "y": 10.2}]) == [False, False]


SPELT = ("443", "443.0", "4.43e2", "44300E-2", "0.443e+3", "442.99999999999999999999", "443.00000000000000001")


@pytest.mark.parametrize("spelt", SPELT)
@pytest.mark.parametrize("text", ['{{"x":{}}}', '{{"x":[1,{}]}}', '{{"x":[{}]}}', '{{"x":{{"y":{}}}}}'])
def test_a_number_is_found_however_it_came_in(spelt: str, text: str) -> None:
    frame = pl.DataFrame(
        {types.OVERFLOW: [text.format(spelt), text.format(spelt[:-1] + "7"), text.format(f'"{spelt}"')]}
    )
    predicate = query.compile(query.parse("443"), {"m": types.FieldType.TEXT, types.OVERFLOW: types.FieldType.JSON})
    assert predicate.expression is not None
    frame = frame.with_columns(m=pl.lit(None, dtype=pl.String))
    expected = [query.matches(query.parse("443"), values.loads(each), {}) for each in frame[types.OVERFLOW]]
    assert expected[0]
    assert frame.select(predicate.expression.fill_null(False)).to_series().to_list() == expected
    # The same text in a column of its own.
    column = pl.DataFrame({"j": [spelt, f"[{spelt}]", '"443x"', None]})
    alone = query.compile(query.parse("j:443"), {"j": types.FieldType.JSON})
    assert alone.expression is not None
    assert column.select(alone.expression.fill_null(False)).to_series().to_list() == [True, True, False, False]
