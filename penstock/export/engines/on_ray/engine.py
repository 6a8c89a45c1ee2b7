"""Runs exports on a Ray cluster, and looks at wide searches there: this process coordinates, the nodes compute."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from penstock import errors
from penstock import settings as settings_module
from penstock.export import work as works
from penstock.export.engines import contract
from penstock.export.engines.on_ray import answers, cluster, node, orders, sealing, searching
from penstock.export.run import run as run_stream
from penstock.export.shards import coordinator, plan, shard

if TYPE_CHECKING:  # what only an ingest loads
    from penstock.export.engines.on_ray import ingesting
    from penstock.intake import batch, ingest
    from penstock.intake.shards import taking

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 3.0
"""How long `close` waits for what searches have under way: they end in half a second if the cluster answers."""

AWAY_SECONDS = 30.0
"""How long searches leave a cluster alone that did not answer one of them."""


class OnRay:
    """Shards on a Ray cluster; what joins them is put from here.

    Args:
        settings: the worker's.

    Raises:
        ConfigurationError: `engine_not_installed`, `engine_settings_incomplete`. The cluster is not asked yet.
    """

    def __init__(self, settings: settings_module.Settings) -> None:
        if not cluster.is_installed():
            raise errors.ConfigurationError(
                "engine_not_installed",
                "The engine `ray` is set, and Ray is not installed here.",
                "pip install 'penstock[ray]', on workers and nodes alike.",
            )
        if settings.storage != "s3":
            raise errors.ConfigurationError(
                "engine_settings_incomplete",
                "The engine `ray` needs a bucket: its nodes cannot write into the embedded storage of this machine.",
                "Set storage = s3 and its settings, or engine = threads.",
            )
        self.shard_slices = settings.shard_slices
        self._secret = sealing.parsed(settings.engine_secret)
        self._service = node.service_of(settings)
        self._most = settings.shards_in_flight
        self._threads, self._upload_threads = settings.encoding_threads, settings.upload_threads
        self._away_until = 0.0
        self._lock = threading.Lock()
        self._pools: list[searching.Pool] = []  # whose threads may be in a call to Ray
        self._cluster = cluster.Cluster(settings.ray_address, cpus=settings.shard_cpus)

    def run(
        self,
        work: works.Work,
        target: contract.Target,
        journal: works.Journal,
        *,
        done: Sequence[works.Done] = (),
    ) -> works.Outcome:
        """See `contract.Engine`."""
        if not work.shard_slices:
            # Planned for one stream, before the engine was changed: its parts depend on all before them.
            return self._run_stream(work, target, journal, done)
        box = sealing.Box(self._secret, target.wrapping_key(), target.task_uuid)
        pool = _Pool(self._cluster, work, target, box, service=self._service, most=self._most)
        return coordinator.run(work, target.put, journal, pool, upload_threads=self._upload_threads, done=done)

    def _run_stream(
        self, work: works.Work, target: contract.Target, journal: works.Journal, done: Sequence[works.Done]
    ) -> works.Outcome:
        return run_stream(
            work, target.put, journal, threads=self._threads, upload_threads=self._upload_threads, done=done
        )

    def search_pool(self, job_uuid: str) -> searching.Pool | None:
        """See `contract.Engine`. None for a while after the cluster was away: a search does not wait for it."""
        if time.monotonic() < self._away_until:
            return None
        box = sealing.box_of_search(self._secret, job_uuid)
        pool = searching.Pool(self._cluster, job_uuid, box, service=self._service, most=self._most, away=self._away)
        with self._lock:
            self._pools = [*(one for one in self._pools if not one.has_ended(0.0)), pool]
        return pool

    def ingest_pool(
        self,
        community_uuid: str,
        limits: batch.Limits,
        here: Callable[[taking.Shard], taking.Taken],
        progress: Callable[[ingest.Progress], None],
    ) -> ingesting.Pool:
        """See `contract.Engine`."""
        from penstock.export.engines.on_ray import ingesting

        ingest_uuid = str(uuid.uuid4())
        return ingesting.Pool(
            self._cluster,
            ingest_uuid,
            sealing.box_of_ingest(self._secret, ingest_uuid),
            community_uuid=community_uuid,
            limits=limits,
            service=self._service,
            most=self._most,
            here=here,
            progress=progress,
        )

    def _away(self) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS

    def close(self) -> None:
        """Leaves the cluster; not while a thread is in a call to it, which would end this process."""
        with self._lock:
            pools, self._pools = self._pools, []
        for pool in pools:
            pool.stop()
        until = time.monotonic() + CLOSE_SECONDS
        if not all(pool.has_ended(max(0.0, until - time.monotonic())) for pool in pools):
            log.warning("cluster_not_left", reason="a call to it hangs")
            return
        self._cluster.close()


class _Pool:
    """The shards of one run on the cluster."""

    def __init__(
        self,
        cluster_: cluster.Cluster,
        work: works.Work,
        target: contract.Target,
        box: sealing.Box,
        *,
        service: dict[str, str],
        most: int,
    ) -> None:
        self.most = most
        self._cluster = cluster_
        self._work = work
        self._target = target
        self._box = box
        self._service = service
        self._numbers: dict[Hashable, int] = {}

    def submit(self, assignment: plan.Assignment) -> Hashable:
        number = assignment.shard.number
        order = orders.order_of(self._work, self._target, assignment, self._service)
        ticket: Hashable = self._cluster.submit(
            self._target.task_uuid, number, self._box.seal(order, f"order {number}")
        )
        self._numbers[ticket] = number
        return ticket

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        return self._cluster.wait(tickets, timeout_seconds)

    def take(self, ticket: Hashable) -> shard.Computed:
        number = self._numbers.pop(ticket)
        kind, answer = self._cluster.take(ticket)
        return orders.computed_of(answers.opened(self._box, number, kind, answer))

    def stop(self) -> None:
        left, self._numbers = list(self._numbers), {}
        self._cluster.stop(left)
