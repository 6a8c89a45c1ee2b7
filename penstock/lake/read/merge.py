"""Cuts files that overlap in time by rank: the k-way merge of their @timestamp columns, in bounded memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from penstock.base import later
from penstock.fields import types
from penstock.lake.location import Location

if TYPE_CHECKING:
    import numpy as np
    from numpy import typing as npt

    Instants: TypeAlias = npt.NDArray[np.int64]
else:
    np = later.numpy  # loads when it is used

BUDGET_INSTANTS = 8_388_608
"""Timestamps in sight at once, over all files of a group. Memory: 3 x 8 bytes x this, 192 MiB."""

_WINDOW_ROWS = 131_072
"""Most rows in sight of one file: a row group."""


def _none() -> Instants:
    return np.empty(0, np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Rows [start, end) of a sorted file.

    Attributes:
        folder, path: the file.
        start, end: its rows.
        first_us: no row of the stretch is earlier.
    """

    folder: Location
    path: str
    start: int
    end: int
    first_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """Rows that `take` took off.

    Attributes:
        rows: how many of each stretch, in the stretches' order.
        first_us, last_us: earliest and latest of their timestamps.
    """

    rows: tuple[int, ...]
    first_us: int
    last_us: int


class Merge:
    """The rows of several stretches in (@timestamp, stretch, row) order, taken off in portions of a given length.

    Exact for any input: ties, files of one instant, files that all cover the same time. A file is opened when its time
    comes and read in windows, so that `BUDGET_INSTANTS` bounds memory whatever the number and size of the files.
    """

    def __init__(self, stretches: Sequence[Stretch], *, budget_instants: int = BUDGET_INSTANTS) -> None:
        """Stretches come in file order."""
        window = max(1, min(_WINDOW_ROWS, budget_instants // max(1, len(stretches))))
        self._cursors = [_Cursor(stretch, window) for stretch in stretches]
        self._certain: Instants = _none()  # sorted instants that are sure to come next
        self._shares: dict[int, Instants] = {}  # the same by cursor

    @property
    def is_finished(self) -> bool:
        """Whether every row was taken."""
        return all(cursor.is_finished for cursor in self._cursors)

    def take(self, rows: int) -> Portion:
        """Takes the next `rows` rows, at least one; fewer only at the end."""
        taken = [0] * len(self._cursors)
        first = last = None
        while rows and (len(self._certain) or not self.is_finished):
            if not len(self._certain):
                self._look_ahead()
            count = min(rows, len(self._certain))
            first = int(self._certain[0]) if first is None else first
            last = int(self._certain[count - 1])
            for i, share in self._split(count).items():
                taken[i] += share
                self._cursors[i].position += share
                self._shares[i] = self._shares[i][share:]
            self._certain = self._certain[count:]
            rows -= count
        if first is None or last is None:
            raise ValueError("nothing is left to take")
        return Portion(rows=tuple(taken), first_us=first, last_us=last)

    def undo(self, portion: Portion) -> None:
        """Puts back what the last `take` took."""
        for cursor, rows in zip(self._cursors, portion.rows, strict=True):
            cursor.position -= rows
        self._certain, self._shares = _none(), {}

    def _split(self, count: int) -> dict[int, int]:
        """How many of the next `count` rows each cursor gives; of one instant, the earlier file's rows come first."""
        if count == len(self._certain):
            return {i: len(share) for i, share in self._shares.items()}
        instant = self._certain[count - 1]
        counts = {i: int(np.searchsorted(share, instant, "left")) for i, share in self._shares.items()}
        left = count - sum(counts.values())
        for i in sorted(counts):
            ties = int(np.searchsorted(self._shares[i], instant, "right")) - counts[i]
            counts[i] += min(ties, left)
            left -= min(ties, left)
        return counts

    def _look_ahead(self) -> None:
        """Finds the rows that are sure to come next: those before the horizon, or of one file at the horizon itself.

        The horizon is the first instant at which a row may be out of sight: where a window ends that is not its file's
        last, or where a file that is not open yet begins.

            a  ------[=========]- - -        [ ] in sight, - - out of sight
            b      ----[===]- - - -          horizon: the end of b's window
            c                 - - - - -      not open: c begins after the horizon, and stays closed
                       ^   ^
                   certain horizon: a's and b's rows before it are certain, whatever follows
        """
        while True:
            sights = {i: c.in_sight() for i, c in enumerate(self._cursors) if c.is_open and not c.is_finished}
            horizon = self._horizon(sights)
            self._shares = _before(horizon, sights)
            # Opened only now: a file's rows at its first instant come after all earlier rows of the others.
            if not self._shares and not self._open_at(horizon):
                self._shares = _first_ties(sights)
            if self._shares:
                break
        self._certain = np.sort(np.concatenate(list(self._shares.values())))

    def _horizon(self, sights: dict[int, Instants]) -> int | None:
        """None when everything that is left is in sight."""
        window_ends = [int(sight[-1]) for i, sight in sights.items() if not self._cursors[i].sees_end]
        begins = [cursor.first_us for cursor in self._cursors if not cursor.is_open]
        return min([*window_ends, *begins], default=None)

    def _open_at(self, horizon: int | None) -> bool:
        """Opens the files that begin at the horizon; whether there were any."""
        arriving = [cursor for cursor in self._cursors if not cursor.is_open and cursor.first_us == horizon]
        for cursor in arriving:
            cursor.is_open = True
        return bool(arriving)


def _before(horizon: int | None, sights: dict[int, Instants]) -> dict[int, Instants]:
    """The rows in sight before the horizon, by cursor; cursors without any are left out."""
    if horizon is None:
        return sights
    cut = {i: sight[: np.searchsorted(sight, horizon, "left")] for i, sight in sights.items()}
    return {i: share for i, share in cut.items() if len(share)}


def _first_ties(sights: dict[int, Instants]) -> dict[int, Instants]:
    """A whole window is of one instant: the rows of that instant in sight of the first file that has any."""
    instant = min(sight[0] for sight in sights.values())
    i = min(i for i, sight in sights.items() if sight[0] == instant)
    return {i: sights[i][: np.searchsorted(sights[i], instant, "right")]}


class _Cursor:
    """A place in a stretch, moving forward, with a window on the timestamps that follow."""

    def __init__(self, stretch: Stretch, window: int) -> None:
        self._stretch = stretch
        self._window = window
        self._loaded_from = 0
        self._loaded = _none()
        self.position = stretch.start
        self.first_us = stretch.first_us
        self.is_open = False

    @property
    def is_finished(self) -> bool:
        return self.position >= self._stretch.end

    @property
    def sees_end(self) -> bool:
        return self._loaded_from + len(self._loaded) >= self._stretch.end

    def in_sight(self) -> Instants:
        """The next timestamps: half a window at least, unless they are the stretch's last."""
        offset = self.position - self._loaded_from
        if offset < 0 or (not self.sees_end and len(self._loaded) - offset <= self._window // 2):
            rows = min(self._window, self._stretch.end - self.position)
            self._loaded_from, self._loaded, offset = self.position, _read(self._stretch, self.position, rows), 0
        return self._loaded[offset:]


def _read(stretch: Stretch, offset: int, rows: int) -> Instants:
    with stretch.folder.hold([stretch.path]):
        scan = pl.scan_parquet(stretch.folder.local(stretch.path))
        column = scan.select(types.TIMESTAMP).slice(offset, rows).collect()
    return column.to_series().to_physical().to_numpy()
