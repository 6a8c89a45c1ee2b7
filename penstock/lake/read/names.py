"""Which field names events of a table have, also those that live in the overflow and not in columns."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.lake import table


def known(snapshots: Iterable[table.Snapshot]) -> set[str]:
    """All fields of the snapshots: those with a column, and those that events hold in the overflow alone.

    Looked up in the catalog: no event is read.

    Raises:
        StorageError: `lake_failed`.
    """
    found: set[str] = set()
    for snapshot in snapshots:
        with table.translated(snapshot.root):
            found |= snapshot.columns.keys() | snapshot.files_by_field().keys()
    return found
