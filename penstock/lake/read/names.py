"""Which field names events of a table have, also those that live in the overflow and not in columns."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable

import polars as pl

from penstock import query
from penstock.fields import registry, types, values
from penstock.lake import table
from penstock.lake.read import plan, scan

_EVER = plan.TimeRange(
    earliest=dt.datetime(1, 1, 1, tzinfo=dt.UTC), latest=dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
)


def brought(snapshots: Iterable[table.Snapshot], names: Iterable[str]) -> set[str]:
    """All columns of the snapshots, and those of `names` that events hold without a column of their own.

    Such fields live in the overflow: one that differs from a column only in case, or came when the table was full of
    columns. They are looked for only when a name is not known otherwise.
    """
    found: set[str] = set()
    snapshots = list(snapshots)
    for snapshot in snapshots:
        found |= snapshot.columns.keys()
    missing = {name for name in names if name not in found and name not in registry.ECS}
    return found | {name for name in missing if any(_is_in_overflow(snapshot, name) for snapshot in snapshots)}


def _is_in_overflow(snapshot: table.Snapshot, name: str) -> bool:
    """Whether the overflow of some event has the name. The overflow is compact JSON, in which only a name of a member
    can be written like this: inside a string the quotes would be escaped."""
    if not values.is_unicode(name):
        return False
    with_overflow = tuple(file for file in snapshot.files if file.overflow_rows)
    holds = pl.col(types.OVERFLOW).str.contains(f"{values.dumps(name)}:", literal=True)
    predicate = query.Predicate(expression=holds, columns=frozenset((types.OVERFLOW,)))
    return bool(scan.newest(dataclasses.replace(snapshot, files=with_overflow), _EVER, predicate, 1))
