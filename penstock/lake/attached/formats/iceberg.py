"""An Iceberg table, by pyiceberg: its catalogues, its metadata, its plans. Files of deleted rows are refused."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.lake.attached import faults, stores
from penstock.lake.attached.formats import listing

NO_SNAPSHOT = 0
"""Version of a table that has none: nobody has written to it."""

_METADATA = re.compile(r"(?:v?0*)(\d+)(?:-[0-9a-fA-F-]+)?(?:\.gz)?\.metadata\.json(?:\.gz)?")


def read(table: str, catalog: str | None, version: int | None, access: stores.Access) -> listing.Listing:
    """A snapshot of the table; None: the current one.

    Args:
        table: its name in the catalogue; without one, its folder or one metadata file.
        catalog: as pyiceberg's own configuration names it.

    Raises:
        NotFound: `snapshot_not_found`: the table has expired it.
        ConfigurationError: `iceberg_missing`, `attached_table_unsupported`.
        StorageError: `attached_table_unreadable`.
    """
    pyiceberg = _library()
    try:
        opened = _open(table, catalog, access)
    except errors.PenstockError:
        raise
    except Exception as error:  # pyiceberg raises what its catalogues, stores and parsers raise
        raise faults.unreadable(table, error) from error
    snapshot = opened.current_snapshot() if version is None else opened.snapshot_by_id(version)
    if snapshot is None and version not in (None, NO_SNAPSHOT):
        raise errors.NotFound(
            "snapshot_not_found", f"Snapshot {version} of {table} was expired.", "Run the search again."
        )
    # The schema of its time; snapshots of old writers do not name theirs.
    schema = None if version is None or snapshot is None else opened.schemas().get(snapshot.schema_id)
    named = _columns(opened, schema or opened.schema(), pyiceberg)
    if snapshot is None:
        return _listing(NO_SNAPSHOT, [], named)
    try:
        tasks = list(opened.scan(snapshot_id=snapshot.snapshot_id).plan_files())
    except errors.PenstockError:
        raise
    except Exception as error:  # as above
        raise faults.unreadable(table, error) from error
    return _listing(snapshot.snapshot_id, [_file(task, table) for task in tasks], named)


def _library() -> Any:
    try:
        import pyiceberg.types
    except ImportError as error:
        raise errors.ConfigurationError(
            "iceberg_missing",
            "Iceberg tables are read by pyiceberg, which is not installed.",
            "pip install 'penstock[iceberg]'",
        ) from error
    return pyiceberg.types


def _open(table: str, catalog: str | None, access: stores.Access) -> Any:
    if catalog is not None:
        from pyiceberg.catalog import load_catalog

        return load_catalog(catalog, **access.iceberg).load_table(table)
    from penstock.lake.attached.formats import iceberg_files  # which needs pyiceberg

    return iceberg_files.opened(_metadata(table, access), access)


def _metadata(table: str, access: stores.Access) -> str:
    """The newest metadata file of a table's folder; one that is named itself is that one."""
    if table.endswith((".json", ".json.gz")):
        return table
    if stores.is_s3(table):
        names = stores.list_names(f"{table.rstrip('/')}/metadata/", access)
    else:
        names = os.listdir(pathlib.Path(table, "metadata"))
    numbered = [(int(match[1]), name) for name in names if (match := _METADATA.fullmatch(name))]
    if not numbered:
        raise FileNotFoundError(2, "There is no metadata file of an Iceberg table", table)
    newest, name = max(numbered)
    # Two of one number are two writers' of whom a catalogue took one: only it can tell which.
    if sum(number == newest for number, _ in numbered) > 1:
        raise faults.unsupported(
            f"{table} has two metadata files of the number {newest}.",
            "Name the right one, or the table in its catalogue.",
        )
    return f"{table.rstrip('/')}/metadata/{name}"


def _file(task: Any, table: str) -> stores.Found:
    if task.delete_files:
        raise faults.unsupported(
            f"{table} has files of deleted rows (merge on read).",
            "Rewrite its data files so that they hold what is left (rewrite_data_files), then attach it.",
        )
    file = task.file
    if str(getattr(file.file_format, "value", file.file_format)).upper() != "PARQUET":
        raise faults.unsupported(f"{table} has files of the format {file.file_format}.", "Only Parquet is read.")
    return stores.Found(stores.normal(file.file_path), file.file_size_in_bytes, "")


def _listing(version: int, files: Sequence[stores.Found], named: tuple[listing.Named, ...]) -> listing.Listing:
    entries = (listing.Entry(file=file, constants={}) for file in sorted(files, key=lambda file: file.uri))
    return listing.Listing(version=version, entries=tuple(entries), by_tag=False, constants={}, columns=named)


def _columns(opened: Any, schema: Any, types: Any) -> tuple[listing.Named, ...]:
    partitioned = {
        field.source_id
        for spec in opened.specs().values()
        for field in spec.fields
        if str(field.transform) == "identity"
    }
    names: dict[int, tuple[str, ...]] = {}
    if mapping := opened.name_mapping():
        _note(mapping, names)
    return tuple(_named(field, names, partitioned, types) for field in schema.fields)


def _note(fields: Any, names: dict[int, tuple[str, ...]]) -> None:
    for field in getattr(fields, "root", fields):
        if field.field_id is not None:
            names[field.field_id] = tuple(field.names)
        _note(field.fields or (), names)


def _named(field: Any, names: Mapping[int, tuple[str, ...]], partitioned: set[int], types: Any) -> listing.Named:
    if getattr(field, "initial_default", None) is not None:
        raise faults.unsupported(
            f"The column {field.name!r} has a default for files that lack it.", "Rewrite these files."
        )
    kind = field.field_type
    is_struct = isinstance(kind, types.StructType)
    members = tuple(_named(each, names, set(), types) for each in kind.fields) if is_struct else ()
    inner: dict[int, str] = {}
    if isinstance(kind, types.ListType | types.MapType):
        _inside(kind, inner, types)
    return listing.Named(
        name=field.name,
        members=members,
        field_id=field.field_id,
        names=names.get(field.field_id, ()),
        inner=inner,
        is_held=field.field_id in partitioned,
    )


def _inside(kind: Any, inner: dict[int, str], types: Any) -> None:
    """Ids and names of all that is inside a list or a map; items, keys and values have no names of their own."""
    if isinstance(kind, types.ListType):
        inner[kind.element_id] = ""
        _inside(kind.element_type, inner, types)
    elif isinstance(kind, types.MapType):
        inner[kind.key_id] = inner[kind.value_id] = ""
        _inside(kind.key_type, inner, types)
        _inside(kind.value_type, inner, types)
    elif isinstance(kind, types.StructType):
        for field in kind.fields:
            inner[field.field_id] = field.name
            _inside(field.field_type, inner, types)
