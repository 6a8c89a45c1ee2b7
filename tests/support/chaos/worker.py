"""A worker that dies or freezes at random steps, whose store is rough: `worker SEED SECONDS CUT_FILE`.

Its clock goes SECONDS ahead (or behind). As long as CUT_FILE is there, its store does not answer. A SEED of 0: nothing
else befalls it. It works until its standard input ends. The seed fixes what is drawn, not which thread draws it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import os
import pathlib
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from penstock import errors, settings
from penstock.base import clock
from penstock.process import services
from penstock.worker import Worker

DIES, FREEZES = 0.01, 0.01
"""Of the steps of an export."""

FAILS, IS_LOST, IS_SLOW = 0.01, 0.01, 0.05
"""Of the calls of a store: fails, does its work and loses the answer, takes SLOW_SECONDS."""

SLOW_SECONDS = 0.3
WRITES = frozenset({"begin", "put_part", "complete", "abort", "put", "delete"})


class Rough:
    """A store whose calls are slow, fail, or lose their answers; and which is cut off as long as a file is there."""

    def __init__(self, store: Any, draw: Callable[[], float], cut: pathlib.Path) -> None:
        self._store = store
        self._draw = draw
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        return functools.partial(self._call, call) if name in WRITES else call

    def _call(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        drawn = self._draw()
        away = errors.StorageError("storage_unavailable", "The store does not answer.")
        if drawn < FAILS or self._cut.exists():
            raise away
        if drawn > 1 - IS_SLOW:
            time.sleep(SLOW_SECONDS)
        answer = call(*args, **named)
        if drawn < FAILS + IS_LOST:
            raise away
        return answer


def main() -> None:
    seed, ahead_seconds, cut = int(sys.argv[1]), float(sys.argv[2]), pathlib.Path(sys.argv[3])
    draw = random.Random(seed).random if seed else lambda: 0.5

    def befall(step: str) -> None:
        drawn = draw()
        if drawn < DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        elif drawn < DIES + FREEZES:
            os.kill(os.getpid(), signal.SIGSTOP)

    # The machine's clock, which the service must not go by.
    ahead = dt.timedelta(seconds=ahead_seconds)
    clock.SystemClock.now = lambda self: dt.datetime.now(dt.UTC) + ahead  # type: ignore[method-assign]
    with services.opened(settings.load()) as opened:
        rough: Any = Rough(opened.store, draw, cut)
        working = Worker(dataclasses.replace(opened, store=rough), step=befall)
        working.start()
        sys.stdin.read()
        working.stop()


if __name__ == "__main__":
    main()
