"""Holds a lease while work goes on: renews it, and notices what must stop the work."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from penstock import errors, export
from penstock.base import clock as clocks

log = structlog.get_logger(__name__)

WATCH_SECONDS = 0.25
"""How often a cancel request is looked for: a cancelled export stops within a second."""

CANCEL_PATIENCE_SECONDS = 1.0
"""How long the work may take to stop once a cancel was seen; then something holds it up, and it is given up."""

FORGIVE_PATIENCE_SECONDS = 3_600.0
"""How long a worker that was cut off from the database waits to say that it lives: until then its attempt counts."""

SHUTDOWN_PATIENCE_SECONDS = 10.0
"""The same once the process was asked to end: time enough for a part in flight, unless its store is silent."""


def _wait_on(reason: Exception) -> None:
    """Work that is not given up: it stops when it can."""


class CancelRequested(Exception):
    """Somebody asked for the work to be cancelled."""


class ShuttingDown(export.Leaving):
    """This process is asked to end; parts in flight are finished, and the work goes back to the queue."""


class Holding:
    """A thread that renews a lease every third of its length while the `with` block runs.

    Args:
        renew: renews the lease; raises LeaseLost if another worker owns the work, ExportFailed if it must end.
        cancel_requested: whether somebody asked for the work to be cancelled; one light read.
        lease_seconds: the lease's length.
        clock: measures since when the lease has not been renewed.
        shutdown: set when the process must end.
        give_up: called again and again, with the reason, when the work has not stopped CANCEL_PATIENCE_SECONDS after a
            cancel was seen, or SHUTDOWN_PATIENCE_SECONDS after the shutdown.

    A database that does not answer is retried until the lease has run out; then the lease counts as lost, since
    another worker may have taken it.
    """

    def __init__(
        self,
        *,
        renew: Callable[[], None],
        cancel_requested: Callable[[], bool],
        lease_seconds: float,
        clock: clocks.Clock,
        shutdown: threading.Event,
        give_up: Callable[[Exception], None] = _wait_on,
    ) -> None:
        self._give_up = give_up
        self._renew = renew
        self._cancel_requested = cancel_requested
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._shutdown = shutdown
        self._over = threading.Event()
        self._reason: Exception | None = None
        self._give_up_at = math.inf
        self._thread = threading.Thread(target=self._watch, name="penstock-lease", daemon=True)

    def __enter__(self) -> Self:
        self._renewed_at = self._clock.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what must stop the work: LeaseLost, CancelRequested or ShuttingDown."""
        if self._reason is not None:
            raise self._reason
        if self._shutdown.is_set():
            raise ShuttingDown

    def _watch(self) -> None:
        # A third of the lease: one renewal may fail, or come late, and the lease still holds.
        while not self._clock.wait(self._over, min(WATCH_SECONDS, self._lease_seconds / 3)):
            try:
                self._step()
            except (errors.LeaseLost, errors.ExportFailed) as reason:
                self._reason = reason
                return
            except errors.PenstockError as error:
                log.warning("lease_not_renewed", code=error.code)
            # By the monotonic clock: the machine's own may be set meanwhile, and the lease would seem to last.
            if self._clock.monotonic() - self._renewed_at > self._lease_seconds:
                self._reason = errors.LeaseLost("lease_lost", "The lease could not be renewed in time.")
                return

    def _step(self) -> None:
        if self._clock.monotonic() - self._renewed_at >= self._lease_seconds / 3:
            self._renew()
            # Taken after the renewal though the lease counts from before it: the fence, not this time, keeps two
            # workers apart.
            self._renewed_at = self._clock.monotonic()
        # A cancel counts also while the process ends: the export must become CANCELED, not go back to the queue.
        if not isinstance(self._reason, CancelRequested) and self._cancel_requested():
            self._stop(CancelRequested(), CANCEL_PATIENCE_SECONDS)
        elif self._reason is None and self._shutdown.is_set():
            self._stop(ShuttingDown(), SHUTDOWN_PATIENCE_SECONDS)
        if self._reason is not None and self._clock.monotonic() >= self._give_up_at:
            self._give_up(self._reason)

    def _stop(self, reason: Exception, patience_seconds: float) -> None:
        self._reason = reason
        self._give_up_at = self._clock.monotonic() + patience_seconds
