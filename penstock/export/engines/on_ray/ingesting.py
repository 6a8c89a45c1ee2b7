"""The shards of an ingest on the cluster: nodes read the files under the same paths and write the lake's data files.

One thread, that of the ingest, makes all calls to Ray: unlike a search, an ingest waits for its cluster.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import structlog

from penstock import errors
from penstock.export.engines.on_ray import answers, cluster, node, sealing, taken
from penstock.export.shards import coordinator
from penstock.intake import batch, ingest
from penstock.intake.shards import taking

log = structlog.get_logger(__name__)


class Pool:
    """See `intake.shards.coordinator.Pool`.

    Args:
        ingest_uuid: names this ingest.
        service: settings that a node must share, see `node`.
        most: shards at once.
        here: takes in a shard in this process: one whose rejects are more than a node can answer.
        progress: called for each file when its shard is done.
    """

    def __init__(
        self,
        cluster_: cluster.Cluster,
        ingest_uuid: str,
        box: sealing.Box,
        *,
        community_uuid: str,
        limits: batch.Limits,
        service: dict[str, str],
        most: int,
        here: Callable[[taking.Shard], taking.Taken],
        progress: Callable[[ingest.Progress], None],
    ) -> None:
        self.most = most
        self._cluster = cluster_
        self._ingest_uuid = ingest_uuid
        self._box = box
        self._community_uuid = community_uuid
        self._limits = limits
        self._service = service
        self._here = here
        self._progress = progress
        self._waiting: collections.deque[taking.Shard] = collections.deque()
        self._under_way: dict[Any, taking.Shard] = {}
        self._tries: collections.Counter[int] = collections.Counter()
        self._ready: collections.deque[tuple[int, taking.Taken | errors.PenstockError]] = collections.deque()

    def submit(self, shard: taking.Shard) -> None:
        """See `coordinator.Pool`."""
        self._waiting.append(shard)

    def next(self, timeout_seconds: float) -> tuple[int, taking.Taken | errors.PenstockError] | None:
        """See `coordinator.Pool`. Raises NotReady `engine_unavailable`."""
        while self._waiting and len(self._under_way) < self.most:
            self._give_out(self._waiting.popleft())
        if not self._ready:
            for ticket in self._cluster.wait(list(self._under_way), timeout_seconds):
                self._take(ticket, self._under_way.pop(ticket))
        return self._ready.popleft() if self._ready else None

    def stop(self) -> None:
        """See `coordinator.Pool`."""
        left, self._under_way = list(self._under_way), {}
        self._waiting.clear()
        self._cluster.stop(left)

    def _give_out(self, shard: taking.Shard) -> None:
        self._tries[shard.number] += 1
        order = {
            "service": self._service,
            "community_uuid": self._community_uuid,
            "limits": dataclasses.asdict(self._limits),
            # So that nobody takes in another file that lies under the same path on a node.
            "sizes": [os.path.getsize(source) for source in shard.sources],
            "shard": taken.shard_to_json(shard),
        }
        sealed = self._box.seal(json.dumps(order).encode(), f"order {shard.number}")
        self._under_way[self._cluster.submit_ingest(self._ingest_uuid, shard.number, sealed)] = shard

    def _take(self, ticket: Any, shard: taking.Shard) -> None:
        came: taking.Taken | errors.PenstockError
        try:
            kind, answer = self._cluster.take(ticket)
            if kind == node.TOO_MUCH:
                came = self._here(shard)
            else:
                came = taken.taken_of(answers.opened(self._box, shard.number, kind, answer), shard.rejects)
        except coordinator.Lost as lost:
            tries = self._tries[shard.number]
            log.warning("ingest_shard_lost", shard=shard.number, tries=tries, reason=str(lost))
            if tries < coordinator.TRIES:
                self._waiting.appendleft(shard)
                return
            came = errors.NotReady(
                "shard_lost",
                f"What took in {shard.sources[0]!r} was lost {tries} times: {lost}.",
                "Look at the cluster's memory and at the log of its nodes.",
            )
        except errors.PenstockError as error:
            came = error
        self._ready.append((shard.number, came))
        for source in shard.sources:
            size = os.path.getsize(source)
            self._progress(ingest.Progress(source=source, source_bytes=size, source_size=size, accepted=0, rejected=0))
