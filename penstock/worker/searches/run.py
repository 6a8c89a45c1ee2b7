"""One worker's work on one claimed search job: holds the lease while the search runs, and stores what it found."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from penstock import errors
from penstock.base import findings, pacing
from penstock.control import leases, searches
from penstock.export import engines
from penstock.process import services
from penstock.search import found
from penstock.usecases import results
from penstock.worker import holding, telling
from penstock.worker.searches import children as children_module
from penstock.worker.searches import wide

log = structlog.get_logger(__name__)

_AGAIN = pacing.Pace(first_seconds=0.2, longest_seconds=5.0)


class SearchRun:
    """One worker's work on one claimed search job.

    Args:
        open_services: the process's parts.
        claim: the hold on the search job.
        shutdown: set when the process must end.
        children: the processes that searches run in.
        engine: looks at wide searches, if it has other machines.
    """

    def __init__(
        self,
        open_services: services.Services,
        claim: searches.SearchClaim,
        *,
        shutdown: threading.Event,
        children: children_module.Children,
        engine: engines.Engine,
    ) -> None:
        self._services = open_services
        self._database = open_services.database
        self._clock = open_services.clock
        self._claim = claim
        self._job = claim.job
        self._asked = results.question_of(claim.job)
        self._shutdown = shutdown
        self._children = children
        self._engine = engine
        self._deadline_seconds = open_services.settings.search_deadline_seconds
        self._began = self._clock.monotonic()
        self._log = log.bind(job_uuid=claim.job.uuid)

    def run(self) -> None:
        """Counts and stores; ends the job DONE or FAILED, or leaves it to another. Never raises a PenstockError.

        What the lake or the query makes fail ends the job FAILED at once, with the reason. A database that is away is
        waited for.
        """
        with holding.Holding(
            renew=self._renew,
            cancel_requested=self._cancel_requested,
            lease_seconds=self._claim.lease_seconds,
            clock=self._clock,
            shutdown=self._shutdown,
        ) as hold:
            try:
                self._finish(self._find(hold))
            # Nothing to write: a cancel has ended the job's row already, unlike an export's.
            except holding.CancelRequested:
                self._log.info("search_job_given_up")
            except errors.LeaseLost:
                self._log.info("search_job_lost")
                patience = holding.FORGIVE_PATIENCE_SECONDS
                self._try("forgive", lambda tx, now: searches.forgive(tx, self._claim), patience)
            except holding.ShuttingDown:
                self._try("release", lambda tx, now: searches.release(tx, self._claim, now))
            except errors.PenstockError as error:
                self._fail(error)

    def _find(self, hold: holding.Holding) -> found.Found:
        def check() -> None:
            hold.check()
            # Counted from this claim, not from the first: a worker's death is no fault of the query.
            if self._clock.monotonic() - self._began > self._deadline_seconds:
                raise self._too_slow()

        pool = self._engine.search_pool(self._job.uuid) if self._services.settings.search_shard_rows else None
        if pool is not None:
            try:
                answer = self._on_engine(pool, check)
            finally:
                pool.stop()
            if answer is not None:
                return answer
        return self._children.find(self._services.settings, self._asked, check, self._tell)

    def _on_engine(self, pool: engines.SearchPool, check: Callable[[], None]) -> found.Found | None:
        """What was found, by a process of this worker where there is little to look at; None: the engine cannot."""
        settings = self._services.settings
        answer = self._children.find_or_cut(
            settings, self._asked, check, self._tell, shard_rows=settings.search_shard_rows
        )
        if isinstance(answer, found.Found):
            return answer
        self._log.info("search_in_shards", shards=len(answer.shards), rows=answer.rows)
        try:
            return wide.find(
                self._asked,
                answer,
                pool,
                check,
                self._tell,
                job_uuid=self._job.uuid,
                patience_seconds=self._deadline_seconds / 2,
            )
        # Whatever the cluster lacks, this machine may have, and somebody waits.
        except (errors.NotReady, errors.StorageError) as error:
            self._log.warning("search_back_on_worker", code=error.code, detail=error.detail)
            return None

    def _tell(self, so_far: findings.SoFar) -> None:
        """For those who look at the job meanwhile. A database that is away just now gets the next figures."""
        try:
            with self._database.begin() as tx:
                searches.tell(tx, self._claim, so_far, self._clock.now())
        except errors.LeaseLost:
            raise
        except errors.PenstockError as error:
            self._log.info("search_job_not_told", code=error.code)

    def _finish(self, result: found.Found) -> None:
        def write(tx: sa.Connection, now: dt.datetime) -> None:
            searches.finish(
                tx,
                self._claim,
                totals=result.totals,
                snapshots=result.snapshots,
                histogram_json=result.histogram,
                now=now,
                found=result.results,
                found_until=self._job.expires_at,
            )

        self._write(write)
        self._log.info("search_job_done", total=sum(result.totals.values()))

    def _too_slow(self) -> errors.InvalidRequest:
        return errors.InvalidRequest(
            "search_deadline_exceeded",
            f"The search ran for its limit of {self._deadline_seconds:g} seconds.",
            "Narrow the time range, or name the fields to look in; the operator can raise search_deadline_seconds.",
        )

    def _fail(self, error: errors.PenstockError) -> None:
        error_id = uuid.uuid4().hex[:12]
        self._log.warning("search_job_failed", code=error.code, detail=error.detail, error_id=error_id)
        said = telling.for_tenant(error, error_id, then="Run the search again once that is repaired.")
        self._try("fail", lambda tx, now: searches.fail(tx, self._claim, said, now))

    # The lease

    def _renew(self) -> None:
        with self._database.begin() as tx:
            searches.renew(tx, self._claim, self._clock.now())

    def _cancel_requested(self) -> bool:
        with self._database.read() as tx:
            return searches.is_cancel_requested(tx, self._claim)

    def _write(self, change: leases.Change, patience_seconds: float | None = None) -> None:
        """Writes under the lease; a database that is away is waited for, unless said otherwise as long as it lasts."""

        def attempt() -> None:
            with self._database.begin() as tx:
                change(tx, self._clock.now())

        pacing.patiently(
            attempt,
            pace=_AGAIN,
            patience_seconds=self._claim.lease_seconds if patience_seconds is None else patience_seconds,
            clock=self._clock,
            passes=lambda error: isinstance(error, errors.PenstockError) and error.retriable,
            stop=self._shutdown,
        )

    def _try(self, how: str, change: leases.Change, patience_seconds: float | None = None) -> None:
        try:
            self._write(change, patience_seconds)
        except errors.PenstockError as error:
            self._log.warning("end_not_recorded", how=how, code=error.code)
