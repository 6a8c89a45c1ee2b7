"""One community's events: a Delta table that is appended to atomically and read by pinned snapshots."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import deltalake
import polars as pl
from deltalake import exceptions as delta_errors
from deltalake import transaction

from penstock import errors
from penstock.base import disk
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import batches, catalog, files, joining, location, log, pins, snapshots
from penstock.lake import layout as columns
from penstock.lake.files import DataFile

COMMIT_ATTEMPTS = 40
"""Commits tried before an append gives up; each waits up to `_BACKOFF_SECONDS` x attempt, 2 s at most."""

_BACKOFF_SECONDS = 0.02

_REPLACE_MARK = "replace"
"""Mark of commits that remove files. delta-rs lets two writers remove one file at once; one mark on both stops it."""

_Result = TypeVar("_Result")
_Action = transaction.AddAction | transaction.RemoveAction

_TINY_ROWS = 4_096
_TINY_FILES = 64
"""An append that leaves so many files of few events at the end joins them: nobody waits for upkeep to find that out."""

_MOST_TINY_FILES = 256
"""Files that an append joins at most; more are upkeep's."""

BATCH_TTL_SECONDS = 7 * 86_400.0
"""How long a table remembers that a batch was taken in, unless it is told otherwise."""


class Stopped(Exception):
    """The caller's `should_stop` said so. Nothing was changed."""


class BatchTaken(Exception):
    """Batches of an append were committed before. Nothing was changed.

    Attributes:
        batch_ids: theirs.
    """

    def __init__(self, batch_ids: Iterable[str]) -> None:
        self.batch_ids = frozenset(batch_ids)
        super().__init__(", ".join(sorted(self.batch_ids)))


def check_stop(should_stop: Callable[[], bool] | None) -> None:
    """Raises Stopped when asked to stop."""
    if should_stop is not None and should_stop():
        raise Stopped


Snapshot = snapshots.Snapshot


