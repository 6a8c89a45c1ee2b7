"""Writes data files: by size, sorted by @timestamp, only the columns present, exact statistics."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Literal

import polars as pl
from deltalake import transaction

from penstock import errors
from penstock.base import disk, instants
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import catalog, layout, needles
from penstock.lake.location import Location

ROW_GROUP_ROWS = 131_072
"""Most rows of a row group: the default slice."""

MIN_ROW_GROUP_ROWS = 4_096
"""Fewest rows of a row group that is not its file's last. Smaller ones cost a scan more than they let it leave out."""

ROW_GROUP_BYTES = 128 * 1024 * 1024
"""Uncompressed bytes of a row group, between the two bounds of its rows. Wide events get small row groups, of which a
query for a day or a rare value reads few; narrow ones keep large ones, which an export reads fastest."""

FILE_BYTES = 128 * 1024 * 1024
"""Frames of one append share a file until they weigh this much. Memory of an append: about twice this."""

SORTED_BYTES = 16 * 1024 * 1024
"""Likewise where they are not in order of time: to sort wide events takes half as long as to write them."""

FILE_ROWS = 131_072
"""Frames of one append share a file until they have this many rows."""

_REFRESH_SECONDS = 60.0
"""How often an append that is still writing tells `vacuum` that its files are in use."""

PAGE_BYTES = 131_072
"""Bytes of a data page. Of pages without a match nothing is unpacked: a filter for one event in 3,000 takes half of
what it takes with Polars' 1 MiB; a scan of all takes 4 % more CPU and 3 % more disk (64 KiB: 16 % and 7 %)."""

COMPRESSION: Literal["lz4"] = "lz4"
"""Chosen for the scan: @timestamp and message of 4 M events took 0.7 s of CPU (zstd level 1: 1.2 s, snappy: 0.9 s,
uncompressed: 0.5 s), at 1.6 times zstd's size on disk."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One Parquet file of a snapshot, sorted by @timestamp.

    Attributes:
        path: below the table's folder.
        rows: events.
        bytes: size on disk.
        first_us, last_us: earliest and latest @timestamp, exact microseconds since 1970.
        overflow_rows: events with an overflow.
    """

    path: str
    rows: int
    bytes: int
    first_us: int
    last_us: int
    overflow_rows: int

    @property
    def order(self) -> str:
        """Sorts files into file order; of two files, the one that came in first has the lesser."""
        return os.path.basename(self.path)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A data file on disk that no commit names yet.

    Attributes:
        file: its facts.
        modified_ms: when it was written, milliseconds since 1970.
        fields: what it holds.
    """

    file: DataFile
    modified_ms: int
    fields: catalog.Fields


class FileWriter:
    """Writes frames as data files under a table's folder. Small frames share a file.

    Attributes:
        written: the files, in order. After `finish` every event is in one of them.
        columns: columns with a value, the overflow left out.
        is_offered: whether a commit was tried that may have named the files.
    """

    def __init__(self, folder: Location, room: disk.Room) -> None:
        self._folder = folder
        self._room = room
        # Of fixed width: names in text order are files in the order in which they came in.
        self._prefix = f"{time.time_ns() // 1000:017d}"
        self._waiting: list[pl.DataFrame] = []
        self._rows = self._bytes = 0  # of what waits
        self._types: dict[str, FieldType] = {}
        self._refreshed = time.monotonic()
        self.written: list[Written] = []
        self.columns: set[str] = set()
        self.is_offered = False

    @classmethod
    def holding(
        cls, folder: Location, room: disk.Room, written: Iterable[Written], columns: Iterable[str]
    ) -> FileWriter:
        """One whose files others have written: other processes, other machines."""
        made = cls(folder, room)
        made.written, made.columns = list(written), set(columns)
        return made

    def write(self, frame: pl.DataFrame, wanted: Mapping[str, FieldType]) -> None:
        """Takes a frame; writes a file as soon as there is enough for one."""
        _check(frame, wanted)
        if not frame.height:
            return
        frame = _without_nulls(frame)
        self.columns |= set(frame.columns) - {types.OVERFLOW}
        self._types.update(wanted)
        weight = layout.weigh(frame).bytes
        if self._waiting and not self._can_share(frame, weight):
            self.finish()
        self._waiting.append(frame)
        self._rows += frame.height
        self._bytes += weight
        if self._rows >= FILE_ROWS or self._bytes >= FILE_BYTES:
            self.finish()

    def _can_share(self, frame: pl.DataFrame, weight: int) -> bool:
        """Whether a frame goes into the file of those that wait."""
        is_in_order = self._waiting[-1][types.TIMESTAMP][-1] <= frame[types.TIMESTAMP][0]
        most = FILE_BYTES if is_in_order else SORTED_BYTES
        return self._rows + frame.height <= FILE_ROWS and self._bytes + weight <= most

    def finish(self) -> None:
        """Writes what waits for more."""
        if not self._waiting:
            return
        # Diagonal: each frame has only the columns that it has values for.
        frame = pl.concat(self._waiting, how="diagonal") if len(self._waiting) > 1 else self._waiting[0]
        self._room.check(self._bytes)
        self._waiting = []
        self._rows = self._bytes = 0
        self.written.append(write_file(self._folder, frame, f"{self._prefix}-{len(self.written):06d}", self._types))
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._folder.touch([written.file.path for written in self.written])
            self._refreshed = time.monotonic()

    def close(self) -> None:
        """Deletes the files unless a commit may name them; never raises."""
        if not self.is_offered:
            delete(self._folder, self.written)


def delete(folder: Location, written: Sequence[Written]) -> None:
    """Deletes files that no commit names; never raises: what stays is vacuum's."""
    for orphan in written:
        with contextlib.suppress(OSError, errors.StorageError):
            folder.delete([needles.path_of(orphan.file.path), orphan.file.path])


