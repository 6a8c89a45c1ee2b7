"""What a text must contain for a query to match: literals that a search can look for before anything is parsed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

import polars as pl

from penstock.fields import types
from penstock.query import ast, literals, words

MOST_LITERALS = 4
"""Literals that are looked for: the longest ones. The first decides nearly always."""

LEAST_CHARACTERS = 3
"""Shorter literals are in most texts."""


Elsewhere: TypeAlias = Callable[[Collection[str]], pl.Expr]
"""A term without a field, compiled for some columns alone."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """Literals that each matching row has in a value of one of some columns.

    Attributes:
        fields: the columns.
        literals: ASCII in lower case, the longest first; the value has them in any case, and with the letters beyond
            ASCII that fold to `s` and `k`.
        elsewhere: says of those of the columns in which nobody can look for literals which rows match.
    """

    fields: tuple[str, ...]
    literals: tuple[str, ...]
    elsewhere: Elsewhere | None = None


def of_fields(node: ast.Node, kinds: Mapping[str, types.FieldType]) -> tuple[Sought, ...]:
    """What all rows that match must contain by the terms that name a field; what is found soonest comes first.

    Args:
        kinds: the columns whose field can have no value anywhere else, as in the overflow.
    """
    found = [one for term in _all_of(node) if (one := _of_field(term, kinds)) is not None]
    # A column of keywords has few values, and is searched in a hundredth of the time that texts take.
    return tuple(sorted(found, key=lambda one: (kinds[one.fields[0]] is types.FieldType.TEXT, -len(one.literals[0]))))


def of_any_field(
    node: ast.Node, read: Callable[[ast.Node], Collection[str]], elsewhere: Callable[[ast.Node], Elsewhere]
) -> tuple[Sought, ...]:
    """What all rows that match must contain by the terms without a field.

    Args:
        read: the columns, `_overflow` among them, that can hold a value that satisfies a term.
        elsewhere: compiles a term.
    """
    terms = [term for term in _all_of(node) if term.field is None and literals_of(term.test)]
    return tuple(
        Sought(fields=tuple(sorted(read(term))), literals=literals_of(term.test), elsewhere=elsewhere(term))
        for term in terms
    )


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


def _all_of(node: ast.Node) -> Iterator[ast.Term]:
    """Terms that every match satisfies."""
    match node:
        case ast.And(items=items):
            for item in items:
                yield from _all_of(item)
        case ast.Term():
            yield node


def _of_field(term: ast.Term, kinds: Mapping[str, types.FieldType]) -> Sought | None:
    if term.field is None or term.field not in kinds:
        return None
    known = [one for one in dict.fromkeys(_parts(term.test, kinds[term.field])) if _is_rare_enough(one)]
    known.sort(key=len, reverse=True)
    return Sought(fields=(term.field,), literals=tuple(known[:MOST_LITERALS])) if known else None


def _parts(test: ast.Test, kind: types.FieldType) -> list[str]:
    """What is in every value of a column that satisfies a test, without case."""
    match test, kind:
        case ast.Equals(text=text), types.FieldType.TEXT:
            return words.folded_words(text)
        # It equals the literal as it stands, numbers and addresses too; all but networks, which hold other values.
        case ast.Equals(text=text), types.FieldType.KEYWORD:
            return [words.fold(text)] if literals.network(text) is None else []
        case ast.Equals(), types.FieldType.IP:
            spelt = spelling(test)
            return [] if spelt is None else [words.fold(spelt)]
        case ast.Like(parts=parts), types.FieldType.TEXT | types.FieldType.KEYWORD | types.FieldType.IP:
            return [words.fold(part) for part in parts if isinstance(part, str)]
    return []


def _is_rare_enough(literal: str) -> bool:
    return len(literal) >= LEAST_CHARACTERS and literal.isascii()
