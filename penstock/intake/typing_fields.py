"""Which fields have a column, and of which type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from penstock.fields import registry, types
from penstock.fields.types import FieldType

MAX_NAME_BYTES = 255
"""A longer name makes no column; its values live in the overflow."""

EARNS_SHARE = 0.01
EARNS_SHARE_ECS = 0.001
"""Share of a file's events that must have a field for it to have a column in that file."""

MAX_FILE_COLUMNS = 400
"""The commonest fields get them. Files of 300 to 450 columns read best (docs/intake.md), and each column more costs
the intake of every event, null or not."""

_NOT_IN_COLUMN_NAMES = frozenset(" ,;{}()=`'\"\\*^")
"""Refused by readers of Delta tables, needed to quote names, or (`*`, `^…$`) read by Polars as a pattern of names."""

Infer = Callable[[Sequence[str]], Sequence[FieldType | None]]
"""Gives the type that most values of each of these fields have; None where all are null."""

Publish = Callable[[Mapping[str, FieldType]], Mapping[str, FieldType]]
"""Adds columns to the table, as far as it can hold them beside its own; all columns that it has now."""


class Columns:
    """The columns a table has, and the rule for which a new file gets. Lives as long as one ingest.

    Attributes:
        types: type of every column of the table, as far as known here. Types never change.
    """

    def __init__(self, existing: Mapping[str, FieldType], max_columns: int, publish: Publish | None = None) -> None:
        self.types: dict[str, FieldType] = {}
        self._max_columns = max_columns
        self._publish = publish or (lambda wanted: wanted)
        self._by_fold = {types.OVERFLOW: types.OVERFLOW, types.DAY: types.DAY}
        self._adopt({types.TIMESTAMP: FieldType.DATE, **existing})

    def earned(self, present: Sequence[tuple[str, int]], events: int, infer: Infer) -> dict[str, FieldType]:
        """The columns of a file of `events` events: type by name. New ones are added to the table first.

        These get no column: fields that too few of the file's events have, or that come behind MAX_FILE_COLUMNS
        commoner ones; new ones whose values are all null; and those that the table cannot hold: reserved
        names, a name that differs from a column's only in case, a name a Delta table cannot hold (docs/fields.md), and
        any new name once there are `max_columns`.

        Args:
            present: (field, how many of the events have it), the commonest first.
        """
        earning = [name for name, rows in present if rows >= events * share(name) and name != types.TIMESTAMP]
        earning = earning[:MAX_FILE_COLUMNS]
        # In order of how common they are: where room is short, the commonest fields get the columns.
        new = self._addable(name for name in earning if name not in self.types)
        if new:
            inferred = zip(new, infer(new), strict=True)
            wanted = {name: _type_of(name, kind) for name, kind in inferred if kind is not None}
            # The table gets its columns before a file with them is written, so two ingests never give one column two
            # types. What another ingest has added meanwhile is adopted with its type.
            self._adopt(self._publish(wanted))
        return {name: self.types[name] for name in earning if name in self.types}

    def _addable(self, names: Iterable[str]) -> list[str]:
        """Those of the names that the table can get a column for, beside each other too."""
        taken = dict(self._by_fold)
        room = self._max_columns - len(self.types)
        found: list[str] = []
        for name in names:
            if len(found) < room and name.lower() not in taken and _can_name_a_column(name):
                taken[name.lower()] = name
                found.append(name)
        return found

    def _adopt(self, existing: Mapping[str, FieldType]) -> None:
        self.types.update(existing)
        self._by_fold.update((name.lower(), name) for name in existing)


def share(name: str) -> float:
    """Share of a file's events that must have the field for it to have a column there."""
    return EARNS_SHARE_ECS if name in registry.ECS else EARNS_SHARE


def _type_of(name: str, inferred: FieldType) -> FieldType:
    spec = registry.ECS.get(name)
    # ECS's type, whatever the first values are: later files of other sources will follow ECS.
    return inferred if spec is None else spec.type


def _can_name_a_column(name: str) -> bool:
    return (
        name.isprintable() and 0 < len(name.encode()) <= MAX_NAME_BYTES and not _NOT_IN_COLUMN_NAMES.intersection(name)
    )