def refresh(folder: Location, written: Iterable[Written]) -> None:
    """Makes files young again before a commit names them. OSError if one is gone: a vacuum has taken it."""
    # Raises where `touch` does not: a commit that named a file that is gone would break every reader.
    folder.refresh([each.file.path for each in written])


def write_file(folder: Location, frame: pl.DataFrame, order: str, columns: Mapping[str, FieldType]) -> Written:
    """Writes events as one file whose place in file order is `order`, and its sidecar; nothing stays of one that fails.

    `columns` are the field types of all columns but the overflow and @timestamp. Events of one @timestamp keep the
    frame's order.
    """
    # Asked first: most frames come sorted, and a sort copies all columns.
    if not frame[types.TIMESTAMP].is_sorted():
        frame = frame.sort(types.TIMESTAMP, maintain_order=True)
    frame = _without_nulls(frame)
    weight = layout.weigh(frame)
    rows = group_rows(weight.bytes / frame.height)
    has_overflow = types.OVERFLOW in frame.columns
    names = layout.overflow_names(frame[types.OVERFLOW]) if has_overflow else frozenset()
    metadata = {
        layout.WEIGHT_KEY: weight.as_json(),
        layout.CELLS_KEY: layout.cells(frame[types.TIMESTAMP], rows),
        layout.OVERFLOW_NAMES_KEY: json.dumps(sorted(names)),
    }
    # Random at the end: two writers may begin in the same microsecond.
    path = f"{order}-{secrets.token_hex(4)}.parquet"
    with folder.draft(path) as draft:
        with _sidecar(frame, rows, weight.bytes, columns, path) as sidecar:
            frame.write_parquet(
                draft.path,
                compression=COMPRESSION,
                statistics=True,
                row_group_size=rows,
                data_page_size=PAGE_BYTES,
                metadata=metadata,
            )
            stored = draft.keep()
        if (made := sidecar.result()) is not None:
            # Without room or rights for it there is none. No commit names the data file yet: nobody reads one half.
            with contextlib.suppress(OSError, errors.StorageError):
                folder.write(needles.path_of(path), made, durable=False)
    moments = frame[types.TIMESTAMP].to_physical()
    overflow = frame.height - frame[types.OVERFLOW].null_count() if has_overflow else 0
    file = DataFile(
        path=path,
        rows=frame.height,
        bytes=stored.bytes,
        first_us=moments[0],
        last_us=moments[-1],
        overflow_rows=overflow,
    )
    fields = catalog.Fields(columns=frozenset(frame.columns) - {types.OVERFLOW}, overflow=names)
    return Written(file=file, modified_ms=stored.modified_ms, fields=fields)


