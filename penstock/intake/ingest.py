"""Takes events into a table: sources are read, events become columns, batches are committed; nothing is lost."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import polars as pl

from penstock import errors
from penstock.base.clock import Clock
from penstock.intake import conflicts, streams, typing_fields
from penstock.intake import rejects as ingest_rejects
from penstock.intake import source as ingest_reading
from penstock.lake import table

BATCHES_PER_COMMIT = 4
"""Batches of one commit, where a source may be taken in piece by piece. That many frames are in memory."""

_ATTEMPTS = 5

Limits = ingest_reading.Limits
Source = streams.Source
Reject = ingest_rejects.Reject


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far an ingest is.

    Attributes:
        source: the source being read.
        source_bytes: bytes of it read so far, as they lie in it (compressed, if it is).
        source_size: its bytes in all; None where nobody knows (a stream).
        accepted: events read so far from all sources, not all committed yet.
        rejected: lines rejected so far.
    """

    source: str
    source_bytes: int
    source_size: int | None
    accepted: int
    rejected: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        accepted: events taken in and committed.
        rejected: lines that were no acceptable events.
        rejects: the first of them (`ingest_rejects.DETAILS`).
        bytes: JSON bytes read, after decompression; of Parquet, its bytes on disk.
        version: version of the table that holds everything.
        rejects_file: where all rejected lines are kept; None if there are none or no file was asked for.
        skipped: sources left out because their batch was taken in before.
        seconds: how long it took.
    """

    accepted: int
    rejected: int
    rejects: tuple[Reject, ...]
    bytes: int
    version: int
    rejects_file: pathlib.Path | None
    skipped: tuple[str, ...]
    seconds: float

    @property
    def events_per_second(self) -> float:
        """Events accepted a second; 0 if it took no time."""
        return self.accepted / self.seconds if self.seconds > 0 else 0.0


def ingest(
    event_table: table.EventTable,
    sources: Sequence[Source],
    *,
    clock: Clock,
    limits: Limits | None = None,
    batch_id: str | None = None,
    rejects_path: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Takes in every source, in order: JSON Lines, JSON documents, arrays, Parquet; plain, gzip or Zstandard.

    Without a `batch_id`, each few batches are one commit: when a source breaks off, what was whole is kept. With one,
    each source is one commit, all or nothing, and a source whose commit is in the table already is skipped: so to run
    the same command again is always safe. (The commit's id is `BATCH_ID:NAME` where there are several sources.)

    Args:
        rejects_path: file that gets the rejected lines, JSON Lines of `source`, `line`, `reason` and `raw` (or
            `raw_base64`, where they are no UTF-8). Not made if nothing is rejected.
        progress: called after every piece of input.

    Raises:
        IngestError: a source cannot be read on (`truncated_input`, `corrupt_input`, `unreadable_source`,
            `invalid_array`, `invalid_document`, `invalid_parquet`, `unsupported_encoding`, `too_many_bytes`). `extra`
            holds `source`, `accepted` (committed events of all sources), `source_accepted` (of this one),
            `last_line` (of this one, the last that was taken in or rejected) and `rejected`.
        StorageError: the lake failed.
    """
    path = pathlib.Path(rejects_path) if rejects_path is not None else None
    run = _Run(event_table, clock, limits or Limits(), ingest_rejects.Rejects(path), progress)
    with run.rejects.open():
        for source in sources:
            name = "-" if source == "-" else str(source) if isinstance(source, (str, os.PathLike)) else "stream"
            own_id = batch_id if batch_id is None or len(sources) == 1 else f"{batch_id}:{name}"
            run.take(source, own_id, atomic=own_id is not None)
        return run.report()


def ingest_stream(
    event_table: table.EventTable,
    body: streams.Readable | Iterable[bytes],
    *,
    clock: Clock,
    limits: Limits | None = None,
    name: str = "request",
    batch_id: str | None = None,
) -> IngestReport:
    """Takes in the body of a request, all of it in one commit or nothing. Compression is seen by its first bytes.

    Memory is bounded by `limits.max_bytes`. Raises what `ingest` raises; nothing was taken in then.
    """
    run = _Run(event_table, clock, limits or Limits(), ingest_rejects.Rejects(None), None)
    stream = body if isinstance(body, streams.Readable) else streams.Body(body)
    run.take(stream, batch_id, atomic=True, name=name)
    return run.report()


