"""Snapshots: what one version of a table holds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeGuard

import deltalake
import polars as pl

from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import layout
from penstock.lake.catalog import Catalog, Fields
from penstock.lake.files import DataFile
from penstock.lake.location import Location

if TYPE_CHECKING:  # it loads all that reads others' tables, which most lakes have none of
    from penstock.lake.attached.snapshots import Attached


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One pinned version of a table; readable until its files are vacuumed.

    Attributes:
        folder: where the table lies.
        version: Delta version.
        columns: type of every column, reserved ones left out.
        files: data files in file order, which is the order in which they came in.
        catalog: the fields of data files, shared by all snapshots of the table.
    """

    folder: Location
    version: int
    columns: Mapping[str, FieldType]
    files: tuple[DataFile, ...]
    catalog: Catalog = dataclasses.field(repr=False, compare=False)

    attached: ClassVar[bool] = False

    @property
    def root(self) -> str:
        """The table's folder, for people; it tells one table from another."""
        return self.folder.root

    def location(self, path: str) -> str:
        """A local file with the content of a data file. It stays as long as `folder.hold` holds it."""
        return self.folder.local(path)

    @functools.cached_property
    def files_by_path(self) -> Mapping[str, DataFile]:
        """The data files by their path."""
        return {file.path: file for file in self.files}

    @property
    def query_columns(self) -> dict[str, FieldType]:
        """What `query.compile` wants: the columns, and the overflow if any event has one."""
        overflow = {types.OVERFLOW: FieldType.JSON} if any(file.overflow_rows for file in self.files) else {}
        return {**self.columns, **overflow}

    @property
    def rows(self) -> int:
        """Events in the snapshot."""
        return sum(file.rows for file in self.files)

    def only(self, files: Sequence[DataFile]) -> Snapshot:
        """The same version with some of its files, given in file order. Its columns are those of all."""
        return dataclasses.replace(self, files=tuple(files))

    def fields_of(self, files: Sequence[DataFile]) -> list[Fields]:
        """The fields that each of some files holds."""
        return self.catalog.of([file.path for file in files])

    @functools.cached_property
    def field_names(self) -> frozenset[str]:
        """All fields, with a column or in the overflow alone."""
        return frozenset(self.columns).union(self.files_by_field())

    def files_by_field(self) -> dict[str, int]:
        """How many files hold each field, in a column or in the overflow."""
        return self.catalog.counts([file.path for file in self.files])


def read(folder: Location, delta: deltalake.DeltaTable, catalog: Catalog) -> Snapshot:
    """The snapshot that a Delta table has open."""
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    found: list[DataFile] = []
    if actions.height:
        chosen = actions.select(
            path="path",
            bytes="size_bytes",
            rows="num_records",
            # As integers: exact, and without a Python datetime for each of thousands of files.
            first=pl.col(f"min.{types.TIMESTAMP}").to_physical(),
            last=pl.col(f"max.{types.TIMESTAMP}").to_physical(),
            overflow=pl.col("num_records") - pl.col(f"null_count.{types.OVERFLOW}"),
        )
        found = [_data_file(row) for row in chosen.iter_rows()]
    # Delta's log gives files in no promised order.
    found.sort(key=lambda file: file.order)
    return Snapshot(
        folder=folder,
        version=delta.version(),
        columns=layout.recorded_types(delta.schema()),
        files=tuple(found),
        catalog=catalog,
    )


def _data_file(row: tuple[str, int, int, int, int, int]) -> DataFile:
    path, size, rows, first, last, overflow = row
    return DataFile(path=path, bytes=size, rows=rows, first_us=first, last_us=last, overflow_rows=overflow)


def is_attached(snapshot: Snapshot) -> TypeGuard[Attached]:
    """Whether its files are somebody else's, which have neither our order nor our indexes nor our footers."""
    return snapshot.attached
