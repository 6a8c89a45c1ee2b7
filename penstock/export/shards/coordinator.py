"""Gives shards out to a pool, records what comes back, and joins neighbours' ends into parts.

    plan ─▶ pool: at most `most` shards at once ─▶ recorded as they come ─▶ in order ─▶ joined ─▶ put ─▶ recorded

A shard whose machine is gone is given out again, and nothing else is. What waits to be joined is bounded: no shard is
given out that lies 2 x `most` or more behind the first that is not joined.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol

import structlog

from penstock import errors
from penstock.evidence import facts as facts_module
from penstock.export import ordered, uploads
from penstock.export import work as works
from penstock.export.shards import cut, plan, shard
from penstock.storage import contract

log = structlog.get_logger(__name__)

TRIES = 4
"""How often a shard is given out: more machines lost over one and the same shard are no accident."""


class Lost(Exception):
    """What computed a shard is gone: a process, a machine, or its answer. The shard may be computed again."""


class Pool(Protocol):
    """What computes the shards of one run. Used from one thread.

    Attributes:
        most: shards computed at once.
    """

    most: int

    def submit(self, assignment: plan.Assignment) -> Hashable:
        """Gives a shard out; the ticket names it. Raises NotReady `engine_unavailable`."""
        ...

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        """Those of the tickets that are done, at the latest after `timeout_seconds`."""
        ...

    def take(self, ticket: Hashable) -> shard.Computed:
        """What came of a shard that is done. Raises what the shard raised, or Lost."""
        ...

    def stop(self) -> None:
        """Ends all shards that are under way, within about a second; idempotent. Raises nothing."""
        ...


def run(
    work: works.Work,
    put: works.Put,
    journal: works.Journal,
    pool: Pool,
    *,
    upload_threads: int,
    done: Sequence[works.Done] = (),
) -> works.Outcome:
    """Runs `work` to its end on a pool, or does what the parts `done` leave to do.

    Raises:
        NotReady: `shard_lost`, a shard was lost TRIES times; `engine_unavailable`.
        InvalidPart: the parts do not hold each slice once.
        Whatever `put`, `journal` or a shard raise. No shard is left running then.
    """
    run_ = _Run(work, journal, pool, done)
    with uploads.Uploads(
        put, before=journal.before_part, after=run_.record, check=journal.check, threads=upload_threads
    ) as under_way:
        try:
            run_.drive(under_way)
        finally:
            pool.stop()
    return run_.outcome()


class _Run:
    def __init__(self, work: works.Work, journal: works.Journal, pool: Pool, done: Sequence[works.Done]) -> None:
        self._journal = journal
        self._pool = pool
        self._slices = len(work.slices)
        self._plan = plan.plan_shards(self._slices, work.shard_slices)
        self._left = plan.Left(self._plan, (facts for facts, _ in done))
        self._joiner = cut.Joiner(self._plan, part_bytes=work.part_bytes)
        self._done: dict[int, works.Done] = {facts.ordinal + 1: (facts, receipt) for facts, receipt in done}
        # A resumed export goes on counting where it was, so that its progress never falls.
        self._events = sum(facts.events for facts, _ in done)
        self._tries: collections.Counter[int] = collections.Counter()
        self._tickets: dict[Hashable, plan.Assignment] = {}
        self._computed: dict[int, shard.Computed] = {}
        self._given = 0
        self._joined = 0

    def record(self, facts: facts_module.PartFacts, receipt: contract.Receipt) -> None:
        """A part is in the store."""
        self._journal.after_part(facts, receipt)
        self._done[receipt.number] = (facts, receipt)

    def drive(self, under_way: uploads.Uploads) -> None:
        """All shards, then the last part."""
        if self._left.is_whole():
            return
        while self._joined < len(self._plan.shards):
            self._give_out()
            for ticket in self._pool.wait(self._tickets, ordered.POLL_SECONDS) if self._tickets else ():
                self._take(ticket)
            self._journal.check()
            self._join(under_way)
        under_way.finish()
        under_way.add(self._joiner.finish(self._slices, [facts for facts, _ in self._in_order()]))
        under_way.finish()

    def outcome(self) -> works.Outcome:
        in_order = self._in_order()
        plan.check_whole(self._plan, self._slices, [facts for facts, _ in in_order])
        return works.Outcome.of(in_order)

    def _in_order(self) -> list[works.Done]:
        return [self._done[number] for number in sorted(self._done)]

    def _give_out(self) -> None:
        while (
            self._given < len(self._plan.shards)
            and len(self._tickets) < self._pool.most
            and self._given < self._joined + 2 * self._pool.most
        ):
            assignment = self._left.of(self._plan.shards[self._given])
            self._given += 1
            if assignment.slices:
                self._submit(assignment)
            else:
                self._computed[assignment.shard.number] = shard.Computed(head=None, rest=None, parts=())

    def _submit(self, assignment: plan.Assignment) -> None:
        self._tries[assignment.shard.number] += 1
        self._tickets[self._pool.submit(assignment)] = assignment

    def _take(self, ticket: Hashable) -> None:
        assignment = self._tickets.pop(ticket)
        number = assignment.shard.number
        try:
            computed = self._pool.take(ticket)
        except Lost as lost:
            log.warning("shard_lost", shard=number, tries=self._tries[number], reason=str(lost))
            if self._tries[number] >= TRIES:
                raise errors.NotReady(
                    "shard_lost",
                    f"Shard {number + 1} of {len(self._plan.shards)} was lost {TRIES} times: {lost}.",
                    "Look at the cluster's memory and at the log of its nodes.",
                ) from lost
            self._submit(assignment)
            return
        for facts, receipt in computed.parts:
            # The store has it already; what the quota does not allow never becomes a file.
            self._journal.before_part(facts)
            self.record(facts, receipt)
        self._computed[number] = computed
        self._events += computed.events
        self._journal.progress(self._events)

    def _join(self, under_way: uploads.Uploads) -> None:
        while self._joined in self._computed:
            computed = self._computed.pop(self._joined)
            for part in self._joiner.add(self._plan.shards[self._joined], computed.head, computed.rest):
                under_way.add(part)
            self._joined += 1