class _Run:
    """One ingest under way."""

    def __init__(
        self,
        event_table: table.EventTable,
        clock: Clock,
        limits: Limits,
        rejects: ingest_rejects.Rejects,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.rejects = rejects
        self._table = event_table
        self._clock = clock
        self._limits = limits
        self._progress = progress
        self._started = clock.monotonic()
        self._committed = 0
        self._bytes = 0
        self._version: int | None = None
        self._skipped: list[str] = []

    def report(self) -> IngestReport:
        """What was done."""
        return IngestReport(
            accepted=self._committed,
            rejected=self.rejects.count,
            rejects=tuple(self.rejects.first),
            bytes=self._bytes,
            version=self._table.snapshot().version if self._version is None else self._version,
            rejects_file=self.rejects.file,
            skipped=tuple(self._skipped),
            seconds=self._clock.monotonic() - self._started,
        )

    def take(self, source: Source, batch_id: str | None, *, atomic: bool, name: str | None = None) -> None:
        """Takes in one source. A file that is one commit is read again where another ingest changed the columns."""
        for attempt in range(_ATTEMPTS):
            mark = self.rejects.mark()
            with streams.opened(source, name) as opened:
                if batch_id is not None and self._table.has_batch(batch_id):
                    self._skipped.append(opened.name)
                    return
                known = typing_fields.Columns(self._table.snapshot().columns, self._limits.max_columns)
                reading = ingest_reading.Reading(opened, known, self._limits, self._clock, self.rejects)
                before = self._committed
                try:
                    if not atomic:
                        self._commit_piecewise(reading)
                    elif opened.path is None:
                        self._append(list(self._frames(reading)), known, batch_id)
                    else:
                        self._version = self._table.append(self._frames(reading), types=known.types, batch_id=batch_id)
                        self._committed += reading.accepted
                except errors.IngestError as error:
                    conflict = isinstance(error, errors.ColumnConflict)
                    if conflict and opened.path is not None and attempt < _ATTEMPTS - 1:
                        self.rejects.rewind(mark)
                        continue
                    raise self._told(error, reading, self._committed - before) from error
                self._bytes += reading.bytes
                return

    def _commit_piecewise(self, reading: ingest_reading.Reading) -> None:
        """Commits every few batches. When the source breaks off, what came before is committed first."""
        held: list[pl.DataFrame] = []
        try:
            for frame in self._frames(reading):
                held.append(frame)
                if len(held) == BATCHES_PER_COMMIT:
                    full, held = held, []
                    self._append(full, reading.columns, None)
        except errors.IngestError:
            self._append(held, reading.columns, None)
            raise
        self._append(held, reading.columns, None)

    def _append(self, frames: list[pl.DataFrame], known: typing_fields.Columns, batch_id: str | None) -> None:
        """Commits frames. Where another ingest was faster to give a column another type, ours goes to the overflow."""
        for attempt in range(_ATTEMPTS):
            try:
                self._version = self._table.append(frames, types=known.types, batch_id=batch_id)
                break
            except errors.ColumnConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                frames = conflicts.settle(frames, known, self._table.snapshot().columns)
        self._committed += sum(frame.height for frame in frames)

    def _frames(self, reading: ingest_reading.Reading) -> Iterator[pl.DataFrame]:
        """The source's frames; tells the progress after every piece of input."""
        before = self._committed
        for frame in reading.frames():
            if frame is not None:
                yield frame
            if self._progress is not None:
                self._progress(
                    Progress(
                        source=reading.opened.name,
                        source_bytes=reading.opened.taken,
                        source_size=reading.opened.size,
                        accepted=before + reading.accepted,
                        rejected=self.rejects.count,
                    )
                )

    def _told(self, error: errors.IngestError, reading: ingest_reading.Reading, accepted: int) -> errors.IngestError:
        """The error with what became of the source's events."""
        if accepted:
            kept = f"Its events up to line {reading.last_line} were taken in: {accepted}."
            hint = f"{error.hint} Take in only what follows line {reading.last_line}; with --batch-id a file is whole."
        else:
            kept = "None of its events were taken in."
            hint = f"{error.hint} Then run the same command again."
        extra = {
            **error.extra,
            "source": reading.opened.name,
            "accepted": self._committed,
            "source_accepted": accepted,
            "last_line": reading.last_line,
            "rejected": self.rejects.count,
        }
        return errors.IngestError(error.code, f"{error.detail} {kept}", hint, **extra)
