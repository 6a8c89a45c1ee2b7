"""Which files a reader has at hand, where they come from a bucket: some at a time, and the next ones early.

On a disk all of it is nothing: every file is at hand, and any number of them may be read at once.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

from penstock import query
from penstock.lake import catalog, snapshots, table
from penstock.lake.files import DataFile
from penstock.lake.read import plan
from penstock.lake.read.pruning import needed

_ATTACHED_FILES = 64
"""Files of an attached table that are read at once, at most: each may be a scan of its own, with threads of its own."""

_AHEAD_FILES = 16
"""Files that are fetched before somebody waits for them, at most."""


def held(snapshot: table.Snapshot, files: Sequence[DataFile]) -> contextlib.AbstractContextManager[None]:
    """Keeps the local copies of data files there inside the `with`."""
    return snapshot.folder.hold([file.path for file in files])


def fits(snapshot: table.Snapshot, files: Sequence[DataFile], file: DataFile) -> bool:
    """Whether a file may be read at once with others: what is held must not fill the cache."""
    if snapshots.is_attached(snapshot):
        return len(files) < _ATTACHED_FILES
    folder = snapshot.folder
    if not folder.is_remote:
        return True
    return len(files) < folder.held_files and sum(one.bytes for one in (*files, file)) <= folder.held_bytes


def may_match(fields: catalog.Fields, predicate: query.Predicate) -> bool:
    """Whether a file of these fields may hold a match; it is not fetched to find that out."""
    return predicate.within(frozenset(), frozenset()).constant is not False or predicate.looks_at(
        fields.columns, fields.overflow
    )


def ahead(
    snapshot: table.Snapshot, files: Sequence[tuple[DataFile, catalog.Fields]], predicate: query.Predicate
) -> None:
    """Begins to fetch those of the files, given in the order of reading, that will be read."""
    if not snapshot.folder.is_remote:
        return
    size = 0.0
    for file, fields in itertools.islice(files, _AHEAD_FILES):
        size += file.bytes
        # More than this would push out what is read now.
        if size > snapshot.folder.held_bytes:
            return
        if not snapshot.folder.has_local(file.path) and may_match(fields, predicate):
            _fetch_later(snapshot, file, predicate)


def slices_ahead(snapshot: table.Snapshot, slices: Sequence[plan.Slice], predicate: query.Predicate) -> None:
    """As `ahead`, of the files of an export's next slices."""
    if not snapshot.folder.is_remote:
        return
    names = dict.fromkeys(piece.file for each in slices for piece in each.pieces)
    files = [snapshot.files_by_path[name] for name in names]
    with table.translated(snapshot.folder):
        ahead(snapshot, list(zip(files, snapshot.fields_of(files), strict=True)), predicate)


def _fetch_later(snapshot: table.Snapshot, file: DataFile, predicate: query.Predicate) -> None:
    def fetch() -> None:
        # Its sidecar first: most files hold none of what a rare value is looked for in.
        if needed.needed(snapshot, [file], predicate).files:
            with held(snapshot, [file]):
                pass

    snapshot.folder.later(file.path, fetch)
