"""A pinned version of an attached table, in the form in which our own tables are read.

`lake.read` tells the two apart only where it needs the order, the indexes or the footers that our own files have.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl

from penstock import errors
from penstock.base import instants
from penstock.fields import types
from penstock.lake import catalog, layout, location, snapshots
from penstock.lake.attached import columns, facts, faults, ledger, schemas, stores, times
from penstock.lake.attached.formats import listing
from penstock.lake.files import DataFile

WEIGHT_OF_JSON = 4
"""Nested values become text by way of Python's objects."""


class Fixed(catalog.Catalog):
    """The fields of files that are known as a whole."""

    def __init__(self, known: Mapping[str, catalog.Fields]) -> None:
        super().__init__(location.Disk(""))
        self._fixed = known

    def of(self, paths: Sequence[str]) -> list[catalog.Fields]:
        """The fields of the files."""
        return [self._fixed[path] for path in paths]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A file behind a snapshot.

    Attributes:
        entry: where it lies and what its version was.
        facts: rows, row groups, bytes.
        view: its columns as the table's.
    """

    entry: listing.Entry
    facts: ledger.Facts
    view: schemas.View


@dataclasses.dataclass(frozen=True, slots=True)
class SpillPlace:
    """Where `export.spilling` may put copies of events.

    Attributes:
        folder: of this machine; made when it is needed, in a folder that is there.
        most_bytes: what one export may take there.
        keep_bytes: of that disk, left free.
    """

    folder: pathlib.Path
    most_bytes: int
    keep_bytes: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attached(snapshots.Snapshot):
    """A snapshot of an attached table.

    Attributes:
        listed: what it was made from, and is kept as.
        sources: the files, by their address.
        schema: the fields and where they come from.
        access: how S3 is reached.
        spill: where slices that share row groups may be put; None: nowhere.
    """

    listed: listing.Listing = dataclasses.field(repr=False, compare=False)
    sources: Mapping[str, Source] = dataclasses.field(repr=False, compare=False)
    schema: schemas.Schema = dataclasses.field(repr=False, compare=False)
    access: stores.Access = dataclasses.field(repr=False, compare=False)
    spill: SpillPlace | None = dataclasses.field(default=None, repr=False, compare=False)

    attached: ClassVar[bool] = True

    def location(self, path: str) -> str:
        """Where a data file lies: its path is its address."""
        return path

    def check(self, files: Iterable[DataFile]) -> None:
        """Raises Conflict `attached_file_changed` where one of the files is not what it was."""
        for file in files:
            stores.check_same(self.sources[file.path].entry.file, self.access, by_tag=self.listed.by_tag)

    def explained(self, error: Exception, files: Iterable[DataFile]) -> errors.PenstockError:
        """Why a read failed: a file that is no longer the same is the reason before all others."""
        try:
            self.check(files)
        except errors.PenstockError as reason:
            return reason
        except OSError:
            pass
        return faults.unreadable("of this community", error)

    def groups(self, file: DataFile) -> Sequence[ledger.RowGroup]:
        """The row groups of a file."""
        return self.sources[file.path].facts.groups

    def row_bytes(self, file: DataFile, fields: Collection[str] | None) -> float:
        """What a row of a file weighs in these fields; None: in all."""
        source = self.sources[file.path]
        places = {leaf.path: place for place, leaf in enumerate(source.facts.shape.leaves)}
        total = facts.ROW_BYTES * max(1, file.rows)  # @timestamp and the row's number
        for name in self.schema.paths if fields is None else fields:
            leaf = source.view.leaves.get(self.schema.paths.get(name, ()))
            if leaf is not None and leaf.path in places:
                times_ = WEIGHT_OF_JSON if self.columns[name] is types.FieldType.JSON else 1
                total += times_ * source.facts.bytes[places[leaf.path]]
        return total / max(1, file.rows)

    def instants(self, file: DataFile, start: int, end: int) -> pl.Series:
        """The @timestamp of rows [start, end) of a file, in microseconds since 1970."""
        moment = self._moment(self.sources[file.path]).alias(types.TIMESTAMP)
        rows = self._rows([file], rows=(start, end)).with_columns(moment).select(types.TIMESTAMP)
        return rows.collect(engine="streaming").to_series()

    def scan(
        self,
        files: Sequence[DataFile],
        names: Collection[str],
        *,
        row_name: str | None = None,
        first_row: int = 0,
        within: tuple[int, int] | None = None,
        rows: tuple[int, int] | None = None,
        overflow_of: Collection[str] | None = None,
    ) -> pl.LazyFrame:
        """The files as one, with fields in place of columns; a field that a file lacks is null there.

        Args:
            names: fields, TIMESTAMP and OVERFLOW.
            row_name: column that numbers the rows from `first_row` on.
            within: only events of these instants, both inclusive, in microseconds since 1970.
            rows: only the rows [start, end) of the one file.
            overflow_of: fields whose misfits OVERFLOW shows; None: all.
        """
        frames = []
        for alike in self.alike(files):
            frames.append(self._one(alike, names, row_name, first_row, within, rows, overflow_of))
            first_row += sum(file.rows for file in alike)
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def alike(self, files: Sequence[DataFile]) -> list[list[DataFile]]:
        """The files, neighbours of equal columns and constants together: Polars reads those as one."""

        def kind(file: DataFile) -> tuple[int, tuple[tuple[str, Any], ...]]:
            source = self.sources[file.path]
            return id(source.view), tuple(source.entry.constants.items())

        return [list(group) for _, group in itertools.groupby(files, key=kind)]

    def _one(
        self,
        files: Sequence[DataFile],
        names: Collection[str],
        row_name: str | None,
        first_row: int,
        within: tuple[int, int] | None,
        rows: tuple[int, int] | None,
        overflow_of: Collection[str] | None,
    ) -> pl.LazyFrame:
        source = self.sources[files[0].path]
        frame = self._rows(files, row_name=row_name, first_row=first_row, rows=rows)
        if within is not None:
            frame = frame.filter(_within(source, self._moment(source), *within))
        chosen = [self._field(source, name, overflow_of).alias(name) for name in sorted(names)]
        # Not `select` at once: of constants alone it would make one row.
        return frame.with_columns(chosen).select(*([row_name] if row_name else []), *sorted(names))

    def _rows(
        self,
        files: Sequence[DataFile],
        *,
        row_name: str | None = None,
        first_row: int = 0,
        rows: tuple[int, int] | None,
    ) -> pl.LazyFrame:
        """Rows of files that are alike, with their own columns and their constants."""
        source = self.sources[files[0].path]
        uris = [file.path for file in files]
        frame = facts.scan(uris, self.access, row_index_name=row_name, row_index_offset=first_row)
        if rows is not None and rows != (0, files[0].rows):
            frame = frame.slice(rows[0], rows[1] - rows[0])
        types_ = self.listed.constants
        own = [pl.lit(v, listing.DTYPES[types_[n]]).alias(n) for n, v in source.entry.constants.items()]
        return frame.with_columns(own) if own else frame

    def _moment(self, source: Source) -> pl.Expr:
        """@timestamp in microseconds; events without a usable time stand at the first instant there is."""
        time = source.view.time
        us = None if time is None else times.expression(columns.column(time.path), time.dtype)
        return (pl.lit(None, pl.Int64) if us is None else us).fill_null(times.FIRST_US)

    def _field(self, source: Source, name: str, overflow_of: Collection[str] | None) -> pl.Expr:
        if name == types.TIMESTAMP:
            return self._moment(source).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        if name == types.OVERFLOW:
            return self._overflow(source, overflow_of)
        leaf = source.view.leaves.get(self.schema.paths[name])
        field_type = self.columns[name]
        if leaf is None:
            return pl.lit(None, layout.DTYPES[field_type])
        return columns.expression(columns.column(leaf.path), leaf.dtype, field_type)

    def _overflow(self, source: Source, overflow_of: Collection[str] | None) -> pl.Expr:
        fields = [
            (name, source.view.leaves[self.schema.paths[name]].path)
            for name in misfits(source.view, self.schema)
            if overflow_of is None or name in overflow_of
        ]
        return columns.overflow(fields) if fields else pl.lit(None, pl.String)


def misfits(view: schemas.View, schema: schemas.Schema) -> Iterator[str]:
    """The fields of files of a view that may have values in the overflow."""
    for name, path in schema.paths.items():
        leaf = view.leaves.get(path)
        if leaf is not None and columns.lives_in_overflow(leaf.dtype, schema.types[name]):
            yield name


def _within(source: Source, moment: pl.Expr, first_us: int, last_us: int) -> pl.Expr:
    """Whether an event is of the time; first in a form for which a scan can leave out row groups by statistics."""
    exact = moment.is_between(first_us, last_us)
    time = source.view.time
    if time is None or first_us <= times.FIRST_US or last_us >= times.END_US:
        return exact
    column = columns.column(time.path)
    match time.dtype:
        case pl.Datetime():
            # One tick more at both ends: instants of the column are finer or coarser than microseconds.
            second = dt.timedelta(seconds=1)
            low, high = instants.from_microseconds(first_us), instants.from_microseconds(last_us)
            if low.year < 1900 or high.year > 2200:  # nanoseconds in 64 bits end in 2262
                return exact
            zone = time.dtype.time_zone
            bounds = [
                pl.lit(one if zone else one.replace(tzinfo=None), time.dtype) for one in (low - second, high + second)
            ]
            return (column >= bounds[0]) & (column <= bounds[1]) & exact
        case _ if time.dtype.is_integer() and first_us > 0:
            return _number_within(column, first_us, last_us) & exact
    return exact


_UNITS = ((1_000_000, 1, 0, 10**11), (1_000, 1, 10**11, 10**14), (1, 1, 10**14, 10**17), (1, 1_000, 10**17, 2**63 - 1))
"""Of numbers since 1970: microseconds a tick, ticks a microsecond, the least number and the first beyond."""


def _number_within(column: pl.Expr, first_us: int, last_us: int) -> pl.Expr:
    found = pl.lit(False)
    for us, ticks, least, end in _UNITS:
        low, high = max(first_us // us * ticks, least), min((last_us // us + 1) * ticks, end)
        if low <= high:
            found = found | column.is_between(low, high)
    return found


def make(
    root: str,
    listed: listing.Listing,
    found: Sequence[ledger.Facts],
    views: schemas.Views,
    schema: schemas.Schema,
    access: stores.Access,
    spill: SpillPlace | None = None,
) -> Attached:
    """The snapshot of a listing whose files are known."""
    sources: dict[str, Source] = {}
    files: list[DataFile] = []
    fields: dict[str, catalog.Fields] = {}
    same: dict[int, catalog.Fields] = {}
    for entry, known in zip(listed.entries, found, strict=True):
        if not known.rows:
            continue
        view = views.of(known.shape)
        uri = entry.file.uri
        sources[uri] = Source(entry=entry, facts=known, view=view)
        held = same.setdefault(id(view), _fields(view, schema))
        fields[uri] = held
        files.append(
            DataFile(
                path=uri,
                rows=known.rows,
                bytes=entry.file.bytes,
                first_us=min(group.first_us for group in known.groups),
                last_us=max(group.last_us for group in known.groups),
                overflow_rows=int(bool(held.overflow)),
            )
        )
    return Attached(
        # By name only: nothing is read there.
        folder=location.Disk(root),
        version=listed.version,
        columns={types.TIMESTAMP: types.FieldType.DATE, **schema.types},
        files=tuple(files),
        catalog=Fixed(fields),
        listed=listed,
        sources=sources,
        schema=schema,
        access=access,
        spill=spill,
    )


def _fields(view: schemas.View, schema: schemas.Schema) -> catalog.Fields:
    held = {name for name, path in schema.paths.items() if path in view.leaves}
    return catalog.Fields(columns=frozenset(held | {types.TIMESTAMP}), overflow=frozenset(misfits(view, schema)))
