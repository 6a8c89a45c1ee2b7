"""A bell that wakes those who wait for work, however many threads they are."""

from __future__ import annotations

import threading


class Bell:
    """Safe from several threads. A ring is not lost on who was just looking: see `wait`."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it has rung. Read before looking for work, for `wait`."""
        return self._rings

    def ring(self) -> None:
        """Wakes all who wait."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, rings: int, seconds: float) -> None:
        """Returns once it has rung more often than `rings`, or after so many seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != rings, seconds)
