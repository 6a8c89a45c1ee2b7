"""Joins small data files: which of them, and into what."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

import polars as pl

from penstock.lake import files, layout, snapshots
from penstock.lake.files import DataFile
from penstock.lake.location import Location

_MAX_FILES = 1_000
"""Most files of one run: bounds the time of a step, where files hold a single event."""

_CONCAT_FRAMES = 32
"""Frames put together at once. Each gets all columns of the others: of thousands at once that would be millions."""

_KNOWN_FILES = 16_384
_VIEW_BYTES = 16


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """How large a joined file may be. A file of less than half of both is small.

    Attributes:
        rows: most rows.
        bytes: most uncompressed bytes, as columns take them in memory. A join needs about three times this.
    """

    rows: int = 1_048_576
    bytes: int = 256 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Load:
    """What files take in memory together: rows and columns, and the bytes of texts."""

    rows: int
    columns: frozenset[str]
    text_bytes: int

    def __add__(self, other: _Load) -> _Load:
        return _Load(
            rows=self.rows + other.rows,
            columns=self.columns | other.columns,
            text_bytes=self.text_bytes + other.text_bytes,
        )

    @property
    def bytes(self) -> int:
        """Every row has every column, a null too."""
        return self.rows * len(self.columns) * _VIEW_BYTES + self.text_bytes

    def fits(self, target: Target) -> bool:
        return self.rows <= target.rows and self.bytes <= target.bytes


def runs(snapshot: snapshots.Snapshot, *, min_files: int, target: Target) -> Iterator[list[DataFile]]:
    """Runs of small files that follow one another in file order; each becomes one file of at most the target size.

    A run that stays below the target has at least `min_files` files, none of them larger than all that follow
    it: so an event is rewritten a number of times that grows with the logarithm of the rows only.
    """
    for is_small, neighbours in itertools.groupby(snapshot.files, key=lambda file: _is_small(snapshot, file, target)):
        if is_small:
            yield from _cut(snapshot, list(neighbours), min_files, target)


def join(
    snapshot: snapshots.Snapshot, run: Sequence[DataFile], check: Callable[[], None] = lambda: None
) -> files.Written:
    """Writes the events of a run as one file in its place; no commit names it yet.

    Args:
        check: called before each file is read; what it raises ends the join.
    """
    place = "-".join(run[0].order.split("-")[:-1])
    return files.write_file(snapshot.folder, _concat(_frames(snapshot, run, check)), place, snapshot.columns)


def _cut(
    snapshot: snapshots.Snapshot, small: Sequence[DataFile], min_files: int, target: Target
) -> Iterator[list[DataFile]]:
    run: list[DataFile] = []
    load = _Load(rows=0, columns=frozenset(), text_bytes=0)
    for file in small:
        more = _load(snapshot.folder, file.path, file.rows)
        if len(run) > 1 and (len(run) >= _MAX_FILES or not (load + more).fits(target)):
            yield run
            run, load = [], _Load(rows=0, columns=frozenset(), text_bytes=0)
        run, load = [*run, file], load + more
    # A file is rewritten only together with as many rows as it has: so each event moves a logarithmic number of times.
    while run and run[0].rows > sum(file.rows for file in run[1:]):
        run = run[1:]
    if len(run) >= max(2, min_files) and load.fits(target):
        yield run


def _is_small(snapshot: snapshots.Snapshot, file: DataFile, target: Target) -> bool:
    return 2 * file.rows < target.rows and 2 * _load(snapshot.folder, file.path, file.rows).bytes < target.bytes


@functools.lru_cache(_KNOWN_FILES)
def _load(folder: Location, path: str, rows: int) -> _Load:
    """What a file takes in memory. Data files never change."""
    totals: dict[str, int] = json.loads(layout.read_footer(folder.footer(path), rows).weight)["totals"]
    text_bytes = sum(max(0, total - _VIEW_BYTES * rows) for total in totals.values())
    return _Load(rows=rows, columns=frozenset(totals), text_bytes=text_bytes)


def _frames(snapshot: snapshots.Snapshot, run: Sequence[DataFile], check: Callable[[], None]) -> Iterator[pl.DataFrame]:
    for file in run:
        check()
        # `glob=False`: a folder's name may hold brackets. No partitions: the day of version 0.1 is no field of an
        # event.
        with snapshot.folder.hold([file.path]):
            frame = pl.read_parquet(snapshot.location(file.path), hive_partitioning=False, glob=False)
        yield frame


def _concat(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    waiting = list(frames)
    while len(waiting) > 1:
        starts = range(0, len(waiting), _CONCAT_FRAMES)
        waiting = [pl.concat(waiting[n : n + _CONCAT_FRAMES], how="diagonal") for n in starts]
    return waiting[0]
