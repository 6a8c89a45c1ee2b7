"""A bounded wait for faults that pass by themselves, such as a database that is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from penstock import errors
from penstock.base import clock as clocks

Result = TypeVar("Result")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0


def until(
    work: Callable[[], Result], *, clock: clocks.Clock, give_up_after_seconds: float, check: Callable[[], None]
) -> Result:
    """`work()`, tried again while it fails with a passing fault, for at most `give_up_after_seconds`.

    The waits double from FIRST_WAIT_SECONDS to LONGEST_WAIT_SECONDS. `work` must be safe to repeat. `check` is asked
    between the tries; what it raises ends them.
    """
    begun, wait_seconds, never = clock.monotonic(), FIRST_WAIT_SECONDS, threading.Event()
    while True:
        try:
            return work()
        except errors.PenstockError as error:
            if not error.retriable or clock.monotonic() - begun + wait_seconds > give_up_after_seconds:
                raise
        clock.wait(never, wait_seconds)
        wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
        check()
