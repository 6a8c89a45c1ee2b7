"""Takes events into a table: sources are read, events become columns, batches are committed; nothing is lost."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from penstock.base.clock import Clock
from penstock.intake import batch, readers, streams, times
from penstock.intake import rejects as ingest_rejects
from penstock.intake import run as runs
from penstock.lake import table

Limits = batch.Limits
Format = readers.Format
Progress = runs.Progress
Source = streams.Source
Reject = ingest_rejects.Reject


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        accepted: events taken in and committed.
        untimed: those of them that had no usable time and got the one of their arrival.
        rejected: lines that were no acceptable events.
        rejects: the first of them (`ingest_rejects.DETAILS`).
        bytes: JSON bytes read, after decompression; of Parquet, its bytes on disk.
        version: version of the table that holds everything.
        rejects_file: where all rejected lines are kept; None if there are none or no file was asked for.
        skipped: sources left out because their batch was taken in before.
        formats: how many sources there were of each shape (members of an archive count one by one).
        seconds: how long it took.
    """

    accepted: int
    untimed: int
    rejected: int
    rejects: tuple[Reject, ...]
    bytes: int
    version: int
    rejects_file: pathlib.Path | None
    skipped: tuple[str, ...]
    formats: Mapping[Format, int]
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
    time_field: str | None = None,
    format: Format | None = None,
    rejects_path: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Takes in every source, in order, whatever its shape (`Format`) and packing: gzip, Zstandard, bzip2, xz, zip.

    Without a `batch_id`, all sources are one stream of events, and each few batches are one commit: when a source
    breaks off, what was whole is kept. With one, each source is one commit, all or nothing, and a source whose commit
    is in the table already is skipped: so to run the same command again is always safe. (The commit's id is
    `BATCH_ID:PATH` where there are several sources.)

    Args:
        time_field: the field that holds the time of events, before `@timestamp` and the well-known ones
            (`intake.times`).
        format: what every source holds; None: each is looked at.
        rejects_path: file that gets the rejected lines, JSON Lines of `source`, `line`, `reason` and `raw` (or
            `raw_base64`, where they are no UTF-8). Not made if nothing is rejected.
        progress: called after every piece of input.

    Raises:
        IngestError: a source cannot be read on (`truncated_input`, `corrupt_input`, `unreadable_source`,
            `trailing_bytes`, `invalid_array`, `invalid_document`, `invalid_table`, `invalid_parquet`,
            `unsupported_encoding`, `unsupported_format`, `too_many_bytes`). `extra` holds `source`,
            `accepted` (committed events of all sources), `source_accepted` (of this one), `last_line` (of this one,
            the last that was taken in or rejected) and `rejected`.
        StorageError: the lake failed.
    """
    path = pathlib.Path(rejects_path) if rejects_path is not None else None
    rejects = ingest_rejects.Rejects(path)
    started = clock.monotonic()
    run = runs.Run(
        event_table,
        clock,
        limits or Limits(),
        rejects,
        time_fields=times.candidates(time_field),
        wanted=format,
        progress=progress,
    )
    with rejects.open():
        if batch_id is None:
            run.take_piecewise(sources)
        else:
            for source in sources:
                run.take_whole(source, batch_ids_of(batch_id, source, is_only=len(sources) == 1))
        return report_of(run, rejects, event_table, clock.monotonic() - started)


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

    Memory is bounded whatever the body's length. Raises what `ingest` raises; nothing was taken in then.
    """
    rejects = ingest_rejects.Rejects(None)
    started = clock.monotonic()
    run = runs.Run(event_table, clock, limits or Limits(), rejects, time_fields=times.candidates(None))
    stream = body if isinstance(body, streams.Readable) else streams.Body(body)
    run.take_whole(stream, () if batch_id is None else (batch_id,), name)
    return report_of(run, rejects, event_table, clock.monotonic() - started)


def batch_ids_of(batch_id: str, source: Source, *, is_only: bool) -> tuple[str, ...]:
    """Ids of a source's commit: with the whole path of a file, so that two files of one name in two folders are two;
    and as version 0.1 named it."""
    if is_only:
        return (batch_id,)
    name = streams.name_of(source)
    own = f"{batch_id}:{os.path.abspath(name)}" if isinstance(source, os.PathLike | str) and name != "-" else None
    return (f"{batch_id}:{name}",) if own is None else (own, f"{batch_id}:{name}")


class Counted(Protocol):
    """What has taken sources in; see `run.Run`."""

    accepted: int
    untimed: int
    bytes: int
    version: int | None
    skipped: list[str]
    formats: collections.Counter[readers.Format]


def report_of(
    run: Counted, rejects: ingest_rejects.Rejects, event_table: table.EventTable, seconds: float
) -> IngestReport:
    """What came of it, now that it is over."""
    return IngestReport(
        accepted=run.accepted,
        untimed=run.untimed,
        rejected=rejects.count,
        rejects=tuple(rejects.first),
        bytes=run.bytes,
        version=event_table.snapshot().version if run.version is None else run.version,
        rejects_file=rejects.file,
        skipped=tuple(run.skipped),
        formats=dict(run.formats),
        seconds=seconds,
    )
