"""Reads one source into frames, batch by batch; what is no acceptable event goes to the rejects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import polars as pl

from penstock import errors, settings
from penstock.base import instants
from penstock.base.clock import Clock
from penstock.fields import refused
from penstock.intake import batch, parse, readers, streams, typing_fields
from penstock.intake import rejects as ingest_rejects

BATCH_BYTES = 64 * 1024 * 1024
"""JSON bytes of a batch, at most (a piece more): bounds the memory where events are large."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much at once. Peak memory ~ 2 x batch + the frames of a commit, whatever the size of the source.

    Attributes:
        batch_events: events of a batch, at most.
        max_line_bytes: a longer line is rejected.
        max_columns: columns a table may have; further new fields live in the overflow.
        max_bytes: bytes a source may have after decompression; None: no bound.
    """

    batch_events: int = 50_000
    max_line_bytes: int = 16 * 1024 * 1024
    max_columns: int = 2000
    max_bytes: int | None = None

    @classmethod
    def of(cls, wanted: settings.Settings, *, request: bool = False) -> Limits:
        """The limits that the settings set: for files, or for the body of a request."""
        return cls(
            batch_events=wanted.ingest_batch_events,
            max_line_bytes=wanted.ingest_max_line_bytes,
            max_columns=wanted.lake_max_columns,
            max_bytes=wanted.request_max_bytes if request else None,
        )


class Reading:
    """One source being read, once.

    Attributes:
        opened: the source.
        columns: the columns it is read into.
        accepted: events read.
        last_line: the last line that was read, or rejected; 0 before the first.
        bytes: JSON bytes read; of Parquet, its bytes on disk.
    """

    def __init__(
        self,
        opened: streams.Opened,
        columns: typing_fields.Columns,
        limits: Limits,
        clock: Clock,
        rejects: ingest_rejects.Rejects,
    ) -> None:
        self.opened = opened
        self.columns = columns
        self.accepted = 0
        self.last_line = 0
        self.bytes = 0
        self._limits = limits
        self._clock = clock
        self._rejects = rejects
        self._batch = batch.Batch(columns)
        self._batch_bytes = 0

    def frames(self) -> Iterator[pl.DataFrame | None]:
        """A frame for every full batch and the rest, in order; None after input that fills no batch.

        Raises:
            IngestError: what `readers.read` raises; after the frame of all events before.
        """
        items = readers.read(self.opened, max_line_bytes=self._limits.max_line_bytes, max_bytes=self._limits.max_bytes)
        try:
            for item in items:
                if isinstance(item, readers.Lines):
                    yield from self._lines(item)
                elif isinstance(item, readers.Rows):
                    yield from self._rows(item)
                else:
                    self._too_long(item)
                yield None
        except errors.IngestError:
            yield from self._rest()
            raise
        yield from self._rest()

    def _lines(self, item: readers.Lines) -> Iterator[pl.DataFrame]:
        """Adds lines; blank ones are skipped."""
        for number, text in zip(item.numbers, item.texts, strict=True):
            try:
                if parse.add_line(self._batch, text):
                    self.accepted += 1
            except refused.EventRefused as refusal:
                self._reject(number, refusal, text)
            self._batch_bytes += len(text) + 1
            self.last_line = number
            if self._is_full():
                yield self._built()

    def _rows(self, item: readers.Rows) -> Iterator[pl.DataFrame]:
        """Adds events that were no text; a rejected one is kept as Python would write it."""
        for number, event in zip(item.numbers, item.events, strict=True):
            try:
                if isinstance(event, refused.EventRefused):
                    raise event
                self._batch.add(event)
                self.accepted += 1
            except refused.EventRefused as refusal:
                self._reject(
                    number, refusal, b"" if event is refusal else repr(event).encode(errors="backslashreplace")
                )
            self.last_line = number
            if self._is_full():
                yield self._built()
        self.bytes = self.opened.size or self.opened.taken

    def _too_long(self, item: readers.TooLong) -> None:
        limit = self._limits.max_line_bytes
        refusal = refused.EventRefused("line_too_long", f"the line has {item.size} bytes, more than {limit}")
        self._reject(item.number, refusal, item.start, size=item.size)
        self._batch_bytes += item.size
        self.last_line = item.number

    def _reject(self, number: int, refusal: refused.EventRefused, raw: bytes, size: int | None = None) -> None:
        reject = ingest_rejects.Reject(source=self.opened.name, line=number, code=refusal.code, reason=refusal.detail)
        self._rejects.add(reject, raw, size=size)

    def _is_full(self) -> bool:
        return self._batch.events >= self._limits.batch_events or self._batch_bytes >= BATCH_BYTES

    def _rest(self) -> Iterator[pl.DataFrame]:
        """The frame of the last events, if there are any."""
        if self._batch.events:
            yield self._built()

    def _built(self) -> pl.DataFrame:
        self.bytes += self._batch_bytes
        self._batch_bytes = 0
        arrived_us = instants.to_microseconds(self._clock.now())
        return self._batch.build(arrived_us)
