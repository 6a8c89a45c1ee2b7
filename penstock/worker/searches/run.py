"""Runs one claimed search job: counts what it matches in each community, over time."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import structlog

from penstock import errors, query
from penstock.control import searches
from penstock.lake import table
from penstock.lake.read import plan, scan
from penstock.process import services
from penstock.usecases import results
from penstock.worker import holding

log = structlog.get_logger(__name__)

HISTOGRAM_BUCKETS = 60
"""Buckets of the stored histogram; a finer one is counted when somebody asks."""


class SearchRun:
    """One worker's work on one claimed search job.

    Args:
        open_services: the process's parts.
        claim: the hold on the search job.
        shutdown: set when the process must end.
    """

    def __init__(
        self, open_services: services.Services, claim: searches.SearchClaim, *, shutdown: threading.Event
    ) -> None:
        self._services = open_services
        self._database = open_services.database
        self._clock = open_services.clock
        self._claim = claim
        self._job = claim.job
        self._shutdown = shutdown
        self._log = log.bind(job_uuid=claim.job.uuid)

    def run(self) -> None:
        """Counts and stores; ends the job DONE or FAILED, or leaves it to another. Never raises a PenstockError."""
        with holding.Holding(
            renew=self._renew,
            cancel_requested=self._cancel_requested,
            lease_seconds=self._claim.lease_seconds,
            clock=self._clock,
            shutdown=self._shutdown,
        ) as hold:
            try:
                self._count(hold)
            except (errors.LeaseLost, holding.CancelRequested):
                self._log.info("search_job_given_up")
            except holding.ShuttingDown:
                self._release()
            except errors.PenstockError as error:
                self._fail(error)

    def _count(self, hold: holding.Holding) -> None:
        job = self._job
        node = query.both(query.parse(job.term), query.from_filters(job.filters))
        time_range = plan.TimeRange(earliest=job.earliest, latest=job.latest)
        totals: dict[str, int] = {}
        snapshots: dict[str, int] = {}
        buckets: dict[int, int] = {}
        interval_seconds = 0.0
        for community_uuid in job.community_uuids:
            snapshot = self._services.table(community_uuid).snapshot()
            counted = self._histogram(snapshot, node, time_range, hold)
            interval_seconds = counted.interval_seconds
            totals[community_uuid] = sum(number for _, number in counted.counts)
            snapshots[community_uuid] = snapshot.version
            for start_us, number in counted.counts:
                buckets[start_us] = buckets.get(start_us, 0) + number
        histogram = {"interval_seconds": interval_seconds, "counts": sorted(buckets.items())}
        kept = self._results(snapshots if sum(totals.values()) else {}, hold)
        with self._database.begin() as tx:
            searches.finish(
                tx,
                self._claim,
                totals=totals,
                snapshots=snapshots,
                histogram_json=histogram,
                now=self._clock.now(),
            )
            searches.keep(tx, job.uuid, kept, job.expires_at)
        self._log.info("search_job_done", total=sum(totals.values()))

    def _histogram(
        self, snapshot: table.Snapshot, node: query.Node, time_range: plan.TimeRange, hold: holding.Holding
    ) -> scan.Histogram:
        def should_stop() -> bool:
            hold.check()
            return False

        predicate = query.compile(node, snapshot.query_columns)
        return scan.histogram(snapshot, time_range, predicate, HISTOGRAM_BUCKETS, should_stop=should_stop)

    def _results(self, versions: Mapping[str, int], hold: holding.Holding) -> searches.Results:
        """Newest events and common values, computed here once: requests would scan each time."""

        def should_stop() -> bool:
            hold.check()
            return False

        found = [self._services.table(community).snapshot(version) for community, version in versions.items()]
        return results.compute(self._job, found, should_stop=should_stop)

    def _renew(self) -> None:
        with self._database.begin() as tx:
            searches.renew(tx, self._claim, self._clock.now())

    def _cancel_requested(self) -> bool:
        with self._database.read() as tx:
            return searches.is_cancel_requested(tx, self._claim)

    def _release(self) -> None:
        try:
            with self._database.begin() as tx:
                searches.release(tx, self._claim, self._clock.now())
        except errors.PenstockError as error:
            self._log.warning("release_not_recorded", code=error.code)

    def _fail(self, error: errors.PenstockError) -> None:
        self._log.warning("search_job_failed", code=error.code, detail=error.detail)
        if error.retriable:
            return  # whoever claims it when the lease has run out counts again
        try:
            with self._database.begin() as tx:
                searches.fail(tx, self._claim, str(error), self._clock.now())
        except errors.PenstockError as second:
            self._log.warning("end_not_recorded", code=second.code)
