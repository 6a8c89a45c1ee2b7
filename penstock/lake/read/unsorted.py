"""Slices of files that nobody sorted: an attached table's. Same promises as `plan`, other means.

A slice is a stretch of time. Its pieces are the rows, in whole row groups, among which its events are; `read_slice`
takes those of the time out and sorts them by (@timestamp, file, row). Where to cut is found by counting: of row groups
that lie in one stretch of time, @timestamp alone is read, once to see how the events spread and, where there are more
than memory shall hold, once more for each part. More events of one microsecond than a slice may hold are cut by row.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from penstock.base import later
from penstock.lake import table
from penstock.lake.files import DataFile
from penstock.lake.read import plan

if TYPE_CHECKING:
    from penstock.lake.attached import snapshots

if TYPE_CHECKING:
    import numpy as np
    from numpy import typing as npt
else:
    np = later.numpy  # loads when it is used

BUDGET_INSTANTS = 4_194_304
"""Timestamps in sight at once. Memory: 6 x 8 bytes x this, 192 MiB."""

_BUCKETS = 65_536


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    """Rows [start, end) of a file, the instants they lie between, and what a row weighs."""

    file: DataFile
    place: int
    start: int
    end: int
    first_us: int
    last_us: int
    weight: float

    @property
    def rows(self) -> int:
        return self.end - self.start


def plan_slices(
    snapshot: snapshots.Attached,
    time_range: plan.TimeRange,
    *,
    max_rows: int,
    max_bytes: int,
    fields: Collection[str] | None,
    should_stop: Callable[[], bool] | None,
    budget_instants: int = BUDGET_INSTANTS,
) -> list[plan.Slice]:
    """What `plan.plan_slices` promises. `rows` of a slice are its events; its pieces may hold others', too."""
    first, last = time_range.earliest_us, time_range.latest_us - 1
    units = [
        _Unit(
            file=file,
            place=place,
            start=group.start,
            end=group.end,
            first_us=group.first_us,
            last_us=group.last_us,
            weight=weight,
        )
        for place, file in enumerate(snapshot.files)
        if time_range.touches(file)
        for weight in [snapshot.row_bytes(file, fields)]
        for group in snapshot.groups(file)
        if group.first_us <= last and group.last_us >= first
    ]
    cutter = _Cutter(snapshot, max_rows, max_bytes, budget_instants, should_stop)
    for group in _groups(units):
        cutter.add(group, first, last)
    return cutter.finish()


def _groups(units: Sequence[_Unit]) -> Iterator[list[_Unit]]:
    """Units that overlap in time, directly or by others between them, in time order; each group in file order."""
    group: list[_Unit] = []
    last_us = 0
    for unit in sorted(units, key=lambda unit: (unit.first_us, unit.place, unit.start)):
        if group and unit.first_us > last_us:
            yield sorted(group, key=lambda unit: (unit.place, unit.start))
            group = []
        last_us = max(last_us, unit.last_us) if group else unit.last_us
        group.append(unit)
    if group:
        yield sorted(group, key=lambda unit: (unit.place, unit.start))


