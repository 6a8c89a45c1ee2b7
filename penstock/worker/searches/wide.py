"""Runs a search that was cut into shards, on the cluster of an engine; what comes of it is what one process finds.

Two rounds: all shards count; then those that may hold some of the newest events are asked for them. The counts tell
which: a bucket behind which lie as many as are wanted ends the search for older ones.
"""

from __future__ import annotations

import collections
import heapq
import time
from collections.abc import Callable, Hashable, Iterable, Iterator

import structlog

from penstock import errors
from penstock.base import findings, instants
from penstock.export import engines
from penstock.export.shards import coordinator
from penstock.fields import values
from penstock.lake.read import plan, shards
from penstock.search import found, question, results

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
"""How often the caller's `check` is called while shards are under way."""

_Newest = tuple[int, int, int, int, str]
"""An event's place among the newest, and its text: -@timestamp, community, -shard, rank in the shard."""


def find(
    asked: question.Question,
    wide: found.Wide,
    pool: engines.SearchPool,
    check: Callable[[], None],
    tell: Callable[[findings.SoFar], None] = lambda so_far: None,
    *,
    job_uuid: str,
    patience_seconds: float,
) -> found.Found:
    """Runs the search to its end.

    Args:
        check: called every POLL_SECONDS; what it raises ends all shards.
        tell: called with what is counted so far, whenever a shard is done.
        job_uuid: for the log.
        patience_seconds: a cluster of which no shard comes back for so long is given up.

    Raises:
        NotReady: `engine_unavailable`, `engine_node_differs`, `shard_lost`.
        Whatever `check` or a shard raise. No shard is left running then.
    """
    try:
        run = _Run(asked, wide, pool, check, job_uuid, patience_seconds)
        return run.found(run.count(tell))
    finally:
        pool.stop()


class _Run:
    def __init__(
        self,
        asked: question.Question,
        wide: found.Wide,
        pool: engines.SearchPool,
        check: Callable[[], None],
        job_uuid: str,
        patience_seconds: float,
    ) -> None:
        self._asked = asked
        self._wide = wide
        self._pool = pool
        self._check = check
        self._job_uuid = job_uuid
        self._patience_seconds = patience_seconds
        self._communities = list(wide.snapshots)
        self._counts: dict[int, tuple[int, ...]] = {}

    def count(self, tell: Callable[[findings.SoFar], None]) -> list[int]:
        """Matches in each bucket, of all shards."""
        for_shards = shards.Question(
            term=self._asked.term,
            filters=self._asked.filters,
            time_range=self._asked.time_range,
            buckets=len(self._wide.stretches.counts),
        )
        sums = [0] * for_shards.buckets
        looked_at = self._wide.rows - sum(shard.rows for shard in self._wide.shards)
        # The newest files come first, for those who look meanwhile.
        for shard, answer in self._ask(reversed(self._wide.shards), for_shards):
            self._counts[shard.number] = answer.counts
            sums = [before + more for before, more in zip(sums, answer.counts, strict=True)]
            looked_at += shard.rows
            tell(found.so_far(self._histogram(sums), looked_at, self._wide.rows))
        return sums

    def found(self, sums: list[int]) -> found.Found:
        totals = dict.fromkeys(self._wide.snapshots, 0)
        for shard in self._wide.shards:
            totals[shard.community_uuid] += sum(self._counts[shard.number])
        return found.Found(
            totals=totals,
            snapshots=dict(self._wide.snapshots),
            histogram=self._histogram(sums),
            results=results.of_events(self._asked, [values.loads(text) for text in self._newest(sums)]),
        )

    def _newest(self, sums: list[int]) -> list[str]:
        """The newest events of all shards, newest first."""
        if not sums:  # a range of no length
            return []
        bucket = _first_needed(sums, results.MAX_EVENTS)
        start = instants.from_microseconds(self._wide.stretches.counts[bucket][0])
        for_shards = shards.Question(
            term=self._asked.term,
            filters=self._asked.filters,
            time_range=plan.TimeRange(earliest=start, latest=self._asked.time_range.latest),
            buckets=0,
            newest=results.MAX_EVENTS,
        )
        best: list[_Newest] = []
        chosen = [shard for shard in reversed(self._wide.shards) if any(self._counts[shard.number][bucket:])]
        for shard, answer in self._ask(chosen, for_shards):
            # Ties as one scan has them: of the first community, of the last file.
            community = self._communities.index(shard.community_uuid)
            own = ((-us, community, -shard.number, rank, text) for rank, (us, text) in enumerate(answer.events))
            best = heapq.nsmallest(results.MAX_EVENTS, [*best, *own])
        return [text for *_, text in best]

    def _ask(
        self, chosen: Iterable[shards.Shard], for_shards: shards.Question
    ) -> Iterator[tuple[shards.Shard, shards.Answer]]:
        """Asks shards, some at once; gives what comes back as it comes. One that is lost is asked again."""
        waiting = collections.deque(chosen)
        tries: collections.Counter[int] = collections.Counter()
        tickets: dict[Hashable, shards.Shard] = {}
        heard_at = time.monotonic()
        while waiting or tickets:
            while waiting and len(tickets) < self._pool.most:
                shard = waiting.popleft()
                tries[shard.number] += 1
                tickets[self._pool.submit(shard, for_shards)] = shard
            for ticket in self._pool.wait(tickets, POLL_SECONDS):
                heard_at = time.monotonic()
                shard = tickets.pop(ticket)
                try:
                    answer = self._pool.take(ticket)
                except coordinator.Lost as lost:
                    self._lost(shard, tries[shard.number], lost)
                    waiting.appendleft(shard)
                    continue
                yield shard, answer
            self._check()
            if time.monotonic() - heard_at > self._patience_seconds:
                raise errors.NotReady(
                    "engine_unavailable",
                    f"No shard of the search came back for {self._patience_seconds:g} seconds.",
                    "Look whether the cluster's nodes work.",
                )

    def _lost(self, shard: shards.Shard, tries: int, lost: coordinator.Lost) -> None:
        log.warning("search_shard_lost", job_uuid=self._job_uuid, shard=shard.number, tries=tries, reason=str(lost))
        if tries >= coordinator.TRIES:
            raise errors.NotReady(
                "shard_lost",
                f"Shard {shard.number + 1} of {len(self._wide.shards)} was lost {tries} times: {lost}.",
                "Look at the cluster's memory and at the log of its nodes.",
            ) from lost

    def _histogram(self, sums: list[int]) -> dict[str, object]:
        starts = [start_us for start_us, _ in self._wide.stretches.counts]
        return {
            "interval_seconds": self._wide.stretches.interval_seconds,
            "counts": list(zip(starts, sums, strict=True)),
        }


def _first_needed(sums: list[int], wanted: int) -> int:
    """The last bucket from which on lie `wanted` events or more; 0 if there is none."""
    behind = 0
    for bucket in range(len(sums) - 1, -1, -1):
        behind += sums[bucket]
        if behind >= wanted:
            return bucket
    return 0
