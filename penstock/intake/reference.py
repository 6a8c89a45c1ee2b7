"""What a block of lines becomes, in plain Python: the specification that the kernel is held to (docs/intake.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from penstock.fields import refused, types, values
from penstock.fields.types import FieldType
from penstock.intake import batch, parse, times, typing_fields
from penstock.lake import layout

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r"

Event = dict[str, Any]


def read(
    text: bytes,
    columns: typing_fields.Columns,
    *,
    arrived_us: int,
    time_fields: Sequence[str] = times.candidates(None),
    max_line_bytes: int = 1 << 30,
) -> batch.Batch:
    """The events of some lines as one batch with one frame, or none where there are no events."""
    rows: list[tuple[int, int, Event]] = []
    found: list[batch.Refused] = []
    untimed = 0
    # A newline ends a line; behind the last one there is no empty line.
    lines = text.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines):
        raw = line.removeprefix(_BYTE_ORDER_MARK)
        if not raw.strip(_SPACE):
            continue
        try:
            events = parse.events(raw, max_line_bytes)
        except refused.EventRefused as refusal:
            found.append(batch.Refused(line=number, refusal=refusal, raw=raw))
            continue
        for event in events:
            settled, us = times.settle(event, time_fields)
            untimed += us is None
            rows.append((arrived_us if us is None else us, number, settled))
    return batch.Batch(
        events=len(rows),
        untimed=untimed,
        refused=found,
        end_line=len(lines),
        events_before=lambda line: sum(number < line for _, number, _ in rows),
        frames=[_frame(rows, columns)] if rows else [],
    )


def _frame(rows: list[tuple[int, int, Event]], columns: typing_fields.Columns) -> pl.DataFrame:
    present: dict[str, int] = {}
    for _, _, event in rows:
        for name in event:
            present[name] = present.get(name, 0) + 1

    def infer(names: Sequence[str]) -> list[FieldType | None]:
        held = [[event[name] for _, _, event in rows if event.get(name) is not None] for name in names]
        return [values.infer(found) if found else None for found in held]

    commonest = sorted(present.items(), key=lambda entry: (-entry[1], entry[0]))
    earned = columns.earned(commonest, len(rows), infer)
    # By time alone: Python's sort is stable, so equal times keep the order in which they came.
    rows = sorted(rows, key=lambda row: row[0])
    found = [pl.Series(types.TIMESTAMP, [us for us, _, _ in rows], pl.Int64).cast(layout.TIMESTAMP_DTYPE)]
    found += [_column(name, earned[name], [event for _, _, event in rows]) for name in sorted(earned)]
    overflow = [_overflow(event, earned) for _, _, event in rows]
    found.append(pl.Series(types.OVERFLOW, overflow, pl.String))
    return pl.DataFrame([column for column in found if column.null_count() < len(rows)])


def _column(name: str, field_type: FieldType, events: Sequence[Event]) -> pl.Series:
    held = [event[name] if name in event and values.fits(field_type, event[name]) else None for event in events]
    if field_type is FieldType.JSON:
        held = [values.dumps(event[name]) if name in event else None for event in events]
    if field_type is FieldType.DATE:
        instants = pl.Series(name, [None if text is None else values.parse_timestamp(text) for text in held], pl.Int64)
        return instants.cast(layout.TIMESTAMP_DTYPE)
    return pl.Series(name, held, layout.DTYPES[field_type])


def _overflow(event: Event, earned: dict[str, FieldType]) -> str | None:
    """What no column of the event's file holds exactly, in the event's order."""
    rest = {name: value for name, value in event.items() if name not in earned or not values.fits(earned[name], value)}
    return values.dumps(rest) if rest else None
