"""Wildcards, matched in time linear to the text: a pattern is cut at each `*`, and its pieces are looked for in turn.

A piece has a fixed length, so the leftmost place of each is the best one, and nothing is tried twice.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence

from penstock.query import ast, words

LONGEST_MIXED = 200
"""Most characters of literals with `?` between them: each may be compared at every character of a text."""


def fits(parts: Sequence[str | ast.Wild], text: str) -> bool:
    """Whether the whole text fits the pattern; case matters."""
    first, *others = _pieces(tuple(parts))
    if not first.is_at(text, 0):
        return False
    if not others:
        return len(text) == first.length
    *middle, last = others
    # The last piece must not overlap those before it: `a*a` does not fit `a`.
    end = _end_of(middle, text, first.length)
    return end is not None and len(text) - last.length >= end and last.is_at(text, len(text) - last.length)


def has_pattern(parts: Sequence[str | ast.Wild], text: str) -> bool:
    """Whether the pattern fits somewhere in the text, without regard to case.

    An end of the pattern that is a word's character or `?` must be the edge of a word.
    """
    folded = words.fold(text)
    first, *others = _pieces(tuple(part if isinstance(part, ast.Wild) else words.fold(part) for part in parts))
    left, right = needs_edge(parts[0], 0), needs_edge(parts[-1], -1)
    if not others:
        return any(_is_free(folded, *place, left, right) for place in _places(first, folded, 0))
    # The leftmost free place leaves the most room for what follows; a later one could never do better.
    begin = next((end for start, end in _places(first, folded, 0) if _is_free(folded, start, end, left, False)), None)
    *middle, last = others
    end = None if begin is None else _end_of(middle, folded, begin)
    return end is not None and any(_is_free(folded, *place, False, right) for place in _places(last, folded, end))


def too_long(parts: Sequence[str | ast.Wild]) -> bool:
    """Whether a stretch without `*` has `?` between literals and more than `LONGEST_MIXED` characters."""
    for _, run in itertools.groupby(parts, key=lambda part: part is ast.Wild.MANY):
        piece = list(run)
        if sum(isinstance(part, str) for part in piece) > 1 and _length(piece) > LONGEST_MIXED:
            return True
    return False


def needs_edge(part: str | ast.Wild, character: int) -> bool:
    """Whether this first (0) or last (-1) part of a pattern must lie at the edge of a word."""
    return part is ast.Wild.ONE if isinstance(part, ast.Wild) else words.is_word(part[character])


class _Piece:
    """Literals and `?` between two `*`.

    One literal is found by a search for it, which is linear to the text. Several, with `?` between them, are compared
    at each place; `too_long` bounds what that costs.

    Attributes:
        length: in characters.
    """

    def __init__(self, parts: Sequence[str | ast.Wild]) -> None:
        self.length = _length(parts)
        literals = [part for part in parts if isinstance(part, str)]
        self._literal = "".join(literals) if len(literals) < 2 else None
        self._offset = sum(1 for _ in itertools.takewhile(lambda part: isinstance(part, ast.Wild), parts))
        source = "".join(re.escape(part) if isinstance(part, str) else "." for part in parts)
        self._pattern = re.compile(source, re.DOTALL) if self._literal is None else None

    def is_at(self, text: str, start: int) -> bool:
        """Whether the piece stands at `start`."""
        if start < 0 or start + self.length > len(text):
            return False
        if self._pattern is not None:
            return self._pattern.match(text, start) is not None
        return text.startswith(self._literal or "", start + self._offset)

    def find(self, text: str, start: int) -> int:
        """The leftmost place at or behind `start`; -1 if there is none."""
        if self._pattern is not None:
            found = self._pattern.search(text, start)
            return -1 if found is None else found.start()
        last = len(text) - self.length
        place = text.find(self._literal or "", start + self._offset) - self._offset
        return place if start <= place <= last else -1


def _length(parts: Sequence[str | ast.Wild]) -> int:
    return sum(len(part) if isinstance(part, str) else 1 for part in parts)


# A test is asked once for each distinct value of a batch, always with the same parts.
@functools.lru_cache(maxsize=64)
def _pieces(parts: tuple[str | ast.Wild, ...]) -> list[_Piece]:
    """What stands before, between and behind the `*`; an empty piece fits anywhere."""
    pieces: list[list[str | ast.Wild]] = [[]]
    for part in parts:
        if part is ast.Wild.MANY:
            pieces.append([])
        else:
            pieces[-1].append(part)
    return [_Piece(piece) for piece in pieces]


def _end_of(pieces: Sequence[_Piece], text: str, start: int) -> int | None:
    """Where the pieces end when each stands as far left as it can; None where one is not found."""
    for piece in pieces:
        place = piece.find(text, start)
        if place < 0:
            return None
        start = place + piece.length
    return start


def _places(piece: _Piece, text: str, start: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the piece wherever it stands, from left to right, overlapping places too."""
    while start <= len(text) and (place := piece.find(text, start)) >= 0:
        yield place, place + piece.length
        # Not behind the piece: in `aaa` a free place of `aa` may overlap one that is not free.
        start = place + 1


def _is_free(text: str, start: int, end: int, left: bool, right: bool) -> bool:
    """Whether no word goes on beyond the ends that must be the edge of one."""
    if left and start > 0 and words.is_word(text[start - 1]):
        return False
    return not right or end == len(text) or not words.is_word(text[end])
