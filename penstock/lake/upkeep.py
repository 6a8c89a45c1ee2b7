"""Keeps a table fast and small: compaction joins small files, vacuum deletes files that nothing needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

from penstock.lake import table


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
    target_rows: int = 1_048_576,
    min_files: int = 4,
    should_stop: Callable[[], bool] | None = None,
) -> CompactReport:
    """Joins small files of each day, keeping the order of events to the row; one commit per day."""
    raise NotImplementedError


def vacuum(
    events: table.EventTable, *, pinned_versions: Collection[int], keep_seconds: float, dry_run: bool = False
) -> VacuumReport:
    """Deletes files that neither the newest nor a pinned snapshot needs and that are older than `keep_seconds`."""
    raise NotImplementedError
