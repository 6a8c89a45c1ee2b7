"""What is known of each file of an attached table without reading its events: rows, times, columns, bytes."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock import errors
from penstock.lake.attached import columns, faults, footers, ledger, stores, times
from penstock.lake.attached.formats import listing

_THREADS = 8
"""Files looked at at once: most of the time is waiting, where they lie in S3."""

_STORE_AFTER = 8
"""Footers that a process reads before it stores what it learnt."""

ROW_BYTES = 16
"""Least bytes a value is said to weigh: what a string's view takes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Time:
    """Where a file has its events' time.

    Attributes:
        path: the leaf; of a constant, its name alone.
        dtype: its type.
    """

    path: columns.Path
    dtype: pl.DataType


TimeOf = Callable[[ledger.Shape], Time | None]
"""Where files of a shape have their time; None: nowhere."""


class Book:
    """ledger.Facts of files, each found out once. Safe from several threads.

    Args:
        access: how S3 is reached.
        kept: where other processes' findings are.
    """

    def __init__(self, access: stores.Access, kept: ledger.Ledger) -> None:
        self._access = access
        self._ledger = kept
        self._lock = threading.Lock()
        self._known: dict[stores.Found, ledger.Facts] = {}
        self._shapes: dict[Any, ledger.Shape] = {}

    def of(
        self, entries: Sequence[listing.Entry], time_of: TimeOf, *, by_tag: bool, is_first: bool = False
    ) -> list[ledger.Facts]:
        """The facts of files.

        Args:
            is_first: nothing was attached yet: nothing is kept, and nothing that is kept is asked.

        Raises:
            Conflict: `attached_file_changed`.
            StorageError: `attached_table_unreadable`.
        """

        def one(entry: listing.Entry) -> ledger.Facts:
            known = self._known.get(entry.file)
            return known or self._look(entry, time_of, by_tag=by_tag)

        wanted = [entry.file for entry in entries]
        if not is_first and not all(file in self._known for file in wanted):
            # Another process may have looked at these files already.
            with self._lock:
                self._known = {**self._ledger.load(wanted, self._shape_of), **self._known}
        missing = sum(file not in self._known for file in wanted)
        if not missing:
            return [self._known[file] for file in wanted]
        with concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="attached") as pool:
            found = list(pool.map(one, entries))
        with self._lock:
            # Only these: a service that runs for months would else keep those of all files there ever were.
            self._known = dict(zip(wanted, found, strict=True))
        if missing >= _STORE_AFTER and not is_first:
            self.store(self._ledger)
        return found

    def store(self, kept: ledger.Ledger) -> None:
        """Keeps what is known."""
        kept.store(self._known)

    def _look(self, entry: listing.Entry, time_of: TimeOf, *, by_tag: bool) -> ledger.Facts:
        uri = entry.file.uri
        stores.check_same(entry.file, self._access, by_tag=by_tag)
        try:
            footer = footers.read(entry.file.bytes, lambda a, b: stores.read_range(uri, a, b, self._access))
            schema = dict(scan([uri], self._access).collect_schema())
        except footers.Damaged as error:
            raise errors.StorageError(
                "attached_table_unreadable", f"{uri} cannot be read: {error}.", "Get an undamaged copy of the file."
            ) from error
        except (pl.exceptions.PolarsError, OSError) as error:
            raise faults.unreadable(uri, error) from error
        shape = self._shape(schema, footer.columns)
        return ledger.Facts(
            rows=footer.rows,
            shape=shape,
            bytes=_bytes(shape, footer),
            groups=self._groups(entry, footer, time_of(shape)),
        )

    def _shape(self, schema: Mapping[str, pl.DataType], nodes: tuple[footers.Node, ...]) -> ledger.Shape:
        with self._lock:
            return self._shape_of(schema, nodes)

    def _shape_of(self, schema: Mapping[str, pl.DataType], nodes: tuple[footers.Node, ...]) -> ledger.Shape:
        """Equal columns are one object, by which views are kept. Wants the lock."""
        key = (tuple(schema.items()), nodes)
        if key not in self._shapes:
            self._shapes[key] = ledger.Shape(schema=schema, nodes=nodes, leaves=tuple(columns.leaves(schema)))
        return self._shapes[key]

    def _groups(self, entry: listing.Entry, footer: footers.Footer, time: Time | None) -> tuple[ledger.RowGroup, ...]:
        starts = [0]
        for group in footer.groups:
            starts.append(starts[-1] + group.rows)
        # A constant goes before a column of its name, and so before that column's statistics.
        is_constant = time is not None and time.path[0] in entry.constants
        bounds = [None if is_constant else _from_statistics(footer, group, time) for group in footer.groups]
        if time is None:
            bounds = [(times.FIRST_US, times.FIRST_US)] * len(footer.groups)
        elif None in bounds:
            bounds = self._from_values(entry, time, starts)
        return tuple(
            ledger.RowGroup(start=start, end=end, first_us=both[0], last_us=both[1])
            for start, end, both in zip(starts, starts[1:], bounds, strict=False)
            if end > start and both is not None
        )

    def _from_values(self, entry: listing.Entry, time: Time, starts: Sequence[int]) -> list[tuple[int, int] | None]:
        """The first and last instant of each row group, from the column itself: its statistics do not tell."""
        moment = times.expression(columns.column(time.path), time.dtype)
        us = (pl.lit(None, pl.Int64) if moment is None else moment).fill_null(times.FIRST_US)
        try:
            rows = scan([entry.file.uri], self._access)
            for name, value in entry.constants.items():
                if name == time.path[0]:
                    rows = rows.with_columns(pl.lit(value, time.dtype).alias(name))
            # One value for each row in memory, of one file at a time and thread.
            # Not `select` at once: of a constant alone it would make one row.
            found = rows.with_columns(us.alias("us")).select("us").collect(engine="streaming").to_series()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise faults.unreadable(entry.file.uri, error) from error
        bounds: list[tuple[int, int] | None] = []
        for start, end in itertools.pairwise(starts):
            part = found.slice(start, end - start)
            bounds.append((int(part.min()), int(part.max())) if end > start else None)  # type: ignore[arg-type]
        return bounds


