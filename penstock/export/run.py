"""Runs an export: slices are scanned, encoded and compressed in parallel, and leave as parts, in order.

    slices ─▶ threads: scan → encode → deflate ─▶ in order ─▶ cut into parts ─▶ upload threads ─▶ journal, in order
              (at most 2 x threads segments)                   (at most upload_threads + 1 parts)

Nothing waits without a bound: a slow store fills the parts, then the segments, then the scan stops.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from penstock import encode, query
from penstock.encode import gzip
from penstock.evidence.facts import PartFacts
from penstock.export import parts
from penstock.export.engines import threads as engine
from penstock.fields import selection, types
from penstock.lake import table
from penstock.lake.read import plan, scan
from penstock.process import allocator
from penstock.storage import contract


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What to export, pinned: the same Work gives the same bytes.

    Attributes:
        snapshot: the version of the community's table.
        slices: the plan, in time order, numbered from 0.
        fields: fields of a line, in order.
        predicate: the compiled query.
        compression: `fast` or `small`.
        part_bytes: least size of the first parts.
    """

    snapshot: table.Snapshot
    slices: Sequence[plan.Slice]
    fields: Sequence[str]
    predicate: query.Predicate
    compression: str
    part_bytes: int


class Leaving(Exception):
    """Raised by a journal's `check` to end the run in good order: parts in flight are still put and told."""


class Journal(Protocol):
    """What the runner tells, from its own thread and in order. Whatever a method raises ends the run."""

    def check(self) -> None:
        """Asked several times a second: raises if the run must stop (Leaving: when what is in flight is done)."""
        ...

    def before_part(self, facts: PartFacts) -> None:
        """A part is about to be put."""
        ...

    def after_part(self, facts: PartFacts, receipt: contract.Receipt) -> None:
        """The part is in the store; all before it are too."""
        ...

    def progress(self, events: int) -> None:
        """So many events in all have been encoded."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """All parts of the finished run, those of earlier attempts included.

    Attributes:
        facts: in order.
        receipts: the store's receipts, in the same order.
    """

    facts: tuple[PartFacts, ...]
    receipts: tuple[contract.Receipt, ...]


Put = Callable[[parts.Part], contract.Receipt]


def run(
    work: Work,
    put: Put,
    journal: Journal,
    *,
    threads: int,
    upload_threads: int,
    done: Sequence[tuple[PartFacts, contract.Receipt]] = (),
    digests: bool = True,
) -> Outcome:
    """Runs `work` to its end, or goes on behind the parts `done`.

    Args:
        put: stores one part; called on upload threads, several at once, parts in any order.
        journal: gets each step; may stop the run.
        threads: cores to keep busy. One slice more is worked on, since one mostly waits for its scan: 4 to 8 %
            faster. Beside an API that costs its answers little: a worker's threads run at a lower priority there.
        upload_threads: parts uploaded at once.
        done: facts and receipts of the parts that exist, without a gap from the first.
        digests: whether SHA-256 digests are taken (for the manifest).

    Raises:
        Whatever `put`, `journal` or the scan raise; no thread is left running then.
    """
    allocator.keep()
    # A worker died between the last part and the store's `complete`: nothing is left to compute.
    if done and done[-1][0].is_last:
        return Outcome(facts=tuple(facts for facts, _ in done), receipts=tuple(receipt for _, receipt in done))
    cutter = parts.PartCutter(part_bytes=work.part_bytes, done=(facts for facts, _ in done), digests=digests)
    # A resumed export goes on counting where it was, so that its progress never falls.
    events = sum(facts.events for facts, _ in done)
    todo = work.slices[cutter.next_slice :]
    with _Uploads(put, journal, threads=upload_threads, done=done) as uploads:
        for segment in engine.ordered(_encoder(work), todo, threads=threads + 1, check=journal.check):
            part = cutter.add(segment)
            events += segment.events
            journal.progress(events)
            if part is not None:
                uploads.add(part)
        uploads.add(cutter.finish())
        return uploads.finish()


def _encoder(work: Work) -> Callable[[plan.Slice], gzip.Segment]:
    """The function that turns a slice into its segment; safe on several threads."""
    columns: Mapping[str, types.FieldType] = work.snapshot.columns
    encoder = encode.LineEncoder(work.fields, columns)
    alias = selection.TIMESTAMP_ALIAS
    aliased = alias in work.fields and alias not in columns
    wanted = [types.TIMESTAMP if aliased and name == alias else name for name in work.fields]

    def segment_of(piece: plan.Slice) -> gzip.Segment:
        frame = scan.read_slice(work.snapshot, piece, wanted, work.predicate)
        if aliased:
            frame = frame.with_columns(frame[types.TIMESTAMP].alias(alias))
        return gzip.encode_slice(encoder, frame, work.compression)

    return segment_of


class _Uploads:
    """Puts parts on threads and journals them in order."""

    def __init__(
        self,
        put: Put,
        journal: Journal,
        *,
        threads: int,
        done: Sequence[tuple[PartFacts, contract.Receipt]],
    ) -> None:
        self._put = put
        self._journal = journal
        self._threads = threads
        self._done = list(done)
        self._waiting: collections.deque[tuple[PartFacts, concurrent.futures.Future[contract.Receipt]]] = (
            collections.deque()
        )
        self._executor = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="penstock-upload")

    def __enter__(self) -> _Uploads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
        # In good order only: after a lost lease or a cancel nothing may be written down any more.
        if isinstance(raised, Leaving):
            self._take_what_was_put()

    def _take_what_was_put(self) -> None:
        """The journal must be without a gap: ends at the first part that was not put."""
        for facts, future in self._waiting:
            if future.cancelled() or future.exception() is not None:
                return
            self._journal.after_part(facts, future.result())

    def add(self, part: parts.Part) -> None:
        # One part more than threads: while all are uploaded, the next one is ready.
        while len(self._waiting) > self._threads:
            self._take()
        while self._waiting and self._waiting[0][1].done():
            self._take()
        # Before the put: the quota must refuse a part that would cross it before the store has it.
        self._journal.before_part(part.facts)
        self._waiting.append((part.facts, self._executor.submit(self._put, part)))

    def finish(self) -> Outcome:
        while self._waiting:
            self._take()
        return Outcome(
            facts=tuple(facts for facts, _ in self._done), receipts=tuple(receipt for _, receipt in self._done)
        )

    def _take(self) -> None:
        facts, future = self._waiting[0]
        receipt = engine.take(future, self._journal.check)
        # Popped only afterwards: if the journal raises, the part is still among those that `_take_what_was_put` looks
        # at.
        self._journal.after_part(facts, receipt)
        self._waiting.popleft()
        self._done.append((facts, receipt))
