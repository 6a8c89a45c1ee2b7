"""Lines of JSON to frames, batch by batch, by the kernel; nothing is lost, nothing is coerced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import polars as pl

from penstock import errors, settings
from penstock.fields import refused, values
from penstock.fields.types import FieldType
from penstock.intake import parse, times, typing_fields

try:
    from penstock.kernels import intake as kernel
except ImportError as error:
    raise errors.ConfigurationError(
        "kernel_missing",
        "The compiled kernel that reads events is not there.",
        "Install Penstock from a wheel; or in a checkout, build it: python setup.py build_ext --inplace",
    ) from error

Block = kernel.Block

MAX_CELLS = 8_000_000
"""Rows times columns of a frame, at most: a wide batch becomes several frames, so that few events with many columns
cost no more memory than many with few."""

_MIN_ROWS = 1024

_FLAT_BYTES = 128 * 1024 * 1024
_NEW_NAMES = 8 * 1024 * 1024
"""A batch ends early where its values' dotted names, which the overflow repeats, or new names have so many bytes."""

_REFUSED = 65_536
"""Likewise where so many lines are refused: each is looked at by the reference, and kept until it is reported."""

REASONS = 10_000
"""Lines of one ingest of which it is worked out why they are no events. Further ones that do not begin like an object
get one reason for all: three million lines of another format would take minutes."""

_NO_OBJECT = refused.EventRefused("not_an_object", "the line does not begin with {")

_CODES = {
    FieldType.KEYWORD: kernel.STRING,
    FieldType.TEXT: kernel.STRING,
    FieldType.IP: kernel.STRING,
    FieldType.LONG: kernel.LONG,
    FieldType.DOUBLE: kernel.DOUBLE,
    FieldType.BOOLEAN: kernel.BOOLEAN,
    FieldType.DATE: kernel.DATE,
    FieldType.KEYWORD_LIST: kernel.STRINGS,
    FieldType.JSON: kernel.JSON,
}

