"""Cuts a snapshot and a time range into slices: in time order, small enough for memory, the same every time."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection
from typing import Any

from penstock.lake import table


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimeRange:
    """A stretch of time.

    Attributes:
        earliest: first instant, inclusive; aware.
        latest: end, exclusive; aware.
    """

    earliest: dt.datetime
    latest: dt.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of rows of one data file.

    Attributes:
        file: the data file's path, below the table's folder.
        offset: first row, 0-based.
        rows: number of rows, at least 1.
    """

    file: str
    offset: int
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """What one step of an export reads.

    Attributes:
        number: position in the plan, 0-based, contiguous.
        rows: rows read before the predicate; the sum of the pieces' rows.
        first_us, last_us: no event of the slice lies outside (inclusive bounds, exact for whole files).
        pieces: what to read, in file order; several pieces are merged by @timestamp, ties in the pieces' order.
    """

    number: int
    rows: int
    first_us: int
    last_us: int
    pieces: tuple[Piece, ...]

    def to_json(self) -> dict[str, Any]:
        """The slice as plain JSON values."""
        return {
            "number": self.number,
            "rows": self.rows,
            "first_us": self.first_us,
            "last_us": self.last_us,
            "pieces": [[p.file, p.offset, p.rows] for p in self.pieces],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Slice:
        """The slice that `to_json` wrote."""
        pieces = tuple(Piece(file=f, offset=o, rows=r) for f, o, r in value["pieces"])
        return cls(
            number=value["number"],
            rows=value["rows"],
            first_us=value["first_us"],
            last_us=value["last_us"],
            pieces=pieces,
        )


def plan_slices(
    snapshot: table.Snapshot,
    time_range: TimeRange,
    *,
    max_rows: int,
    max_bytes: int,
    fields: Collection[str] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Slice]:
    """The slices that hold every event of the range once, in (@timestamp, file, row) order.

    `max_bytes` bounds the uncompressed bytes of `fields` (None: of all columns), as estimated.
    `should_stop` ends the planning early with `table.Stopped`.
    """
    raise NotImplementedError
