"""The engine of one machine: threads of this process."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Hashable, Iterable, Sequence

from penstock.export import work as works
from penstock.export.engines import contract
from penstock.export.run import run as run_stream
from penstock.export.shards import coordinator, plan, shard


class Threads:
    """Slices on threads of this process.

    Args:
        threads: cores to keep busy.
        upload_threads: parts uploaded at once.
    """

    shard_slices = 0

    def __init__(self, *, threads: int, upload_threads: int) -> None:
        self._threads = threads
        self._upload_threads = upload_threads

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
            return run_stream(
                work,
                target.put,
                journal,
                threads=self._threads,
                upload_threads=self._upload_threads,
                done=done,
            )
        # A plan that was made for a cluster: one shard after another, so that the file has the parts that it has begun
        # with.
        pool = _Pool(work, target.put, threads=self._threads, upload_threads=self._upload_threads)
        return coordinator.run(work, target.put, journal, pool, upload_threads=self._upload_threads, done=done)

    def search_pool(self, job_uuid: str) -> None:
        """None: a search has a process of its own already."""

    def ingest_pool(self, *args: object) -> None:
        """None: the command starts processes itself."""

    def close(self) -> None:
        """Nothing is held between runs."""


class _Stopped(Exception):
    """The run is over."""


class _Pool:
    """Computes shards in this process, one at a time, on all of its threads."""

    most = 1

    def __init__(self, work: works.Work, put: works.Put, *, threads: int, upload_threads: int) -> None:
        self._work = work
        self._put = put
        self._threads = threads
        self._upload_threads = upload_threads
        self._segment_of = works.segment_maker(
            work.snapshot,
            fields=work.fields,
            predicate=work.predicate,
            compression=work.compression,
            together=work.slices,
        )
        self._is_over = False
        self._executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="penstock-shard")

    def submit(self, assignment: plan.Assignment) -> Hashable:
        return self._executor.submit(self._compute, assignment)

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        futures = [ticket for ticket in tickets if isinstance(ticket, concurrent.futures.Future)]
        first = concurrent.futures.FIRST_COMPLETED
        return list(concurrent.futures.wait(futures, timeout=timeout_seconds, return_when=first).done)

    def take(self, ticket: Hashable) -> shard.Computed:
        assert isinstance(ticket, concurrent.futures.Future)
        computed: shard.Computed = ticket.result()
        return computed

    def stop(self) -> None:
        self._is_over = True
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _compute(self, assignment: plan.Assignment) -> shard.Computed:
        return shard.compute(
            assignment,
            [self._work.slices[number] for number in assignment.slices],
            self._segment_of,
            self._put,
            part_bytes=self._work.part_bytes,
            threads=self._threads,
            upload_threads=self._upload_threads,
            check=self._check,
        )

    def _check(self) -> None:
        if self._is_over:
            raise _Stopped
