"""What a row group must hold for a query to match anything in it: the query's side of the needle index.

Every rule errs on the side of reading. NOT, regular expressions, comparisons of numbers and dates, `field:*` and most
wildcards say nothing; a requirement says less than the query, never more. `lake/needles` turns needles into keys.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from penstock.fields import types
from penstock.query import ast, literals, words

MOST_WORDS = 16
"""Words of a phrase that are asked for: the longest ones. More would find no fewer row groups."""

_OCTET = re.compile("0|[1-9][0-9]{0,2}")
_IN_NUMBERS = re.compile("[0-9e]+|true|false|null")
"""Words that also stand in values that are no strings; those fit a pattern as a whole and have no words."""

_IPV4_PREFIX_BYTES = (3, 2, 1)
_IPV6_PREFIX_BYTES = (8, 6, 4)


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A string as a whole, or a folded word."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Number:
    """A number that is this double."""

    value: float


@dataclasses.dataclass(frozen=True, slots=True)
class Address6:
    """An IPv6 address in any spelling; 16 bytes."""

    packed: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Prefix:
    """An address that begins with these bytes: 1 to 3 of version 4; 4, 6 or 8 of version 6."""

    packed: bytes
    version: int


@dataclasses.dataclass(frozen=True, slots=True)
class Octets:
    """Four words side by side in a text, each a number up to 255."""

    words: tuple[str, str, str, str]


Needle: TypeAlias = Text | Number | Address6 | Prefix | Octets


@dataclasses.dataclass(frozen=True, slots=True)
class Holds:
    """The row group holds the needle; if `field` is given, as a value of that field."""

    needle: Needle
    field: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AllOf:
    """All of these are met."""

    items: tuple[Requirement, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these is met."""

    items: tuple[Requirement, ...]


Requirement: TypeAlias = Holds | AllOf | AnyOf


def required(node: ast.Node, field_types: Mapping[str, types.FieldType]) -> Requirement | None:
    """What every row group with a match meets; None where nothing is known.

    Args:
        node: the query.
        field_types: the table's columns and their types.
    """
    # The sidecars' words come from our table. If the engine takes more characters for parts of words, a needle could
    # miss a match that the scan finds.
    return _required(node, field_types) if words.engine_agrees() else None


def holds_of(requirement: Requirement) -> Iterator[Holds]:
    """The single questions that a requirement is made of."""
    if isinstance(requirement, Holds):
        yield requirement
        return
    for item in requirement.items:
        yield from holds_of(item)


def is_met(requirement: Requirement, is_held: Callable[[Holds], bool]) -> bool:
    """Whether a requirement is met, given the answers to the single questions."""
    if isinstance(requirement, Holds):
        return is_held(requirement)
    join = all if isinstance(requirement, AllOf) else any
    return join(is_met(item, is_held) for item in requirement.items)


def _required(node: ast.Node, field_types: Mapping[str, types.FieldType]) -> Requirement | None:
    match node:
        case ast.And(items=items):
            # Of AND whatever is known may be asked; of OR all must be known, since the unknown one may match anywhere.
            known = [found for item in items if (found := _required(item, field_types)) is not None]
            return AllOf(tuple(known)) if known else None
        case ast.Or(items=items):
            return _any_of(_required(item, field_types) for item in items)
        case ast.Term(field=None, test=ast.Equals(text=text)):
            return _equals_in_any_field(text)
        case ast.Term(field=str(field), test=ast.Equals(text=text)):
            return _equals(text, field, field_types.get(field))
        case ast.Term(field=str(field), test=ast.Like(parts=parts)):
            return _whole_words(parts) if field_types.get(field) is types.FieldType.TEXT else None
        case ast.Term(field=str(field), test=ast.Compare() | ast.Range() as test):
            return _inside(literals.interval(test))
    return None


def _any_of(items: Iterable[Requirement | None]) -> Requirement | None:
    """OR; nothing is known as soon as nothing is known of one item."""
    known = []
    for item in items:
        if item is None:
            return None
        known.append(item)
    return AnyOf(tuple(known))


