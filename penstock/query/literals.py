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
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?)?"
)
_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_LONGEST_NUMBER = 400
DAY_MICROSECONDS = 86_400_000_000
MAPPED_PREFIXES = ("::ffff:", "::FFFF:")
"""What dual-stack sockets write before an IPv4 address; such an address counts as IPv4."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number.

    Attributes:
        exact: what integers compare with: an int where the number is whole and a double can be as large.
        double: what all other numbers compare with; may be infinite.
    """

    exact: int | float
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

    def holds_number(self, value: float) -> bool:
        """Whether a number lies inside. An int compares exactly, a float as doubles do."""
        if self.kind is not Number:
            return False
        low, high = (_limit(bound, value) for bound in (self.low, self.high))
        return self._holds(value, low, high)

    def holds_text(self, text: str) -> bool:
        """Whether a string lies inside: as a number, an instant or an address, after the kind of the bounds."""
        if self.kind is Number:
            return _NUMBER.fullmatch(text) is not None and self.holds_number(float(text))
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


def _limit(bound: Bound | None, value: float) -> float | None:
    if not isinstance(bound, Number):
        return None
    return bound.exact if isinstance(value, int) else bound.double


def _microseconds(bound: Bound | None) -> int | None:
    return bound.microseconds if isinstance(bound, Instant) else None


def number(text: str) -> Number | None:
    """The number that `text` is, if it is one."""
    if not _NUMBER.fullmatch(text):
        return None
    double = float(text)
    if len(text) > _LONGEST_NUMBER or double == 0 or math.isinf(double):
        return Number(exact=double, double=double)
    written = decimal.Decimal(text)
    whole = int(written)
    return Number(exact=whole if whole == written else double, double=double)


def day_or_instant(text: str) -> Instant | None:
    """The point in time that `text` is, if it is one: RFC 3339, seconds and offset optional (UTC), or a date."""
    found = _INSTANT.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = found.groups()
    try:
        local = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    microseconds = (local - _EPOCH) // _MICROSECOND + int((fraction or "")[:6].ljust(6, "0"))
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            return None
        away = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000_000
        microseconds += away if sign == "-" else -away
    return Instant(microseconds=microseconds, is_day=hour is None)


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
    """The address that `text` is, if it is one. `::ffff:1.2.3.4` is 1.2.3.4; zones (`%eth0`) are no part of one."""
    try:
        if ":" not in text:
            return Address(version=4, value=int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big"))
        if text.startswith(MAPPED_PREFIXES) and "." in text:
            return address(text[7:])
        return Address(version=6, value=int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big"))
    except (OSError, ValueError):
        return None


def network(text: str) -> Interval | None:
    """The addresses of a network in CIDR notation, if `text` is one; bits of the host may be set."""
    base, slash, length = text.partition("/")
    first = address(base) if slash else None
    if first is None or not re.fullmatch(r"[0-9]{1,3}", length):
        return None
    bits = 32 if first.version == 4 else 128
    host_bits = bits - int(length)
    if host_bits < 0:
        return None
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
