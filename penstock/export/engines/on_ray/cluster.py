"""The one module that knows Ray: connects, gives shards out, waits, and says what Ray's errors mean."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from penstock import errors
from penstock.export.shards import coordinator

log = structlog.get_logger(__name__)

STOP_SECONDS = 1.0
"""How long a shard that is to stop may take to do so by itself; then its process is killed."""

_BEGIN = """
def compute(task_uuid, number, cpus, sealed):
    import os
    from penstock.process import environment
    environment.prepare()
    os.environ.setdefault("POLARS_MAX_THREADS", str(cpus))
    from penstock.export.engines.on_ray import node
    return node.compute(task_uuid, number, cpus, sealed)


def search(job_uuid, number, cpus, sealed):
    import os
    from penstock.process import environment
    environment.prepare()
    os.environ.setdefault("POLARS_MAX_THREADS", str(cpus))
    from penstock.export.engines.on_ray import node
    return node.search(job_uuid, number, sealed)


def ingest(ingest_uuid, number, cpus, sealed):
    import os
    from penstock.process import environment
    environment.prepare()
    os.environ.setdefault("POLARS_MAX_THREADS", str(cpus))
    from penstock.export.engines.on_ray import node
    return node.ingest(ingest_uuid, number, sealed)
"""
"""What a process of Ray's runs. A text, since Ray loads the module of a function before it calls it, and Polars reads
when it is loaded how many threads it may have: all of a node's cores, for each of its shards, would be too many."""

_OF_SEARCHES = {"env_vars": {"SHARDS_OF_PENSTOCK": "searches"}}
"""Ray keeps processes of another environment apart. One that has computed shards of exports lets all others of its
machine go first, and could not take that back for a search."""

_FETCH_SECONDS = 60.0
"""How long an answer that is ready may take to come here."""


def is_installed() -> bool:
    """Whether the extra is there. Does not load it, which takes a second."""
    return importlib.util.find_spec("ray") is not None


