"""A Delta table: files and partition values by its log. What is not understood is refused, never ignored."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import deltalake
import polars as pl
from deltalake import exceptions as delta_errors

from penstock import errors
from penstock.lake.attached import faults, stores
from penstock.lake.attached.formats import listing

_UNDERSTOOD = frozenset({"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint"})
"""Features of readers under which files still hold what a plain reader takes from them."""


def read(table: str, version: int | None, access: stores.Access) -> listing.Listing:
    """A version of the table; None: the newest.

    Raises:
        NotFound: `snapshot_not_found`: its log has the version no more.
        ConfigurationError: `attached_table_unsupported`.
        StorageError: `attached_table_unreadable`.
    """
    opened = _open(table, version, access)
    with faults.translated(table):
        _check_protocol(opened)
        schema = json.loads(opened.schema().to_json())
        columns = tuple(_named(field) for field in schema["fields"])
        found = sorted(_files(opened), key=lambda each: each[0].uri)
    types, constants = listing.common_types([own for _, own in found])
    partitions = set(opened.metadata().partition_columns)
    types = {name: _typed(name, kind, schema) for name, kind in types.items()}
    entries = tuple(listing.Entry(file=file, constants=own) for (file, _), own in zip(found, constants, strict=True))
    # A table without files still has its columns, and columns with one value in each file are no columns of files.
    return listing.Listing(
        version=opened.version(),
        entries=entries,
        by_tag=False,
        constants=types,
        columns=tuple(column for column in columns if column.name not in partitions or not entries),
    )


def _open(table: str, version: int | None, access: stores.Access) -> deltalake.DeltaTable:
    options = access.options if stores.is_s3(table) else None
    try:
        return deltalake.DeltaTable(table, version=version, storage_options=options)
    except delta_errors.TableNotFoundError as error:
        raise faults.unreadable(table, error) from error
    except (delta_errors.DeltaError, OSError, ValueError) as error:
        if version is not None:
            raise errors.NotFound(
                "snapshot_not_found", f"Version {version} of {table} cannot be read any more.", "Run the search again."
            ) from error
        text = str(error).lower()
        if any(word in text for word in _REFUSALS):
            raise faults.unsupported(f"The Delta table {table} cannot be read: {error}", _HINT) from error
        raise faults.unreadable(table, error) from error


_REFUSALS = ("feature", "protocol", "reader version", "column mapping", "not found in schema")
"""Of delta-rs; the last is of mapped columns by which a table is partitioned."""

_HINT = "Make a copy without that feature, or attach another table: what Penstock cannot read rightly it does not read."


def _check_protocol(opened: deltalake.DeltaTable) -> None:
    """Refuses tables whose files hold other things than a plain reader takes from them."""
    protocol = opened.protocol()
    settings = opened.metadata().configuration
    mode = settings.get("delta.columnMapping.mode", "none")
    if mode not in ("", "none"):
        raise faults.unsupported(f"The Delta table has column mapping by {mode}.", _HINT)
    features = {str(each) for each in protocol.reader_features or ()}
    if settings.get("delta.enableDeletionVectors", "false").lower() == "true":
        features.add("deletionVectors")
    if protocol.min_reader_version > 3:
        raise faults.unsupported(f"The Delta table wants readers of version {protocol.min_reader_version}.", _HINT)
    # The feature alone says that columns could be mapped, and the mode that they are not.
    if unknown := sorted(features - _UNDERSTOOD - {"columnMapping"}):
        raise faults.unsupported(f"The Delta table has the features {', '.join(unknown)}.", _HINT)


def _files(opened: deltalake.DeltaTable) -> Iterator[tuple[stores.Found, dict[str, Any]]]:
    """The files of the version, and their values of the partition columns."""
    root = stores.normal(opened.table_uri).rstrip("/")
    partitions = list(opened.metadata().partition_columns)
    for row in pl.DataFrame(opened.get_add_actions(flatten=False)).iter_rows(named=True):
        own = row.get("partition") or {}
        path = urllib.parse.unquote(row["path"])  # the log holds paths as parts of addresses
        uri = stores.normal(path) if "://" in path or path.startswith("/") else f"{root}/{path}"
        yield stores.Found(uri, row["size_bytes"], ""), {name: own.get(name) for name in partitions}


def _named(field: dict[str, Any]) -> listing.Named:
    kind = field["type"]
    members = kind["fields"] if isinstance(kind, dict) and kind.get("type") == "struct" else []
    return listing.Named(name=field["name"], members=tuple(_named(member) for member in members))


_TYPES = {
    "string": "text",
    "long": "long",
    "integer": "long",
    "short": "long",
    "byte": "long",
    "boolean": "boolean",
    "double": "double",
    "float": "double",
    "date": "date",
    "timestamp": "instant",
    "timestamp_ntz": "instant",
}


def _typed(name: str, kind: str, schema: dict[str, Any]) -> str:
    """The type of a partition column by the log, also where all values are null."""
    declared = next((field["type"] for field in schema["fields"] if field["name"] == name), None)
    return _TYPES.get(declared, kind) if isinstance(declared, str) else kind
