"""Columns out of Python values: what does not fit a column goes to the overflow, unchanged (docs/fields.md).

Events of one shape (the same names in the same order) are kept together, so that a column of a shape can be checked and
copied as a whole; single values are looked at only where a column holds what its type cannot.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock.fields import types, values
from penstock.fields.types import FieldType
from penstock.intake import typing_fields
from penstock.lake import layout

UNUSABLE_TIMESTAMP = "@timestamp.original"
"""Field that keeps the value of an `@timestamp` that is no usable time."""

_STRINGS = frozenset({str})
_LIST_SEPARATOR = "\0"

_FIRST_YEARS = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_CANONICAL_DATE = (
    rf"^{_FIRST_YEARS}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-5][0-9]"
    r"(?:\.[0-9]{3}(?:[0-9]{3})?)?Z$"
)
_PADDED_FRACTION = r"\.(?:[0-9]{3})?000Z$"

_KIND_OF: Mapping[FieldType, type] = {
    FieldType.KEYWORD: str,
    FieldType.TEXT: str,
    FieldType.IP: str,
    FieldType.DATE: str,
    FieldType.LONG: int,
    FieldType.DOUBLE: float,
    FieldType.BOOLEAN: bool,
    FieldType.KEYWORD_LIST: list,
}


@dataclasses.dataclass(slots=True)
class Shape:
    """The events of a run that have the same names in the same order.

    Attributes:
        ordinals: place of each event in the run.
        values: values of all the events, event after event, each in the order of the names. (One list for all: a list
            an event would be a third of the time, in Python's garbage collector.)
    """

    ordinals: list[int] = dataclasses.field(default_factory=list)
    values: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class _Piece:
    """What the events of one shape hold of one field.

    Attributes:
        start: first row of the shape in the run's frame.
        place: place of the field among the names of the shape.
        values: one value an event.
    """

    start: int
    place: int
    values: Sequence[Any]


def build(known: typing_fields.Columns, shapes: Mapping[tuple[str, ...], Shape]) -> pl.DataFrame:
    """The frame of a run of events, in their order; `known` gets its new columns.

    Columns: TIMESTAMP, null where an event has no usable one; every other column that has a value; OVERFLOW, if any
    event needs one.
    """
    frame = _Building(known, shapes).frame()
    if len(shapes) < 2:
        return frame
    ordinals = list(itertools.chain.from_iterable(shape.ordinals for shape in shapes.values()))
    return frame[pl.Series(ordinals, dtype=pl.UInt32).arg_sort()]


class _Building:
    """One run on its way into columns. Rows lie shape by shape."""

    def __init__(self, known: typing_fields.Columns, shapes: Mapping[tuple[str, ...], Shape]) -> None:
        self._columns = known
        self._pieces: dict[str, list[_Piece]] = {}
        self._overflow: dict[int, list[tuple[int, str]]] = {}
        start = 0
        for names, shape in shapes.items():
            for place, name in enumerate(names):
                column = shape.values[place :: len(names)]
                self._pieces.setdefault(name, []).append(_Piece(start, place, column))
            start += len(shape.ordinals)
        self._rows = start

    def frame(self) -> pl.DataFrame:
        """The run's frame; @timestamp is null where an event has no usable one."""
        found = [self._timestamps()]
        for name, pieces in self._pieces.items():
            column = self._column(name, pieces)
            if column is not None:
                found.append(column)
        if self._overflow:
            found.append(self._overflow_column())
        return pl.DataFrame(found)

    def _timestamps(self) -> pl.Series:
        """The canonical instants; what is no usable time goes on as a field of its own."""
        pieces = self._pieces.pop(types.TIMESTAMP, [])
        texts = self._spread(pieces, lambda piece: piece.values if set(map(type, piece.values)) == _STRINGS else None)
        instants = _dates(types.TIMESTAMP, texts)
        others = [(piece, row) for piece in pieces for row in _nulls(instants, piece)]
        if others:
            parsed = [values.parse_timestamp(piece.values[row - piece.start]) for piece, row in others]
            unusable = [where for where, instant in zip(others, parsed, strict=True) if instant is None]
            instants = _patched(instants, [row for _, row in others], parsed)
            self._keep_unusable([_Piece(row, p.place, (p.values[row - p.start],)) for p, row in unusable])
        return instants

    def _keep_unusable(self, pieces: list[_Piece]) -> None:
        """Puts unusable times below UNUSABLE_TIMESTAMP, or a longer name where their event has that one already."""
        name = UNUSABLE_TIMESTAMP
        while pieces:
            there = self._pieces.get(name, [])
            taken = [(piece.start, piece.start + len(piece.values)) for piece in there]
            starts = [start for start, _ in taken]
            free: list[_Piece] = []
            rest: list[_Piece] = []
            for piece in pieces:
                at = bisect.bisect_right(starts, piece.start) - 1
                (rest if at >= 0 and piece.start < taken[at][1] else free).append(piece)
            if free:
                self._pieces[name] = sorted([*there, *free], key=lambda piece: piece.start)
            pieces, name = rest, f"{name}.original"

    def _column(self, name: str, pieces: list[_Piece]) -> pl.Series | None:
        """The field's column, what does not fit moved to the overflow; None if nothing fits or it gets no column."""
        sample = itertools.chain.from_iterable(piece.values for piece in pieces)
        field_type = self._columns.choose(name, sample)
        misfits: list[tuple[_Piece, int]] = []
        column = None
        if field_type is None:
            misfits = [(piece, place) for piece in pieces for place in range(len(piece.values))]
        elif field_type is FieldType.JSON:
            column = _strings(name, self._spread(pieces, lambda piece: [values.dumps(v) for v in piece.values]))
        elif field_type is FieldType.DATE:
            column, misfits = self._date_column(name, pieces)
        else:
            column, misfits = self._plain_column(name, field_type, pieces)
        for piece, place in misfits:
            self._to_overflow(name, piece, place)
        if column is None or field_type is None or column.null_count() == self._rows:
            return None
        self._columns.add(name, field_type)
        return column

    def _plain_column(
        self, name: str, field_type: FieldType, pieces: list[_Piece]
    ) -> tuple[pl.Series, list[tuple[_Piece, int]]]:
        """A column of the values as they are. The types in a whole piece decide whether to look at each value."""
        kind = _KIND_OF[field_type]
        for careful in (False, True):
            misfits: list[tuple[_Piece, int]] = []

            def chosen(
                piece: _Piece, careful: bool = careful, misfits: list[tuple[_Piece, int]] = misfits
            ) -> Sequence[Any]:
                if not careful and set(map(type, piece.values)) == {kind}:
                    return piece.values
                fitting = [values.fits(field_type, value) for value in piece.values]
                misfits.extend((piece, place) for place, fit in enumerate(fitting) if not fit)
                return [value if fit else None for value, fit in zip(piece.values, fitting, strict=True)]

            spread = self._spread(pieces, chosen)
            try:
                return _MAKERS[field_type](name, spread), misfits
            except (UnicodeEncodeError, OverflowError, TypeError):  # lone surrogates, long integers, mixed lists
                if careful:
                    raise
        raise AssertionError("unreachable")

    def _date_column(self, name: str, pieces: list[_Piece]) -> tuple[pl.Series, list[tuple[_Piece, int]]]:
        """Strings in the canonical form, checked as a whole column."""

        def chosen(piece: _Piece) -> Sequence[Any]:
            if set(map(type, piece.values)) == _STRINGS:
                return piece.values
            return [value if type(value) is str else None for value in piece.values]

        texts = self._spread(pieces, chosen)
        instants = _dates(name, texts)
        return instants, [(piece, row - piece.start) for piece in pieces for row in _nulls(instants, piece)]

    def _spread(self, pieces: Iterable[_Piece], chosen: Callable[[_Piece], Sequence[Any] | None]) -> list[Any]:
        """One entry a row of the run: what `chosen` makes of each piece, None everywhere else."""
        spread: list[Any] = []
        for piece in pieces:
            taken = chosen(piece)
            if taken is not None:
                spread.extend(itertools.repeat(None, piece.start - len(spread)))
                spread.extend(taken)
        spread.extend(itertools.repeat(None, self._rows - len(spread)))
        return spread

    def _to_overflow(self, name: str, piece: _Piece, place: int) -> None:
        text = f"{values.dumps(name)}:{values.dumps(piece.values[place])}"
        self._overflow.setdefault(piece.start + place, []).append((piece.place, text))

    def _overflow_column(self) -> pl.Series:
        """One JSON object an event that needs it, its members in the event's order."""
        texts: list[str | None] = [None] * self._rows
        for row, members in self._overflow.items():
            members.sort(key=lambda member: member[0])
            texts[row] = f"{{{','.join(text for _, text in members)}}}"
        return _strings(types.OVERFLOW, texts)


def _nulls(column: pl.Series, piece: _Piece) -> list[int]:
    """Rows of the piece that are null in the column."""
    part = column.slice(piece.start, len(piece.values))
    if not part.null_count():
        return []
    return [piece.start + place for place in part.is_null().arg_true()]


def _strings(name: str, spread: list[Any]) -> pl.Series:
    return pl.Series(name, spread, dtype=pl.String)


def _lists(name: str, spread: list[Any]) -> pl.Series:
    """Lists of strings. Joined and split again: fifty times as fast as to hand Polars Python's lists."""
    items = list(itertools.chain.from_iterable(filter(None, spread)))
    if not _STRINGS.issuperset(map(type, items)):
        raise TypeError("not only strings")
    dtype = pl.List(pl.String)
    if any(_LIST_SEPARATOR in item for item in items):
        return pl.Series(name, spread, dtype=dtype)
    joined = [_LIST_SEPARATOR.join(found) if found else None for found in spread]
    column = _strings(name, joined).str.split(_LIST_SEPARATOR)
    empty = [found is not None and not found for found in spread]
    if not any(empty):
        return column
    return pl.select(pl.when(pl.Series(empty)).then(pl.lit([], dtype=dtype)).otherwise(column).alias(name)).to_series()


def _dates(name: str, texts: list[Any]) -> pl.Series:
    """The instants of canonical strings, null for the rest."""
    try:
        column = _strings(name, texts)
    except UnicodeEncodeError:
        column = _strings(name, [text if text is None or text.isascii() else None for text in texts])
    instants = column.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC", strict=False, exact=True
    )
    canonical = column.str.contains(_CANONICAL_DATE) & ~column.str.contains(_PADDED_FRACTION)
    if canonical.all() and instants.null_count() == column.null_count():
        return instants
    return pl.select(pl.when(canonical).then(instants).alias(name)).to_series()


def _patched(instants: pl.Series, rows: list[int], us: list[int | None]) -> pl.Series:
    patch = pl.Series(us, dtype=pl.Int64).cast(layout.TIMESTAMP_DTYPE)
    return instants.scatter(rows, patch)


_MAKERS: Mapping[FieldType, Callable[[str, list[Any]], pl.Series]] = {
    FieldType.KEYWORD: _strings,
    FieldType.TEXT: _strings,
    FieldType.IP: _strings,
    FieldType.LONG: lambda name, spread: pl.Series(name, spread, dtype=pl.Int64),
    FieldType.DOUBLE: lambda name, spread: pl.Series(name, spread, dtype=pl.Float64),
    FieldType.BOOLEAN: lambda name, spread: pl.Series(name, spread, dtype=pl.Boolean),
    FieldType.KEYWORD_LIST: _lists,
}
