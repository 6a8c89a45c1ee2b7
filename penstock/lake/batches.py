"""Events to columns: one batch of events becomes one frame in which nothing is lost and nothing is coerced.

Events of one shape (the same names in the same order) are kept together, so that a column of a shape can be checked and
copied as a whole; single values are looked at only where a column holds what its type cannot (docs/fields.md).
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock.fields import flatten, refused, registry, types, values
from penstock.fields.types import FieldType
from penstock.lake import columns

UNUSABLE_TIMESTAMP = "@timestamp.original"
"""Field that keeps the value of an `@timestamp` that is no usable time."""

RUN_EVENTS = 4096
"""Events that lie in memory as Python values at once: their columns are made while the values are in the processor's
cache, nearly twice as fast as at the end of a batch of 50,000."""

MAX_NAME_BYTES = 255
"""A longer name makes no column; its values live in the overflow."""

_NOT_IN_COLUMN_NAMES = frozenset(" ,;{}()=`'\"\\")  # refused by Delta readers, or by what quotes names in queries
_MAX_NAMES = 100_000
_SCALARS = frozenset({str, int, float, bool, type(None), values.Number})
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


class _Names(dict[str, tuple[str, "_Names"]]):
    """Members of an object at one place: key -> (its dotted name, the names below it)."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def enter(self, key: str) -> tuple[str, _Names]:
        """Notes a key that was not seen here before."""
        name = self.prefix + key
        if not values.is_unicode(name):
            raise refused.EventRefused("invalid_name", f"the name {name!r} is no valid Unicode (a lone surrogate)")
        entry = self[key] = (name, _Names(name + "."))
        return entry


@dataclasses.dataclass(slots=True)
class _Shape:
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


class Batch:
    """Events that become one frame. `add` them, then `build`.

    Every RUN_EVENTS events become columns at once, so that a new field's type is that of most of its values in the
    first run that brings it.
    """

    def __init__(self, known: Columns) -> None:
        self._columns = known
        self._names = _Names("")
        self._known_names = 0
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._run_events = 0
        self._runs: list[pl.DataFrame] = []
        self.events = 0

    def add(self, event: dict[str, Any]) -> None:
        """Takes in an event, nested or dotted, of values as `fields.values.loads` gives them.

        Raises:
            EventRefused: `duplicate_name`, `too_deep`, `invalid_name`. The batch is as before.
        """
        names: list[str] = []
        row: list[Any] = []
        self._flatten(event, self._names, names, row, 1)
        self._put(tuple(names), row)

    def add_if_plain(self, event: dict[str, Any]) -> bool:
        """As `add`, unless the event holds a float or a list of anything but strings: then False, and nothing is added.

        For a parser that proves every other value to the letter (`lake.ingest_lines`).
        """
        names: list[str] = []
        row: list[Any] = []
        if not self._flatten(event, self._names, names, row, 1):
            return False
        self._put(tuple(names), row)
        return True

    def _flatten(self, members: dict[str, Any], known: _Names, names: list[str], row: list[Any], depth: int) -> bool:
        """`fields.flatten.flatten` for speed: names come out of a tree of those seen before. True if all is plain."""
        plain = True
        for key, value in members.items():
            entry = known.get(key) or known.enter(key)
            kind = type(value)
            if kind is not str and kind is not int:
                if kind is dict and value:
                    if depth >= flatten.MAX_DEPTH:
                        raise flatten.too_deep()
                    plain = self._flatten(value, entry[1], names, row, depth + 1) and plain
                    continue
                if kind is list:
                    if not _STRINGS.issuperset(map(type, value)):
                        plain = False
                        if not _SCALARS.issuperset(map(type, value)):
                            flatten.check_depth(value, depth + 1)
                elif kind is float or kind is values.Number:
                    plain = False
            names.append(entry[0])
            row.append(value)
        return plain

    def _put(self, names: tuple[str, ...], row: list[Any]) -> None:
        shape = self._shapes.get(names)
        if shape is None:
            if len(set(names)) != len(names):
                twice = next(name for place, name in enumerate(names) if name in names[:place])
                raise refused.EventRefused("duplicate_name", f"two paths of the event give the one name {twice!r}")
            shape = self._shapes[names] = _Shape()
            self._known_names += len(names)
        shape.ordinals.append(self._run_events)
        shape.values.extend(row)
        self.events += 1
        self._run_events += 1
        if self._run_events == RUN_EVENTS:
            self._end_run()

    def build(self, arrived_us: int) -> pl.DataFrame:
        """The events as one frame in the order in which they were added; the batch is empty afterwards.

        Columns: TIMESTAMP, every other column that has a value, OVERFLOW if any event needs one.

        Args:
            arrived_us: @timestamp of events without a usable one, microseconds since 1970.
        """
        self._end_run()
        frame = pl.concat(self._runs, how="diagonal")
        self._runs = []
        self.events = 0
        return frame.with_columns(pl.col(types.TIMESTAMP).fill_null(pl.lit(arrived_us).cast(columns.TIMESTAMP_DTYPE)))

    def _end_run(self) -> None:
        """Makes columns of the events since the last run."""
        frame = _Building(self._columns, self._shapes, self._run_events).frame()
        if len(self._shapes) > 1:
            ordinals = list(itertools.chain.from_iterable(shape.ordinals for shape in self._shapes.values()))
            frame = frame[pl.Series(ordinals, dtype=pl.UInt32).arg_sort()]
        self._runs.append(frame)
        self._shapes = {}
        self._run_events = 0
        if self._known_names > _MAX_NAMES:  # events with ever new names must not fill the memory
            self._names, self._known_names = _Names(""), 0


class _Building:
    """One run on its way into columns. Rows lie shape by shape."""

    def __init__(self, known: Columns, shapes: Mapping[tuple[str, ...], _Shape], rows: int) -> None:
        self._columns = known
        self._rows = rows
        self._pieces: dict[str, list[_Piece]] = {}
        self._overflow: dict[int, list[tuple[int, str]]] = {}
        start = 0
        for names, shape in shapes.items():
            for place, name in enumerate(names):
                column = shape.values[place :: len(names)]
                self._pieces.setdefault(name, []).append(_Piece(start, place, column))
            start += len(shape.ordinals)

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
        instants, _ = _dates(types.TIMESTAMP, texts)
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
        instants, _ = _dates(name, texts)
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


def _dates(name: str, texts: list[Any]) -> tuple[pl.Series, pl.Series]:
    """The instants of canonical strings, null for the rest; and the strings as a column."""
    try:
        column = _strings(name, texts)
    except UnicodeEncodeError:
        column = _strings(name, [text if text is None or text.isascii() else None for text in texts])
    instants = column.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC", strict=False, exact=True
    )
    canonical = column.str.contains(_CANONICAL_DATE) & ~column.str.contains(_PADDED_FRACTION)
    if canonical.all() and instants.null_count() == column.null_count():
        return instants, column
    return pl.select(pl.when(canonical).then(instants).alias(name)).to_series(), column


def _patched(instants: pl.Series, rows: list[int], us: list[int | None]) -> pl.Series:
    patch = pl.Series(us, dtype=pl.Int64).cast(columns.TIMESTAMP_DTYPE)
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
