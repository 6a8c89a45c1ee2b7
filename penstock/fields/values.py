"""Exact JSON values: reading, writing, and which column holds which value without changing it."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import ipaddress
import json
import json.encoder
import re
from collections.abc import Callable, Iterable
from typing import Any

from penstock.fields import refused, types

MAX_INTEGER_DIGITS = 640
"""A longer integer is kept as a `Number`: Python may refuse to convert it (640 is the least limit it can be given)."""

_LONG = range(-(2**63), 2**63)
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_FIRST_US = (1 - _EPOCH_DAY) * _DAY_US
_END_US = (dt.date.max.toordinal() + 1 - _EPOCH_DAY) * _DAY_US

_SPACES = re.compile("[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CANONICAL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.(?:[0-9]{3}){1,2})?Z")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")


# A subclass of str, so that it costs nothing until somebody asks; `type(x) is str` tells strings from it everywhere.
class Number(str):
    """A JSON number whose token Python would not write again exactly (`1.0E3`, `-0`, `0.10`): the token itself.

    Equal only to a Number of the same token, never to a string.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Number and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Number, str(self)))

    def __repr__(self) -> str:
        return f"Number({str.__repr__(self)})"


def loads(text: str | bytes) -> Any:
    """The exact JSON value of a text (docs/design.md §12).

    An integer with canonical digits is `int` (up to `MAX_INTEGER_DIGITS`), a number whose token equals `repr(float)`
    is `float`, any other number is `Number`.

    Raises:
        EventRefused: `invalid_utf8`; `invalid_json` (with line and column); `invalid_number` (NaN, Infinity);
            `duplicate_name` (twice the same name in one object); `too_deep`.
    """
    return _decoded(text, _DECODER.decode)


def load_all(text: str | bytes) -> list[Any]:
    """The JSON values of a text that holds one, or several objects with nothing or spaces between them.

    Raises what `loads` raises.
    """
    found: list[Any] = _decoded(text, _values)
    return found


def _values(text: str) -> list[Any]:
    found: list[Any] = []
    at = _SPACES.match(text, 0).end()  # type: ignore[union-attr]  # it always matches
    # `not found`: an empty text must reach the decoder, which says what is wrong with it.
    while not found or at < len(text):
        # Only objects may follow without a separator (Firehose writes so): `1 2` or `{} ]` is a broken line.
        if found and text[at] != "{":
            raise json.JSONDecodeError("Extra data", text, at)
        value, at = _DECODER.raw_decode(text, at)
        found.append(value)
        at = _SPACES.match(text, at).end()  # type: ignore[union-attr]
    return found


def _decoded(text: str | bytes, decode: Callable[[str], Any]) -> Any:
    try:
        return decode(text if isinstance(text, str) else text.decode())
    except json.JSONDecodeError as error:
        detail = f"not valid JSON: {error.msg} at column {error.colno}"
        raise refused.EventRefused("invalid_json", detail) from error
    except UnicodeDecodeError as error:
        detail = f"not valid UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise refused.EventRefused("invalid_utf8", detail) from error
    except RecursionError as error:
        raise refused.EventRefused("too_deep", "objects and lists nest too deep to be read") from error


def _integer(digits: str) -> int | Number:
    # `int("-0")` is 0, and the sign would be lost.
    return Number(digits) if digits == "-0" or len(digits) > MAX_INTEGER_DIGITS else int(digits)


def _float(token: str) -> float | Number:
    value = float(token)
    # `1.0` and `1e+16` come back as they came; `0.10` or `1E5` would be written in another way.
    return value if repr(value) == token else Number(token)


def _constant(token: str) -> Any:
    raise refused.EventRefused("invalid_number", f"{token} is no JSON number")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    # JSON leaves the meaning of a repeated name open (RFC 8259 §4); to keep one value would lose the other.
    if len(value) != len(members):
        counts = collections.Counter(name for name, _ in members)
        name = next(name for name, count in counts.items() if count > 1)
        raise refused.EventRefused("duplicate_name", f"the name {name!r} comes twice in one object")
    return value


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object)


def dumps(value: Any) -> str:
    """Compact JSON text of a value that `loads` gave, or one made of the same types.

    `loads(dumps(v)) == v`. UTF-8 is left unescaped except for what JSON requires, in Python's form (`\\n`, `\\u001f`);
    a lone surrogate, which UTF-8 cannot hold, becomes its escape.

    Raises:
        TypeError: a type JSON does not have. ValueError: NaN or an infinity.
    """
    text = _write(value)
    # Half of a pair may stand alone in JSON as `\ud800`; UTF-8 cannot hold it, so it leaves as the same escape.
    return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _write(value: Any) -> str:
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return writer(value)


def _write_float(value: float) -> str:
    # True for infinities and NaN, without a call.
    if value - value != 0:
        raise ValueError(f"{value} is no JSON number")
    return repr(value)


def _write_object(value: dict[str, Any]) -> str:
    members = [f"{_string(name)}:{_write(member)}" for name, member in value.items()]
    return f"{{{','.join(members)}}}"


# The encoder of `ensure_ascii=False`, called directly: `json.dumps` builds an encoder at each call.
_string = json.encoder.encode_basestring
_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _string,
    Number: str,
    int: repr,
    float: _write_float,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
    list: lambda value: f"[{','.join(map(_write, value))}]",
    dict: _write_object,
}


