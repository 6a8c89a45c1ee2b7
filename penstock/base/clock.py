"""Time as an argument: everything that asks for the time, or waits, gets a Clock."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time. `testing.ManualClock` is the one for tests."""

    def now(self) -> dt.datetime:
        """The present instant, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations."""
        ...

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        """Waits for `event`, at most `timeout_seconds`; True if the event is set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        return event.wait(timeout_seconds)
