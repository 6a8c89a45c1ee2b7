"""Where search jobs and exports stand: one pair of enums for the service, its client and the command line."""

from __future__ import annotations

import enum


class SearchStatus(enum.IntEnum):
    """Where a search job stands; the numbers are the API's."""

    # Clients of the reference platform compare these numbers: they never change.
    PENDING = 0
    RUNNING = 1
    DONE = 2
    CANCELED = 3
    FAILED = 4

    @property
    def is_final(self) -> bool:
        """No move leads out of this state."""
        return self not in (SearchStatus.PENDING, SearchStatus.RUNNING)


class ExportStatus(enum.StrEnum):
    """Where an export stands; the words are the API's, which calls it a task."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """No move leads out of this state: the slot is free, the secrets are erased."""
        return self not in (ExportStatus.PENDING, ExportStatus.RUNNING)
