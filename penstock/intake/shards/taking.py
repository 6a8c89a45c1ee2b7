"""What a process does with a shard of an ingest: its files become data files of the table that no commit names yet."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import polars as pl

from penstock import errors
from penstock.base.clock import Clock
from penstock.fields.types import FieldType
from penstock.intake import batch, readers, rejects, run, times
from penstock.lake import files, table

REFRESH_SECONDS = 60.0
"""How often `vacuum` is told that files which wait for their commit are in use."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Files that one process takes in.

    Attributes:
        number: its place in the ingest, 0-based.
        sources: paths, in order.
        batch_ids: of its one file's commit, the first names it; empty: the files are one stream.
        time_field, format: as of `ingest`.
        rejects: file for the rejected lines; None: they are only counted.
    """

    number: int
    sources: tuple[str, ...]
    batch_ids: tuple[str, ...]
    time_field: str | None
    format: readers.Format | None
    rejects: pathlib.Path | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """Why a shard's file could not be read on; what came before it is in the shard.

    Attributes:
        code, detail, hint, extra: of the IngestError.
    """

    code: str
    detail: str
    hint: str
    extra: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What came of a shard.

    Attributes:
        written: data files, in order, of all events that may be committed.
        columns: their columns, with types.
        accepted, untimed, bytes, formats, skipped: as of `ingest.IngestReport`.
        rejected, rejects: how many lines, and the first of them.
        broken: None if all its files were read to their ends.
    """

    written: tuple[files.Written, ...]
    columns: Mapping[str, FieldType]
    accepted: int
    untimed: int
    bytes: int
    formats: Mapping[readers.Format, int]
    skipped: tuple[str, ...]
    rejected: int
    rejects: tuple[rejects.Reject, ...]
    broken: Broken | None


def take(
    event_table: table.EventTable,
    shard: Shard,
    *,
    clock: Clock,
    limits: batch.Limits,
    progress: Callable[[run.Progress], None] | None = None,
) -> Taken:
    """Reads a shard's files and writes its events.

    Raises:
        StorageError, IngestError: the lake failed; no file of the shard stays.
    """
    writing = _Writing(event_table)
    refused = rejects.Rejects(shard.rejects)
    broken = None
    try:
        running = run.Run(
            writing,
            clock,
            limits,
            refused,
            time_fields=times.candidates(shard.time_field),
            wanted=shard.format,
            progress=progress,
        )
        with refused.open():
            try:
                if shard.batch_ids:
                    (source,) = shard.sources
                    running.take_whole(source, shard.batch_ids)
                else:
                    running.take_piecewise(shard.sources)
            except errors.IngestError as error:
                if "source" not in error.extra:  # not about what is read, but about where it goes
                    raise
                broken = Broken(code=error.code, detail=error.detail, hint=error.hint, extra=error.extra)
    except BaseException:
        files.delete(event_table.folder, writing.written)
        raise
    return Taken(
        written=tuple(writing.written),
        columns=writing.columns,
        accepted=running.accepted,
        untimed=running.untimed,
        bytes=running.bytes,
        formats=dict(running.formats),
        skipped=tuple(running.skipped),
        rejected=refused.count,
        rejects=tuple(refused.first),
        broken=broken,
    )


class _Writing:
    """An event table that commits nothing: keeps what was written."""

    def __init__(self, event_table: table.EventTable) -> None:
        self._table = event_table
        self._refreshed = time.monotonic()
        self.written: list[files.Written] = []
        self.columns: dict[str, FieldType] = {}

    def check_writable(self) -> None:
        self._table.check_writable()

    def snapshot(self) -> table.Snapshot:
        return self._table.snapshot()

    def add_columns(self, wanted: Mapping[str, FieldType]) -> Mapping[str, FieldType]:
        # At once, by each process: so that no two write one column in two types.
        return self._table.add_columns(wanted)

    def batches_taken(self, batch_ids: Collection[str]) -> frozenset[str]:
        return self._table.batches_taken(batch_ids)

    def append(
        self, frames: Iterable[pl.DataFrame], *, types: Mapping[str, FieldType], batch_ids: Collection[str] = ()
    ) -> int:
        writer = self._table.write(frames, types=types, batch_ids=batch_ids)
        self.written += writer.written
        self.columns |= {name: types[name] for name in writer.columns if name in types}
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._table.folder.touch([each.file.path for each in self.written])
            self._refreshed = time.monotonic()
        return 0
