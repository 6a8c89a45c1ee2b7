"""The worker: threads that look for search jobs, exports and things to sweep, and do one at a time."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable

import structlog

from penstock import errors
from penstock.control import exports
from penstock.control import searches as searchjobs
from penstock.export import engines
from penstock.process import services
from penstock.worker import bell, sweeper, tidying
from penstock.worker.exports import journal
from penstock.worker.exports import run as export_run
from penstock.worker.searches import children as search_children
from penstock.worker.searches import run as search_run

log = structlog.get_logger(__name__)

STOP_SECONDS = 15.0
"""Most that `stop` takes: more than holding.SHUTDOWN_PATIENCE_SECONDS; Kubernetes kills after 30."""

FAULT_WAIT_SECONDS = 1.0
"""After a fault of the database or a surprise, a loop waits this long before it looks again."""


SMALL_NICENESS, NICENESS = 5, 7
"""Of the threads that drive small exports, and of all others but those that wait for searches. The API goes first, then
searches (`searches.children.NICENESS`). Not more: clients that ask without a pause must not take all of the machine."""

WITHOUT_KEY_SECONDS = 10.0
"""A worker that cannot open an export's secrets leaves it to others for so long: one of them may know the key. Then it
looks again, since its own file may have the key by now."""


class Worker:
    """Claims search jobs and exports and drives them, on threads of this process.

    Args:
        open_services: the process's parts; not closed by the worker.
        worker_id: names the holder of leases; unique for each process.
        children: processes that searches run in; None: those that all workers of this process share.
        engine: runs the exports' slices; None: the one that the settings name. Closed by `stop`.
        step: called with each step that has an effect; for crash tests.

    `start` and `stop` for a service; `run_pending` for a process that works until nothing is left.
    """

    def __init__(
        self,
        open_services: services.Services,
        *,
        worker_id: str | None = None,
        children: search_children.Children | None = None,
        engine: engines.Engine | None = None,
        step: journal.Step = journal.no_step,
    ) -> None:
        # A container that starts again has the same host name and often the same pid; the random part tells the two
        # apart.
        self.worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._services = open_services
        self._step = step
        self._engine = engine or engines.open_engine(open_services.settings)
        self._children = children or search_children.shared()
        self._shutdown = threading.Event()
        self._bell, self._last_bell = bell.Bell(), bell.Bell()  # when there may be work; when all is over
        self._sweeper = sweeper.Sweeper(
            open_services, sweeper_id=f"{self.worker_id}-sweeper", should_stop=self._shutdown.is_set, step=step
        )
        self._tidying = tidying.Tidying(open_services, should_stop=self._shutdown.is_set)
        self._small_events = open_services.settings.small_export_events
        self._threads: list[threading.Thread] = []
        self._without_key: dict[str, float] = {}
        self._looking = threading.Lock()
        self._no_search_until = 0.0

    def start(self) -> None:
        """Starts the threads and returns."""
        # A search process takes a second to start, which the first search would wait for.
        self._children.warm()
        settings = self._services.settings
        search = ("search", self._run_search_in_turn, settings.poll_seconds, self._bell, 0)
        export = ("export", self.run_export, settings.poll_seconds, self._bell, NICENESS)
        small = ("small-export", self._run_small_export, settings.poll_seconds, self._bell, SMALL_NICENESS)
        loops: tuple[tuple[str, Callable[[], bool], float, bell.Bell, int], ...] = (
            *[search] * settings.search_threads,
            *[export] * settings.export_threads,
            *[small] * bool(self._small_events),
            ("sweep", self._sweep, settings.sweep_seconds, self._last_bell, NICENESS),
            ("tidy", self._tidy, settings.tidy_seconds, self._last_bell, NICENESS),
        )
        for name, *arguments in loops:
            name = f"penstock-{name}"
            # Daemons: one that hangs in a call to a silent store must not keep the process from ending.
            thread = threading.Thread(target=self._loop, args=arguments, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        log.info("worker_started", worker_id=self.worker_id)

    def wake(self) -> None:
        """Has the threads look for work now, says who has just put some there. They would find it a little later."""
        self._no_search_until = 0.0
        self._bell.ring()

    def stop(self) -> None:
        """Ends the threads: parts in flight are finished, leases are given back. Returns within STOP_SECONDS.

        A thread that still hangs in a call to a silent store then has given its lease back and writes nothing more; it
        is left behind, for the process to end with.
        """
        self._shutdown.set()
        self._bell.ring()
        self._last_bell.ring()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        hanging = [thread.name for thread in self._threads if thread.is_alive()]
        if hanging:
            log.warning("worker_threads_left", worker_id=self.worker_id, threads=hanging)
        self._threads.clear()
        self._engine.close()
        log.info("worker_stopped", worker_id=self.worker_id)

    def run_pending(self) -> None:
        """Works in this thread until no search job and no export is left to claim, or `stop` is called."""
        while not self._shutdown.is_set() and (self.run_search() or self.run_export()):
            pass

    def run_search(self) -> bool:
        """Claims and runs one search job; False if there was none."""
        now, lease_seconds = self._services.clock.now(), self._services.settings.lease_seconds
        with self._services.database.read() as tx:
            # A read first: to claim takes SQLite's one write lock, and idle workers ask all the time.
            if not searchjobs.has_work(tx, now):
                return False
        with self._services.database.begin() as tx:
            most = self._services.settings.searches_per_community
            claim = searchjobs.claim(tx, self.worker_id, now, lease_seconds, most_a_community=most)
        if claim is None:
            return False
        search_run.SearchRun(
            self._services, claim, shutdown=self._shutdown, children=self._children, engine=self._engine
        ).run()
        return True

    def _run_search_in_turn(self) -> bool:
        """`run_search` for one of several threads: what one of them did not find just now the others do not look for.

        Each look takes a millisecond of an interpreter that exports need, and all threads look several times a second.
        """
        with self._looking:
            if time.monotonic() < self._no_search_until:
                return False
            now, rings = self._services.clock.now(), self._bell.rings
            with self._services.database.read() as tx:
                has_work = searchjobs.has_work(tx, now)
            if not has_work:
                if rings != self._bell.rings:
                    return False
                # Half of it: each thread waits a whole one, and the next to wake up may be the one that looks.
                idle_seconds = self._services.settings.poll_seconds / 2
                self._no_search_until = time.monotonic() + idle_seconds
                return False
        return self.run_search()

    def run_export(self, *, most_events: int | None = None) -> bool:
        """Claims and drives one export, of so many events at most if that is given; False if there was none."""
        now, lease_seconds = self._services.clock.now(), self._services.settings.lease_seconds
        skip = self._skipped()
        with self._services.database.read() as tx:
            if not exports.has_work(tx, now, skip=skip, most_events=most_events):
                return False
        with self._services.database.begin() as tx:
            claim = exports.claim(tx, self.worker_id, now, lease_seconds, skip=skip, most_events=most_events)
        if claim is None:
            return False
        self._step("claimed")
        run = export_run.ExportRun(self._services, claim, shutdown=self._shutdown, engine=self._engine, step=self._step)
        run.run()
        if run.lacks_key:
            self._without_key[claim.task_uuid] = self._services.clock.monotonic() + WITHOUT_KEY_SECONDS
        return True

    def _run_small_export(self) -> bool:
        """Beside a large one, which may take an hour: who asks for little waits for little."""
        return self.run_export(most_events=self._small_events)

    def _skipped(self) -> list[str]:
        """Exports whose key this process does not have, for a while."""
        now = self._services.clock.monotonic()
        self._without_key = {task_uuid: until for task_uuid, until in self._without_key.items() if until > now}
        return list(self._without_key)

    def sweep(self) -> None:
        """One pass of the sweeper."""
        self._sweeper.sweep()

    def _sweep(self) -> bool:
        self._sweeper.sweep()
        return False

    def _tidy(self) -> bool:
        self._tidying.tidy()
        return False

    def _loop(self, work: Callable[[], bool], idle_seconds: float, wakes: bell.Bell, niceness: int) -> None:
        """The one place of the worker that catches everything: a surprise must not end the loop."""
        with contextlib.suppress(OSError):
            os.nice(niceness)  # on Linux of this thread, and of those that it starts: an export's encoders, a search
        while not self._shutdown.is_set():
            rings = wakes.rings
            try:
                found = work()
            except errors.PenstockError as error:
                log.warning("worker_fault", code=error.code, detail=error.detail)
                self._shutdown.wait(FAULT_WAIT_SECONDS)
            except Exception:
                log.exception("worker_surprise")
                self._shutdown.wait(FAULT_WAIT_SECONDS)
            else:
                if not found:
                    wakes.wait(rings, idle_seconds)
