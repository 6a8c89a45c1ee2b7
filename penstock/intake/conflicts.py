"""Settles a race: another ingest gave a new column another type, or took a name that differs only in case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from penstock.fields import types, values
from penstock.fields.types import FieldType
from penstock.intake import typing_fields


def settle(
    frames: Sequence[pl.DataFrame], known: typing_fields.Columns, existing: Mapping[str, FieldType]
) -> list[pl.DataFrame]:
    """The frames as the table can hold them now; columns it cannot hold go to the overflow. Updates `known`.

    Args:
        frames: built with the columns of `known`.
        existing: the table's columns as they are now.
    """
    before = dict(known.types)
    known.adopt(existing)
    lost = {name: old for name, old in before.items() if not _holds(known.types.get(name), old)}
    return [_moved(frame, {name: lost[name] for name in frame.columns if name in lost}) for frame in frames]


def _holds(now: FieldType | None, before: FieldType) -> bool:
    """Whether a column of the new type holds every value that one of the old type holds."""
    return now is before or {now, before} <= types.STRING_TYPES


def _moved(frame: pl.DataFrame, lost: Mapping[str, FieldType]) -> pl.DataFrame:
    """The frame with the lost columns' values in the overflow, behind what is there."""
    if not lost:
        return frame
    members: list[list[str]] = [[] for _ in range(frame.height)]
    if types.OVERFLOW in frame.columns:
        for row, text in enumerate(frame[types.OVERFLOW].to_list()):
            if text is not None:
                members[row].append(text[1:-1])
    for name, field_type in lost.items():
        for row, text in enumerate(_texts(frame[name], field_type)):
            if text is not None:
                members[row].append(f"{values.dumps(name)}:{text}")
    overflow = [f"{{{','.join(found)}}}" if found else None for found in members]
    return frame.drop(*lost, types.OVERFLOW, strict=False).with_columns(
        pl.Series(types.OVERFLOW, overflow, dtype=pl.String)
    )


def _texts(column: pl.Series, field_type: FieldType) -> list[str | None]:
    """JSON text of each value; None where there is none."""
    if field_type is FieldType.JSON:
        return column.to_list()
    if field_type is FieldType.DATE:
        instants = column.to_physical().to_list()
        return [None if us is None else values.dumps(values.render_timestamp(us)) for us in instants]
    return [None if value is None else values.dumps(value) for value in column.to_list()]
