"""Notes on a search: what its query probably did not mean, by the fields that the communities' events have."""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import query
from penstock.fields.types import FieldType
from penstock.lake import table
from penstock.lake.read import names
from penstock.process import services as services_module
from penstock.query import notes

_KEPT = 1024
"""Searches whose notes are remembered; a client asks for a job every second."""

_remembered: collections.OrderedDict[tuple[Any, ...], list[notes.Note]] = collections.OrderedDict()
_lock = threading.Lock()


def of_search(
    services: services_module.Services, term: str, filters: Sequence[Mapping[str, Any]], communities: Sequence[str]
) -> list[notes.Note]:
    """Notes on a query and filters that have been checked, for these communities' newest events.

    Raises:
        StorageError: `lake_failed`.
    """
    snapshots = [services.table(community).snapshot() for community in communities]
    versions = tuple((snapshot.root, snapshot.version) for snapshot in snapshots)
    key = (term, repr(filters), versions)
    with _lock:
        if key in _remembered:
            return _remembered[key]
    found = _of_snapshots(term, filters, snapshots)
    with _lock:
        _remembered[key] = found
        while len(_remembered) > _KEPT:
            _remembered.popitem(last=False)
    return found


def _of_snapshots(
    term: str, filters: Sequence[Mapping[str, Any]], snapshots: Sequence[table.Snapshot]
) -> list[notes.Note]:
    columns: dict[str, FieldType] = {}
    for snapshot in snapshots:
        columns.update(snapshot.columns)
    filter_node = query.from_filters(filters)
    asked = notes.field_names(query.both(query.parse(term), filter_node))
    missing = [name for name in asked if name not in columns]
    known = names.known(snapshots) if missing else set()
    return notes.of_query(term, filter_node, columns, known)
