"""What the keys of values are: the specification of kernels/bloom, in plain Python and with the same names.

It also stands in where the kernel is not compiled, a hundred times slower.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from penstock.fields import values

VALUES, WORDS, JSON, OVERFLOW, LONGS, DOUBLES = range(6)
BLOCK_BYTES = 32

_MASK = 2**64 - 1
_PREFIX_SALT, _ADDRESS6_SALT, _NUMBER_SALT, _CHAIN_SALT = 0x70726566, 0x76366B65, 0x6E756D, 0x6772616D
_BIT_SALTS = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)
_LONGEST_ADDRESS = 45
_OCTET = re.compile("0|[1-9][0-9]{0,2}")
_DOTTED = re.compile(rf"(?:{_OCTET.pattern})(?:\.(?:{_OCTET.pattern})){{3}}")


def value_key(text: bytes) -> int:
    """The key of a string as a whole, or of a folded word."""
    return _hash(text) or 1


def number_key(value: float) -> int:
    """The key of a number: of its digits where it is whole and a double can say so exactly."""
    if abs(value) < 2**53 and value == int(value):
        return value_key(str(int(value)).encode())
    return _mix(_hash(struct.pack("<d", value)) ^ _NUMBER_SALT) or 1


def long_key(value: int) -> int:
    """The key of an integer; that of `number_key`."""
    return number_key(float(value))


def prefix_key(prefix: bytes, version: int) -> int:
    """The key of all addresses that begin with these bytes: 1 to 3 of version 4; 4, 6 or 8 of version 6."""
    return _mix(_hash(prefix) ^ _PREFIX_SALT ^ version << 32) or 1


def address6_key(address: bytes) -> int:
    """The key of an IPv6 address (16 bytes) in any spelling."""
    return _mix(_hash(address) ^ _ADDRESS6_SALT) or 1


def chain_key(one: int, two: int, three: int, four: int) -> int:
    """The key of four words that are octets, side by side; from the words' keys."""
    chain = _CHAIN_SALT
    # The place is added, so that the same words in another order are another key.
    for place, key in enumerate((one, two, three, four)):
        chain = (_fold_product(chain ^ key, 0xE7037ED1A0B428DB) + place) & _MASK
    return _mix(chain) or 1


def field_key(key: int, salt: int) -> int:
    """The key of a value in one field; `salt` is the `value_key` of the field's name."""
    return _mix(key ^ salt) or 1


class Keys:
    """The distinct keys of one row group.

    Args:
        fold: for each code point 0 (no part of a word) or its folded code point.
        few: columns of at most so many distinct keys get field keys.
    """

    def __init__(self, fold: Sequence[int], few: int) -> None:
        self._fold = fold
        self._few = few
        self._found: set[int] = set()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, series: pl.Series, kind: int, salt: int) -> bool:
        """Adds the keys of a column. True if it has field keys, too: its values are few, or it is the overflow."""
        held = series.drop_nulls().to_list()
        if isinstance(series.dtype, pl.List):
            held = [item for items in held for item in items if item is not None]
        if kind == WORDS:
            for text in held:
                self._found.update(self._words(text))
            return False
        if kind == OVERFLOW:
            for text in held:
                self._overflow(values.loads(text))
            return True
        keys = {key for value in held for key in _keys_of(kind, value)}
        self._found |= keys
        self._found |= {prefix for value in held for text in _strings(kind, value) for prefix in _prefixes(text)}
        is_few = kind != JSON and len(keys) <= self._few
        if is_few:
            self._found |= {field_key(key, salt) for key in keys}
        return is_few

    def export(self) -> bytes:
        """The keys as native 64-bit integers, in no order."""
        return struct.pack(f"={len(self._found)}Q", *self._found)

    def _words(self, text: str) -> Iterable[int]:
        folded = "".join(chr(point) if (point := int(self._fold[ord(c)])) else " " for c in text)
        words = folded.split(" ")
        words = [word for word in words if word]
        keys = [value_key(_bytes(word)) for word in words]
        yield from keys
        for at in range(len(words) - 3):
            if all(_OCTET.fullmatch(word) and int(word) < 256 for word in words[at : at + 4]):
                yield chain_key(*keys[at : at + 4])

    def _overflow(self, members: dict[str, Any]) -> None:
        for name, value in members.items():
            salt = value_key(_bytes(name))
            for scalar in _scalars(value):
                keys = set(_scalar_keys(scalar))
                self._found |= keys | {field_key(key, salt) for key in keys}
                if _is_string(scalar):
                    self._found.update(_prefixes(scalar))
                    self._found.update(self._words(scalar))


