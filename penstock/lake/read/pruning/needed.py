"""Which files, and which row groups of them, a scan must look at, by what their sidecars say (`lake.needles`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from penstock import query
from penstock.lake import needles, snapshots, table
from penstock.lake.files import DataFile


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """What may hold a match.

    Attributes:
        files: the data files, in the order given.
        groups: of those that need not be looked at as a whole, by path: the row groups that must be, in order.
    """

    files: list[DataFile]
    groups: Mapping[str, list[needles.RowGroup]]

    def stretches(self, file: DataFile) -> list[tuple[int, int]]:
        """Offset and length of the rows of a file that must be looked at."""
        groups = self.groups.get(file.path)
        return [(0, file.rows)] if groups is None else [(group.offset, group.rows) for group in groups]


def needed(snapshot: table.Snapshot, chosen: Sequence[DataFile], predicate: query.Predicate) -> Needed:
    """What of some data files a predicate must look at. It only leaves out what cannot match, whatever is damaged."""
    requirement = predicate.requirement
    # Files of others have no sidecars.
    if requirement is None or snapshots.is_attached(snapshot):
        return Needed(files=list(chosen), groups={})
    found: list[DataFile] = []
    groups: dict[str, list[needles.RowGroup]] = {}
    for file, path in _with_sidecars(snapshot, chosen):
        with needles.read_file(path, file.order, file.rows) as sidecar:
            kept = None if sidecar is None else needles.rows_to_read(requirement, sidecar)
        # The whole file is out. None means "unknown", which is to read all of it.
        if kept == []:
            continue
        found.append(file)
        if kept is not None and sum(group.rows for group in kept) < file.rows:
            groups[file.path] = kept
    return Needed(files=found, groups=groups)


def _with_sidecars(snapshot: table.Snapshot, chosen: Sequence[DataFile]) -> Iterator[tuple[DataFile, str]]:
    """The data files and where their sidecars lie; some at a time are fetched, where they must be."""
    at_once = snapshot.folder.held_files
    for start in range(0, len(chosen), at_once):
        part = [(file, needles.path_of(file.path)) for file in chosen[start : start + at_once]]
        with snapshot.folder.hold([name for _, name in part]):
            yield from ((file, snapshot.location(name)) for file, name in part)
