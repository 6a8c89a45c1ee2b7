"""Snapshots that are kept: a search job or an export reads its version for days, the log has it for minutes.

A kept snapshot is a file `_snapshots/VERSION`: its columns and its data files. Those files themselves stay because
their versions are named to `vacuum`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import zlib
from collections.abc import Collection

import orjson

from penstock.base import durable_files
from penstock.fields.types import FieldType
from penstock.lake.catalog import Catalog
from penstock.lake.files import DataFile
from penstock.lake.snapshots import Snapshot

FOLDER = "_snapshots"
"""In the table's folder. Readers of Delta tables leave names with `_` alone."""


def keep(snapshot: Snapshot) -> None:
    """Keeps a snapshot until `forget`. Idempotent. OSError: it is not kept."""
    place = _place(snapshot.root, snapshot.version)
    try:
        os.utime(place)  # `forget` counts its age from here
    except FileNotFoundError:
        place.parent.mkdir(exist_ok=True)
        content = {"columns": snapshot.columns, "files": [dataclasses.astuple(file) for file in snapshot.files]}
        # Packed: paths and times of a table's files differ little. Its checksum tells damage, too.
        durable_files.replace(place, zlib.compress(orjson.dumps(content), 1))


def read(root: str, version: int, catalog: Catalog) -> Snapshot | None:
    """The kept snapshot of a version; None if none is kept or it is damaged."""
    try:
        content = orjson.loads(zlib.decompress(_place(root, version).read_bytes()))
        return Snapshot(
            root=root,
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


def forget(root: str, pinned_versions: Collection[int], instant: float) -> None:
    """Deletes kept snapshots that are not pinned and were kept before an instant (seconds since 1970)."""
    with contextlib.suppress(FileNotFoundError):
        for place in pathlib.Path(root, FOLDER).iterdir():
            if place.name.isdecimal() and int(place.name) in pinned_versions:
                continue
            with contextlib.suppress(FileNotFoundError):
                if place.stat().st_mtime <= instant:
                    place.unlink()


def _place(root: str, version: int) -> pathlib.Path:
    return pathlib.Path(root, FOLDER, f"{version:020d}")
