"""AttachedTable: the event table of a community whose events somebody else writes. It is read, and nothing else."""

from __future__ import annotations

import threading
import time
import uuid
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NoReturn

import orjson
import polars as pl

from penstock import errors
from penstock.fields.types import FieldType
from penstock.lake import location, pins, table
from penstock.lake.attached import definition, facts, faults, ledger, schemas, snapshots, stores
from penstock.lake.attached.formats import delta, iceberg, listing, parquet
from penstock.lake.files import DataFile, Written

_KEPT_IN_MEMORY = 4
_SLOW_SECONDS = 1.0
"""A look at the table that takes so long is not taken for every request: a prefix of 100,000 objects is 100 calls."""

_FRESH_SECONDS = 60.0


class AttachedTable(table.EventTable):
    """An event table that is read only. Safe from several threads and processes.

    Args:
        closed: where no file of the table may lie, see `stores.check_place`.
        spill: where slices that share row groups may be put; None: nowhere.

    Attributes:
        defined: what is attached.
    """

    def __init__(
        self,
        lake: str | location.Lake,
        community_uuid: str | uuid.UUID,
        defined: definition.Definition,
        access: stores.Access,
        *,
        closed: str = "",
        spill: snapshots.SpillPlace | None = None,
    ) -> None:
        super().__init__(lake, community_uuid)
        self._closed = closed
        self._spill = spill
        self.defined = defined
        self._access = access
        self._book = facts.Book(access, ledger.Ledger(self.folder, defined.time))
        self._made: dict[int, snapshots.Attached] = {}
        self._making = threading.Lock()
        self._last: tuple[float, listing.Listing] | None = None  # until when it is fresh

    def snapshot(self, version: int | None = None) -> snapshots.Attached:
        """The newest table, or what it was when `keep` pinned the version.

        Raises:
            NotFound: `snapshot_not_found`: the version is kept no more, and the table itself has it no more.
            Conflict: `attached_file_changed`.
            ConfigurationError: `attached_table_empty`, `attached_table_unsupported`.
            StorageError: `attached_table_unreadable`.
        """
        if version is not None:
            made = self._made.get(version)
            if made is not None:
                return made
            listed = self._kept(version) or self._listed(version)
        else:
            listed = self._newest_listed()
        with self._making:
            return self._made.get(listed.version) or self._make(listed)

    def is_current(self) -> bool:
        """Whether the community's events are still what this object reads; else it must be opened again.

        Raises:
            Conflict: `community_detached`.
            StorageError: `lake_failed`: nobody can say.
        """
        # Asked each time: it is one small file, and a look at the table itself costs more.
        return definition.read(self.folder) == self.defined

    def keep(self, kept: table.Snapshot) -> None:
        """Keeps a snapshot readable by its version: the list of its files, as they are now. Raises StorageError."""
        assert isinstance(kept, snapshots.Attached)
        name = _name(kept.version)
        with table.translated(self.folder):
            if not self.folder.freshen(name):  # `pins.forget` counts its age from here
                self.folder.write(name, zlib.compress(orjson.dumps(kept.listed.as_json()), 1))

    def check(self) -> snapshots.Attached:
        """The newest table, if the definition suits it; asked before it is attached.

        Raises:
            what `snapshot` and `schemas.check` raise.
        """
        listed = self._listed(None)
        views, found, schema = self._looked_at(listed, is_first=True)
        schemas.check([views.of(each.shape) for each in found], schema, self.defined)
        return snapshots.make(self.root, listed, found, views, schema, self._access, self._spill)

    def hand_over(self, folder: location.Location) -> None:
        """Keeps what a look at the table found out in a community's folder, where its own processes ask for it."""
        self._book.store(ledger.Ledger(folder, self.defined.time))

    def adopt_log_properties(self) -> None:
        """Nothing: the log is not ours."""

    def has_batch(self, batch_id: str) -> bool:
        """Never: nothing is taken in."""
        return False

    def batches_taken(self, batch_ids: Collection[str]) -> frozenset[str]:
        """None: nothing is taken in."""
        return frozenset()

    def check_writable(self) -> None:
        """Raises ReadOnly `community_attached`."""
        raise faults.refused()

    def add_columns(self, wanted: Mapping[str, FieldType]) -> NoReturn:
        """Raises ReadOnly `community_attached`."""
        raise faults.refused()

    def append(
        self, frames: Iterable[pl.DataFrame], *, types: Mapping[str, FieldType], batch_ids: Collection[str] = ()
    ) -> NoReturn:
        """Raises ReadOnly `community_attached`."""
        raise faults.refused()

    def join(
        self, snapshot: table.Snapshot, run: Sequence[DataFile], should_stop: Callable[[], bool] | None = None
    ) -> NoReturn:
        """Raises ReadOnly `community_attached`."""
        raise faults.refused()

    def replace(self, removed: Sequence[DataFile], added: Sequence[Written]) -> NoReturn:
        """Raises ReadOnly `community_attached`."""
        raise faults.refused()

    def forget(self, pinned_versions: Collection[int], keep_seconds: float) -> None:
        """Forgets kept snapshots that nobody pins any more. The table's own files are never touched."""
        with table.translated(self.folder):
            pins.forget(self.folder, pinned_versions, self.folder.now() - keep_seconds)

    def _newest_listed(self) -> listing.Listing:
        """The newest version; where a look at the table is slow, it serves for ten times as long as it took."""
        now = time.monotonic()
        if self._last is not None and now < self._last[0]:
            return self._last[1]
        listed = self._listed(None)
        took_seconds = time.monotonic() - now
        fresh_seconds = min(10 * took_seconds, _FRESH_SECONDS) if took_seconds >= _SLOW_SECONDS else 0.0
        self._last = (now + took_seconds + fresh_seconds, listed)
        return listed

    def _listed(self, version: int | None) -> listing.Listing:
        listed = self._read(version)
        place = None if self.defined.catalog else self.defined.table
        stores.check_place((entry.file.uri for entry in listed.entries), place, self._closed)
        return listed

    def _read(self, version: int | None) -> listing.Listing:
        where = self.defined.table
        match self.defined.type:
            case definition.TableType.PARQUET:
                if version is not None:
                    raise _not_found(version)
                return parquet.read(where, self._access)
            case definition.TableType.DELTA:
                return delta.read(where, version, self._access)
            case definition.TableType.ICEBERG:
                return iceberg.read(where, self.defined.catalog, version, self._access)

    def _make(self, listed: listing.Listing) -> snapshots.Attached:
        views, found, schema = self._looked_at(listed)
        made = snapshots.make(self.root, listed, found, views, schema, self._access, self._spill)
        while len(self._made) >= _KEPT_IN_MEMORY:
            self._made.pop(next(iter(self._made)), None)
        self._made[listed.version] = made
        return made

    def _looked_at(
        self, listed: listing.Listing, *, is_first: bool = False
    ) -> tuple[schemas.Views, list[ledger.Facts], schemas.Schema]:
        views = schemas.Views(self.defined, listed.columns, listed.constants)
        found = self._book.of(listed.entries, views.time_of, by_tag=listed.by_tag, is_first=is_first)
        seen = {id(each.shape): views.of(each.shape) for each in found}
        return views, found, schemas.of(list(seen.values()), listed.columns, self.defined)

    def _kept(self, version: int) -> listing.Listing | None:
        try:
            return listing.Listing.from_json(orjson.loads(zlib.decompress(self.folder.read(_name(version)))))
        except (FileNotFoundError, zlib.error, ValueError, KeyError, TypeError):
            return None


def detach(folder: location.Location) -> None:
    """Ends that a community's events are an attached table: what was kept of it in the community's folder goes.

    The table itself is not touched. Idempotent. Raises StorageError.
    """
    definition.write_detached(folder)
    with table.translated(folder):
        folder.delete([ledger.NAME, *(entry.name for entry in folder.list(pins.FOLDER))])


def _name(version: int) -> str:
    return f"{pins.FOLDER}/{version:020d}"


def _not_found(version: int) -> errors.NotFound:
    return errors.NotFound(
        "snapshot_not_found", f"Version {version} of the attached table is kept no more.", "Run the search again."
    )
