"""One worker's work on one claimed export: holds the lease while the export is driven, and gives it one of its ends."""

from __future__ import annotations

import threading

import structlog

from penstock import errors
from penstock.base import pacing
from penstock.control import exports
from penstock.export import engines
from penstock.process import services
from penstock.worker import holding
from penstock.worker.exports import drive, ends, journal

log = structlog.get_logger(__name__)

_AGAIN = pacing.Pace(first_seconds=0.2, longest_seconds=5.0)


class ExportRun:
    """One worker's work on one claimed export.

    Args:
        open_services: the process's parts.
        claim: the hold on the export.
        shutdown: set when the process must end.
        engine: what runs the slices.
        step: called with the name of each step.
    """

    def __init__(
        self,
        open_services: services.Services,
        claim: exports.Claim,
        *,
        shutdown: threading.Event,
        engine: engines.Engine,
        step: journal.Step = journal.no_step,
    ) -> None:
        self._services = open_services
        self._database = open_services.database
        self._clock = open_services.clock
        self._claim = claim
        self._shutdown = shutdown
        self._step = step
        self._drive = drive.Drive(open_services, claim, engine=engine, renew=self._renew, step=step)
        self._ending = threading.Lock()
        self._end: ends.End | None = None
        self._log = log.bind(export_id=claim.task_uuid)
        self.lacks_key = False
        """Afterwards: whether this process could not open the export's secrets."""

    def run(self) -> None:
        """Drives the export; ends it FINISHED, FAILED or CANCELED, or gives it back, or finds it lost. Never raises
        a PenstockError: what goes wrong with the export becomes its message."""
        self._log.info("export_claimed", attempt=self._claim.export.attempts, parts=len(self._claim.parts))
        with holding.Holding(
            renew=self._renew,
            cancel_requested=self._cancel_requested,
            lease_seconds=self._claim.lease_seconds,
            clock=self._clock,
            shutdown=self._shutdown,
            give_up=self._give_up,
        ) as hold:
            try:
                self._drive.run(hold)
                self._forget_key()
                return
            except errors.LeaseLost:
                # The lease thread may have written the end down itself (`_give_up`): then the lease is not lost but
                # given up.
                lost = self._end is None
            except (exports.CancelRequested, holding.CancelRequested):
                lost = not self._leave(ends.canceled(self._claim))
            except holding.ShuttingDown:
                lost = not self._leave(ends.released(self._claim))
            except errors.PenstockError as error:
                self.lacks_key = isinstance(error, errors.MasterKeyUnknown)
                lost = self._end is None and not self._leave(ends.after(error, self._claim))
        if lost:
            self._forgive()
        elif self._end is not None and self._end.clears:
            # After the end is written down: if this process dies first, the sweeper finds the export ended and clears
            # it.
            self._drive.clear_away()
            self._forget_key()

    # The lease

    def _renew(self) -> None:
        with self._database.begin() as tx:
            renewal = exports.renew(tx, self._claim, self._clock.now())
            export = exports.get(tx, self._claim.task_uuid, None) if renewal.deadline_passed else None
        if export is not None:
            raise exports.deadline_exceeded(export)  # how far it has come, which the claim does not know

    def _cancel_requested(self) -> bool:
        with self._database.read() as tx:
            return exports.get(tx, self._claim.task_uuid, None).cancel_requested_at is not None

    # Ends that are not FINISHED

    def _leave(self, end: ends.End) -> bool:
        """Whether the end was written down, now or before; if not, the lease is lost.

        A customer's bucket is cleared before: should this process die in between, the credentials are still there for
        the next one. The service's own store is cleared afterwards, by this worker or the sweeper.
        """
        # The lease is renewed first: a worker that had lost it once removed the file that its successor had finished.
        if end.clears and self._claim.export.in_customer_bucket and self._end is None and self._still_holds():
            self._drive.clear_customers_bucket()
        # One end only: the lease thread may come to the same conclusion at the same moment.
        with self._ending:
            if self._end is not None:
                return True
            self._step(end.name)
            try:
                pacing.patiently(
                    lambda: self._write(end),
                    pace=_AGAIN,
                    patience_seconds=self._claim.lease_seconds,
                    clock=self._clock,
                    passes=_passes,
                    stop=self._shutdown,
                )
            except errors.PenstockError as error:
                self._log.warning("end_not_recorded", how=end.name, code=error.code)
                return False
        self._step(f"{end.name} done")
        return True

    def _write(self, end: ends.End, *, stalled: bool = False) -> None:
        with self._database.begin() as tx:
            end.write(tx, self._clock.now())
        self._end = end
        self._log.info("export_left", how=end.name, stalled=stalled)

    def _give_up(self, reason: Exception) -> None:
        """Ends or releases the export while the store (or the lake) still holds the run up; idempotent.

        What a canceled run has in its store is cleared away when it comes back. Raises what the database raises.
        """
        # Never waits: this thread renews the lease, and the holder of the lock may be waiting for the database.
        if not self._ending.acquire(blocking=False):
            return  # the run has come back and writes its own end
        try:
            if self._end is None:
                is_cancel = isinstance(reason, holding.CancelRequested)
                self._write((ends.canceled if is_cancel else ends.released)(self._claim), stalled=True)
        finally:
            self._ending.release()

    def _forget_key(self) -> None:
        """The export has ended: what its secrets were wrapped with goes. The sweeper does it again."""
        try:
            self._services.vault.forget(self._claim.task_uuid)
        except errors.PenstockError as error:
            self._log.warning("key_not_forgotten", code=error.code)

    def _still_holds(self) -> bool:
        try:
            with self._database.begin() as tx:
                exports.renew(tx, self._claim, self._clock.now())
        except errors.PenstockError:
            return False
        return True

    def _forgive(self) -> None:
        """Another worker has the export, or may have; this one did not die over it, and says so."""
        self._log.warning("lease_lost")
        try:
            pacing.patiently(
                self._write_forgiveness,
                pace=_AGAIN,
                # Without a database there is no other work for this thread either.
                patience_seconds=holding.FORGIVE_PATIENCE_SECONDS,
                clock=self._clock,
                passes=_passes,
                stop=self._shutdown,
            )
        except errors.PenstockError as error:
            self._log.warning("attempt_not_forgiven", code=error.code)

    def _write_forgiveness(self) -> None:
        with self._database.begin() as tx:
            exports.forgive(tx, self._claim)


def _passes(error: Exception) -> bool:
    return isinstance(error, errors.PenstockError) and error.retriable