def fits(field_type: types.FieldType, value: Any) -> bool:
    """Whether a column of this type renders back the very JSON that `value` came as."""
    kind = type(value)
    match field_type:
        case types.FieldType.KEYWORD | types.FieldType.TEXT | types.FieldType.IP:
            return kind is str and is_unicode(value)
        case types.FieldType.LONG:
            return kind is int and value in _LONG
        case types.FieldType.DOUBLE:
            # Never an int, though a double could hold it: it would come back as `1.0`.
            return kind is float
        case types.FieldType.BOOLEAN:
            return kind is bool
        case types.FieldType.DATE:
            return kind is str and is_canonical_date(value)
        case types.FieldType.KEYWORD_LIST:
            return kind is list and all(type(item) is str and is_unicode(item) for item in value)
        case types.FieldType.JSON:
            return True


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold the text: it has no lone surrogate."""
    return text.isascii() or _SURROGATE.search(text) is None


def is_canonical_date(text: str) -> bool:
    """Whether the text is the one form of an instant that a date column renders."""
    if _CANONICAL_DATE.fullmatch(text) is None:
        return False
    instant = parse_timestamp(text)
    return instant is not None and render_timestamp(instant) == text


def infer(values: Iterable[Any]) -> types.FieldType:
    """The type that holds most of the values; of equals, the one that comes first in FieldType; `null` has no vote.

    A string votes for date (canonical), ip or keyword; text is never inferred. No votes at all: keyword.
    """
    votes = collections.Counter(_narrowest(value) for value in values if value is not None)
    # `max` gives the first of equals, so the order of FieldType decides.
    return max(types.FieldType, key=lambda field_type: votes[field_type])


def _narrowest(value: Any) -> types.FieldType:
    kind = type(value)
    if kind is str:
        # The last character first: nearly all strings end here.
        if value[-1:] == "Z" and is_canonical_date(value):
            return types.FieldType.DATE
        return types.FieldType.IP if _is_address(value) else types.FieldType.KEYWORD
    for field_type in (
        types.FieldType.BOOLEAN,
        types.FieldType.LONG,
        types.FieldType.DOUBLE,
        types.FieldType.KEYWORD_LIST,
    ):
        if fits(field_type, value):
            return field_type
    return types.FieldType.JSON


def _is_address(text: str) -> bool:
    if _ADDRESS.fullmatch(text) is None:
        return False
    try:
        # Behind the regular expression, which keeps most strings from this dear call.
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def render_timestamp(us: int) -> str:
    """RFC 3339 in UTC of microseconds since 1970, with the shortest of 0, 3 or 6 fraction digits and `Z`.

    Raises:
        ValueError: outside the years 0001 to 9999.
    """
    day, rest = divmod(us, _DAY_US)
    second, fraction = divmod(rest, 1_000_000)
    date = dt.date.fromordinal(day + _EPOCH_DAY).isoformat()
    clock = f"{date}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    if not fraction:
        return clock + "Z"
    return f"{clock}.{fraction:06}Z" if fraction % 1000 else f"{clock}.{fraction // 1000:03}Z"


def parse_timestamp(value: Any) -> int | None:
    """Microseconds since 1970 of what an event may have as its time; None if it is no usable time.

    Strings: RFC 3339 with `T`, `t` or a space, `Z` or an offset (with or without its colon); without an offset, UTC.
    Digits past the sixth are cut off; second 60 is the first of the next minute. Numbers: time since 1970 in seconds
    below 1e11, milliseconds below 1e14, microseconds below 1e17, nanoseconds below 1e20 (by size, sign aside), so
    that each unit reaches the year 5138. Outside the years 0001 to 9999: None.
    """
    if type(value) is str:
        us = _parse_text(value)
    elif type(value) in (int, float, Number):
        us = _parse_number(value)
    else:
        return None
    return us if us is not None and _FIRST_US <= us < _END_US else None


def _parse_text(text: str) -> int | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return None
    offset_minutes = 0
    if sign:
        if int(offset_hour) > 23 or int(offset_minute) > 59:
            return None
        offset_minutes = int(sign + "1") * (int(offset_hour) * 60 + int(offset_minute))
    try:
        days = dt.date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    seconds = days * 86_400 + int(hour) * 3600 + (int(minute) - offset_minutes) * 60 + int(second)
    return seconds * 1_000_000 + (int(fraction[:6].ljust(6, "0")) if fraction else 0)


def _parse_number(value: Any) -> int | None:
    try:
        number = decimal.Decimal(value if type(value) is int else str(value))
    except decimal.InvalidOperation:  # an exponent beyond all bounds
        return None
    if not number.is_finite():
        return None
    # By size alone: 1e11 is the year 5138 in seconds and 1973 in milliseconds, so that times of real events are told
    # apart.
    for exponent, power in ((11, 6), (14, 3), (17, 0), (20, -3)):
        if number.adjusted() < exponent:
            return int(number.scaleb(power, _WIDE).to_integral_value(decimal.ROUND_FLOOR))
    return None


_WIDE = decimal.Context(prec=2000, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX, rounding=decimal.ROUND_FLOOR)