class EventTable:
    """The event table of one community, in the folder COMMUNITY_UUID of a lake; made on first use.

    Safe from several threads and processes. Only Penstock writes to it: every file is sorted by @timestamp, and its
    exact first and last microsecond are in the table's log.

    Args:
        lake: all tables, or the path of their folder.
        community_uuid: whose events.
        keep_bytes: of the disk, kept back.
        batch_ttl_seconds: how long batch ids are remembered, at least.
    """

    def __init__(
        self,
        lake: str | location.Lake,
        community_uuid: str | uuid.UUID,
        *,
        keep_bytes: int = 0,
        batch_ttl_seconds: float = BATCH_TTL_SECONDS,
    ) -> None:
        self.community_uuid = str(community_uuid)
        tables: location.Lake = location.DiskLake(lake) if isinstance(lake, str) else lake
        self.folder = tables.table(self.community_uuid)
        self.root = self.folder.root
        self.room = disk.Room(self.folder.disk, keep_bytes)
        self.catalog = catalog.Catalog(self.folder)
        self._batches = batches.Batches(self.folder, batch_ttl_seconds)
        # Re-entrant: operations of this class call one another under it. A DeltaTable is not safe from several threads.
        self._lock = threading.RLock()
        self._delta: deltalake.DeltaTable | None = None
        self._opened_from: Hashable = None
        self._newest: Snapshot | None = None

    def snapshot(self, version: int | None = None) -> Snapshot:
        """The newest snapshot, or the one of `version`.

        Raises:
            NotFound: `snapshot_not_found`, the version does not exist (any more).
            StorageError: `lake_failed`.
        """
        with self._lock, translated(self.folder):
            if version is None:
                return self._as_snapshot(self._refreshed())
            if self._newest is not None and self._newest.version == version:
                return self._newest
            kept = pins.read(self.folder, version, self.catalog)
            if kept is not None:
                return kept
            self._open()
            try:
                # An object of its own: `load_as_version` would turn the shared one back under its other users.
                with self.folder.whole_log() as root:
                    return snapshots.read(self.folder, deltalake.DeltaTable(root, version=version), self.catalog)
            except delta_errors.DeltaError as error:
                raise errors.NotFound(
                    "snapshot_not_found",
                    f"Version {version} of the event table cannot be read any more.",
                    "Run the search again.",
                ) from error

    def keep(self, snapshot: Snapshot) -> None:
        """Keeps a snapshot of this table readable by its version.

        Forgotten by a vacuum that is not called with it, once `keep_seconds` are over. Raises StorageError.
        """
        with translated(self.folder):
            pins.keep(snapshot)

    def adopt_log_properties(self) -> None:
        """Lets the log be shortened where an earlier version of Penstock made the table.

        Versions that are read later must have been kept. Raises StorageError `lake_failed`, `lake_busy`.
        """

        def attempt() -> None:
            delta = self._refreshed()
            if not log.has_properties(delta):
                log.adopt(self.folder, delta, self._batches, self.folder.now())

        self._until_done(attempt)

    def is_current(self) -> bool:
        """Whether the community's events are still what this object reads: ours are for ever."""
        return True

    def check_writable(self) -> None:
        """Raises ReadOnly `community_attached` where the events are somebody else's table; see `lake.attached`."""

    def has_batch(self, batch_id: str) -> bool:
        """Whether an append with this batch id was committed, in the time that ids are remembered."""
        return bool(self.batches_taken([batch_id]))

    def batches_taken(self, batch_ids: Collection[str]) -> frozenset[str]:
        """Those of the batch ids with which an append was committed, in the time that ids are remembered."""
        with self._lock, translated(self.folder):
            return self._taken(self._refreshed(), batch_ids)

    def add_columns(self, wanted: Mapping[str, FieldType]) -> Mapping[str, FieldType]:
        """Adds the columns that the table lacks and can hold beside its own; all that it has afterwards.

        An ingest asks before it writes, so that two at once never give one column two types.

        Raises:
            StorageError: `lake_failed`, `lake_busy`.
        """

        def attempt() -> int:
            delta = self._refreshed()
            # Delta refuses columns that differ only in case, and so do many readers.
            taken = {name.lower() for name in (*columns.recorded_types(delta.schema()), types.OVERFLOW, types.DAY)}
            missing = []
            for name, field_type in wanted.items():
                if name.lower() not in taken:
                    taken.add(name.lower())
                    missing.append(columns.delta_field(name, field_type))
            if missing:
                delta.alter.add_columns(missing, post_commithook_properties=log.WITHOUT_HOOKS)
                self.folder.publish()
            return delta.version()

        self._until_done(attempt)
        return self.snapshot().columns

    def append(
        self, frames: Iterable[pl.DataFrame], *, types: Mapping[str, FieldType], batch_ids: Collection[str] = ()
    ) -> int:
        """Adds events, all or none, and returns the version that holds them.

        Each frame holds TIMESTAMP (no nulls), any columns of `types` in their Polars types and, if need be, OVERFLOW;
        it need not be sorted. One frame is in memory at a time. Events with one @timestamp keep the order in which
        they come. Columns the table lacks are added. A crash before the commit leaves files that nothing refers to;
        `vacuum` takes them.

        Args:
            batch_ids: the batches whose events these are; each is taken in once.

        Raises:
            BatchTaken: some of the batches were committed before, if only while these frames were written.
            IngestError: `column_conflict` (another type, or a name that differs only in case, in the table; `extra`
                holds `columns`), `invalid_frame`.
            StorageError: `lake_failed`, `lake_busy` (the commit lost every race).
        """
        writer = self.write(frames, types=types, batch_ids=batch_ids)
        return self.commit(writer, types=types, batch_ids=batch_ids)

    def write(
        self, frames: Iterable[pl.DataFrame], *, types: Mapping[str, FieldType], batch_ids: Collection[str] = ()
    ) -> files.FileWriter:
        """The first half of `append`: the events lie in files that no commit names. `close` deletes them.

        Raises what `append` raises; nothing stays then.
        """
        self.room.check()
        writer = files.FileWriter(self.folder, self.room)
        try:
            with self._lock, translated(self.folder):
                # Not refreshed, which costs 4 ms: who appends has just looked, and the commit meets what is new.
                delta = self._open()
                if taken := self._taken(delta, batch_ids):
                    raise BatchTaken(taken)
                # Before anything is written: a clash would be found only after gigabytes of files.
                self._check(delta, types)
            for frame in frames:  # what the caller's iterator raises is the caller's
                with translated(self.folder):
                    writer.write(frame, types)
            with translated(self.folder):
                writer.finish()
        except BaseException:
            writer.close()
            raise
        return writer

    def commit(
        self, writer: files.FileWriter, *, types: Mapping[str, FieldType], batch_ids: Collection[str] = ()
    ) -> int:
        """The second half of `append`: adds what was written, all or none; the version that holds it.

        Of a commit that failed nothing stays, save where nobody can tell. Raises what `append` raises.
        """
        try:
            version = self._commit(writer, types, batch_ids)
        except (errors.NoRoom, BatchTaken):
            # Such a commit does not come later: its files must not keep the disk full until a vacuum.
            writer.is_offered = writer.is_offered and self._may_name(writer.written)
            raise
        finally:
            writer.close()
        # After `close`, when the files belong to the table.
        self._join_tiny_files()
        return version

    def _may_name(self, written: Sequence[files.Written]) -> bool:
        """Whether the newest snapshot holds any of the files, or cannot be read."""
        try:
            paths = self.snapshot().files_by_path
        except errors.PenstockError:
            return True
        return any(each.file.path in paths for each in written)

    def _join_tiny_files(self) -> None:
        """Joins the files of few events at the end of the table, if there are many.

        The events are committed: what fails here is left to upkeep.
        """
        with contextlib.suppress(errors.StorageError), translated(self.folder):
            with self._lock:
                snapshot = self._as_snapshot(self._open())
            newest = snapshot.files[-_MOST_TINY_FILES:]
            # From the newest backwards until a larger file: a run must be of neighbours in file order.
            tiny = list(itertools.takewhile(lambda file: file.rows < _TINY_ROWS, reversed(newest)))[::-1]
            if len(tiny) >= _TINY_FILES:
                part = dataclasses.replace(snapshot, files=tuple(tiny))
                for run in joining.runs(part, min_files=_TINY_FILES // 4, target=joining.Target()):
                    self.join(part, run)

    def join(self, snapshot: Snapshot, run: Sequence[DataFile], should_stop: Callable[[], bool] | None = None) -> bool:
        """Joins files that follow one another into one; False if another writer has taken some of them away.

        Raises:
            Stopped: `should_stop` said so; nothing was changed.
            StorageError: `lake_failed`, `lake_busy`.
        """
        self.room.check(sum(file.bytes for file in run))
        with translated(self.folder):
            written = joining.join(snapshot, run, lambda: check_stop(should_stop))
        if self.replace(run, [written]) is None:
            files.delete(self.folder, [written])
            return False
        self.folder.touch([file.path for file in run])  # `vacuum` counts a file's age from here
        return True

    def replace(self, removed: Sequence[DataFile], added: Sequence[files.Written]) -> int | None:
        """Swaps files for others that hold the same events; the version, or None if `removed` are no longer there."""

        def attempt() -> int | None:
            delta = self._refreshed()
            present = self._as_snapshot(delta).files_by_path
            if added[0].file.path in present:  # an attempt that seemed to fail went through
                return delta.version()
            # Another compaction was first. To commit would bring its events in twice.
            if not all(file.path in present for file in removed):
                return None
            partitioned = _is_partitioned(delta)
            actions: list[_Action] = [files.remove_action(file, partitioned=partitioned) for file in removed]
            actions += [files.add_action(each, partitioned=partitioned, data_change=False) for each in added]
            return self._offer(delta, actions, [_REPLACE_MARK])

        self._note(added)
        return self._until_done(attempt)

    def _commit(self, writer: files.FileWriter, wanted: Mapping[str, FieldType], batch_ids: Collection[str]) -> int:
        self._note(writer.written)
        used = {name: wanted[name] for name in sorted(writer.columns - {types.TIMESTAMP})}

        def attempt() -> int:
            delta = self._open()  # a look at the log costs as much as a commit; who lost a race opens the table again
            self._add_columns(delta, used)
            partitioned = _is_partitioned(delta)
            actions = [files.add_action(each, partitioned=partitioned, data_change=True) for each in writer.written]
            # Before the batches: an attempt that seemed to fail and went through took them.
            if writer.is_offered and actions and actions[0].path in self._as_snapshot(delta).files_by_path:
                return delta.version()
            # From here on `delta` is not refreshed: the commit must fail if a batch came in after this look.
            if taken := self._taken(delta, batch_ids):
                raise BatchTaken(taken)
            if not actions and not batch_ids:
                return delta.version()
            files.refresh(self.folder, writer.written)
            writer.is_offered = True
            return self._offer(delta, actions, [batches.mark_of(batch_id) for batch_id in batch_ids])

        return self._until_done(attempt)

    def _note(self, written: Iterable[files.Written]) -> None:
        """What this process wrote it need not read from the footers."""
        for each in written:
            self.catalog.add(each.file.path, each.fields)

    def _until_done(self, attempt: Callable[[], _Result]) -> _Result:
        """Tries until an attempt loses no race; after a lost one, a pause."""
        for number in range(COMMIT_ATTEMPTS):
            with self._lock, translated(self.folder):
                try:
                    return attempt()
                except (delta_errors.CommitFailedError, location.LostRace):
                    # Opened again: after a lost race the object's idea of the log is behind.
                    self._delta = None
                except (OSError, delta_errors.DeltaError, errors.StorageError):
                    # Or ahead, of a commit that did not reach a bucket.
                    self._delta = None
                    raise
            # Outside of the lock. Random, so that two writers that collided do not do so again.
            time.sleep(min(2.0, _BACKOFF_SECONDS * (number + 1)) * random.random())
        raise errors.StorageError(
            "lake_busy",
            f"Other writers were faster {COMMIT_ATTEMPTS} times in a row.",
            "Try again; use fewer writers at once for one community.",
        )

    def _add_columns(self, delta: deltalake.DeltaTable, used: Mapping[str, FieldType]) -> None:
        """Adds the columns that are missing."""
        known = self._check(delta, used)
        missing = [columns.delta_field(name, field_type) for name, field_type in used.items() if name not in known]
        if missing:
            delta.alter.add_columns(missing, post_commithook_properties=log.WITHOUT_HOOKS)
            self.folder.publish()
            delta.update_incremental()

    def _check(self, delta: deltalake.DeltaTable, wanted: Mapping[str, FieldType]) -> Mapping[str, FieldType]:
        """Refuses columns that the table cannot hold beside those it has; those it has."""
        known = columns.recorded_types(delta.schema())
        by_fold = {name.lower(): name for name in (*known, types.OVERFLOW, types.DAY)}
        clashes = []
        for name, field_type in wanted.items():
            other = by_fold.setdefault(name.lower(), name)
            if other != name or name in types.RESERVED or known.get(name, field_type) != field_type:
                clashes.append(name)
        if clashes:
            raise errors.ColumnConflict(
                "column_conflict",
                f"The event table cannot hold these columns beside its own: {', '.join(clashes)}.",
                "Keep values of another type, and names that differ only in case, in the overflow.",
                columns=clashes,
            )
        return known

    def _offer(
        self,
        delta: deltalake.DeltaTable,
        actions: Sequence[_Action],
        marks: Iterable[str],
    ) -> int:
        """Commits on top of what `delta` has seen; the newest version afterwards, which holds it.

        Commits that other writers made since are passed over, unless they changed the columns or bear one of the
        `marks`: then it is a lost race.
        """
        # delta-rs refuses a commit if another one with the same application id came in since: that is all marks are
        # for.
        # The time lets a checkpoint leave them out.
        now_ms = time.time_ns() // 1_000_000
        transactions = [transaction.Transaction(mark, 1, now_ms) for mark in marks]
        began = time.monotonic()
        delta.create_write_transaction(
            list(actions),
            "append",
            delta.schema(),
            list(delta.metadata().partition_columns),
            commit_properties=transaction.CommitProperties(app_transactions=transactions or None),
            post_commithook_properties=log.WITHOUT_HOOKS,
        )
        self.folder.publish()
        # A process that stood still in there for minutes may have written an entry where one had been and was deleted.
        if time.monotonic() - began > log.KEEP_SECONDS / 2 and not log.holds(self.folder, delta.version() - 1):
            raise delta_errors.CommitFailedError("The log went on, and this commit is behind its beginning.")
        # Not from the bucket, if it is in one: what was committed is here.
        delta = self._open()
        delta.update_incremental()
        version = delta.version()
        self._keep_log()
        return version

    def _keep_log(self) -> None:
        """A checkpoint, if one is due. What was committed is committed: what fails here is made up for later."""
        with contextlib.suppress(errors.StorageError), translated(self.folder):
            delta = self._open()
            if log.is_due(self.folder, delta, len(self._as_snapshot(delta).files)):
                log.keep(self.folder, delta, self._batches, self.folder.now())

    def _as_snapshot(self, delta: deltalake.DeltaTable) -> Snapshot:
        if self._newest is None or self._newest.version != delta.version():
            self._newest = snapshots.read(self.folder, delta, self.catalog)
            self.catalog.forget_others(self._newest.files_by_path)
        return self._newest

    def _refreshed(self) -> deltalake.DeltaTable:
        with self._lock:
            self.folder.sync()
            delta = self._open()
            delta.update_incremental()
            return delta

    def _open(self) -> deltalake.DeltaTable:
        # From the newest checkpoint: what lies before it may go, and each entry since makes all that follows slower.
        if self._delta is None:
            self.folder.sync()
        state = self.folder.log_state()
        if self._delta is None or state != self._opened_from:
            if not deltalake.DeltaTable.is_deltatable(self.folder.log_root):
                self._create()
            self._delta, self._opened_from = deltalake.DeltaTable(self.folder.log_root), state
        return self._delta

    def _taken(self, delta: deltalake.DeltaTable, batch_ids: Collection[str]) -> frozenset[str]:
        """The batches that commits up to `delta`'s took in."""
        # A table of an earlier version has all ids in its checkpoint.
        is_old = bool(batch_ids) and not log.has_properties(delta)
        old = (each for each in batch_ids if is_old and delta.transaction_version(batches.mark_of(each)) is not None)
        return self._batches.taken(batch_ids, delta.version()).union(old)

    def _create(self) -> None:
        os.makedirs(self.folder.log_root, exist_ok=True)
        try:
            deltalake.DeltaTable.create(
                self.folder.log_root,
                columns.initial_schema(),
                configuration=dict(log.CONFIGURATION),
                name=self.community_uuid,
                description="Penstock events",
            )
            self.folder.publish()
        except (delta_errors.DeltaError, location.LostRace):
            # Two processes may make it at once; whoever lost uses what the other made.
            self.folder.sync()
            if not deltalake.DeltaTable.is_deltatable(self.folder.log_root):  # else another process made it first
                raise


@contextlib.contextmanager
def translated(folder: location.Location) -> Iterator[None]:
    """The border of the foreign libraries: what they raise becomes StorageError `lake_failed`."""
    try:
        yield
    except (delta_errors.DeltaError, pl.exceptions.PolarsError, OSError) as error:
        if disk.says_full(error):
            raise disk.no_room(disk.Room(folder.disk, 0).space()) from error
        raise errors.StorageError("lake_failed", *folder.explain(error)) from error


def _is_partitioned(delta: deltalake.DeltaTable) -> bool:
    """Whether version 0.1 made the table: it had a partition for each day."""
    return types.DAY in delta.metadata().partition_columns
