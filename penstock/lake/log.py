"""A table's log: how it is kept short, however often something is committed.

delta-rs takes part of a millisecond for each entry behind the checkpoint that it began from, and again for each file in
the log's folder, at every commit. So a checkpoint is made every few entries, what lies before it goes soon, and a
checkpoint holds data files, not the past: neither what was removed nor who committed.

    commit ─▶ is one due? ─▶ batch ids into their segments ─▶ checkpoint ─▶ delete what is behind an older checkpoint

All of it is done here and nothing by delta-rs's own hooks, because of the order: an entry may go only when its batch
ids are kept elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

import deltalake
import orjson
import polars as pl
from deltalake import transaction

from penstock.lake import batches
from penstock.lake.location import Entry, Location
from penstock.lake.location.contract import LOG

KEEP_SECONDS = 120.0
"""How long a checkpoint stays once it is there, and with it all behind it: who has just opened it may still read on."""

CHECKPOINT_ENTRIES = 20
"""Entries between two checkpoints of a small table. An entry costs each commit behind it 0.3 ms, a checkpoint 25 ms."""

_MOST_ENTRIES = 200
_FILES_AN_ENTRY = 100
"""Of a larger table: one entry more for each so many data files, which a checkpoint lists all of them."""

_NEVER = "1000000000"

CONFIGURATION: Mapping[str, str] = {
    "delta.dataSkippingNumIndexedCols": "2",  # @timestamp and the overflow: all that planning needs
    "delta.checkpointInterval": _NEVER,  # `keep` makes them
    "delta.enableExpiredLogCleanup": "false",  # `keep` does it
    "delta.logRetentionDuration": "interval 2 minutes",
    # What was removed and who committed: of no use to anybody but to delta-rs's vacuum, which is never called.
    "delta.deletedFileRetentionDuration": "interval 1 minutes",
    "delta.setTransactionRetentionDuration": "interval 1 minutes",
}
"""Properties of a table. One that an earlier version made gets them from `upkeep.vacuum`."""

WITHOUT_HOOKS = transaction.PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""For every commit."""

_ENTRY = re.compile(r"(\d{20})\.(?:json|checkpoint\..*parquet)")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")


def has_properties(delta: deltalake.DeltaTable) -> bool:
    """Whether the table has the properties of `CONFIGURATION`; else its log is not shortened."""
    return CONFIGURATION.items() <= delta.metadata().configuration.items()


def adopt(folder: Location, delta: deltalake.DeltaTable, taken: batches.Batches, now: float) -> None:
    """Gives a table of an earlier version the properties of `CONFIGURATION`, and its batch ids their segments.

    Snapshots that are read by version must have been kept before.
    """
    # Which has all ids, as far back as the table goes.
    _checkpoint(folder, delta)
    place = os.path.join(folder.log_root, LOG, f"{delta.version():020d}.checkpoint.parquet")
    marks = pl.read_parquet(place, columns=["txn"], glob=False)
    names = marks["txn"].struct.field("appId").drop_nulls().to_list()
    taken.gather(delta.version(), now, [mark.removeprefix(batches.MARK) for mark in names])
    delta.alter.set_table_properties(
        dict(CONFIGURATION), raise_if_not_exists=False, post_commithook_properties=WITHOUT_HOOKS
    )
    folder.publish()


def is_due(folder: Location, delta: deltalake.DeltaTable, files: int) -> bool:
    """Whether a checkpoint should be made of a table that has so many data files."""
    entries = min(_MOST_ENTRIES, CHECKPOINT_ENTRIES + files // _FILES_AN_ENTRY)
    return delta.version() - _checkpointed(folder) >= entries


def keep(folder: Location, delta: deltalake.DeltaTable, taken: batches.Batches, now: float) -> None:
    """Makes a checkpoint of what `delta` has seen, and deletes what is no longer needed.

    Two processes may do it at once. A crash at any point leaves more than is needed, never less.

    Args:
        now: seconds since 1970, by the clock of `folder`.
    """
    taken.gather(delta.version(), now)
    _checkpoint(folder, delta)
    if has_properties(delta):
        _shorten(folder, now - KEEP_SECONDS, taken.gathered())


def holds(folder: Location, version: int) -> bool:
    """Whether the log still has the entry of a version."""
    return folder.state(f"{LOG}/{version:020d}.json") is not None


def _checkpoint(folder: Location, delta: deltalake.DeltaTable) -> None:
    delta.create_checkpoint()
    folder.publish_checkpoint(delta.version())


def _shorten(folder: Location, instant: float, gathered: int) -> None:
    """Deletes what lies before the newest checkpoint that was there at an instant."""
    found = list(_numbered(folder))
    first = max(
        (
            version
            for entry, version in found
            if _CHECKPOINT.fullmatch(_base(entry)) and entry.modified <= instant and version <= gathered
        ),
        default=0,
    )
    # From the oldest on: a crash in between must not leave a hole.
    folder.delete([entry.name for entry, version in sorted(found, key=lambda each: each[1]) if version < first])


def _numbered(folder: Location) -> Iterator[tuple[Entry, int]]:
    """Entries and checkpoints, and their versions."""
    for entry in folder.list(LOG):
        if number := _ENTRY.fullmatch(_base(entry)):
            yield entry, int(number[1])


def _base(entry: Entry) -> str:
    return os.path.basename(entry.name)


def _checkpointed(folder: Location) -> int:
    """The version of the newest checkpoint; -1 if there is none."""
    try:
        with open(os.path.join(folder.log_root, LOG, "_last_checkpoint"), "rb") as file:
            return int(orjson.loads(file.read())["version"])
    except (OSError, ValueError, KeyError):
        return -1