class _Cutter:
    """Builds the slices, in time order."""

    def __init__(
        self,
        snapshot: snapshots.Attached,
        max_rows: int,
        max_bytes: int,
        budget: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self._snapshot = snapshot
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._budget = budget
        self._should_stop = should_stop
        self._slices: list[plan.Slice] = []
        self._waiting: list[_Unit] = []  # small groups that lie wholly in the range, and share a slice

    def add(self, group: list[_Unit], first_us: int, last_us: int) -> None:
        """Cuts units of one stretch of time: their events between two instants, both inclusive."""
        table.check_stop(self._should_stop)
        is_inside = all(first_us <= unit.first_us and unit.last_us <= last_us for unit in group)
        if is_inside and self._fits(group):
            if not self._fits([*self._waiting, *group]):
                self._flush()
            self._waiting += group
            return
        self._flush()
        self._cut(group, max(first_us, min(u.first_us for u in group)), min(last_us, max(u.last_us for u in group)))

    def finish(self) -> list[plan.Slice]:
        """All slices."""
        self._flush()
        return self._slices

    def _fits(self, units: Sequence[_Unit]) -> bool:
        return (
            sum(unit.rows for unit in units) <= self._max_rows
            and sum(unit.rows * unit.weight for unit in units) <= self._max_bytes
        )

    def _flush(self) -> None:
        if self._waiting:
            units = sorted(self._waiting, key=lambda unit: (unit.place, unit.start))
            first, last = min(unit.first_us for unit in units), max(unit.last_us for unit in units)
            self._append(units, first, last, sum(unit.rows for unit in units))
        self._waiting = []

    def _cut(self, units: Sequence[_Unit], first_us: int, last_us: int) -> None:
        """Cuts the units' events between two instants."""
        table.check_stop(self._should_stop)
        units = [unit for unit in units if unit.first_us <= last_us and unit.last_us >= first_us]
        if sum(unit.rows for unit in units) <= self._budget:
            self._cut_in_sight(units, first_us, last_us)
        elif first_us == last_us:
            self._cut_by_row(units, first_us)
        else:
            for first, last, events in self._parts(units, first_us, last_us):
                # Counted: the rows of the units, which may be many more, are read again but not all held.
                if events <= self._budget:
                    self._cut_in_sight([u for u in units if u.first_us <= last and u.last_us >= first], first, last)
                else:
                    self._cut(units, first, last)

    def _parts(self, units: Sequence[_Unit], first_us: int, last_us: int) -> Iterator[tuple[int, int, int]]:
        """Stretches of time of at most `budget` events each, if they are longer than a bucket; with their events."""
        width = -(-(last_us - first_us + 1) // _BUCKETS)
        counts = np.zeros(-(-(last_us - first_us + 1) // width), np.int64)
        for us, _ in self._instants(units, first_us, last_us):
            counts += np.bincount((us - first_us) // width, minlength=len(counts))
        start, events = 0, 0
        for bucket in range(len(counts)):
            if events and events + counts[bucket] > self._budget:
                yield first_us + start * width, first_us + bucket * width - 1, events
                start, events = bucket, 0
            events += int(counts[bucket])
        if events:
            yield first_us + start * width, last_us, events

    def _instants(
        self, units: Sequence[_Unit], first_us: int, last_us: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], _Unit]]:
        """The instants of each unit's events that lie between two."""
        for unit in units:
            table.check_stop(self._should_stop)
            us = self._snapshot.instants(unit.file, unit.start, unit.end).to_numpy()
            yield us[(us >= first_us) & (us <= last_us)], unit

    def _cut_in_sight(self, units: Sequence[_Unit], first_us: int, last_us: int) -> None:
        """Cuts events that are few enough to be sorted in memory."""
        found = [
            (us, np.full(len(us), unit.weight, np.float64)) for us, unit in self._instants(units, first_us, last_us)
        ]
        if not found:
            return
        us = np.concatenate([each for each, _ in found])
        order = np.argsort(us, kind="stable")
        us = us[order]
        weights = np.concatenate([[0.0], np.cumsum(np.concatenate([each for _, each in found])[order])])
        start = 0
        while start < len(us):
            end = min(
                len(us),
                start + self._max_rows,
                max(start + 1, int(np.searchsorted(weights, weights[start] + self._max_bytes, "right")) - 1),
            )
            if end < len(us) and us[end] == us[end - 1]:
                end = int(np.searchsorted(us, us[end], "left"))  # a slice ends between two instants
            if end <= start:
                self._cut_by_row(units, int(us[start]))
                start = int(np.searchsorted(us, us[start], "right"))
                continue
            first, last = int(us[start]), int(us[end - 1])
            inside = [unit for unit in units if unit.first_us <= last and unit.last_us >= first]
            self._append(inside, first, last, end - start)
            start = end

    def _cut_by_row(self, units: Sequence[_Unit], us: int) -> None:
        """Cuts the events of one instant, which are in the order of their rows already."""
        inside = [unit for unit in units if unit.first_us <= us <= unit.last_us]
        pieces: list[_Unit] = []
        rows, weight = 0, 0.0
        for unit in inside:
            table.check_stop(self._should_stop)
            at = unit.start + np.flatnonzero(self._snapshot.instants(unit.file, unit.start, unit.end).to_numpy() == us)
            most = max(1, min(self._max_rows, int(self._max_bytes // unit.weight)))
            taken = 0
            while taken < len(at):
                room = min(self._max_rows - rows, int((self._max_bytes - weight) // unit.weight))
                if room <= 0 and rows:
                    self._append(pieces, us, us, rows)
                    pieces, rows, weight = [], 0, 0.0
                    continue
                share = at[taken : taken + max(1, min(room, most))]
                pieces.append(dataclasses.replace(unit, start=int(share[0]), end=int(share[-1]) + 1))
                rows, weight = rows + len(share), weight + len(share) * unit.weight
                taken += len(share)
        if pieces:
            self._append(pieces, us, us, rows)

    def _append(self, units: Sequence[_Unit], first_us: int, last_us: int, rows: int) -> None:
        pieces: list[plan.Piece] = []
        for _, own in itertools.groupby(units, key=lambda unit: unit.place):
            for unit in own:
                before = pieces[-1] if pieces else None
                # One read of neighbouring row groups, not one for each.
                if before and before.file == unit.file.path and before.offset + before.rows == unit.start:
                    pieces[-1] = dataclasses.replace(before, rows=before.rows + unit.rows)
                else:
                    pieces.append(plan.Piece(file=unit.file.path, offset=unit.start, rows=unit.rows))
        number = len(self._slices)
        self._slices.append(
            plan.Slice(number=number, rows=rows, first_us=first_us, last_us=last_us, pieces=tuple(pieces))
        )
