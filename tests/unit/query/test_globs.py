"""Wildcards fit what the plainest way to match them fits, and take time linear to the text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import query_strategies as strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.query import ast, globs, words

MANY, ONE = ast.Wild.MANY, ast.Wild.ONE


def ends(parts: Sequence[str | ast.Wild], text: str, starts: set[int]) -> set[int]:
    """Where a pattern may end, if it may start at `starts`."""
    for part in parts:
        if part is MANY:
            starts = set(range(min(starts), len(text) + 1)) if starts else starts
        elif part is ONE:
            starts = {at + 1 for at in starts if at < len(text)}
        else:
            starts = {at + len(str(part)) for at in starts if text.startswith(str(part), at)}
    return starts


def fits_plainly(parts: Sequence[str | ast.Wild], text: str) -> bool:
    return len(text) in ends(parts, text, {0})


def has_plainly(parts: Sequence[str | ast.Wild], text: str) -> bool:
    edges = {at for at in range(len(text) + 1) if at == 0 or not words.is_word(text[at - 1])}
    starts = edges if globs.needs_edge(parts[0], 0) else set(range(len(text) + 1))
    found = ends([part if isinstance(part, ast.Wild) else words.fold(part) for part in parts], words.fold(text), starts)
    if not globs.needs_edge(parts[-1], -1):
        return bool(found)
    return any(at == len(text) or not words.is_word(text[at]) for at in found)


raw = st.lists(st.sampled_from(["a", "ab", "b", "É", "-", " ", MANY, ONE, ONE]), min_size=1, max_size=7)
texts = st.text("abAéÉ- \n", max_size=12) | strategies.literal_text


@settings(max_examples=600, deadline=None)
@given(raw, texts)
def test_patterns_fit_as_in_the_plainest_way(parts: list[str | ast.Wild], text: str) -> None:
    test = ast.like(parts)
    assert fits_plainly(parts, text) == (
        globs.fits(test.parts, text)
        if isinstance(test, ast.Like)
        else isinstance(test, ast.Exists) or test.text == text
    )
    if isinstance(test, ast.Like):
        assert globs.has_pattern(test.parts, text) == has_plainly(parts, text)


@settings(max_examples=300, deadline=None)
@given(raw)
def test_wildcards_side_by_side_have_one_order(parts: list[str | ast.Wild]) -> None:
    test = ast.like(parts)
    if isinstance(test, ast.Like):
        assert ast.like(test.parts) == test
        assert list(test.parts).count(ONE) == parts.count(ONE)


@pytest.mark.parametrize(
    "parts",
    [
        (MANY, *("a", MANY) * 2000),
        ("a" * 5000, MANY, "a" * 5000, MANY, "b"),
        (ONE,) * 32_000,
        (MANY, *(ONE,) * 30_000, "b"),
        (MANY, "a" * 100, ONE, "a" * 98, "b", MANY),
    ],
)
@pytest.mark.timeout(20)
def test_hostile_patterns_end_soon(parts: tuple[str | ast.Wild, ...]) -> None:
    text = "a" * 100_000
    test = ast.like(parts)
    assert isinstance(test, ast.Like)
    assert not globs.too_long(test.parts)
    globs.fits(test.parts, text)
    globs.has_pattern(test.parts, text)


def test_long_runs_of_letters_and_question_marks_are_too_long() -> None:
    assert globs.too_long(("a" * 150, ONE, "b" * 50))
    assert not globs.too_long(("a" * 150, MANY, "b" * 50, ONE, "c"))
    assert not globs.too_long(("a" * 10_000, *(ONE,) * 10_000))
