"""Which field names events of a table have, also those that live in the overflow and not in columns."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.lake import table


def known(snapshots: Iterable[table.Snapshot]) -> frozenset[str]:
    """All fields of the snapshots: those with a column, and those that events hold in the overflow alone.

    Looked up in the catalog, once for a snapshot: no event is read.

    Raises:
        StorageError: `lake_failed`.
    """
    found: list[frozenset[str]] = []
    for snapshot in snapshots:
        with table.translated(snapshot.folder):
            found.append(snapshot.field_names)
    return found[0] if len(found) == 1 else frozenset().union(*found)
