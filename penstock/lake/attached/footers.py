"""What a Parquet footer says that Polars does not tell: row groups, their times and bytes, ids of columns.

Parquet's footer is Thrift in its compact protocol; all of it that is needed are structs, lists and numbers.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

MAGIC = b"PAR1"
_TAIL_BYTES = 65_536
"""Read at first; most footers are smaller."""

_MOST_FOOTER_BYTES = 256 * 1024 * 1024
_INT32, _INT64 = 1, 2
_MOST_DEPTH = 64


class Damaged(ValueError):
    """The bytes are no Parquet footer."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A column of the file, or a part of one.

    Attributes:
        name: its own.
        field_id: the id that its writer gave it (Iceberg, Delta); None without.
        unit: of a column of instants in 64 bits, `ms`, `us` or `ns`; else None.
        children: of a struct, a list or a map.
    """

    name: str
    field_id: int | None
    unit: str | None
    children: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A leaf column in one row group.

    Attributes:
        bytes: uncompressed.
        least, most: statistics of a column of integers; None where there are none.
        nulls: how many; None where nobody says.
    """

    bytes: int
    least: int | None
    most: int | None
    nulls: int | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A row group.

    Attributes:
        rows: in it.
        columns: leaf columns by their path, joined by a null character.
    """

    rows: int
    columns: dict[str, Column]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Footer:
    """A file's footer.

    Attributes:
        rows: of the file.
        columns: the top-level columns.
        groups: in order.
    """

    rows: int
    columns: tuple[Node, ...]
    groups: tuple[Group, ...]


def key_of(path: Sequence[str]) -> str:
    """How `Group.columns` names a leaf."""
    return "\0".join(path)


def read(size: int, read_range: Callable[[int, int], bytes]) -> Footer:
    """The footer of a file of so many bytes.

    Args:
        read_range: gives the bytes [start, end).

    Raises:
        Damaged: the file is no Parquet file, or encrypted.
    """
    tail = read_range(max(0, size - _TAIL_BYTES), size)
    if size < 12 or tail[-4:] != MAGIC:
        raise Damaged("it is encrypted" if tail[-4:] == b"PARE" else "it is no Parquet file")
    length = int.from_bytes(tail[-8:-4], "little")
    if length + 12 > size or length > _MOST_FOOTER_BYTES:
        raise Damaged("its footer is longer than the file")
    packed = tail[-8 - length : -8] if length + 8 <= len(tail) else read_range(size - 8 - length, size - 8)
    try:
        found = _Reader(packed).struct()
        elements = iter(found[2])
        root = next(elements)
        return Footer(
            rows=found[3],
            columns=tuple(_node(elements, 0) for _ in range(root.get(5, 0))),
            groups=tuple(_group(each) for each in found.get(4, [])),
        )
    except (IndexError, KeyError, TypeError, StopIteration, RuntimeError, UnicodeDecodeError, struct.error) as error:
        raise Damaged(f"its footer is damaged ({type(error).__name__})") from error


def _node(elements: Iterator[dict[int, Any]], depth: int) -> Node:
    if depth > _MOST_DEPTH:
        raise Damaged("its columns nest too deep")
    element = next(elements)
    children = tuple(_node(elements, depth + 1) for _ in range(element.get(5, 0)))
    return Node(name=element[4].decode(), field_id=element.get(9), unit=_unit(element), children=children)


def _unit(element: dict[int, Any]) -> str | None:
    """What the column itself says, by its logical type or by the older converted type."""
    if element.get(1) != _INT64:
        return None
    logical = element.get(10, {}).get(8, {}).get(2, {})
    new = next((unit for number, unit in ((1, "ms"), (2, "us"), (3, "ns")) if number in logical), None)
    return new or {9: "ms", 10: "us"}.get(element.get(6, -1))


def _group(found: dict[int, Any]) -> Group:
    columns = {}
    for chunk in found[1]:
        about = chunk[3]
        path = "\0".join(part.decode() for part in about[3])
        columns[path] = _column(about)
    return Group(rows=found[3], columns=columns)


def _column(about: dict[int, Any]) -> Column:
    stats = about.get(12, {})
    least = most = None
    code = {_INT32: "<i", _INT64: "<q"}.get(about[1])
    # The old pair (1, 2) was written with all kinds of orders; only the new one (5, 6) is said to be right.
    if code is not None and 5 in stats and 6 in stats and len(stats[5]) == len(stats[6]) == struct.calcsize(code):
        (least,), (most,) = struct.unpack(code, stats[6]), struct.unpack(code, stats[5])
    return Column(bytes=about[6], least=least, most=most, nulls=stats.get(3))


class _Reader:
    """Thrift's compact protocol: a struct as a dict by field numbers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _MOST_DEPTH:
            raise Damaged("its footer nests too deep")
        found: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            found[number] = self._value(head & 0x0F, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2:
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                return self._take(8)
            case 8:
                return self._take(self._varint())
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.struct(depth + 1)
        raise Damaged(f"its footer has a value of the unknown kind {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 != 15 else self._varint()
        if length > len(self._data):
            raise Damaged("its footer has a list longer than itself")
        kind = head & 0x0F
        # Booleans in a list are a byte each, unlike those of a struct.
        return [self._byte() == 1 if kind in (1, 2) else self._value(kind, depth) for _ in range(length)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) < length:
            raise Damaged("its footer is cut off")
        self._at += length
        return taken

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