def scan(uris: Sequence[str], access: stores.Access, **how: Any) -> pl.LazyFrame:
    """The own columns of files that have the same, and nothing that their paths say."""
    options = access.options if stores.is_s3(uris[0]) else None
    return pl.scan_parquet(list(uris), hive_partitioning=False, glob=False, storage_options=options, **how)


def _from_statistics(footer: footers.Footer, group: footers.Group, time: Time | None) -> tuple[int, int] | None:
    if time is None or not group.rows:
        return None
    dtype = time.dtype
    if isinstance(dtype, pl.Datetime):
        # As the file has it: Polars may read it in the unit of a schema that was stored beside it.
        unit = _unit(footer.columns, time.path)
        if unit is None:
            return None
        dtype = pl.Datetime(unit)
    column = group.columns.get(footers.key_of(time.path))
    if column is None or column.least is None or column.most is None or column.nulls is None:
        return None
    both = times.bounds(column.least, column.most, dtype)
    if both is None:
        return None
    # Events without a time stand first.
    return (times.FIRST_US, both[1]) if column.nulls else both


def _unit(nodes: Sequence[footers.Node], path: Sequence[str]) -> Any:
    for node in nodes:
        if node.name == path[0]:
            return node.unit if len(path) == 1 else _unit(node.children, path[1:])
    return None


def _bytes(shape: ledger.Shape, footer: footers.Footer) -> tuple[int, ...]:
    """Uncompressed bytes of each leaf: a list's and a map's are those of all that is inside."""
    places = {leaf.path: place for place, leaf in enumerate(shape.leaves)}
    found = [ROW_BYTES * footer.rows] * len(places)
    sums = [0] * len(places)
    for group in footer.groups:
        for key, column in group.columns.items():
            path = tuple(key.split("\0"))
            for length in range(len(path), 0, -1):
                if path[:length] in places:
                    sums[places[path[:length]]] += column.bytes
                    break
    return tuple(max(least, size) for least, size in zip(found, sums, strict=True))
