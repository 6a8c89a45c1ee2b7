"""What a text must contain for a query to match: literals that a search can look for before anything is parsed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from penstock.query import ast, literals, words

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


def anywhere(node: ast.Node) -> frozenset[tuple[str, ...]] | None:
    """For each term without a field the literals of which every value that satisfies it has all.

    They are as `Sought.literals`, and stand so in JSON too. None where a term has none, or there is no such term: then
    nothing says that a column is of no use.
    """
    found = set()
    for term in ast.terms(node):
        if term.field is None:
            known = literals_of(term.test)
            if not known:
                return None
            found.add(known)
    return frozenset(found) or None


def literals_of(test: ast.Test) -> tuple[str, ...]:
    """What is in every value that satisfies a test, the longest first; empty where nothing is sure."""
    text = spelling(test)
    found = [] if text is None else words.folded_words(text)
    known = [one for one in dict.fromkeys(found) if len(one) > 1 and one.isascii()]
    return tuple(sorted(known, key=len, reverse=True)[:MOST_LITERALS])


def spelling(test: ast.Test) -> str | None:
    """The text that every value that equals the literal contains, or at least its words, in any case, side by side.

    None where nothing is sure: numbers, instants, networks and IPv6 addresses are equal in more than one spelling.
    """
    if not isinstance(test, ast.Equals) or literals.number(test.text) or literals.day_or_instant(test.text):
        return None
    address = literals.address(test.text)
    if address is None:
        return None if literals.network(test.text) is not None else test.text
    return literals.dotted(test.text) if address.version == 4 else None


def _conditions(node: ast.Node) -> Iterator[Sought]:
    match node:
        case ast.And(items=items):
            for item in items:
                yield from _conditions(item)
        case ast.Term(field=str(field), test=ast.Equals(text=text)):
            yield from _of(field, words.folded_words(text))
        case ast.Term(field=str(field), test=ast.Like(parts=parts)):
            yield from _of(field, [words.fold(part) for part in parts if isinstance(part, str)])


def _of(field: str, parts: list[str]) -> Iterator[Sought]:
    known = [one for one in dict.fromkeys(parts) if len(one) >= LEAST_CHARACTERS and one.isascii()]
    known.sort(key=len, reverse=True)
    if known:
        yield Sought(field=field, literals=tuple(known[:MOST_LITERALS]))