def _equals_in_any_field(text: str) -> Requirement | None:
    """A value of some field, or words of a text; a date has too many spellings."""
    if literals.day_or_instant(text) is not None:
        return None
    # Any of the three may be how the value lies in the file: as a value, or within a text.
    return _any_of([*_values(text, None), _phrase(text)])


def _equals(text: str, field: str, field_type: types.FieldType | None) -> Requirement | None:
    if field_type is types.FieldType.DATE and literals.day_or_instant(text) is not None:
        return None
    if field_type is types.FieldType.TEXT:
        return _any_of([_phrase(text), *_numbers(text, None)])
    return _any_of(_values(text, field))


def _values(text: str, field: str | None) -> list[Requirement | None]:
    """What a value that equals the literal is: the string, a number, an address, an address of a network."""
    if text in ("true", "false"):  # booleans have no keys
        return [None]
    if (network := literals.network(text)) is not None:
        return [Holds(Text(text), field), _inside(network)]
    return [Holds(Text(text), field), *_numbers(text, field), *_addresses(text, field)]


def _numbers(text: str, field: str | None) -> list[Requirement | None]:
    if text in ("true", "false"):
        return [None]
    number = literals.number(text)
    return [] if number is None else [Holds(Number(number.double), field)]


def _addresses(text: str, field: str | None) -> list[Requirement | None]:
    address = literals.address(text)
    if address is None:
        return []
    if address.version == 4:
        return [Holds(Text(".".join(map(str, address.value.to_bytes(4, "big")))), field)]
    return [Holds(Address6(address.value.to_bytes(16, "big")), field)]


def _inside(interval: literals.Interval) -> Requirement | None:
    """An address between two others begins as both do. Keys of prefixes know no field."""
    low, high = interval.low, interval.high
    if not isinstance(low, literals.Address) or not isinstance(high, literals.Address):
        return None
    size, known = (4, _IPV4_PREFIX_BYTES) if low.version == 4 else (16, _IPV6_PREFIX_BYTES)
    first, last = low.value.to_bytes(size, "big"), high.value.to_bytes(size, "big")
    # The longest common prefix first: it rules the most row groups out.
    for length in known:
        if first[:length] == last[:length]:
            return Holds(Prefix(first[:length], low.version))
    return None


def _phrase(text: str) -> Requirement | None:
    wanted = words.folded_words(text)
    if not wanted:
        return None
    # Long words are rare ones, as a rule.
    chosen = sorted(dict.fromkeys(wanted), key=len, reverse=True)[:MOST_WORDS]
    rows = (tuple(wanted[at : at + 4]) for at in range(len(wanted) - 3))
    octets = [Holds(Octets((one, two, three, four))) for one, two, three, four in filter(_are_octets, rows)]
    return AllOf((*(Holds(Text(word)) for word in chosen), *dict.fromkeys(octets[:MOST_WORDS])))


def _are_octets(row: tuple[str, ...]) -> bool:
    return all(_OCTET.fullmatch(word) and int(word) < 256 for word in row)


def _whole_words(parts: tuple[str | ast.Wild, ...]) -> Requirement | None:
    """Words that a pattern for a text field spells out from edge to edge."""
    found: list[str] = []
    for place, part in enumerate(parts):
        if isinstance(part, ast.Wild):
            continue
        inner = words.folded_words(part)
        # Behind a wildcard the first word may be the tail of a longer one, which is what the index has.
        if place > 0 and words.is_word(part[0]):
            inner = inner[1:]
        if place < len(parts) - 1 and words.is_word(part[-1]):
            inner = inner[:-1]
        found += [word for word in inner if not _IN_NUMBERS.fullmatch(word)]
    chosen = sorted(dict.fromkeys(found), key=len, reverse=True)[:MOST_WORDS]
    return AllOf(tuple(Holds(Text(word)) for word in chosen)) if chosen else None
