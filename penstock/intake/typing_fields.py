"""Which fields have a column, and of which type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.fields import registry, types, values
from penstock.fields.types import FieldType

MAX_NAME_BYTES = 255
"""A longer name makes no column; its values live in the overflow."""

_NOT_IN_COLUMN_NAMES = frozenset(" ,;{}()=`'\"\\*^")
"""Refused by readers of Delta tables, needed to quote names, or (`*`, `^…$`) read by Polars as a pattern of names."""


class Columns:
    """The columns a table has, and the rule for which new ones it gets. Lives as long as one ingest.

    Attributes:
        types: type of every column so far. Grows while batches are built; `EventTable.append` is given this very
            mapping.
    """

    def __init__(self, existing: Mapping[str, FieldType], max_columns: int) -> None:
        self.types: dict[str, FieldType] = {types.TIMESTAMP: FieldType.DATE, **existing}
        self._max_columns = max_columns
        self._by_fold = {name.lower(): name for name in (*self.types, types.OVERFLOW, types.DAY)}

    def choose(self, name: str, sample: Iterable[Any]) -> FieldType | None:
        """The type the field has or, if it is new, would get from its first values; None: it gets no column.

        No column get: reserved names, a name that differs from a column's only in case, a name a Delta table cannot
        hold (docs/fields.md), and any new name once there are `max_columns`.
        """
        found = self.types.get(name)
        if found is not None:
            return found
        if len(self.types) >= self._max_columns or name.lower() in self._by_fold or not _can_name_a_column(name):
            return None
        spec = registry.ECS.get(name)
        return spec.type if spec is not None else values.infer(sample)

    def add(self, name: str, field_type: FieldType) -> None:
        """Records that the field has a column now."""
        self.types.setdefault(name, field_type)
        self._by_fold.setdefault(name.lower(), name)

    def adopt(self, existing: Mapping[str, FieldType]) -> None:
        """Takes over the columns the table has now; of those it lacks, keeps what it can still get."""
        own = {name: field_type for name, field_type in self.types.items() if name not in existing}
        self.types.clear()
        self.types.update({types.TIMESTAMP: FieldType.DATE, **existing})
        self._by_fold = {name.lower(): name for name in (*self.types, types.OVERFLOW, types.DAY)}
        for name, field_type in own.items():
            if name.lower() not in self._by_fold:
                self.add(name, field_type)


def _can_name_a_column(name: str) -> bool:
    return (
        name.isprintable() and 0 < len(name.encode()) <= MAX_NAME_BYTES and not _NOT_IN_COLUMN_NAMES.intersection(name)
    )
