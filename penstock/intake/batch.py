"""Events to frames: a batch of events, nested or dotted, becomes one frame; nothing is lost, nothing is coerced."""

from __future__ import annotations

from typing import Any

import polars as pl

from penstock.fields import flatten, refused, types, values
from penstock.intake import build as ingest_build
from penstock.intake import typing_fields
from penstock.lake import layout

RUN_EVENTS = 4096
"""Events that lie in memory as Python values at once: their columns are made while the values are in the processor's
cache, nearly twice as fast as at the end of a batch of 50,000."""

_MAX_NAMES = 100_000
_SCALARS = frozenset({str, int, float, bool, type(None), values.Number})
_STRINGS = frozenset({str})


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


class Batch:
    """Events that become one frame. `add` them, then `build`.

    Every RUN_EVENTS events become columns at once, so that a new field's type is that of most of its values in the
    first run that brings it.
    """

    def __init__(self, known: typing_fields.Columns) -> None:
        self._columns = known
        self._names = _Names("")
        self._known_names = 0
        self._shapes: dict[tuple[str, ...], ingest_build.Shape] = {}
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

        For a parser that proves every other value exactly.
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
            shape = self._shapes[names] = ingest_build.Shape()
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
        return frame.with_columns(pl.col(types.TIMESTAMP).fill_null(pl.lit(arrived_us).cast(layout.TIMESTAMP_DTYPE)))

    def _end_run(self) -> None:
        """Makes columns of the events since the last run."""
        self._runs.append(ingest_build.build(self._columns, self._shapes))
        self._shapes = {}
        self._run_events = 0
        if self._known_names > _MAX_NAMES:  # events with ever new names must not fill the memory
            self._names, self._known_names = _Names(""), 0
