"""Text as people search it: words without regard to case. The plain-Python side of `patterns`.

A word is a run of letters, marks, decimal digits, letter numbers and connectors such as `_`: what `\\w` means to Rust's
regex crate. Case is folded one character for one (Unicode's simple folding), as `(?i)` does there. Both come from
word_table.txt, not from Python's own tables, which know another version of Unicode than the engine.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import TYPE_CHECKING

import polars as pl

from penstock.base import later

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = later.numpy  # loads when it is used

_SPACE = 32
_SURROGATES = range(0xD800, 0xE000)
_LAST_LETTERS = 0x20000
"""Above are ideographs, which have no case."""

AGREED = frozenset({"2.1.0"})
"""Versions of Polars whose engine was compared with the table; a test does so again."""


@functools.cache
def _lines() -> list[list[str]]:
    text = importlib.resources.files("penstock.query").joinpath("word_table.txt").read_text("ascii")
    return [line.split() for line in text.splitlines()]


def table_version() -> str:
    """The version of Unicode whose words and cases the table has."""
    return _lines()[0][1]


@functools.cache
def table() -> npt.NDArray[np.uint32]:
    """For each code point 0 where it is no part of a word, else its folded code point. Read-only."""
    folded = np.zeros(0x110000, np.uint32)
    for first, last in map(_ends_of, _lines()[1][1:]):
        folded[first : last + 1] = np.arange(first, last + 1)
    for _, distance, step, *runs in _lines()[2:]:
        for first, last in map(_ends_of, runs):
            # Distances may be negative: modulo 2^32 the sum wraps around to the right code point.
            folded[first : last + 1 : int(step)] += np.uint32(int(distance, 16) % 2**32)
    folded.setflags(write=False)
    return folded


def _ends_of(run: str) -> list[int]:
    return [int(end, 16) for end in run.split("-")]


class _Translation(dict[int, int]):
    """What `str.translate` puts in a character's place; filled as characters are met."""

    def __init__(self, separator: int | None) -> None:
        super().__init__()
        self._separator = separator

    def __missing__(self, point: int) -> int:
        separator = point if self._separator is None else self._separator
        # ASCII needs no table, which takes longer to make than most queries take to read.
        found = (_ascii(chr(point)) if point < 128 else int(table()[point])) or separator
        self[point] = found
        return found


def _ascii(character: str) -> int:
    """What the table says of a character of ASCII."""
    return ord(character.lower()) if character.isalnum() or character == "_" else 0


_FOLDED = _Translation(None)
_FOLDED_WORDS = _Translation(_SPACE)


@functools.cache
def engine_agrees() -> bool:
    """Whether the regex engine takes no character for part of a word that the table does not know.

    It may after an upgrade of Polars. New pairs of upper and lower case only come with new characters, so this says
    that case is known, too.
    """
    return pl.__version__ in AGREED or compared_with_engine()


def compared_with_engine() -> bool:
    """`engine_agrees` for an engine that nobody has asked before: takes 0.1 s, NumPy included."""
    unknown = np.flatnonzero(table()[:_LAST_LETTERS] == 0)
    # A lone surrogate is no text to Polars.
    unknown = unknown[(unknown < _SURROGATES.start) | (unknown >= _SURROGATES.stop)]
    return not pl.Series(map(chr, unknown.tolist())).str.contains(r"\w").any()


def is_word(character: str) -> bool:
    """Whether a character is part of a word."""
    return bool(table()[ord(character)])


def fold(text: str) -> str:
    """The text without case; as many characters as before."""
    # Beyond ASCII `lower` may change the length (`İ` becomes two characters), and positions would no longer fit.
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def folded_words(text: str) -> list[str]:
    """The words of a text, in order, without case."""
    return [word for word in text.translate(_FOLDED_WORDS).split(" ") if word]


def has_phrase(text: str, literal: str) -> bool:
    """Whether the text has the literal's words side by side, in order, whatever stands between them.

    A literal without words must occur unchanged; the empty literal only fits the empty text.
    """
    wanted = folded_words(literal)
    if not wanted:
        return literal in text if literal else not text
    return f" {' '.join(wanted)} " in f" {' '.join(folded_words(text))} "
