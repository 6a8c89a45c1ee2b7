"""A table's log: how it is kept short, however often something is committed.

delta-rs takes part of a millisecond for each entry behind the checkpoint that it began from, and again for each file in
the log's folder, at every commit. So a checkpoint is made every few entries, what lies before it goes soon, and a
checkpoint holds data files, not the past: neither what was removed nor who committed.

    commit ─▶ is one due? ─▶ batch ids into their segments ─▶ checkpoint ─▶ delete what is behind an older checkpoint

All of it is done here and nothing by delta-rs's own hooks, because of the order: an entry may go only when its batch
ids are kept elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

import deltalake
import orjson
import polars as pl
from deltalake import transaction

from penstock.lake import batches

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

State = tuple[int, int] | None
"""Tells one newest checkpoint from another."""


def has_properties(delta: deltalake.DeltaTable) -> bool:
    """Whether the table has the properties of `CONFIGURATION`; else its log is not shortened."""
    return CONFIGURATION.items() <= delta.metadata().configuration.items()


def adopt(root: str, delta: deltalake.DeltaTable, taken: batches.Batches, now: float) -> None:
    """Gives a table of an earlier version the properties of `CONFIGURATION`, and its batch ids their segments.

    Snapshots that are read by version must have been kept before.
    """
    delta.create_checkpoint()  # which has all ids, as far back as the table goes
    marks = pl.read_parquet(_path(root, f"{delta.version():020d}.checkpoint.parquet"), columns=["txn"], glob=False)
    names = marks["txn"].struct.field("appId").drop_nulls().to_list()
    taken.gather(delta.version(), now, [mark.removeprefix(batches.MARK) for mark in names])
    delta.alter.set_table_properties(
        dict(CONFIGURATION), raise_if_not_exists=False, post_commithook_properties=WITHOUT_HOOKS
    )


def state(root: str) -> State:
    """That of the newest checkpoint; it changes when there is a newer one."""
    try:
        found = os.stat(_last_checkpoint(root))
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def is_due(root: str, delta: deltalake.DeltaTable, files: int) -> bool:
    """Whether a checkpoint should be made of a table that has so many data files."""
    entries = min(_MOST_ENTRIES, CHECKPOINT_ENTRIES + files // _FILES_AN_ENTRY)
    return delta.version() - _checkpointed(root) >= entries


def keep(root: str, delta: deltalake.DeltaTable, taken: batches.Batches, now: float) -> None:
    """Makes a checkpoint of what `delta` has seen, and deletes what is no longer needed.

    Two processes may do it at once. A crash at any point leaves more than is needed, never less.

    Args:
        now: seconds since 1970.
    """
    taken.gather(delta.version(), now)
    delta.create_checkpoint()
    if has_properties(delta):
        _shorten(root, now - KEEP_SECONDS, taken.gathered())


def holds(root: str, version: int) -> bool:
    """Whether the log still has the entry of a version."""
    return os.path.exists(_path(root, f"{version:020d}.json"))


def _shorten(root: str, instant: float, gathered: int) -> None:
    """Deletes what lies before the newest checkpoint that was there at an instant."""
    found = list(_numbered(root))
    first = max(
        (
            version
            for name, version, written in found
            if _CHECKPOINT.fullmatch(name) and written <= instant and version <= gathered
        ),
        default=0,
    )
    # From the oldest on: a crash in between must not leave a hole.
    for name, version, _ in sorted(found, key=lambda entry: entry[1]):
        if version < first:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_path(root, name))


def _numbered(root: str) -> Iterator[tuple[str, int, float]]:
    """Entries and checkpoints: name, version, when written."""
    with os.scandir(_path(root)) as entries:
        for entry in entries:
            if number := _ENTRY.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    yield entry.name, int(number[1]), entry.stat().st_mtime


def _checkpointed(root: str) -> int:
    """The version of the newest checkpoint; -1 if there is none."""
    try:
        with open(_last_checkpoint(root), "rb") as file:
            return int(orjson.loads(file.read())["version"])
    except (OSError, ValueError, KeyError):
        return -1


def _path(root: str, name: str = "") -> str:
    return os.path.join(root, "_delta_log", name)


def _last_checkpoint(root: str) -> str:
    return _path(root, "_last_checkpoint")
