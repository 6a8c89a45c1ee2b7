"""What a query probably did not mean is said, with the query as it was probably meant; what is right is left alone."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import errors, query
from penstock.fields.types import FieldType
from penstock.query import notes

COLUMNS = {
    "user.name": FieldType.KEYWORD,
    "event.outcome": FieldType.KEYWORD,
    "source.ip": FieldType.IP,
    "source.port": FieldType.LONG,
    "message": FieldType.TEXT,
    "@timestamp": FieldType.DATE,
    "is_ok": FieldType.BOOLEAN,
}


def remarks(text: str) -> list[notes.Note]:
    return notes.of_query(text, query.Everything(), COLUMNS, {"in.overflow"})


@pytest.mark.parametrize(
    ("text", "replacement"),
    [
        ("event.outcome:failure and user.name:root", "event.outcome:failure AND user.name:root"),
        ("user.name:a or user.name:b", "user.name:a OR user.name:b"),
        ('not user.name:a message:"this and that"', 'NOT user.name:a message:"this and that"'),
        ("user.name = root", "user.name:root"),
        ("user.name == root", "user.name:root"),
        ("user.name=root", "user.name:root"),
        ("_exists_:user.name", "user.name:*"),
        ("_missing_:user.name", "NOT user.name:*"),
        ("SELECT * FROM events WHERE user.name = 'root'", None),
        ("user.name:root | stats count by source.ip", "user.name:root"),
        ('message:"a | b" | head 5', 'message:"a | b"'),
        ("user.name:(root, admin)", "user.name:(root OR admin)"),
        ("source.port:443..500", "source.port:[443 TO 500]"),
        ("message:'failed password'", 'message:"failed password"'),
    ],
)
def test_operator_of_another_language_is_named_with_the_query_that_was_meant(
    text: str, replacement: str | None
) -> None:
    found = [note for note in remarks(text) if note.code == "looks_like_operator"]
    assert found[0].replacement == replacement
    assert found[0].hint


def test_path_is_not_a_field() -> None:
    (note,) = remarks(r"C:\\Windows\\System32\\cmd.exe")
    assert (note.code, note.replacement) == ("looks_like_path", r'"C:\\Windows\\System32\\cmd.exe"')


@pytest.mark.parametrize(
    ("text", "field", "suggested"),
    [
        ("event.outcom:failure", "event.outcom", "event.outcome"),
        ("user:root", "user", "user.name"),
        ("username:root", "username", "user.name"),
        ("timestamp:2026-01-01", "timestamp", "@timestamp"),
        ("NOT event.outcom:failure", "event.outcom", "event.outcome"),
    ],
)
def test_unknown_field_is_named_with_those_it_is_close_to(text: str, field: str, suggested: str) -> None:
    (note,) = remarks(text)
    assert (note.code, note.field) == ("unknown_field", field)
    assert note.suggestions[0] == suggested
    assert suggested in note.hint
    assert note.to_json()["suggestions"] == list(note.suggestions)


def test_filters_are_looked_at_too() -> None:
    filters = query.from_filters([{"field": "event.outcom", "operator": "is", "value": "failure"}])
    assert [note.field for note in notes.of_query("", filters, COLUMNS)] == ["event.outcom"]


def test_field_that_no_event_has_is_named() -> None:
    (note,) = remarks("process.name:sshd")
    assert (note.code, note.field) == ("empty_field", "process.name")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('source.ip:"999.1.1.1"', "not_an_address"),
        ("source.ip:localhost", "not_an_address"),
        ("source.port:ssh", "not_a_number"),
        ("@timestamp:yesterday", "not_a_date"),
        ("is_ok:yes", "not_a_boolean"),
        ('message:"fail*"', "looks_like_wildcard"),
    ],
)
def test_value_that_its_field_cannot_have_is_named(text: str, code: str) -> None:
    assert [note.code for note in remarks(text)] == [code]


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "alice", '"and"', "user.name:and", "AND_ alice", "user.name:root AND NOT event.outcome:failure"),
        *("source.ip:10.0.0.0/8", "source.ip:10.*", "source.port:>443", "source.port:443.0", "@timestamp:2026-01-31"),
        *("in.overflow:x", 'message:"a = b"', 'message:"x | y"', "user.name:(root OR admin)", "sand or_der"),
        *("user.name:a,b", "message:it's", r"user.name:DOMAIN\\alice", 'message:"select a from b"'),
    ],
)
def test_what_is_right_gets_no_note(text: str) -> None:
    assert remarks(text) == []


@settings(max_examples=300, deadline=None)
@given(st.text("aB:=|\"'\\*(),. \tandorNOT[]_", max_size=30))
def test_every_query_that_can_be_read_can_be_remarked_on(text: str) -> None:
    try:
        node = query.parse(text)
    except errors.QuerySyntaxError:
        return
    for note in remarks(text):
        assert note.detail.endswith(".")
        if note.replacement is not None:
            assert query.parse(note.replacement) != node


def test_notes_are_bounded() -> None:
    assert len(remarks(" OR ".join(f"nosuch{n}:x" for n in range(400)))) == notes.MOST_NOTES


def test_fault_of_a_query_is_told_from_one_of_the_lake() -> None:
    with pytest.raises(pl.exceptions.ComputeError) as caught:
        pl.Series(["a"]).str.contains("a{1000000}")
    fault = query.fault_of(caught.value)
    assert fault is not None
    assert (fault.code, fault.status, fault.retriable) == ("query_not_computable", 422, False)
    assert query.fault_of(pl.exceptions.ComputeError("parquet: File out of specification")) is None
    assert query.fault_of(OSError("regex error")) is None
