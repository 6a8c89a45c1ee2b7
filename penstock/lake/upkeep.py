"""Keeps a table fast and small: compaction joins small files, vacuum deletes files that nothing needs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Collection, Iterator

from penstock.lake import joining, needles, pins, table
from penstock.lake.location import Entry, Location

SAFE_SECONDS = 600.0
"""Least age at which `penstock lake vacuum` deletes a file: an ingest that is under way says every minute that its
files are in use, and a reader needs time to pin what it has opened."""


TINY_BYTES = 65_536
TINY_KEEP_SECONDS = 3_600.0
"""A file of fewer bytes is kept this long at most: one event a file and some files a second make a million a day.
Longer than any search or append goes without a pin or a word."""


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
    target: joining.Target | None = None,
    max_seconds: float = math.inf,
    should_stop: Callable[[], bool] | None = None,
) -> CompactReport:
    """Joins runs of at least `min_files` small files (`joining.Target`), sorted by @timestamp; one commit for each run.

    Only files that follow one another in file order are joined, and what they become takes their place: an export
    before and one after are the same, ties included. Earlier snapshots stay readable until a vacuum. Other writers may
    append meanwhile; a run that another compaction has taken is left to it. After `max_seconds` no new run is begun.

    Raises:
        Stopped: `should_stop` said so; what was committed stays.
        ReadOnly: `community_attached`.
        StorageError: `lake_failed`, `lake_busy`.
    """
    events.check_writable()
    until = time.monotonic() + max_seconds
    snapshot = events.snapshot()
    removed = added = rows = 0
    with table.translated(events.folder):
        for run in joining.runs(snapshot, min_files=min_files, target=target or joining.Target()):
            # Between runs only: a run that has begun is worth finishing.
            if time.monotonic() >= until:
                break
            if events.join(snapshot, run, should_stop):
                removed, added = removed + len(run), added + 1
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
        ReadOnly: `community_attached`.
        StorageError: `lake_failed`.
    """
    events.check_writable()
    with table.translated(events.folder):
        now = events.folder.now()
        # Listed before the newest snapshot is read: an append that commits meanwhile keeps its files.
        old = list(_files_older_than(events.folder, now, keep_seconds))
        snapshots = [events.snapshot(), *(events.snapshot(version) for version in sorted(set(pinned_versions)))]
        # Before anything is deleted: a pinned version that cannot be read raises, and then nothing is.
        needed = {file.path for snapshot in snapshots for file in snapshot.files}
        if not dry_run:
            for pinned in snapshots[1:]:
                events.keep(pinned)
            # Only now: from here on the log no longer has what an earlier version of Penstock pinned.
            events.adopt_log_properties()
            pins.forget(events.folder, pinned_versions, now - keep_seconds)
        unneeded = [entry for entry in old if entry.name not in needed]
        if not dry_run:
            # The sidecars first: alone they would stay for ever, since only data files are listed.
            events.folder.delete([needles.path_of(entry.name) for entry in unneeded])
            events.folder.delete([entry.name for entry in unneeded])
            events.folder.forget_touches(now - keep_seconds)
        names, size = tuple(entry.name for entry in unneeded), sum(entry.bytes for entry in unneeded)
        return VacuumReport(files=names, bytes=size)


def _files_older_than(folder: Location, now: float, keep_seconds: float) -> Iterator[Entry]:
    """The data files last written so long ago; of tiny ones, TINY_KEEP_SECONDS ago at most."""
    for entry in folder.data_files():
        kept = min(keep_seconds, TINY_KEEP_SECONDS) if entry.bytes < TINY_BYTES else keep_seconds
        if entry.modified <= now - kept:
            yield entry
