"""Runs an export as one stream: slices are scanned, encoded and compressed in parallel, and leave as parts, in order.

    slices ─▶ threads: scan → encode → deflate ─▶ in order ─▶ cut into parts ─▶ upload threads ─▶ journal, in order
              (at most 2 x threads segments)                   (at most upload_threads + 1 parts)

Nothing waits without a bound: a slow store fills the parts, then the segments, then the scan stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.export import ordered, parts, uploads
from penstock.export import work as works
from penstock.process import allocator


def run(
    work: works.Work,
    put: works.Put,
    journal: works.Journal,
    *,
    threads: int,
    upload_threads: int,
    done: Sequence[works.Done] = (),
    digests: bool = True,
) -> works.Outcome:
    """Runs `work` to its end, or goes on behind the parts `done`.

    Args:
        put: stores one part.
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
        return works.Outcome.of(done)
    cutter = parts.PartCutter(part_bytes=work.part_bytes, done=(facts for facts, _ in done), digests=digests)
    # A resumed export goes on counting where it was, so that its progress never falls.
    events = sum(facts.events for facts, _ in done)
    todo = work.slices[cutter.next_slice :]
    segment_of = works.segment_maker(
        work.snapshot,
        fields=work.fields,
        predicate=work.predicate,
        compression=work.compression,
        slices=work.slices,
        threads=threads + 1,
        together=todo,
    )
    with uploads.Uploads(
        put, before=journal.before_part, after=journal.after_part, check=journal.check, threads=upload_threads
    ) as under_way:
        for segment in ordered.ordered(
            segment_of, todo, threads=threads + 1, check=journal.check, stop=segment_of.stop
        ):
            part = cutter.add(segment)
            events += segment.events
            journal.progress(events)
            if part is not None:
                under_way.add(part)
        under_way.add(cutter.finish())
        under_way.finish()
        return works.Outcome.of([*done, *under_way.done])
