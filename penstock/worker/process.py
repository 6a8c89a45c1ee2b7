"""A worker that is a process: `penstock worker`, and the one that `penstock serve` starts beside its API.

Not threads beside the API: whoever reads a task would wait for the interpreter, and a thread that lets others of the
machine go first keeps the interpreter while it waits for a core. Its own process waits alone
(docs/performance.md#task-reads-beside-an-export).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import structlog

from penstock import settings as settings_module
from penstock.base import pacing
from penstock.export import engines
from penstock.process import environment, logs, services
from penstock.worker import loop

log = structlog.get_logger(__name__)

NICENESS = 7
"""Of a worker beside an API; its threads and searches add theirs. It counts where control groups share the cores."""

SESSION_NICENESS = 10
"""Of a worker's session beside an API. All its threads together weigh a tenth of the API's then, however many they are:
each of a search's threads, though nice, takes its share from the one that answers."""

STOP_SECONDS = loop.STOP_SECONDS + 2.0
"""Most that `Beside.stop` takes; a worker that has not ended by then is killed, and its leases run out."""

PACE = pacing.Pace(first_seconds=1.0, longest_seconds=60.0)
"""Of starting a worker again that died; from the beginning for one that lived longer than the longest pause."""

AFTER_AN_END_SECONDS = 60.0
"""Before one is started again that ended in order: who stops a service may signal all its processes at once (systemd
does), and this one drains its requests meanwhile."""

_MAIN = f"""
import os
os.nice({NICENESS})  # before there are threads
from penstock.process import environment
environment.prepare()
environment.loading()
from penstock.worker import process as worker
worker.main()
"""


def run(opened: services.Services, stop: threading.Event, announce: Callable[[loop.Worker], None]) -> None:
    """Works until `stop` is set; `announce` is called once it has begun."""
    working = loop.Worker(opened)
    working.start()
    try:
        announce(working)
        stop.wait()
    finally:
        working.stop()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set while the block runs. Must be used in the main thread."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_hanging_threads() -> None:
    """Ends the process at once if a thread hangs in a call to a silent store: the interpreter would wait for it."""
    if any(thread.name.startswith("penstock-") and thread.is_alive() for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def main() -> None:
    """The process of `Beside`: reads its settings from standard input, and works until that ends or a signal comes."""
    environment.loaded()
    size = int.from_bytes(_read(8))
    sent = _read(size)
    if not sent or len(sent) < size:  # the parent died just now
        return
    settings = _with_secrets(pickle.loads(sent))  # noqa: S301 - from our own parent
    # Linux shares the cores among sessions first (autogroup), where no control group does it.
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/autogroup").write_text(str(SESSION_NICENESS))
    logs.configure(settings)
    with stopped_by_signals() as stop, services.opened(settings) as opened:
        run(opened, stop, lambda working: _listen(working, stop))
    leave_hanging_threads()


def _read(size: int) -> bytes:
    """So much of standard input, or what there is of it."""
    content = b""
    while len(content) < size and (more := os.read(_STANDARD_INPUT, size - len(content))):
        content += more
    return content


def _with_secrets(given: settings_module.Settings) -> settings_module.Settings:
    """Secrets do not travel: they come from where the parent has them, the environment and the home's file."""
    return given.with_secrets_of(settings_module.load(home=given.home))


def _listen(working: loop.Worker, stop: threading.Event) -> None:
    """A byte from the parent says that there is work; the end, that it is gone: the part is finished, and all ends."""

    def listen() -> None:
        # Not through `sys.stdin`, whose lock the interpreter could not get at its end.
        while os.read(_STANDARD_INPUT, 4096):
            working.wake()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()


_STANDARD_INPUT = 0


class Beside:
    """A worker in a process of its own, for as long as an API runs. One that dies is started again.

    Args:
        settings: what it works with; secrets are not among what it is sent, but read again.
        command: what is run; for tests.

    Raises:
        ConfigurationError: the engine that the settings name cannot work here (`engines.open_engine`).
    """

    def __init__(
        self, settings: settings_module.Settings, *, command: tuple[str, ...] = (sys.executable, "-c", _MAIN)
    ) -> None:
        # Here and not first in the process, which would die of it again and again.
        engines.open_engine(settings).close()
        self._sent = pickle.dumps(settings.without_secrets())
        self._command = command
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_told = False  # its settings: what is written before would be taken for some
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="worker-beside", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process; None while none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Starts the process and returns."""
        self._begin()
        self._thread.start()

    def wake(self) -> None:
        """Has it look for work now."""
        # Locked, so that the number cannot become another file's meanwhile.
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None and self._is_told:
                # One that is gone will look when it is there again; one that does not read has enough to read.
                with contextlib.suppress(OSError):
                    os.write(process.stdin.fileno(), b"w")

    def stop(self) -> None:
        """Ends it: parts in flight are finished, leases are given back. Returns within STOP_SECONDS."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("worker_killed", pid=process.pid, after_seconds=STOP_SECONDS)
            process.kill()
        self._thread.join()

    def _keep(self) -> None:
        deaths = 0
        while True:
            process, began = self._process, time.monotonic()
            assert process is not None
            code = process.wait()
            assert process.stdin is not None
            with self._lock, contextlib.suppress(OSError):  # what it did not read is nobody's any more
                self._is_told = False
                process.stdin.close()
            if self._stopping.is_set():
                return
            if code == 0:
                pause = AFTER_AN_END_SECONDS
                log.info("worker_ended", pid=process.pid, starts_again_in_seconds=pause)
            else:
                deaths = 1 if time.monotonic() - began > PACE.longest_seconds else deaths + 1
                pause = PACE.pause_seconds(deaths)
                log.error("worker_died", pid=process.pid, exit_code=code, starts_again_in_seconds=round(pause, 1))
            if self._stopping.wait(pause):
                return
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            self._is_told = False
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                # A Ctrl-C at the terminal is the service's to handle. And see SESSION_NICENESS.
                start_new_session=True,
            )
            self._process = process
        assert process.stdin is not None
        # One that is dead already is `_keep`'s to find.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(len(self._sent).to_bytes(8) + self._sent)
            process.stdin.flush()
            os.set_blocking(process.stdin.fileno(), False)
            with self._lock:
                self._is_told = process.poll() is None
