"""Long literals: no query that the parser takes is too long for the engine, and the reference finds the same."""

from __future__ import annotations

import base64
import json
import pathlib
import random

import polars as pl
import pytest

from penstock import errors, query
from penstock.fields import types
from penstock.query import ast

CASES = pathlib.Path(__file__).parents[3].parent / "shared" / "cases"
TYPES = {"message": types.FieldType.TEXT, "line": types.FieldType.KEYWORD, "args": types.FieldType.KEYWORD_LIST}
PHRASE = " ".join(f"word{n}" for n in range(3000))
CYRILLIC = " ".join(f"слово{n}" for n in range(300))
BASE64 = base64.b64encode(random.Random(1).randbytes(24_000)).decode()


def found(node: query.Node, *values: str) -> list[bool]:
    """Which values of each kind of column match; the reference says the same."""
    columns = {"message": list(values), "line": list(values), "args": [[value] for value in values]}
    frame = pl.DataFrame(columns).with_row_index("row")
    expression = query.compile(node, TYPES).expression
    assert expression is not None
    rows = set(frame.lazy().filter(expression).collect(engine="streaming")["row"])
    events = [{name: column[row] for name, column in columns.items()} for row in range(len(values))]
    assert [row in rows for row in range(len(values))] == [query.matches(node, event, TYPES) for event in events]
    return [row in rows for row in range(len(values))]


@pytest.mark.parametrize("phrase", [PHRASE, CYRILLIC, " ".join(["a"] * 1000), f"{BASE64[:20_000]} tail"])
def test_long_phrase_is_found(phrase: str) -> None:
    values = (f"-- {phrase.upper()}!", phrase.replace(" ", ", "), phrase[:-1] + "x", "unrelated", f"x{phrase}")
    expected = [True, True, False, False, False]
    if phrase.startswith("a "):
        expected = [True, True, False, False, False]
    assert found(query.parse(f'message:"{phrase}"'), *values) == expected
    assert found(query.parse(f'"{phrase}"'), *values)[:2] == [True, True]


def test_long_literal_is_found_in_every_kind_of_column() -> None:
    for field in ("message", "line", "args"):
        assert found(query.parse(f'{field}:"{BASE64}"'), BASE64, BASE64[:-1], "x") == [True, False, False]
        assert found(query.parse(f"{field}:{BASE64[:30_000].replace('/', 'x')}*"), "x", BASE64) == [False, False]


@pytest.mark.parametrize("operator", ["contains", "starts_with", "ends_with", "is"])
def test_filter_for_a_long_value_finds_it(operator: str) -> None:
    text = f"{PHRASE} {BASE64}"
    for field in ("message", "line"):
        node = query.from_filters([{"field": field, "operator": operator, "value": text}])
        assert found(node, text, text[1:], f"{text}") == [True, False, True]


@pytest.mark.parametrize("count", [1, 500, 32_025])
def test_many_question_marks_count_characters(count: int) -> None:
    for field in ("line", "args"):
        assert found(query.parse(f"{field}:{'?' * count}"), "é" * count, "e" * (count + 1)) == [True, False]
    assert found(query.parse(f"line:*{'?' * count}"), "é" * count, "e" * (count - 1)) == [True, False]
    assert found(query.parse(f"message:{'?' * count}"), "-" * count, "e" * count) == [True, True]


def test_many_wildcards_are_found() -> None:
    assert found(query.parse("line:p" + "?*" * 500), "p" + "x" * 500, "p" + "x" * 499) == [True, False]
    assert found(query.parse("line:" + "x*" * 300), "x" * 300, "x" * 299) == [True, False]
    assert found(query.parse("message:" + "x*" * 300), "x" * 300, "y" * 299) == [True, False]


def test_what_would_cost_too_much_is_refused_at_once() -> None:
    with pytest.raises(errors.QuerySyntaxError, match="200 characters") as caught:
        query.parse("line:" + "a?" * 5000)
    assert caught.value.extra["position"] == 5


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
@pytest.mark.parametrize("name", ["long_message_phrase", "long_literals"])
def test_case_is_found(name: str) -> None:
    events = [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text().splitlines()]
    for event in events:
        for field in ("message", "process.command_line"):
            if isinstance(text := event.get(field), str):
                node = ast.Term(field="message", test=ast.Equals(text=text))
                assert found(node, text, "other") == [True, False]
