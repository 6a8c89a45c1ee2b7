"""What a query means: an immutable tree of AND, OR, NOT and terms.

A `Node` can be compared, hashed, pickled, and written back as text with `query.unparse`. Build AND and OR with
`all_of` and `any_of` and wildcards with `like`: they keep trees in the one form that the parser makes.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Iterable, Iterator
from typing import TypeAlias


class Wild(enum.Enum):
    """A wildcard inside a word. No StrEnum: it must not equal the literal `*`."""

    MANY = "*"  # any characters, also none, also line breaks
    ONE = "?"  # exactly one character


class Operator(enum.StrEnum):
    """How a value is compared with a bound."""

    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Exists:
    """The field has a value: not absent, not null, not an empty list."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Equals:
    """The value is this literal, as the field's type understands it (docs/query.md).

    Attributes:
        text: the literal, escapes resolved.
    """

    text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Like:
    """The value's text fits a pattern with wildcards.

    Attributes:
        parts: literals and wildcards in order; no empty literal, no two literals side by side; of neighbouring
            wildcards at most one is `MANY`: the first at the very beginning, else the last. Never a lone `MANY`
            (that is `Exists`).
    """

    parts: tuple[str | Wild, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Regex:
    """The whole of the value's text fits a regular expression of Rust's regex crate.

    Attributes:
        pattern: as written between the slashes; known to compile.
    """

    pattern: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Compare:
    """The value lies on one side of a bound.

    Attributes:
        operator: which side.
        bound: a number, a date or an address (`literals.bound` understands it).
    """

    operator: Operator
    bound: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """The value lies between two bounds, both included.

    Attributes:
        low: a number, a date or an address; None is open.
        high: of the same kind; None is open. Never both None (that is `Exists`).
    """

    low: str | None
    high: str | None


Test: TypeAlias = Exists | Equals | Like | Regex | Compare | Range


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Everything:
    """Matches every event: the empty query, or a lone `*`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """A test on a field, or on any field.

    Attributes:
        field: dotted name; None means a value in any field.
        test: what the value must satisfy.
        position: 0-based character in the query text, for messages; no part of the meaning.
    """

    field: str | None
    test: Test
    position: int = dataclasses.field(default=0, compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Not:
    """Matches where `item` does not; so also where the field is absent."""

    item: Node


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class And:
    """Matches where all items do. Two items or more, none of them an `And` or `Everything`."""

    items: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Or:
    """Matches where any item does. Two items or more, none of them an `Or`."""

    items: tuple[Node, ...]


Node: TypeAlias = Everything | Term | Not | And | Or


def all_of(items: Iterable[Node]) -> Node:
    """AND of the items, flattened; no items, or only `Everything`, is `Everything`."""
    # One level is enough: the items are made by this function too, so none of them holds an And.
    flat = [part for item in items for part in (item.items if isinstance(item, And) else (item,))]
    narrowing = tuple(item for item in flat if not isinstance(item, Everything))
    if not narrowing:
        return Everything()
    return narrowing[0] if len(narrowing) == 1 else And(items=narrowing)


def any_of(items: Iterable[Node]) -> Node:
    """OR of at least one item, flattened."""
    # AND drops `Everything`; OR must not, since with it everything matches.
    flat = tuple(part for item in items for part in (item.items if isinstance(item, Or) else (item,)))
    return flat[0] if len(flat) == 1 else Or(items=flat)


def like(parts: Iterable[str | Wild]) -> Like | Exists | Equals:
    """A test for literals and wildcards, in the one form `Like` promises; without wildcards it is `Equals`."""
    neat: list[str | Wild] = []
    for is_wild, run in itertools.groupby((part for part in parts if part), key=lambda part: isinstance(part, Wild)):
        members = list(run)
        neat += _neat_wildcards(members, is_first=not neat) if is_wild else ["".join(map(str, members))]
    if neat == [Wild.MANY]:
        return Exists()
    if not any(isinstance(part, Wild) for part in neat):
        return Equals(text="".join(str(part) for part in neat))
    return Like(parts=tuple(neat))


def _neat_wildcards(run: list[str | Wild], *, is_first: bool) -> list[str | Wild]:
    """Neighbouring wildcards in one order: `*?*` and `?*` fit the same texts."""
    ones = [part for part in run if part is Wild.ONE]
    many = [Wild.MANY] if len(ones) < len(run) else []
    return [*many, *ones] if is_first else [*ones, *many]


def terms(node: Node) -> Iterator[Term]:
    """The terms of a query, from left to right."""
    match node:
        case Term():
            yield node
        case Not(item=item):
            yield from terms(item)
        case And(items=items) | Or(items=items):
            for item in items:
                yield from terms(item)