def filter_add(filter: bytearray, blocks: int, groups: int, group: int, keys: Iterable[int]) -> None:
    """Sets the bits of one row group's keys; `filter` has `blocks` x `groups` blocks."""
    for key in map(int, keys):
        start = ((key >> 32) * blocks >> 32) * groups + group
        for place, bit in enumerate(_bits(key)):
            filter[start * BLOCK_BYTES + 4 * place + bit // 8] |= 1 << bit % 8


def block_has(block: bytes, key: int) -> bool:
    """Whether a block of a filter may hold the key."""
    return all(block[4 * place + bit // 8] >> bit % 8 & 1 for place, bit in enumerate(_bits(key)))


def _bits(key: int) -> list[int]:
    return [((key & 0xFFFFFFFF) * salt & 0xFFFFFFFF) >> 27 for salt in _BIT_SALTS]


def _fold_product(a: int, b: int) -> int:
    product = a * b
    return (product ^ product >> 64) & _MASK


def _mix(h: int) -> int:
    return _fold_product(h ^ 0x9E3779B97F4A7C15, 0xE7037ED1A0B428DB)


def _hash(text: bytes) -> int:
    h, at = 0x8EBC6AF09C88C6E3 ^ len(text), 0
    while len(text) - at > 8:
        h = _fold_product(h ^ int.from_bytes(text[at : at + 8], "little"), 0xA0761D6478BD642F)
        at += 8
    return _mix(_fold_product(h ^ int.from_bytes(text[at:], "little"), 0x589965CC75374CC3))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _scalars(value: Any) -> Iterable[Any]:
    """Strings and numbers in a JSON value, at any depth; names are none."""
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _scalars(item)
    elif value is not None and not isinstance(value, bool):
        yield value


def _is_string(scalar: Any) -> bool:
    return isinstance(scalar, str) and not isinstance(scalar, values.Number)


def _strings(kind: int, value: Any) -> Iterable[str]:
    if kind == JSON:
        return (scalar for scalar in _scalars(values.loads(value)) if _is_string(scalar))
    return (value,) if kind == VALUES else ()


def _keys_of(kind: int, value: Any) -> Iterable[int]:
    if kind != JSON:
        return _scalar_keys(value)
    return (key for scalar in _scalars(values.loads(value)) for key in _scalar_keys(scalar))


def _scalar_keys(scalar: Any) -> Iterable[int]:
    """The keys of a value as a whole, also in the spellings that equal it."""
    if not _is_string(scalar):
        yield number_key(_double(scalar))
        return
    yield value_key(_bytes(scalar))
    if (address := _address(scalar)) is not None and len(address) == 16:
        yield address6_key(address)
        if (dotted := ipaddress.IPv6Address(address).ipv4_mapped) is not None:
            yield value_key(str(dotted).encode())


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer beyond the greatest double
        return float("inf") if number > 0 else float("-inf")


def _prefixes(text: str) -> Iterable[int]:
    address = _address(text)
    if address is None:
        return
    if len(address) == 16:
        yield from (prefix_key(address[:length], 6) for length in (4, 6, 8))
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
        address = b"" if mapped is None else mapped.packed
    if address:
        yield from (prefix_key(address[:length], 4) for length in (1, 2, 3))


def _address(text: str) -> bytes | None:
    """The bytes of an address; the zone of an IPv6 one is left out."""
    base, percent, _ = text.partition("%")
    if len(_bytes(base)) > _LONGEST_ADDRESS or (":" not in base and (percent or not _DOTTED.fullmatch(base))):
        return None
    try:
        return ipaddress.ip_address(base).packed
    except ValueError:
        return None
