"""Which fields each data file holds, in columns and in the overflow: an index that names are looked up in.

The truth is in each file's own footer, written with the file. The catalog gathers it for all files of a table, in
memory and in one file `_catalog` beside them, so that a process asks one file and not a thousand. It is only a copy:
what it lacks is read from the footers, and where it is damaged or gone it is made again.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import json
import threading
import zlib
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

import polars as pl

from penstock import errors
from penstock.fields import types
from penstock.lake import layout
from penstock.lake.location import Location

NAME = "_catalog"
"""Its file in the table's folder. Readers of Delta tables leave names with `_` alone."""

_MAGIC = b"penstock-catalog-1\n"

_MOST_FORGOTTEN = 10_000
"""Files kept in memory that the newest snapshot no longer has: older snapshots may be asked for them."""

_STORE_AFTER_FOOTERS = 8
"""Footers that a process reads before it stores what it learnt: 2 to 4 milliseconds each, so others are spared that."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one data file.

    Attributes:
        columns: those with a column that has a value; the overflow is none.
        overflow: those that some event holds in its overflow.
    """

    columns: frozenset[str]
    overflow: frozenset[str]


class Catalog:
    """The fields of a table's data files. Safe from several threads and processes.

    Args:
        folder: where the table lies.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, Fields] = {}
        # Thousands of files mostly have a few sets of fields: equal ones are kept once.
        self._same: dict[Fields, Fields] = {}
        self._seen: Hashable = None
        self._footers = 0

    def of(self, paths: Sequence[str]) -> list[Fields]:
        """The fields of data files, by their paths below the table's folder.

        Reads a file's footer where nobody has done so before; and once, all of the overflow of a file that
        version 0.1 wrote.
        """
        with self._lock:
            self._learn(paths)
            if self._footers >= _STORE_AFTER_FOOTERS:
                self._write(paths)
            return [self._known[path] for path in paths]

    def counts(self, paths: Sequence[str]) -> dict[str, int]:
        """How many of the files hold each field."""
        counted: dict[str, int] = {}
        by_fields: dict[Fields, int] = {}
        for fields in self.of(paths):
            by_fields[fields] = by_fields.get(fields, 0) + 1
        for fields, number in by_fields.items():
            for name in fields.columns | fields.overflow:
                counted[name] = counted.get(name, 0) + number
        return counted

    def add(self, path: str, fields: Fields) -> None:
        """Notes the fields of a file that this process wrote."""
        with self._lock:
            self._put(path, fields)

    def forget_others(self, paths: Collection[str]) -> None:
        """Forgets all other files if there are very many of them: the footer of each still has its fields."""
        with self._lock:
            if len(self._known) > len(paths) + _MOST_FORGOTTEN:
                self._keep_only({path: self._known[path] for path in paths if path in self._known})

    def store(self, paths: Sequence[str]) -> None:
        """Writes the catalog of these files, in place of the one there; never raises for want of room or rights."""
        with self._lock:
            self._learn(paths)
            self._write(paths)

    def _learn(self, paths: Sequence[str]) -> None:
        """Makes the fields of all these files known."""
        missing = [path for path in paths if path not in self._known]
        # The stored catalog first: another process may have read these footers already.
        if missing and self._load():
            missing = [path for path in missing if path not in self._known]
        self._folder.fetch_footers(missing)
        for path in missing:
            # Outside of any commit: a footer is written with its file and never changes.
            self._put(path, read_fields(self._folder, path))
        self._footers += len(missing)

    def _write(self, paths: Sequence[str]) -> None:
        known = {path: self._known[path] for path in paths}
        # It can be made again. So it need not be durable: one that a power cut damages fails its checksum.
        with contextlib.suppress(OSError, errors.StorageError):
            self._folder.write(NAME, _pack(known), durable=False)
        # Files that no snapshot has any more are forgotten here; else a service that runs for months would keep them
        # all.
        self._seen, self._footers = self._folder.state(NAME), 0
        self._keep_only(known)

    def _keep_only(self, known: dict[str, Fields]) -> None:
        self._known, self._same = known, {fields: fields for fields in known.values()}

    def _put(self, path: str, fields: Fields) -> None:
        self._known[path] = self._same.setdefault(fields, fields)

    def _load(self) -> bool:
        """Takes over the stored catalog unless this very one was taken over before."""
        state = self._folder.state(NAME)
        if state is None or state == self._seen:
            return False
        self._seen = state
        try:
            stored = _unpack(self._folder.read(NAME))
        except (OSError, ValueError, KeyError, IndexError, zlib.error):
            return False
        for path, fields in stored.items():
            if path not in self._known:
                self._put(path, fields)
        return True


def read_fields(folder: Location, path: str) -> Fields:
    """The fields of a data file, from its footer; of a file of version 0.1, whose footer lacks them, from its rows."""
    footer = folder.footer(path)
    columns = frozenset(pl.read_parquet_schema(footer))
    names = layout.read_overflow_names(footer)
    if names is None and types.OVERFLOW in columns:
        with folder.hold([path]):
            names = layout.overflow_names(pl.read_parquet(folder.local(path), columns=[types.OVERFLOW]).to_series())
    return Fields(columns=columns - {types.OVERFLOW}, overflow=names or frozenset())


def _pack(known: Mapping[str, Fields]) -> bytes:
    """The catalog as bytes: a header, then for each set of fields the numbers of its names."""
    numbers: dict[str, int] = {}
    sets: dict[Fields, int] = {}
    content = array.array("I")
    sizes: list[tuple[int, int]] = []
    for fields in known.values():
        if fields not in sets:
            sets[fields] = len(sets)
            sizes.append((len(fields.columns), len(fields.overflow)))
            for name in (*fields.columns, *fields.overflow):
                content.append(numbers.setdefault(name, len(numbers)))
    header = {"names": list(numbers), "sets": sizes, "files": {path: sets[fields] for path, fields in known.items()}}
    packed = json.dumps(header, separators=(",", ":")).encode()
    body = len(packed).to_bytes(8, "little") + packed + content.tobytes()
    # A checksum against damage, not against people: whoever can write here can write events as well.
    return _MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def _unpack(stored: bytes) -> dict[str, Fields]:
    """What `_pack` packed; ValueError where it is damaged."""
    start = len(_MAGIC) + 4
    body = memoryview(stored)[start:]
    if stored[: len(_MAGIC)] != _MAGIC or zlib.crc32(body).to_bytes(4, "little") != stored[len(_MAGIC) : start]:
        raise ValueError("not a catalog, or a damaged one")
    length = int.from_bytes(body[:8], "little")
    header = json.loads(bytes(body[8 : 8 + length]))
    content = array.array("I")
    content.frombytes(bytes(body[8 + length :]))
    names: list[str] = header["names"]
    sets: list[Fields] = []
    at = 0
    for columns, overflow in header["sets"]:
        sets.append(
            Fields(_named(names, content[at : at + columns]), _named(names, content[at + columns :][:overflow]))
        )
        at += columns + overflow
    return {path: sets[number] for path, number in header["files"].items()}


def _named(names: Sequence[str], numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(names[number] for number in numbers)
