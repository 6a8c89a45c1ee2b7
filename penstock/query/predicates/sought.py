"""What a text must contain for a query to match: literals that a search can look for before anything is parsed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from penstock.query import ast, words

MOST_LITERALS = 4
"""Literals that are looked for: the longest ones. The first decides nearly always."""

LEAST_CHARACTERS = 3
"""Shorter literals are in most texts."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """Literals that each matching row has in one text column.

    Attributes:
        field: the column.
        literals: ASCII in lower case, the longest first; the column has them in any case, and with the letters beyond
            ASCII that fold to `s` and `k`.
    """

    field: str
    literals: tuple[str, ...]


def sought(node: ast.Node, texts: Collection[str]) -> Sought | None:
    """What all rows that match must contain; None where nothing is known.

    Args:
        texts: the text columns whose field can have no value anywhere else, as in the overflow.
    """
    found = [one for one in _conditions(node) if one.field in texts]
    return max(found, key=lambda one: len(one.literals[0]), default=None)


def _conditions(node: ast.Node) -> Iterator[Sought]:
    match node:
        case ast.And(items=items):
            for item in items:
                yield from _conditions(item)
        case ast.Term(field=str(field), test=ast.Equals(text=text)):
            yield from _of(field, words.folded_words(text))
        case ast.Term(field=str(field), test=ast.Like(parts=parts)):
            yield from _of(field, [words.fold(part) for part in parts if isinstance(part, str)])


def _of(field: str, literals: list[str]) -> Iterator[Sought]:
    known = [one for one in dict.fromkeys(literals) if len(one) >= LEAST_CHARACTERS and one.isascii()]
    known.sort(key=len, reverse=True)
    if known:
        yield Sought(field=field, literals=tuple(known[:MOST_LITERALS]))
