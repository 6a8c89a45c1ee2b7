"""The legal moves between the states of search jobs and exports, and what an API key may do."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from penstock import errors
from penstock.base.statuses import ExportStatus, SearchStatus

# ExportStatus and SearchStatus lie in base/, since the client reads them too; this room names them from here.
__all__ = [
    "ACTIVE",
    "LEGAL_MOVES",
    "SEARCH_ACTIVE",
    "SEARCH_LEGAL_MOVES",
    "ExportStatus",
    "Permission",
    "SearchStatus",
    "require_move",
    "require_search_move",
    "search_sources",
    "sources",
]


class Permission(enum.StrEnum):
    """What an API key may do."""

    SIC_READ_INTAKES = "SIC_READ_INTAKES"
    SIC_MASSIVE_EXPORT_EVENTS = "SIC_MASSIVE_EXPORT_EVENTS"
    SIC_WRITE_EVENTS = "SIC_WRITE_EVENTS"
    ADMIN = "ADMIN"


LEGAL_MOVES: Mapping[ExportStatus, frozenset[ExportStatus]] = {
    ExportStatus.PENDING: frozenset({ExportStatus.RUNNING, ExportStatus.FAILED, ExportStatus.CANCELED}),
    ExportStatus.RUNNING: frozenset({ExportStatus.FINISHED, ExportStatus.FAILED, ExportStatus.CANCELED}),
    ExportStatus.FINISHED: frozenset(),
    ExportStatus.FAILED: frozenset(),
    ExportStatus.CANCELED: frozenset(),
}
"""Export status -> statuses it may move to. A worker that gives its lease back leaves the export RUNNING."""

SEARCH_LEGAL_MOVES: Mapping[SearchStatus, frozenset[SearchStatus]] = {
    SearchStatus.PENDING: frozenset({SearchStatus.RUNNING, SearchStatus.CANCELED}),
    SearchStatus.RUNNING: frozenset({SearchStatus.DONE, SearchStatus.FAILED, SearchStatus.CANCELED}),
    SearchStatus.DONE: frozenset(),
    SearchStatus.CANCELED: frozenset(),
    SearchStatus.FAILED: frozenset(),
}
"""Search status -> statuses it may move to."""

ACTIVE = frozenset(status for status, moves in LEGAL_MOVES.items() if moves)
"""Statuses in which an export holds a slot of its community: PENDING and RUNNING."""

SEARCH_ACTIVE = frozenset(status for status, moves in SEARCH_LEGAL_MOVES.items() if moves)
"""Statuses in which a search job still waits or runs."""


def require_move(before: ExportStatus, after: ExportStatus) -> None:
    """Raises Conflict `illegal_move` unless the table allows `before` -> `after`."""
    if after not in LEGAL_MOVES[before]:
        raise errors.Conflict("illegal_move", f"An export that is {before} cannot become {after}.")


def require_search_move(before: SearchStatus, after: SearchStatus) -> None:
    """Raises Conflict `illegal_move` unless the table allows `before` -> `after`."""
    if after not in SEARCH_LEGAL_MOVES[before]:
        raise errors.Conflict("illegal_move", f"A search job that is {before.name} cannot become {after.name}.")


def sources(after: ExportStatus) -> frozenset[ExportStatus]:
    """Statuses from which `after` may be reached: the condition of the UPDATE that moves there."""
    return frozenset(before for before, moves in LEGAL_MOVES.items() if after in moves)


def search_sources(after: SearchStatus) -> frozenset[SearchStatus]:
    """Statuses from which `after` may be reached."""
    return frozenset(before for before, moves in SEARCH_LEGAL_MOVES.items() if after in moves)
