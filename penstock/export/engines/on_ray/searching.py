"""The shards of one search on the cluster, so that nobody who waits for a search waits for the cluster.

    submit ─▶ queue ─▶ a thread that speaks to Ray ─▶ queue ─▶ wait, take

A call to Ray may hang for half a minute when a machine is gone. So a thread of its own makes all of them, and the
search looks whether that still moves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import structlog

from penstock import errors
from penstock.export.engines.on_ray import answers, cluster, sealing
from penstock.export.shards import coordinator
from penstock.lake.read import shards

log = structlog.get_logger(__name__)

SILENT_SECONDS = 15.0
"""How long a call to Ray may take before the cluster counts as away. To connect takes about two."""

GRACE_SECONDS = 0.3
"""How long a shard that is to stop may take to do so by itself: with its process nothing is lost but a second."""

_TURN_SECONDS = 0.1


class Pool:
    """The shards of one search; see `contract.SearchPool`.

    Args:
        cluster_: not connected to before the first shard is given out.
        service: settings that a node must share, see `node`.
        most: shards at once; fewer where the cluster has fewer CPUs.
        away: called when the cluster does not answer.
    """

    def __init__(
        self,
        cluster_: cluster.Cluster,
        job_uuid: str,
        box: sealing.Box,
        *,
        service: dict[str, str],
        most: int,
        away: Callable[[], None],
    ) -> None:
        self.most = most
        self._cluster = cluster_
        self._job_uuid = job_uuid
        self._box = box
        self._service = service
        self._away = away
        self._orders: queue.SimpleQueue[tuple[int, int, bytes]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._came: dict[int, tuple[int, tuple[str, bytes] | coordinator.Lost]] = {}
        self._given = 0
        self._moved_at = 0.0
        self._fault: errors.PenstockError | None = None
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, shard: shards.Shard, question: shards.Question) -> Hashable:
        """See `contract.SearchPool`."""
        if self._thread is None:
            self._moved_at = time.monotonic()
            # A daemon, and named so: one that hangs does not keep the process from ending.
            self._thread = threading.Thread(target=self._speak, name="penstock-search-shards", daemon=True)
            self._thread.start()
        order = {
            "service": self._service,
            "shard": dataclasses.asdict(shard),
            "question": shards.question_to_json(question),
        }
        self._given += 1
        sealed = self._box.seal(json.dumps(order).encode(), f"order {shard.number}")
        self._orders.put((self._given, shard.number, sealed))
        return self._given

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        """See `contract.SearchPool`."""
        found: list[Hashable] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._done.get(timeout=timeout_seconds))
            while True:
                found.append(self._done.get_nowait())
        if not found and self._fault is not None:
            raise self._fault
        if not found and time.monotonic() - self._moved_at > SILENT_SECONDS:
            self._away()
            raise errors.NotReady(
                "engine_unavailable",
                f"The Ray cluster has said nothing for {SILENT_SECONDS:g} seconds.",
                "Look whether its head runs, and whether `ray_address` names it.",
            )
        return found

    def take(self, ticket: Hashable) -> shards.Answer:
        """See `contract.SearchPool`."""
        assert isinstance(ticket, int)
        number, came = self._came.pop(ticket)
        if isinstance(came, coordinator.Lost):
            raise came
        return shards.answer_from_json(json.loads(answers.opened(self._box, number, *came)))

    def stop(self) -> None:
        """See `contract.SearchPool`."""
        self._is_over.set()

    def has_ended(self, within_seconds: float) -> bool:
        """Whether it was stopped, and its thread is out of all calls to Ray, at the latest after so long."""
        if self._is_over.is_set() and self._thread is not None:
            self._thread.join(within_seconds)
        return self._is_over.is_set() and not (self._thread is not None and self._thread.is_alive())

    # The thread that speaks to Ray

    def _speak(self) -> None:
        under_way: dict[Any, tuple[int, int, str]] = {}  # Ray's ticket -> ours, shard, node
        try:
            nodes = self._cluster.nodes()
            if not nodes:
                raise errors.NotReady(
                    "engine_unavailable", "The Ray cluster has no node with a CPU.", "Start nodes: docs/engines.md."
                )
            while not self._is_over.is_set():
                self._moved_at = time.monotonic()
                self._give_out(nodes, under_way)
                if not under_way:
                    continue
                for ticket in self._cluster.wait(list(under_way), _TURN_SECONDS):
                    self._take(ticket, *under_way.pop(ticket)[:2])
        except errors.PenstockError as error:
            self._away()
            self._fault = error
        except Exception as error:
            # Of a foreign library, in a thread that nobody sees: the search must hear of it.
            log.exception("search_shards_surprise", job_uuid=self._job_uuid)
            self._fault = errors.NotReady(
                "engine_unavailable", f"The Ray cluster cannot be used ({type(error).__name__}).", "See the log."
            )
        finally:
            self._cluster.stop(list(under_way), grace_seconds=GRACE_SECONDS)

    def _give_out(self, nodes: dict[str, float], under_way: dict[Any, tuple[int, int, str]]) -> None:
        """Gives out what waits, to the nodes that have least to do for this search; waits a turn if nothing runs."""
        while len(under_way) < min(self.most, sum(nodes.values())):
            try:
                own, number, sealed = self._orders.get(block=not under_way, timeout=_TURN_SECONDS)
            except queue.Empty:
                return
            busy = [node for _, _, node in under_way.values()]
            freest = min(nodes, key=lambda node: busy.count(node) / nodes[node])
            ticket = self._cluster.submit_search(freest, self._job_uuid, number, sealed)
            under_way[ticket] = own, number, freest

    def _take(self, ticket: Any, own: int, number: int) -> None:
        try:
            self._came[own] = number, self._cluster.take(ticket)
        except coordinator.Lost as lost:
            self._came[own] = number, lost
        self._done.put(own)
