"""Reads slices of files that nobody sorted (`unsorted`)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from penstock import query
from penstock.fields import types
from penstock.lake import layout
from penstock.lake.read import plan

if TYPE_CHECKING:
    from penstock.lake.attached import snapshots

_ROW = "__row"


def read_slice(
    snapshot: snapshots.Attached, slice_: plan.Slice, fields: Sequence[str], predicate: query.Predicate
) -> pl.DataFrame:
    """What `scan.read_slice` promises: the matching events of the slice's time, by (@timestamp, file, row).

    Raises:
        Conflict: `attached_file_changed`.
        InvalidRequest, StorageError: see `rows.reading`.
    """
    reading = Reading.of(snapshot, slice_, fields, predicate)
    frames = list(reading.frames(slice_.pieces))
    frame = pl.concat(frames) if len(frames) > 1 else frames[0]
    if not frame[types.TIMESTAMP].is_sorted():
        frame = frame.sort(types.TIMESTAMP, maintain_order=True)
    return frame.select(reading.names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How the events of a slice are read.

    Attributes:
        snapshot, slice: of which.
        names: columns of the answer.
        overflow: those of them that the overflow may have values of.
        predicate: the query.
    """

    snapshot: snapshots.Attached
    slice: plan.Slice
    names: list[str]
    overflow: list[str]
    predicate: query.Predicate

    @classmethod
    def of(
        cls, snapshot: snapshots.Attached, slice_: plan.Slice, fields: Sequence[str], predicate: query.Predicate
    ) -> Reading:
        """Of those of `fields` that a file of the slice has."""
        wanted = [name for name in dict.fromkeys(fields) if name in snapshot.columns]
        held = snapshot.fields_of([snapshot.files_by_path[piece.file] for piece in slice_.pieces])
        wanted = [name for name in wanted if any(name in each.columns for each in held)]
        overflow = [name for name in wanted if any(name in each.overflow for each in held)]
        names = wanted + [types.OVERFLOW] * bool(overflow) or [types.TIMESTAMP]
        return cls(snapshot=snapshot, slice=slice_, names=names, overflow=overflow, predicate=predicate)

    def frames(self, pieces: Sequence[plan.Piece]) -> Iterator[pl.DataFrame]:
        """Matching events of the slice's time among the rows of pieces, in order of files and rows.

        With `names` and TIMESTAMP: the events' order needs their time, whatever is asked for.
        """
        read = [*dict.fromkeys([*self.names, types.TIMESTAMP])]
        for some in _together(self.snapshot, pieces):
            yield _pieces(self.snapshot, some, self.slice, read, self.overflow, self.predicate)


def _together(snapshot: snapshots.Attached, pieces: Sequence[plan.Piece]) -> Iterator[list[plan.Piece]]:
    """The pieces in order, neighbours together that are whole files with the same columns: one read, not hundreds."""
    files = snapshot.files_by_path
    for is_whole, run in itertools.groupby(pieces, key=lambda piece: piece.rows == files[piece.file].rows):
        own = list(run)
        if not is_whole:
            yield from ([piece] for piece in own)
            continue
        for alike in snapshot.alike([files[piece.file] for piece in own]):
            yield own[: len(alike)]
            own = own[len(alike) :]


def _pieces(
    snapshot: snapshots.Attached,
    pieces: Sequence[plan.Piece],
    slice_: plan.Slice,
    names: list[str],
    overflow: list[str],
    predicate: query.Predicate,
) -> pl.DataFrame:
    """The matching events of pieces that are read as one, in the order of files and rows."""
    files = [snapshot.files_by_path[piece.file] for piece in pieces]
    held = snapshot.fields_of(files[:1])[0]
    own = predicate.within(held.columns, held.overflow)
    if own.constant is False:
        return pl.DataFrame(schema={name: layout.dtype(name, snapshot.columns) for name in names})
    is_judged = types.OVERFLOW in own.columns
    rows = snapshot.scan(
        files,
        {*names, *own.columns},
        row_name=_ROW,
        within=(slice_.first_us, slice_.last_us),
        rows=(pieces[0].offset, pieces[0].offset + pieces[0].rows) if len(pieces) == 1 else None,
        # The query may look at others' misfits than those that are written.
        overflow_of=None if is_judged else overflow,
    )
    if own.expression is not None:
        rows = rows.filter(own.expression)
    # Streaming: of a piece of many rows few may be of the slice's time. Its order is not promised.
    found = rows.select(_ROW, *names).collect(engine="streaming")
    return found.sort(_ROW).drop(_ROW)
