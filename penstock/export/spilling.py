"""Slices of an attached table whose row groups overlap in time, read together once instead of each for itself.

A slice reads all row groups that overlap it (`unsorted`). Where they overlap many slices, a *window* of slices is
filled instead: its row groups are read once, in order of files and rows, what matches is cut at the slices' bounds and
put into a file on this machine's disk, from where each slice takes its part.

    row groups ─▶ rows in sight (BUFFER_BYTES) ─▶ by time, cut at the slices' bounds ─▶ one file, which has no name

The file holds events in clear, as the cache of a lake in a bucket does. It has no name, so that whatever ends the
process ends the file. It is only a copy: where there is no room, or no folder, slices are read as before.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import logging
import os
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from penstock import errors, query
from penstock.base import disk
from penstock.fields import types
from penstock.lake import table
from penstock.lake.read import plan, rows, scan, unsorted_reading

if TYPE_CHECKING:
    from penstock.lake.attached import snapshots

log = logging.getLogger(__name__)

BUFFER_BYTES = 64 * 1024 * 1024
"""Of rows in sight before they are cut and written, as they weigh uncompressed; what is read at once is no more."""

WORTH = 3.0
"""A window must save so many readings of a row on average: it writes each, and reads it again."""

_WINDOWS = 2
"""That may be on the disk at once: the last slices of one may still be read while the next is filled."""


class Spill:
    """Reads slices of an attached table, in windows where that is cheaper. Safe from several threads.

    Args:
        snapshot: of the table.
        slices: those that will be read, in order.
        fields: as for `scan.read_slice`.
        predicate: the query.
    """

    def __init__(
        self,
        snapshot: snapshots.Attached,
        slices: Sequence[plan.Slice],
        fields: Sequence[str],
        predicate: query.Predicate,
    ) -> None:
        self._snapshot = snapshot
        self._slices = slices
        self._places = {slice_.number: place for place, slice_ in enumerate(slices)}
        self._fields = fields
        self._predicate = predicate
        self._weights: dict[str, float] = {}
        self._filling = threading.Lock()
        self._windows: dict[int, _Window | None] = {}  # of a slice's place; None: it is read by itself
        assert snapshot.spill is not None, "the caller has looked"
        self._place = snapshot.spill
        self._most_bytes = self._place.most_bytes / _WINDOWS
        self._is_over = False

    def read(self, slice_: plan.Slice) -> pl.DataFrame:
        """What `scan.read_slice` gives and raises; also Stopped, after `stop`."""
        with self._filling:
            window = self._window_of(slice_)
        found = None if window is None else window.take(slice_)
        return scan.read_slice(self._snapshot, slice_, self._fields, self._predicate) if found is None else found

    def stop(self) -> None:
        """Ends what is under way, within a read or two; who waits for a slice gets Stopped."""
        self._is_over = True

    def _window_of(self, slice_: plan.Slice) -> _Window | None:
        if self._is_over:
            raise table.Stopped
        place = self._places.get(slice_.number)
        if place is None:
            return None
        while place not in self._windows:
            end, is_worth = self._end_of(place)
            window = self._filled(self._slices[place:end]) if is_worth else None
            if window is None and is_worth:
                self._most_bytes /= 2  # the events weigh more than was thought, or others fill the disk
                continue
            self._windows |= dict.fromkeys(range(place, end), window)
        return self._windows[place]

    def _end_of(self, place: int) -> tuple[int, bool]:
        """The end of the window that begins at a place, and whether it is worth its while.

        It ends where the next slice reads other rows, and where the disk has no room for more.
        """
        hulls: dict[str, tuple[int, int]] = {}
        alone, held, end = 0, 0.0, place
        for slice_ in itertools.islice(self._slices, place, None):
            held += slice_.rows * max(self._weight(piece.file) for piece in slice_.pieces)
            shares = end == place or any(_overlaps(piece, hulls) for piece in slice_.pieces)
            # Slices of one instant are cut by row, and time does not tell them apart.
            if not shares or held > self._most_bytes or end in self._windows or slice_.first_us == slice_.last_us:
                break
            for piece in slice_.pieces:
                first, last = hulls.get(piece.file, (piece.offset, 0))
                hulls[piece.file] = min(first, piece.offset), max(last, piece.offset + piece.rows)
            alone += sum(piece.rows for piece in slice_.pieces)
            end += 1
        if end - place < 2:
            return place + 1, False
        together = sum(last - first for parts in _spans(self._slices[place:end]).values() for first, last in parts)
        return end, alone >= WORTH * together

    def _weight(self, path: str) -> float:
        """Bytes of a row of a file. Kept: slices by the hundred may read files by the thousand."""
        if path not in self._weights:
            names = self._predicate.columns.union(self._fields)
            self._weights[path] = self._snapshot.row_bytes(self._snapshot.files_by_path[path], names)
        return self._weights[path]

    def _filled(self, slices: Sequence[plan.Slice]) -> _Window | None:
        """The slices on the disk; None: there is no room for them."""
        window = _Window.opened(slices, self._place)
        if window is None:
            self._most_bytes = 0  # for good
            return None
        spans = _spans(slices)
        files = [file for file in self._snapshot.files if file.path in spans]
        pieces = tuple(
            plan.Piece(file=file.path, offset=first, rows=last - first)
            for file in files
            for first, last in spans[file.path]
        )
        whole = plan.Slice(
            number=slices[0].number,
            rows=sum(piece.rows for piece in pieces),
            first_us=slices[0].first_us,
            last_us=slices[-1].last_us,
            pieces=pieces,
        )
        log.info("slices_spill: %d slices, %d rows", len(slices), whole.rows)
        with rows.reading(self._snapshot, files):
            reading = self._reading(whole)
            for step in self._steps(pieces):
                if self._is_over:
                    raise table.Stopped
                # Without room it is no more, and its file goes with it.
                if not window.put(list(reading.frames(step))):
                    return None
        window.names = {slice_.number: self._reading(slice_).names for slice_ in slices}
        return window

    def _reading(self, slice_: plan.Slice) -> unsorted_reading.Reading:
        return unsorted_reading.Reading.of(self._snapshot, slice_, self._fields, self._predicate)

    def _steps(self, pieces: Sequence[plan.Piece]) -> Iterator[list[plan.Piece]]:
        """The pieces, in order, so many at a time as may be in sight at once; a large one in several."""
        step: list[plan.Piece] = []
        size = 0.0
        for piece in pieces:
            weight = self._weight(piece.file)
            most = max(1, int(BUFFER_BYTES / weight))
            for start in range(0, piece.rows, most):
                rows = min(most, piece.rows - start)
                if step and size + rows * weight > BUFFER_BYTES:
                    yield step
                    step, size = [], 0.0
                step.append(plan.Piece(file=piece.file, offset=piece.offset + start, rows=rows))
                size += rows * weight
        if step:
            yield step


def _overlaps(piece: plan.Piece, hulls: Mapping[str, tuple[int, int]]) -> bool:
    first, last = hulls.get(piece.file, (0, 0))
    return piece.offset < last and piece.offset + piece.rows > first


def _spans(slices: Collection[plan.Slice]) -> dict[str, list[tuple[int, int]]]:
    """The rows [first, end) of each file that slices read, each row once, in order."""
    found: dict[str, list[tuple[int, int]]] = {}
    pieces = {(piece.file, piece.offset, piece.offset + piece.rows) for slice_ in slices for piece in slice_.pieces}
    for path, start, end in sorted(pieces):
        parts = found.setdefault(path, [])
        if parts and start <= parts[-1][1]:
            parts[-1] = parts[-1][0], max(parts[-1][1], end)
        else:
            parts.append((start, end))
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class _Chunk:
    """Where rows of a slice lie in the file."""

    offset: int
    size: int


class _Window:
    """Slices that lie on the disk. Filled by one thread, then read by several."""

    def __init__(self, file: BinaryIO, slices: Sequence[plan.Slice], place: snapshots.SpillPlace) -> None:
        self._file = file
        # However it ends: an export that is stopped does not read all of its slices.
        self._close = weakref.finalize(self, file.close)
        self._room = disk.Room(place.folder, place.keep_bytes)
        self._most_bytes = place.most_bytes / _WINDOWS
        self._size = 0
        self._numbers = [slice_.number for slice_ in slices]
        self._firsts = pl.Series([slice_.first_us for slice_ in slices], dtype=pl.Int64)
        self._lasts = pl.Series([slice_.last_us for slice_ in slices], dtype=pl.Int64)
        self._chunks: dict[int, list[_Chunk]] = {number: [] for number in self._numbers}
        self._schema: pl.Schema | None = None
        self._taking = threading.Lock()
        self._left = len(slices)
        self.names: Mapping[int, Sequence[str]] = {}

    @classmethod
    def opened(cls, slices: Sequence[plan.Slice], place: snapshots.SpillPlace) -> _Window | None:
        """An empty one; None where there is no folder."""
        try:
            place.folder.mkdir(mode=0o700, exist_ok=True)  # not its parents: a home that is not there is not made
            return cls(tempfile.TemporaryFile(dir=place.folder), slices, place)
        except OSError as error:
            log.warning("slices_not_spilled: %s: %s", place.folder, error)
            return None

    def put(self, frames: Sequence[pl.DataFrame]) -> bool:
        """Takes rows, which come in order of files and rows. False: there is no room for them."""
        rows = pl.concat(frames).sort(types.TIMESTAMP, maintain_order=True)
        self._schema = rows.schema
        us = rows[types.TIMESTAMP].to_physical()
        starts, ends = us.search_sorted(self._firsts, "left"), us.search_sorted(self._lasts, "right")
        for number, start, end in zip(self._numbers, starts, ends, strict=True):
            if start == end:
                continue
            packed = io.BytesIO()
            rows[start:end].write_ipc(packed, compression="lz4")
            content = packed.getbuffer()
            if not self._write(content):
                return False
            self._chunks[number].append(_Chunk(self._size - len(content), len(content)))
        return True

    def _write(self, content: memoryview) -> bool:
        try:
            if self._size + len(content) > self._most_bytes:
                return False
            self._room.check(len(content))
            written = 0
            while written < len(content):
                written += os.pwrite(self._file.fileno(), content[written:], self._size + written)
        except (OSError, errors.NoRoom) as error:
            log.warning("slices_not_spilled: %s: %s", self._room.folder, error)
            return False
        self._size += len(content)
        return True

    def take(self, slice_: plan.Slice) -> pl.DataFrame | None:
        """The rows of a slice, once; None: they were taken already."""
        with self._taking:
            chunks = self._chunks.pop(slice_.number, None)
        if chunks is None:
            return None
        frames = [pl.read_ipc(os.pread(self._file.fileno(), one.size, one.offset)) for one in chunks]
        with self._taking:
            self._left -= 1
            if not self._left:
                self._close()
        rows = pl.concat(frames) if frames else pl.DataFrame(schema=self._schema)
        if not rows[types.TIMESTAMP].is_sorted():
            rows = rows.sort(types.TIMESTAMP, maintain_order=True)
        return rows.select(self.names[slice_.number])
