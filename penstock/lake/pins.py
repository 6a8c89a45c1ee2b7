"""Snapshots that are kept: a search job or an export reads its version for days, the log has it for minutes.

A kept snapshot is a file `_snapshots/VERSION`: its columns and its data files. Those files themselves stay because
their versions are named to `vacuum`.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Collection

import orjson

from penstock.fields.types import FieldType
from penstock.lake.catalog import Catalog
from penstock.lake.files import DataFile
from penstock.lake.location import Location
from penstock.lake.snapshots import Snapshot

FOLDER = "_snapshots"
"""In the table's folder. Readers of Delta tables leave names with `_` alone."""


def keep(snapshot: Snapshot) -> None:
    """Keeps a snapshot until `forget`. Idempotent. OSError: it is not kept."""
    name = _name(snapshot.version)
    if snapshot.folder.freshen(name):  # `forget` counts its age from here
        return
    content = {"columns": snapshot.columns, "files": [dataclasses.astuple(file) for file in snapshot.files]}
    # Packed: paths and times of a table's files differ little. Its checksum tells damage, too.
    snapshot.folder.write(name, zlib.compress(orjson.dumps(content), 1))


def read(folder: Location, version: int, catalog: Catalog) -> Snapshot | None:
    """The kept snapshot of a version; None if none is kept or it is damaged."""
    try:
        content = orjson.loads(zlib.decompress(folder.read(_name(version))))
        return Snapshot(
            folder=folder,
            version=version,
            columns={name: FieldType(field_type) for name, field_type in content["columns"].items()},
            files=tuple(
                DataFile(path=path, rows=rows, bytes=size, first_us=first, last_us=last, overflow_rows=overflow)
                for path, rows, size, first, last, overflow in content["files"]
            ),
            catalog=catalog,
        )
    except (FileNotFoundError, zlib.error, ValueError, KeyError):
        return None


def forget(folder: Location, pinned_versions: Collection[int], instant: float) -> None:
    """Deletes kept snapshots that are not pinned and were kept before an instant (seconds since 1970)."""
    pinned = {_name(version) for version in pinned_versions}
    for entry in folder.list(FOLDER):
        if entry.name not in pinned and entry.modified <= instant:
            folder.delete([entry.name])


def _name(version: int) -> str:
    return f"{FOLDER}/{version:020d}"
