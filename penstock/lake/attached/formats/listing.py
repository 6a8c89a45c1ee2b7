"""What a version of an attached table consists of: its files, and what its own schema and folders say of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock.lake.attached import stores

DTYPES: Mapping[str, pl.DataType] = {
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "text": pl.String(),
    "date": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
}
"""Types of constants, as a kept snapshot names them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file of the table.

    Attributes:
        file: where it lies, how large it is, its tag.
        constants: columns that have one value in all of the file, by the folders or the log; null is one.
    """

    file: stores.Found
    constants: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A column as the table's own schema has it.

    Attributes:
        name: of the column, or of a member.
        members: of a struct; empty for all else.
        field_id: the id by which files have it; None: they have it by its name.
        names: what it is called in files without ids.
        inner: of a list or a map, the ids of what is inside, and the names.
        is_held: whether every file must have it, since what its values are is said elsewhere otherwise.
    """

    name: str
    members: tuple[Named, ...]
    field_id: int | None = None
    names: tuple[str, ...] = ()
    inner: Mapping[int, str] = dataclasses.field(default_factory=dict)
    is_held: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A version.

    Attributes:
        version: the table's own number of it; of a plain folder, a number that other files would not give.
        entries: its files, by their names.
        by_tag: whether a file of the same size may still be another: then its tag is looked at.
        constants: types of the constants, as in `DTYPES`.
        columns: the table's own schema; None where it has none, and the files' columns are the table's.
    """

    version: int
    entries: tuple[Entry, ...]
    by_tag: bool
    constants: Mapping[str, str]
    columns: tuple[Named, ...] | None

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "version": self.version,
            "by_tag": self.by_tag,
            "constants": dict(self.constants),
            "columns": None if self.columns is None else [_as_json(column) for column in self.columns],
            "entries": [
                [one.file.uri, one.file.bytes, one.file.tag, {name: _stored(v) for name, v in one.constants.items()}]
                for one in self.entries
            ],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Listing:
        """What `as_json` gave. Raises ValueError, KeyError, TypeError."""
        types = stored["constants"]
        return cls(
            version=stored["version"],
            by_tag=stored["by_tag"],
            constants=types,
            columns=None if stored["columns"] is None else tuple(map(_from_json, stored["columns"])),
            entries=tuple(
                Entry(
                    file=stores.Found(uri, size, tag),
                    constants={name: _read(value, types[name]) for name, value in constants.items()},
                )
                for uri, size, tag, constants in stored["entries"]
            ),
        )


def constant(value: Any) -> tuple[str, Any]:
    """The type of a constant and its value as that type has it. Decimals and bytes are texts."""
    match value:
        case bool():
            return "boolean", value
        case int():
            return ("long", value) if -(2**63) <= value < 2**63 else ("text", str(value))
        case float():
            return "double", value
        case dt.datetime():
            return "instant", value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        case dt.date():
            return "date", value
        case decimal.Decimal():
            return "text", format(value, "f")
        case bytes():
            return "text", value.hex()
    return "text", str(value)


def common_types(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The types of the constants of all files, and the constants of each in them.

    Where files differ in a constant's type, it is text. A column that a file lacks is null there.
    """
    types: dict[str, str] = {}
    for name in dict.fromkeys(name for one in entries for name in one):
        found = {constant(one[name])[0] for one in entries if one.get(name) is not None}
        types[name] = found.pop() if len(found) == 1 else "text"

    def settled(name: str, value: Any) -> Any:
        if value is None:
            return None
        kind, plain = constant(value)
        return plain if kind == types[name] else str(value)

    return types, [{name: settled(name, one.get(name)) for name in types} for one in entries]


def hive_constants(paths: Iterable[str]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The columns that the folders of a table's files name, with their types.

    A column is of integers if all of its values are, written as integers are: `007` is text, since a number would
    lose its zeros.
    """
    found = [stores.hive_values(path) for path in paths]
    names = dict.fromkeys(name for one in found for name in one)
    whole = {name: all(_is_whole(one[name]) for one in found if one.get(name) is not None) for name in names}
    return common_types(
        [{name: int(text) if whole[name] and text is not None else text for name, text in one.items()} for one in found]
    )


def _is_whole(text: str | None) -> bool:
    try:
        return text is not None and len(text) <= 19 and str(int(text)) == text and abs(int(text)) < 2**63
    except ValueError:
        return False


def _as_json(column: Named) -> dict[str, Any]:
    return {
        "name": column.name,
        "members": [_as_json(member) for member in column.members],
        "field_id": column.field_id,
        "names": list(column.names),
        "inner": {str(number): name for number, name in column.inner.items()},
        "is_held": column.is_held,
    }


def _from_json(stored: Mapping[str, Any]) -> Named:
    return Named(
        name=stored["name"],
        members=tuple(map(_from_json, stored["members"])),
        field_id=stored["field_id"],
        names=tuple(stored["names"]),
        inner={int(number): name for number, name in stored["inner"].items()},
        is_held=stored["is_held"],
    )


def _stored(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


def _read(value: Any, kind: str) -> Any:
    if value is None or kind not in ("date", "instant"):
        return value
    return dt.date.fromisoformat(value) if kind == "date" else dt.datetime.fromisoformat(value)
