"""The coordinator: bounds, lost shards, and what it stops."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, cast

import pytest

from penstock import errors, export, storage
from penstock.encode import gzip
from penstock.evidence.facts import PartFacts
from penstock.export import parts
from penstock.export.shards import coordinator, cut, plan, shard

LEAST = 400
LINES = [bytes([65 + number % 26]) * 50 + b"\n" for number in range(24)]


def segment(number: int) -> gzip.Segment:
    # Stored, not deflated: a segment of a known size.
    made = gzip.deflate(LINES[number], "fast")
    return gzip.Segment(data=made.data, raw_bytes=made.raw_bytes, crc32=made.crc32, events=1)


class Journal:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.recorded: list[int] = []
        self.events: list[int] = []

    def check(self) -> None: ...

    def before_part(self, facts: PartFacts) -> None: ...

    def after_part(self, facts: PartFacts, receipt: storage.Receipt) -> None:
        self.recorded.append(receipt.number)

    def progress(self, events: int) -> None:
        self.events.append(events)


class Pool:
    """Computes at once; the newest ticket is done first, and the shards in `losses` are lost so many times."""

    most = 3

    def __init__(self, losses: dict[int, int] | None = None) -> None:
        self.losses = losses or {}
        self.given: list[int] = []
        self.taken: list[int] = []
        self.most_seen = self.furthest = 0
        self.stopped = False
        self._waiting: dict[Hashable, plan.Assignment] = {}
        self._next_ticket = 0

    def submit(self, assignment: plan.Assignment) -> Hashable:
        self.given.append(assignment.shard.number)
        self._next_ticket += 1
        self._waiting[self._next_ticket] = assignment
        self.most_seen = max(self.most_seen, len(self._waiting))
        lowest = min(each.shard.number for each in self._waiting.values())
        self.furthest = max(self.furthest, assignment.shard.number - lowest)
        return self._next_ticket

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        return [max(cast(Iterable[int], tickets))]

    def take(self, ticket: Hashable) -> shard.Computed:
        assignment = self._waiting.pop(ticket)
        number = assignment.shard.number
        if self.losses.get(number, 0):
            self.losses[number] -= 1
            raise coordinator.Lost("a process ended")
        self.taken.append(number)
        cutter = cut.Cutter(assignment, part_bytes=LEAST)
        body = [part for at in assignment.slices if (part := cutter.add(segment(at)))]
        done = tuple((part.facts, receipt_of(part)) for part in body)
        return shard.Computed(head=cutter.head, rest=cutter.rest, parts=done)

    def stop(self) -> None:
        self.stopped = True


def receipt_of(part: parts.Part) -> storage.Receipt:
    return storage.Receipt(number=part.facts.ordinal + 1, etag="e", size=part.facts.size)


def run(pool: Pool, journal: Journal | None = None) -> export.Outcome:
    work: Any = type("Work", (), {"slices": range(24), "shard_slices": 2, "part_bytes": LEAST})
    return coordinator.run(work, receipt_of, journal or Journal(), pool, upload_threads=1)


def test_a_lost_shard_is_given_out_again_and_no_other() -> None:
    undisturbed, pool = run(Pool()), Pool(losses={4: 1, 7: coordinator.TRIES - 1})
    assert run(pool) == undisturbed
    assert sorted(pool.given) == sorted([*range(12), 4, *[7] * (coordinator.TRIES - 1)])


def test_a_shard_that_is_lost_every_time_ends_the_run_with_a_fault_that_passes() -> None:
    pool = Pool(losses={5: coordinator.TRIES})
    with pytest.raises(errors.NotReady) as fault:
        run(pool)
    assert (fault.value.code, fault.value.retriable) == ("shard_lost", True)
    assert pool.given.count(5) == coordinator.TRIES
    assert pool.stopped


def test_no_more_shards_are_out_than_may_be_and_none_far_ahead_of_the_first() -> None:
    pool = Pool()
    run(pool)
    assert pool.most_seen == pool.most
    assert pool.furthest < 2 * pool.most


def test_progress_rises_and_ends_at_all_events() -> None:
    journal = Journal()
    run(Pool(), journal)
    assert journal.events == sorted(journal.events)
    assert journal.events[-1] == 24


def test_what_the_journal_raises_stops_the_shards() -> None:
    class Full(Journal):
        def before_part(self, facts: PartFacts) -> None:
            raise errors.ExportFailed("monthly_quota_exceeded", "No room.")

    pool = Pool()
    with pytest.raises(errors.ExportFailed):
        run(pool, Full())
    assert pool.stopped
