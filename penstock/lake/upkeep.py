"""Keeps a table fast and small: compaction joins small files, vacuum deletes files that nothing needs."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence

import polars as pl

from penstock import query
from penstock.fields import types
from penstock.lake import files, layout, table
from penstock.lake.read import plan, scan

TARGET_ROWS = 1_048_576
"""Most rows of a compacted file. A file of half as many is left alone."""

TARGET_BYTES = 256 * 1024 * 1024
"""Most uncompressed bytes of a compacted file. Memory of a compaction: about three times this."""

_SLICE_BYTES = 32 * 1024 * 1024

_EVERYTHING = query.Predicate(expression=None, columns=frozenset())


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CompactReport:
    """What a compaction did.

    Attributes:
        version: the newest version afterwards.
        files_removed, files_added: data files replaced, and what they became.
        rows: events rewritten.
    """

    version: int
    files_removed: int
    files_added: int
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VacuumReport:
    """What a vacuum deleted.

    Attributes:
        files: paths below the table's folder.
        bytes: their size together.
    """

    files: tuple[str, ...]
    bytes: int


def compact(
    events: table.EventTable,
    *,
    min_files: int = 4,
    target_rows: int = TARGET_ROWS,
    target_bytes: int = TARGET_BYTES,
    should_stop: Callable[[], bool] | None = None,
) -> CompactReport:
    """Joins runs of at least `min_files` small files of a day, merged by @timestamp; one commit for each run.

    A small file has less than half of `target_rows` and weighs less than half of `target_bytes`. Only files that follow
    one another in file order are joined, and what they become takes their place: an export before and one after are
    the same, ties included. Earlier snapshots stay readable until a vacuum. Other writers may append meanwhile; a run
    that another compaction has taken is left to it.

    Raises:
        Stopped: `should_stop` said so; what was committed stays.
        StorageError: `lake_failed`, `lake_busy`.
    """
    snapshot = events.snapshot()
    removed = added = rows = 0
    for run in _runs(snapshot, min_files, target_rows, target_bytes):
        table.check_stop(should_stop)
        written = _join(snapshot, run, target_rows, target_bytes, should_stop)
        if _swap(events, run, written):
            removed, added = removed + len(run), added + len(written)
            rows += sum(file.rows for file in run)
    return CompactReport(version=events.snapshot().version, files_removed=removed, files_added=added, rows=rows)


def vacuum(
    events: table.EventTable, *, pinned_versions: Collection[int], keep_seconds: float, dry_run: bool = False
) -> VacuumReport:
    """Deletes data files that neither the newest nor a pinned snapshot needs, once they are `keep_seconds` old.

    Age counts from when the file was written or, if it was compacted away, from then. `keep_seconds` must be longer
    than the longest append (whose files no commit names yet) and the longest reading of a snapshot not pinned. With
    `dry_run` nothing is deleted. Idempotent; a file that another vacuum deletes first is no error.

    Raises:
        NotFound: `snapshot_not_found`, a pinned version cannot be read; nothing was deleted.
        StorageError: `lake_failed`.
    """
    with table.translated(events.root):
        # Listed before the newest snapshot is read: an append that commits meanwhile keeps its files.
        old = list(_files_older_than(events.root, time.time() - keep_seconds))
        snapshots = [events.snapshot(), *(events.snapshot(version) for version in sorted(set(pinned_versions)))]
        needed = {file.path for snapshot in snapshots for file in snapshot.files}
        deleted, size = [], 0
        for path, file_bytes in old:
            if path in needed:
                continue
            if not dry_run:
                pathlib.Path(events.root, path).unlink(missing_ok=True)
            deleted.append(path)
            size += file_bytes
        return VacuumReport(files=tuple(deleted), bytes=size)


def _files_older_than(root: str, instant: float) -> Iterator[tuple[str, int]]:
    """Path and size of the data files last written before an instant."""
    for path in sorted(pathlib.Path(root).glob(f"{types.DAY}=*/*.parquet")):
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            if state.st_mtime <= instant:
                yield str(path.relative_to(root)), state.st_size


def _runs(
    snapshot: table.Snapshot, min_files: int, target_rows: int, target_bytes: int
) -> Iterator[list[files.DataFile]]:
    """Stretches of small files of one day that follow one another in file order."""
    for _, of_day in itertools.groupby(sorted(snapshot.files, key=lambda file: file.day), key=lambda file: file.day):
        for small, run in itertools.groupby(
            of_day, key=lambda file: _is_small(snapshot, file, target_rows, target_bytes)
        ):
            found = list(run)
            if small and len(found) >= max(2, min_files):
                yield found


def _is_small(snapshot: table.Snapshot, file: files.DataFile, target_rows: int, target_bytes: int) -> bool:
    if 2 * file.rows >= target_rows:
        return False
    with table.translated(snapshot.root):
        weight = layout.read_weight(snapshot.location(file.path))
    return 2 * sum(layout.block_weights(weight, file.rows, None)) < target_bytes


def _join(
    snapshot: table.Snapshot,
    run: Sequence[files.DataFile],
    target_rows: int,
    target_bytes: int,
    should_stop: Callable[[], bool] | None,
) -> list[files.Written]:
    """Writes the merged events of a run; what was written is deleted again if that fails."""
    place = run[0].order.rpartition("-")[0]
    written: list[files.Written] = []
    try:
        for frame in _merged(snapshot, run, target_rows, target_bytes, should_stop):
            with table.translated(snapshot.root):
                order = f"{place}-{len(written):06d}"
                written.append(files.write_file(snapshot.root, frame, run[0].day, order))
    except BaseException:
        files.delete(snapshot.root, written)
        raise
    return written


def _merged(
    snapshot: table.Snapshot,
    run: Sequence[files.DataFile],
    target_rows: int,
    target_bytes: int,
    should_stop: Callable[[], bool] | None,
) -> Iterator[pl.DataFrame]:
    """The events of a run in order, as frames of at most the target size."""
    part = dataclasses.replace(snapshot, files=tuple(run))
    held = part.files_by_field()
    fields = [name for name, count in held.items() if count]
    whole = plan.TimeRange.of(min(f.first_us for f in run), max(f.last_us for f in run) + 1)
    waiting: list[pl.DataFrame] = []
    rows = weight = 0
    slices = plan.plan_slices(
        part,
        whole,
        max_rows=min(target_rows, files.ROW_GROUP_ROWS),
        max_bytes=min(target_bytes, _SLICE_BYTES),
        should_stop=should_stop,
    )
    for piece in slices:
        table.check_stop(should_stop)
        frame = scan.read_slice(part, piece, fields, _EVERYTHING)
        frame_bytes = layout.frame_bytes(frame)
        if waiting and (rows + frame.height > target_rows or weight + frame_bytes > target_bytes):
            yield pl.concat(waiting, how="diagonal")
            waiting, rows, weight = [], 0, 0
        waiting.append(frame)
        rows, weight = rows + frame.height, weight + frame_bytes
    if waiting:
        yield pl.concat(waiting, how="diagonal")


def _swap(events: table.EventTable, run: Sequence[files.DataFile], written: Sequence[files.Written]) -> bool:
    """Commits the joined files in place of the run; False if another compaction was faster."""
    if events.replace(run, written) is None:
        files.delete(events.root, written)
        return False
    for file in run:  # `vacuum` counts a file's age from here
        with contextlib.suppress(OSError):
            os.utime(os.path.join(events.root, file.path))
    return True