@contextlib.contextmanager
def _sidecar(
    frame: pl.DataFrame, rows: int, weight: int, columns: Mapping[str, FieldType], name: str
) -> Iterator[futures.Future[bytes | None]]:
    """The file's sidecar, if it gets one: made while the file itself is written, and done when the `with` ends."""
    known = {types.TIMESTAMP: FieldType.DATE, **columns}
    with futures.ThreadPoolExecutor(1, thread_name_prefix="needles") as pool:
        yield pool.submit(needles.of_frame, frame, weight, rows, known, name)


def _without_nulls(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without its columns of nulls."""
    present = [column for column in frame if column.null_count() < frame.height]
    return frame if len(present) == frame.width else pl.DataFrame(present)


def group_rows(a_row: float) -> int:
    """Rows of a row group, of rows of so many bytes: the smallest number, doubled while `ROW_GROUP_BYTES` allows it."""
    rows = MIN_ROW_GROUP_ROWS
    while rows < ROW_GROUP_ROWS and 2 * rows * a_row <= ROW_GROUP_BYTES:
        rows *= 2
    return rows


def add_action(written: Written, *, partitioned: bool, data_change: bool) -> transaction.AddAction:
    """The log entry that makes a file part of the table.

    Args:
        partitioned: whether the table has the partition column of version 0.1. A new file belongs to no partition.
        data_change: whether its events are new to the table.
    """
    file = written.file
    stats = {
        "numRecords": file.rows,
        "minValues": {types.TIMESTAMP: _stat_time(file.first_us)},
        "maxValues": {types.TIMESTAMP: _stat_time(file.last_us)},
        # The number of events with an overflow tells a query whether to look at that column at all.
        "nullCount": {types.TIMESTAMP: 0, types.OVERFLOW: file.rows - file.overflow_rows},
    }
    # Delta wants a value for each partition column of the table; null is one.
    partition: dict[str, str | None] = {types.DAY: None} if partitioned else {}
    return transaction.AddAction(file.path, file.bytes, partition, written.modified_ms, data_change, json.dumps(stats))


def remove_action(file: DataFile, *, partitioned: bool) -> transaction.RemoveAction:
    """The log entry that takes a file out of the newest snapshot; its events live on in others."""
    partition: dict[str, str | None] = {types.DAY: _day_of(file.path)} if partitioned else {}
    return transaction.RemoveAction(file.path, False, time.time_ns() // 1_000_000, file.bytes, partition)


def _day_of(path: str) -> str | None:
    """The partition of a file of version 0.1, which lies in a folder `_day=YYYY-MM-DD`; None for all others."""
    folder, _, day = os.path.dirname(path).partition("=")
    return day if folder == types.DAY else None


def _check(frame: pl.DataFrame, wanted: Mapping[str, FieldType]) -> None:
    wrong = [
        name
        for name, dtype in frame.schema.items()
        if (name not in wanted and name not in (types.TIMESTAMP, types.OVERFLOW))
        or dtype != (layout.TIMESTAMP_DTYPE if name == types.TIMESTAMP else layout.dtype(name, wanted))
    ]
    if wrong or types.TIMESTAMP not in frame.columns or frame[types.TIMESTAMP].null_count():
        raise errors.IngestError(
            "invalid_frame",
            f"Not a frame of events: {', '.join(wrong) or types.TIMESTAMP}.",
            "Every column but the overflow needs its field type and that type's Polars type; @timestamp has no nulls.",
        )


def _stat_time(us: int) -> str:
    return instants.from_microseconds(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
