"""Reads literals and values as numbers, instants and addresses: the three kinds that have an order.

Each text is of one kind at most. The same functions read the query's literals and the events' strings.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import math
import re
import socket
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from penstock.query import ast

NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
"""A number in a string, for Python's and Rust's regex alike."""

DATE_START = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
"""How every string that is an instant begins, for Python's and Rust's regex alike."""

_NUMBER = re.compile(NUMBER)
_INTEGER = re.compile(r"-?[0-9]+")
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?)?"
)
_LIKE_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]*)+(?:/[0-9]*)?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[^/]*)?(?:/[0-9]*)?")
_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_LONGEST_NUMBER = 400
_LONGEST_INT = 4_000
"""Digits that Python turns into an int; a Decimal compares as exactly."""

DAY_MICROSECONDS = 86_400_000_000
MAPPED_PREFIXES = ("::ffff:", "::FFFF:")
"""What dual-stack sockets write before an IPv4 address; such an address counts as IPv4."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number.

    Attributes:
        exact: what integers compare with: the number itself where it is written as an integer, or is whole and a
            double can be as large.
        double: what all other numbers compare with; may be infinite.
    """

    exact: int | float | decimal.Decimal
    double: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Instant:
    """A point in time.

    Attributes:
        microseconds: since 1970, UTC.
        is_day: whether it was written as a date without a time.
    """

    microseconds: int
    is_day: bool


class Address(NamedTuple):
    """An IP address; a tuple, since many are made. Only addresses of one version compare in a sensible way.

    Attributes:
        version: 4 or 6.
        value: the address as an integer.
    """

    version: int
    value: int


Bound: TypeAlias = Number | Instant | Address


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """What lies between two bounds of one kind; None is open. Never both None.

    Attributes:
        low: lower bound.
        high: upper bound.
        low_included: whether the lower bound itself lies inside.
        high_included: whether the upper bound itself lies inside.
    """

    low: Bound | None
    high: Bound | None
    low_included: bool = True
    high_included: bool = True

    @property
    def kind(self) -> type[Bound]:
        """The class of the bounds."""
        return type(self.low) if self.low is not None else type(self.high)  # type: ignore[return-value]

    def holds_number(self, value: float | decimal.Decimal) -> bool:
        """Whether a number lies inside. An int or a Decimal compares exactly, a float as doubles do."""
        if self.kind is not Number:
            return False
        low, high = (_limit(bound, value) for bound in (self.low, self.high))
        return self._holds(value, low, high)

    def holds_text(self, text: str) -> bool:
        """Whether a string lies inside: as a number, an instant or an address, after the kind of the bounds."""
        if self.kind is Number:
            return _NUMBER.fullmatch(text) is not None and self.holds_number(_value_of(text))
        if self.kind is Instant:
            point = instant(text)
            return point is not None and self._holds(point, _microseconds(self.low), _microseconds(self.high))
        found = address(text)
        some = self.low or self.high
        if found is None or not isinstance(some, Address) or found.version != some.version:
            return False
        return self._holds(found, self.low, self.high)

    def _holds(self, value: Any, low: Any, high: Any) -> bool:
        above = low is None or (value >= low if self.low_included else value > low)
        return above and (high is None or (value <= high if self.high_included else value < high))


def _limit(bound: Bound | None, value: float | decimal.Decimal) -> float | decimal.Decimal | None:
    if not isinstance(bound, Number):
        return None
    return bound.double if isinstance(value, float) else bound.exact


def _value_of(text: str) -> float | decimal.Decimal:
    """A number's text as what it compares as: an integer of any length exactly, any other as a double."""
    if not _INTEGER.fullmatch(text):
        return float(text)
    return int(text) if len(text) < _LONGEST_INT else decimal.Decimal(text)


def _microseconds(bound: Bound | None) -> int | None:
    return bound.microseconds if isinstance(bound, Instant) else None


def number(text: str) -> Number | None:
    """The number that `text` is, if it is one."""
    if not _NUMBER.fullmatch(text):
        return None
    double = float(text)
    if _INTEGER.fullmatch(text):
        return Number(exact=_value_of(text), double=double)
    # Before Decimal and int: `int(Decimal("1e999999999"))` would fill the memory, and a query is anybody's text.
    if len(text) > _LONGEST_NUMBER or double == 0 or math.isinf(double):
        return Number(exact=double, double=double)
    written = decimal.Decimal(text)
    whole = int(written)
    return Number(exact=whole if whole == written else double, double=double)


def day_or_instant(text: str) -> Instant | None:
    """The point in time that `text` is, if it is one: what intake takes as a time (docs/fields.md), or a date.

    Seconds and offset may be left out (UTC then); second 60 is the first of the next minute.
    """
    found = _INSTANT.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = found.groups()
    try:
        local = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0))
    except ValueError:
        return None
    # 60 is a leap second (RFC 3339 §5.7), which Python's datetime does not know.
    if int(second or 0) > 60:
        return None
    microseconds = (local - _EPOCH) // _MICROSECOND + int(second or 0) * 1_000_000
    # Cut off, not rounded: 23:59:59.9999999 must stay in its day.
    microseconds += int((fraction or "")[:6].ljust(6, "0"))
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            return None
        away = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000_000
        # The text is local time: UTC plus the offset.
        microseconds += away if sign == "-" else -away
    return Instant(microseconds=microseconds, is_day=hour is None)


def has_offset(text: str) -> bool:
    """Whether a text that is an instant says its offset from UTC, or `Z`."""
    found = _INSTANT.fullmatch(text)
    return found is not None and (found[8] is not None or found[9] is not None)


