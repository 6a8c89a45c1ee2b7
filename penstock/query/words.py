"""Text as people search it: words without regard to case, and wildcards. The plain-Python side of `patterns`.

A word is a run of letters, marks, decimal digits, letter numbers and connectors such as `_`: what `\\w` means to Rust's
regex crate. Case is folded one character for one (Unicode's simple folding), as `(?i)` does there.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Iterable, Sequence

from penstock.query import ast

_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})
_JOINERS = "\u200c\u200d"
_CIRCLED_LETTERS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))


@functools.lru_cache(maxsize=8192)
def is_word(character: str) -> bool:
    """Whether a character is part of a word."""
    if unicodedata.category(character) in _WORD_CATEGORIES or character in _JOINERS:
        return True
    return any(first <= ord(character) <= last for first, last in _CIRCLED_LETTERS)


@functools.lru_cache(maxsize=8192)
def _fold_one(character: str) -> str:
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


def fold(text: str) -> str:
    """The text without case; as many characters as before."""
    return text.lower() if text.isascii() else "".join(map(_fold_one, text))


def split(text: str) -> list[str]:
    """The words of a text, in order."""
    return ["".join(run) for whether, run in itertools.groupby(text, is_word) if whether]


def has_phrase(text: str, literal: str) -> bool:
    """Whether the text has the literal's words side by side, in order, whatever stands between them.

    A literal without words must occur as it is; the empty literal only fits the empty text.
    """
    wanted = split(fold(literal))
    if not wanted:
        return literal in text if literal else not text
    present = split(fold(text))
    return any(present[at : at + len(wanted)] == wanted for at in range(len(present) - len(wanted) + 1))


def fits(parts: Sequence[str | ast.Wild], text: str) -> bool:
    """Whether the whole text fits the pattern; case matters."""
    return len(text) in _ends(parts, text, {0})


def has_pattern(parts: Sequence[str | ast.Wild], text: str) -> bool:
    """Whether the pattern fits somewhere in the text, without regard to case.

    An end of the pattern that is a word's character or `?` must be the edge of a word.
    """
    folded = fold(text)
    edges = {at for at in range(len(text) + 1) if at == 0 or not is_word(text[at - 1])}
    starts = edges if needs_edge(parts[0], 0) else set(range(len(text) + 1))
    ends = _ends([part if isinstance(part, ast.Wild) else fold(part) for part in parts], folded, starts)
    if not needs_edge(parts[-1], -1):
        return bool(ends)
    return any(at == len(text) or not is_word(text[at]) for at in ends)


def needs_edge(part: str | ast.Wild, character: int) -> bool:
    """Whether this first (0) or last (-1) part of a pattern must lie at the edge of a word."""
    return part is ast.Wild.ONE if isinstance(part, ast.Wild) else is_word(part[character])


def _ends(parts: Iterable[str | ast.Wild], text: str, starts: set[int]) -> set[int]:
    """Where the pattern may end, if it may start at `starts`."""
    places = starts
    for part in parts:
        if not places:
            break
        if part is ast.Wild.MANY:
            places = set(range(min(places), len(text) + 1))
        elif part is ast.Wild.ONE:
            places = {at + 1 for at in places if at < len(text)}
        else:
            places = {at + len(str(part)) for at in places if text.startswith(str(part), at)}
    return places
