"""A worker process that dies, or stops, at one step: `crashing_worker.py STEP kill|stop SECONDS`.

Its clock goes SECONDS ahead, so that the leases of those who died before it have run out. The settings come from
PENSTOCK_* variables. With STEP `-` it works until nothing is pending and exits with 0.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import threading
import time

from penstock import settings
from penstock.base import clock as clocks
from penstock.process import services
from penstock.worker import Worker

QUIET_SECONDS = 1.0
"""A process that is stopped in a transaction keeps its locks and holds everybody up. Its other threads wait for this
step by then, and are in none."""


class Dying:
    """A step observer that ends this process at the step of a name. Steps are printed as `step: NAME`."""

    def __init__(self, step: str, how: str) -> None:
        self.step = step
        self.signal = signal.SIGKILL if how == "kill" else signal.SIGSTOP
        self.lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self.lock:
            if name == self.step and self.signal == signal.SIGSTOP:
                time.sleep(QUIET_SECONDS)
            print(f"step: {name}", flush=True)
            if name == self.step:
                os.kill(os.getpid(), self.signal)


class EarlyClock(clocks.SystemClock):
    """The system's clock, some seconds ahead."""

    def __init__(self, ahead_seconds: float) -> None:
        self.ahead = dt.timedelta(seconds=ahead_seconds)

    def now(self) -> dt.datetime:
        return super().now() + self.ahead


def main() -> None:
    step, how, ahead_seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with services.opened(settings.load(), clock=EarlyClock(ahead_seconds)) as opened:
        Worker(opened, step=Dying(step, how)).run_pending()


if __name__ == "__main__":
    main()