def instant(text: str) -> int | None:
    """The same as microseconds since 1970."""
    found = day_or_instant(text)
    return None if found is None else found.microseconds


def moments(point: Instant) -> Interval:
    """What equals a point in time: the instant, or the whole day where only a date was written."""
    if not point.is_day:
        return Interval(low=point, high=point)
    end = Instant(microseconds=point.microseconds + DAY_MICROSECONDS, is_day=True)
    return Interval(low=point, high=end, high_included=False)


def address(text: str) -> Address | None:
    """The address that `text` is, if it is one. `::ffff:1.2.3.4` is 1.2.3.4; a zone (`fe80::1%eth0`) is left out."""
    try:
        # inet_pton, not inet_aton: the latter reads `10.1` and octets with leading zeros, which are other addresses
        # elsewhere.
        if ":" not in text:
            return Address(version=4, value=int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big"))
        # Sockets of both families report IPv4 peers so; without this a search for 10.0.0.0/8 would miss them.
        if text.startswith(MAPPED_PREFIXES) and "." in text:
            return address(text[7:])
        base, percent, zone = text.partition("%")
        if percent and not zone:
            return None
        return Address(version=6, value=int.from_bytes(socket.inet_pton(socket.AF_INET6, base), "big"))
    except (OSError, ValueError):
        return None


def dotted(text: str) -> str:
    """An address of version 4 without the prefix of a mapped one: the part that all its spellings share."""
    return text.removeprefix(MAPPED_PREFIXES[0]).removeprefix(MAPPED_PREFIXES[1])


def zone(text: str) -> str:
    """The zone of an IPv6 address, `eth0` in `fe80::1%eth0`; empty where it has none."""
    return text.partition("%")[2]


def is_same_address(literal: str, text: str) -> bool:
    """Whether two texts are one address. A literal without a zone is that address in every zone."""
    found = address(literal)
    return found is not None and address(text) == found and zone(literal) in ("", zone(text))


def resembles_address(text: str) -> bool:
    """Whether a text may have been meant as an address or a network: digits and dots, or hexadecimal and colons."""
    return _LIKE_ADDRESS.fullmatch(text) is not None


def network(text: str) -> Interval | None:
    """The addresses of a network in CIDR notation, if `text` is one; bits of the host may be set.

    A network of mapped addresses, `::ffff:10.0.0.0/104`, is the one of their IPv4 addresses: 10.0.0.0/8.
    """
    return None if network_mistake(text) is not None else _network(text)


def network_mistake(text: str) -> str | None:
    """Why a text that looks like a network, an address with a length, is none; None for all other texts."""
    base, slash, length = text.partition("/")
    first = address(base) if slash and re.fullmatch(r"[0-9]+", length) else None
    if first is None:
        return None
    if zone(base):
        return f"the network {text} has a zone"
    if first.version == 4 and ":" in base:
        least, most, kind = 96, 128, "a network of IPv4 addresses in IPv6 notation"
    else:
        least, most, kind = (0, 32, "an IPv4 network") if first.version == 4 else (0, 128, "an IPv6 network")
    # The length of the text first: Python refuses to read an integer of more than 4,300 digits.
    if len(length) > 3 or not least <= int(length) <= most:
        return f"{kind} has a length from {least} to {most}, not {length}"
    return None


def _network(text: str) -> Interval | None:
    base, slash, length = text.partition("/")
    first = address(base) if slash and re.fullmatch(r"[0-9]{1,3}", length) else None
    if first is None:
        return None
    bits = 32 if first.version == 4 and ":" not in base else 128
    host_bits = bits - int(length)
    # Host bits may be set: people write 10.1.2.3/8 and mean the network.
    start = first.value >> host_bits << host_bits
    return Interval(
        low=Address(version=first.version, value=start),
        high=Address(version=first.version, value=start + (1 << host_bits) - 1),
    )


_READERS: tuple[Callable[[str], Bound | None], ...] = (number, day_or_instant, address)


def bound(text: str) -> Bound | None:
    """The number, instant or address that `text` is; None where it is none of them."""
    return next((found for reader in _READERS if (found := reader(text)) is not None), None)


def interval(test: ast.Compare | ast.Range) -> Interval:
    """The values that satisfy a comparison or range."""
    if isinstance(test, ast.Range):
        return Interval(
            low=None if test.low is None else bound(test.low), high=None if test.high is None else bound(test.high)
        )
    limit = bound(test.bound)
    match test.operator:
        case ast.Operator.GREATER:
            return Interval(low=limit, high=None, low_included=False)
        case ast.Operator.GREATER_OR_EQUAL:
            return Interval(low=limit, high=None)
        case ast.Operator.LESS:
            return Interval(low=None, high=limit, high_included=False)
        case ast.Operator.LESS_OR_EQUAL:
            return Interval(low=None, high=limit)


def is_comparable(one: Bound, other: Bound) -> bool:
    """Whether the two are of one kind; addresses also of one version."""
    if isinstance(one, Address) and isinstance(other, Address):
        return one.version == other.version
    return type(one) is type(other)


def is_after(one: Bound, other: Bound) -> bool:
    """Whether `one` lies above `other`, which is of the same kind."""
    match one, other:
        case Number(), Number():
            return one.exact > other.exact
        case Instant(), Instant():
            return one.microseconds > other.microseconds
        case Address(), Address():
            return one > other
    raise TypeError(f"{one} and {other} are of different kinds")