_VOTES = (
    FieldType.KEYWORD,
    FieldType.IP,
    FieldType.LONG,
    FieldType.DOUBLE,
    FieldType.BOOLEAN,
    FieldType.DATE,
    FieldType.KEYWORD_LIST,
    FieldType.JSON,
)
"""What each count of `Scanner.votes` is of."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much at once. Memory of an ingest, whatever the size of its sources: about ten times `batch_bytes`, and what
    the lake holds back for a file.

    Attributes:
        batch_bytes: text of a batch, at most (and a piece more).
        max_line_bytes: a longer line is rejected.
        max_columns: columns a table may have; further new fields live in the overflow.
        max_bytes: bytes a source may have after decompression; None: no bound.
    """

    batch_bytes: int = 16 * 1024 * 1024
    max_line_bytes: int = 16 * 1024 * 1024
    max_columns: int = 2000
    max_bytes: int | None = None

    @classmethod
    def of(cls, wanted: settings.Settings, *, request: bool = False) -> Limits:
        """The limits that the settings set: for files, or for the body of a request."""
        return cls(
            batch_bytes=wanted.ingest_batch_bytes,
            max_line_bytes=wanted.ingest_max_line_bytes,
            max_columns=wanted.lake_max_columns,
            max_bytes=wanted.request_max_bytes if request else None,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A line that was not taken in.

    Attributes:
        line: its number in the block, from 0.
        refusal: why.
        raw: its bytes.
    """

    line: int
    refusal: refused.EventRefused
    raw: bytes


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Events read at once.

    Attributes:
        events: how many there are.
        untimed: those of them that had no usable time, and got the one of their arrival.
        refused: the lines that were not taken in.
        end_line: number in the block of the line behind the last one read.
        events_before: how many of the events stand in lines of the block before the one given.
        frames: the events sorted by @timestamp (of equals, the one that came first is first), in frames of bounded
            size with the same columns: TIMESTAMP, those that the fields earned and that have a value, OVERFLOW if any
            event needs it. To be read before the next batch.
    """

    events: int
    untimed: int
    refused: Sequence[Refused]
    end_line: int
    events_before: Callable[[int], int]
    frames: Iterable[pl.DataFrame]


class Reader:
    """Reads blocks of lines into batches. For one thread at a time.

    `intake.reference` is the specification, and says the same of every line, value and column.
    """

    def __init__(self, columns: typing_fields.Columns, time_fields: Sequence[str], max_line_bytes: int) -> None:
        self._columns = columns
        self._max_line_bytes = max_line_bytes
        self._time_fields = tuple(time_fields)
        self._scanner = kernel.Scanner(self._time_fields)
        self._refused = 0

    def read(self, block: kernel.Block, stop: int, arrived_us: int) -> Iterator[Batch]:
        """The events of block[:stop], mostly as one batch.

        Args:
            arrived_us: @timestamp of events without a usable time, microseconds since 1970.
        """
        scanner = self._scanner
        scanner.begin()
        at = 0
        # Mostly once: a batch ends early only where names or refused lines would take too much memory.
        while at < stop:
            scanner.reset()
            at = scanner.scan(block, at, stop, self._max_line_bytes, _FLAT_BYTES, _NEW_NAMES, _REFUSED)
            # Now, before times are settled: events that the reference takes in after all join the batch here.
            found = list(self._look_again(block))
            for row in scanner.unsure():
                name, us = times.first((name, values.loads(text)) for name, text in scanner.times(row))
                scanner.set_time(row, us, name == "@timestamp")
            yield Batch(
                events=scanner.rows,
                untimed=scanner.arrive(arrived_us),
                refused=found,
                end_line=scanner.lines,
                events_before=scanner.rows_before,
                frames=self._frames(),
            )

    def _look_again(self, block: kernel.Block) -> Iterator[Refused]:
        """The lines that are no events; what only the reference takes in, goes in."""
        for line, start, stop in self._scanner.refused():
            raw = block.text(start, stop)
            self._refused += 1
            if self._refused > REASONS and raw.lstrip()[:1] != b"{" and stop - start <= self._max_line_bytes:
                yield Refused(line=line, refusal=_NO_OBJECT, raw=raw)
                continue
            try:
                events = parse.events(raw, self._max_line_bytes)
            except refused.EventRefused as refusal:
                bare = refused.EventRefused(refusal.code, refusal.detail)  # without a traceback, which holds the event
                yield Refused(line=line, refusal=bare, raw=raw)
            else:
                for event in events:
                    # In the reference's own spelling, which the kernel then trusts: so both ways give the same columns.
                    self._scanner.add(block, values.dumps(event).encode(), line)

    def _frames(self) -> Iterator[pl.DataFrame]:
        scanner = self._scanner
        if not scanner.rows:
            return
        # Only fields that can earn a column are named: naming thousands of rare ones in Python costs more than reading
        # them.
        present = scanner.present(max(1, int(scanner.rows * typing_fields.EARNS_SHARE_ECS)))
        places = {name: field for field, name, _ in present}
        earned = self._columns.earned([(name, rows) for _, name, rows in present], scanner.rows, self._infer(places))
        names = sorted(earned)
        fields = [places[name] for name in names]
        codes = [_CODES[earned[name]] for name in names]
        scanner.sort()
        # Two more columns: @timestamp and the overflow.
        step = max(_MIN_ROWS, MAX_CELLS // (len(names) + 2))
        for start in range(0, scanner.rows, step):
            yield pl.DataFrame(scanner.frame(start, min(start + step, scanner.rows), fields, names, codes))

    def _infer(self, places: dict[str, int]) -> typing_fields.Infer:
        def infer(names: Sequence[str]) -> list[FieldType | None]:
            return [_winner(counts) for counts in self._scanner.votes([places[name] for name in names])]

        return infer


def _winner(counts: Sequence[int]) -> FieldType | None:
    """The type with the most votes; of equals, the one that comes first in FieldType; None without votes."""
    votes = dict(zip(_VOTES, counts, strict=True))
    return max(FieldType, key=lambda kind: votes.get(kind, 0)) if any(counts) else None
