"""Trying again, with pauses that grow: the one place that says how long, how often and until when."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from penstock.base import clock as clocks

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How pauses grow: they double from `first_seconds` to `longest_seconds`.

    Each pause is drawn between half of its bound and all of it, so that many who failed together do not come back
    together.

    Attributes:
        first_seconds: bound of the pause after the first failure.
        longest_seconds: bound of every pause.
        jitter: draws from [0, 1].
    """

    first_seconds: float
    longest_seconds: float
    jitter: Callable[[], float] = random.random

    def pause_seconds(self, failures: int) -> float:
        """The pause after the `failures`-th failure in a row (1-based)."""
        # 2.0 ** 1024 overflows; 60 doublings exceed every pause.
        bound = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 60))
        return bound / 2 * (1 + self.jitter())


def patiently(
    attempt: Callable[[], Result],
    *,
    pace: Pace,
    patience_seconds: float,
    clock: clocks.Clock,
    passes: Callable[[Exception], bool],
    stop: threading.Event | None = None,
    check: Callable[[], None] = lambda: None,
) -> Result:
    """`attempt()`, again and again while what it raises `passes`; then its last error.

    Args:
        attempt: must be safe to repeat.
        patience_seconds: counted from the first failure; no pause begins that would end after it.
        stop: once set, there is no further try, and a pause ends at once.
        check: called between pause and try; what it raises ends the tries.
    """
    failures, deadline, stop = 0, 0.0, stop or threading.Event()
    while True:
        try:
            return attempt()
        except Exception as error:
            failures += 1
            pause_seconds, now = pace.pause_seconds(failures), clock.monotonic()
            deadline = deadline if failures > 1 else now + patience_seconds
            # A pause that would end too late is not begun: the caller gets the error now instead of a silence first.
            if not passes(error) or now + pause_seconds > deadline or stop.is_set():
                raise
        clock.wait(stop, pause_seconds)
        check()
