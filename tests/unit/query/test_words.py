"""Words and case are those of the regex engine, character for character."""

from __future__ import annotations

import polars as pl
import pytest

from penstock.query import words

POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]


def test_table_knows_the_words_of_the_engine() -> None:
    """If this fails after an upgrade of Polars: scripts/word_table.py."""
    is_word = pl.Series(map(chr, POINTS)).str.contains(r"^\w$")
    assert [
        point for point, expected in zip(POINTS, is_word, strict=True) if words.is_word(chr(point)) != expected
    ] == []
    assert words.compared_with_engine()
    assert pl.__version__ in words.AGREED, "it agrees: note its version there"


def test_table_knows_the_case_of_the_engine() -> None:
    characters = pl.Series(map(chr, POINTS))
    cased = characters.filter(characters.str.contains(r"^[\p{CWCF}\p{Cased}]$"))
    folded = pl.Series([words.fold(character) for character in cased])
    for sign in folded.unique():
        alike = set(cased.filter(cased.str.contains(f"(?i)^{pl.escape_regex(sign)}$")))
        assert alike == set(cased.filter(folded == sign)), sign
    others = set(map(chr, POINTS)) - set(cased)
    assert all(words.fold(character) == character for character in others)


def test_folding_keeps_words_words_and_changes_no_length() -> None:
    table = words.table()
    changed = [point for point in POINTS if table[point] not in (0, point)]
    assert all(table[table[point]] == table[point] for point in changed)
    assert all(len(words.fold(chr(point))) == 1 for point in changed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Failed, PASSWORD!", ["failed", "password"]),
        ("\u212a ſ", ["k", "s"]),
        ("", []),
        ("->", []),
        ("a_b-c\ud800d", ["a_b", "c", "d"]),
        ("\u0390 \u1fd3", ["\u0390", "\u0390"]),
    ],
)
def test_text_has_its_folded_words(text: str, expected: list[str]) -> None:
    assert words.folded_words(text) == expected
