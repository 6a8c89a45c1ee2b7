"""Gathers what sources hold into blocks of lines, and knows of every line which source it came from.

Small sources share a block, so that many small files do not become many small files of the lake.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterator, Sequence

from penstock.fields import refused
from penstock.intake import batch, readers, rejects

_FIRST_BYTES = 64 * 1024


@dataclasses.dataclass(kw_only=True, slots=True)
class Tally:
    """What came of one source so far.

    Attributes:
        name: what messages call it.
        accepted: its events in batches that were made.
        last_line: its last line that was read or rejected; 0 before the first.
        bytes: JSON bytes read.
    """

    name: str
    accepted: int = 0
    last_line: int = 0
    bytes: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class _Stretch:
    """Lines of a block, up to the next stretch, that came from one place.

    Attributes:
        start: its first line in the block.
        tally: its source.
        number: the number of the first line in the source; or
        numbers: those of all its lines, and
        texts: their texts as they came in.
    """

    start: int
    tally: Tally
    number: int = 0
    numbers: Sequence[int] = ()
    texts: Sequence[bytes] = ()

    def number_of(self, line: int) -> int:
        return self.numbers[line - self.start] if self.numbers else self.number + line - self.start


class Collector:
    """Takes items of sources, gives batches. `begin` a source, `add` its items, `end` it; `flush` at the very end."""

    def __init__(self, reader: batch.Reader, rejected: rejects.Rejects, limits: batch.Limits) -> None:
        self.accepted = 0
        self.untimed = 0
        self._reader = reader
        self._rejected = rejected
        self._limits = limits
        self._block = batch.Block(_FIRST_BYTES)
        # Two blocks by turns: frames of one may still be read while the next is filled.
        self._spare = batch.Block(_FIRST_BYTES)
        self._stretches: list[_Stretch] = []
        self._block_lines = 0  # whole lines before the stretch at hand
        self._stretch_start = 0  # where its text begins
        self._line_start = 0  # where the line that is not whole yet begins
        self._dropped = 0  # bytes of a line that is too long, and goes on
        self._dropped_start = b""
        self._tally = Tally(name="")

    def begin(self, tally: Tally) -> None:
        """Another source."""
        self._tally = tally
        self._stretch(_Stretch(0, tally, number=1))

    def end(self, arrived_us: int) -> Iterator[batch.Batch]:
        """The source is over: its last line may have no line end."""
        # A line that is too long is passed over as it comes; its bytes are never held.
        if self._dropped:
            self._reject_dropped()
        elif len(self._block) > self._line_start:
            self._block.append(b"\n")
            self._line_start = len(self._block)
        yield from self._full(arrived_us)

    def cut(self) -> None:
        """The source breaks off: a line that is not whole is none."""
        self._dropped = 0
        self._block.truncate(self._line_start)

    def add(self, item: readers.Item, arrived_us: int) -> Iterator[batch.Batch]:
        """Takes an item; gives what fills a block."""
        if isinstance(item, readers.Text):
            self._tally.bytes += len(item.piece)
            self._add_text(item.piece)
        elif isinstance(item, readers.Blank):
            self._tally.bytes += item.bytes
            self._stretch(_Stretch(0, self._tally, number=item.lines + 1))
        else:
            self._add_lines(item)
        yield from self._full(arrived_us)

    def flush(self, arrived_us: int) -> Iterator[batch.Batch]:
        """Everything that waits for more."""
        yield from self._batches(arrived_us)

    def _add_text(self, piece: bytes) -> None:
        if self._dropped:
            newline = piece.find(b"\n")
            if newline < 0:
                self._dropped += len(piece)
                return
            self._dropped += newline
            self._reject_dropped()
            piece = piece[newline + 1 :]
        before = len(self._block)
        self._block.append(piece)
        # The last one: everything before it is whole lines, whatever their number.
        newline = piece.rfind(b"\n")
        if newline >= 0:
            self._line_start = before + newline + 1
        size = len(self._block) - self._line_start
        if size > self._limits.max_line_bytes:
            self._dropped = size
            self._dropped_start = self._block.text(self._line_start, self._line_start + min(size, rejects.KEPT_BYTES))
            self._block.truncate(self._line_start)

    def _add_lines(self, item: readers.Lines) -> None:
        for number, refusal, raw in item.refused:
            self._reject(self._tally, number, refusal, raw)
        if not item.texts:
            return
        self._stretch(_Stretch(0, self._tally, numbers=item.numbers, texts=item.texts))
        self._tally.bytes += sum(map(len, item.texts)) + len(item.texts)
        for text in item.texts:
            # Between values a carriage return says the same as a newline; inside a string both are refused.
            self._block.append(text.replace(b"\n", b"\r") + b"\n")
        self._line_start = len(self._block)

    def _stretch(self, made: _Stretch) -> None:
        """The lines from here on are of another stretch."""
        self._block_lines += self._block.lines(self._stretch_start, len(self._block))
        self._stretch_start = len(self._block)
        if self._stretches and self._stretches[-1].start == self._block_lines:
            # Of two stretches that begin at one line the later one counts; `bisect` must find one only.
            self._stretches.pop()  # it has no lines
        self._stretches.append(dataclasses.replace(made, start=self._block_lines))

    def _reject_dropped(self) -> None:
        """The line that is too long has ended."""
        lines = self._block.lines(self._stretch_start, len(self._block))
        stretch = self._stretches[-1]
        number = stretch.number_of(self._block_lines + lines)
        limit = self._limits.max_line_bytes
        refusal = refused.EventRefused("line_too_long", f"the line has {self._dropped} bytes, more than {limit}")
        self._reject(self._tally, number, refusal, self._dropped_start, size=self._dropped)
        self._tally.last_line = number
        self._dropped = 0
        self._stretch(_Stretch(0, self._tally, number=number + 1))

    def _full(self, arrived_us: int) -> Iterator[batch.Batch]:
        if self._line_start >= self._limits.batch_bytes:
            yield from self._batches(arrived_us)

    def _batches(self, arrived_us: int) -> Iterator[batch.Batch]:
        """The batches of all whole lines. What is behind them begins the next block."""
        block, stop, stretches = self._block, self._line_start, self._stretches
        lines = self._block_lines + block.lines(self._stretch_start, stop)
        self._block, self._spare = self._spare, block
        self._block.clear()
        # The line that is not whole yet moves along; it is looked at only once it ends.
        self._block.append_from(block, stop, len(block))
        block.truncate(stop)
        last = stretches[-1] if stretches else _Stretch(0, self._tally, number=1)
        number = last.number_of(lines) if not last.numbers else 0
        self._stretches = [_Stretch(0, self._tally, number=number)]
        self._block_lines = self._stretch_start = self._line_start = 0
        for found in self._reader.read(block, stop, arrived_us):
            self._note(found, stretches)
            yield found
        if lines:
            self._tally_up(stretches, lines, block)

    def _note(self, found: batch.Batch, stretches: Sequence[_Stretch]) -> None:
        """Counts a batch's events by source, and keeps what was refused."""
        self.accepted += found.events
        self.untimed += found.untimed
        starts = [stretch.start for stretch in stretches]
        if len(stretches) == 1:
            stretches[0].tally.accepted += found.events
        else:
            # Counted by lines, since one line may hold several events and another none.
            before = [found.events_before(start) for start in starts[1:]]
            for stretch, first, end in zip(stretches, [0, *before], [*before, found.events], strict=True):
                stretch.tally.accepted += end - first
        for line in found.refused:
            stretch = stretches[bisect.bisect_right(starts, line.line) - 1]
            raw = stretch.texts[line.line - stretch.start] if stretch.texts else line.raw
            long = line.refusal.code == "line_too_long"
            number = stretch.number_of(line.line)
            kept = raw[: rejects.KEPT_BYTES] if long else raw
            self._reject(stretch.tally, number, line.refusal, kept, size=len(raw) if long else None)

    def _tally_up(self, stretches: Sequence[_Stretch], lines: int, block: batch.Block) -> None:
        """Notes of each source how far it was read."""
        ends = [*(stretch.start for stretch in stretches[1:]), lines]
        for stretch, end in zip(stretches, ends, strict=True):
            if end > stretch.start:
                stretch.tally.last_line = max(stretch.tally.last_line, stretch.number_of(end - 1))

    def _reject(
        self, tally: Tally, number: int, refusal: refused.EventRefused, raw: bytes, size: int | None = None
    ) -> None:
        self._rejected.add(tally.name, number, refusal, raw, size=size)
        if number > tally.last_line:
            tally.last_line = number