class Cluster:
    """A Ray cluster, connected to when first used. Safe from several threads; one a process, as Ray has it.

    Args:
        address: `auto`, `HOST:PORT` of the head, or `ray://HOST:PORT`.
        cpus: CPUs that Ray reserves for a shard.
    """

    def __init__(self, address: str, *, cpus: int) -> None:
        self._address = address
        self._cpus = cpus
        self._connecting = threading.Lock()
        self._compute: Any = None
        self._search: Any = None
        self._ingest: Any = None

    def submit(self, task_uuid: str, number: int, sealed: bytes) -> Any:
        """Gives a shard out. Raises NotReady `engine_unavailable`."""
        self._connected()
        try:
            return self._compute.options(name=f"penstock shard {number}").remote(task_uuid, number, self._cpus, sealed)
        except Exception as error:
            raise self._unavailable(error) from error

    def submit_ingest(self, ingest_uuid: str, number: int, sealed: bytes) -> Any:
        """Gives a shard of an ingest out. Raises NotReady `engine_unavailable`."""
        self._connected()
        try:
            named = self._ingest.options(name=f"penstock ingest shard {number}")
            return named.remote(ingest_uuid, number, self._cpus, sealed)
        except Exception as error:
            raise self._unavailable(error) from error

    def nodes(self) -> dict[str, float]:
        """The nodes that compute: id -> CPUs. Raises NotReady `engine_unavailable`."""
        ray = self._connected()
        try:
            alive = [node for node in ray.nodes() if node["Alive"]]
        except Exception as error:
            raise self._unavailable(error) from error
        return {node["NodeID"]: cpus for node in alive if (cpus := node["Resources"].get("CPU", 0.0)) >= 1}

    def submit_search(self, node_id: str, job_uuid: str, number: int, sealed: bytes) -> Any:
        """Gives a search's shard to a node, or to another if that is gone. Raises NotReady `engine_unavailable`.

        It begins at once: it reserves no CPU, which it would wait for until an export's shard ends.
        """
        ray = self._connected()
        try:
            near = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=node_id, soft=True)
            named = self._search.options(name=f"penstock search shard {number}", scheduling_strategy=near)
            return named.remote(job_uuid, number, self._cpus, sealed)
        except Exception as error:
            raise self._unavailable(error) from error

    def wait(self, tickets: Iterable[Any], timeout_seconds: float) -> Sequence[Any]:
        """Those that are done, at the latest after so long."""
        ray = self._connected()
        try:
            done, _ = ray.wait(list(tickets), num_returns=1, timeout=timeout_seconds)
        except Exception as error:
            raise self._unavailable(error) from error
        return list(done)

    def take(self, ticket: Any) -> tuple[str, bytes]:
        """What `node.compute` has answered. Raises Lost, or NotReady `engine_unavailable`."""
        ray = self._connected()
        try:
            kind, answer = ray.get(ticket, timeout=_FETCH_SECONDS)
        except ConnectionError as error:
            raise self._unavailable(error) from error
        except Exception as error:  # Ray's errors, and whatever a node raised that it should not have
            # Of the error its kind and first line: what follows are pages of the node's log.
            first = (str(error).splitlines() or [""])[0]
            raise coordinator.Lost(f"{type(error).__name__}: {first[:200]}") from error
        return kind, answer

    def stop(self, tickets: Sequence[Any], *, grace_seconds: float = STOP_SECONDS) -> None:
        """Ends shards: asks, then kills the processes of those that go on after `grace_seconds`. Raises nothing."""
        if not tickets:
            return
        try:
            ray = self._connected()
            for ticket in tickets:
                ray.cancel(ticket, force=False)
            deadline, left = time.monotonic() + grace_seconds, list(tickets)
            while left and (remaining := deadline - time.monotonic()) > 0:
                _, left = ray.wait(left, num_returns=len(left), timeout=remaining)
            for ticket in left:
                ray.cancel(ticket, force=True)
        except Exception as error:
            # A cluster that does not answer computes for nobody: Ray ends the shards of whoever has left it.
            log.warning("shards_not_stopped", shards=len(tickets), reason=type(error).__name__)

    def close(self) -> None:
        """Leaves the cluster; idempotent. Its shards end then."""
        # Not loaded, if only to say that it was not used.
        if "ray" in sys.modules:
            import ray

            with self._connecting:
                if ray.is_initialized():
                    ray.shutdown()

    def _connected(self) -> Any:
        import ray  # a second and 60 MB, which whoever does not use it need not pay

        with self._connecting:
            if not ray.is_initialized():
                self._compute = None
                # A client that has lost its cluster takes itself for connected still, and would not connect again.
                with contextlib.suppress(Exception):
                    ray.shutdown()
                try:
                    # The nodes' output stays in their logs: ours are events, one a line.
                    ray.init(
                        address=self._address,
                        namespace="penstock",
                        log_to_driver=False,
                        configure_logging=False,
                        logging_level=logging.ERROR,
                    )
                except Exception as error:
                    raise self._unavailable(error) from error
            if self._compute is None:
                # Once a connection: each is registered with the cluster. No tries of Ray's own: the coordinator counts
                # them.
                begin: dict[str, Any] = {"__name__": "penstock_shard"}
                exec(_BEGIN, begin)  # noqa: S102 - a text of this module
                once: dict[str, Any] = {"max_retries": 0, "retry_exceptions": False}
                self._search = ray.remote(num_cpus=0, runtime_env=_OF_SEARCHES, **once)(begin["search"])
                self._compute = ray.remote(num_cpus=self._cpus, **once)(begin["compute"])
                self._ingest = ray.remote(num_cpus=self._cpus, **once)(begin["ingest"])
        return ray

    def _unavailable(self, error: Exception) -> errors.NotReady:
        log.warning("cluster_unavailable", address=self._address, reason=f"{type(error).__name__}: {error}"[:500])
        return errors.NotReady(
            "engine_unavailable",
            f"The Ray cluster at {self._address} does not answer ({type(error).__name__}).",
            "Look whether its head runs, and whether `ray_address` names it.",
        )
