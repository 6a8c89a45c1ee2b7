"""How often and how long a client tries again: bounded, with full jitter."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retry:
    """A bound on trying again.

    The waits before tries 2, 3, … are drawn from [0, min(longest, first x 2^n)] seconds: with the defaults a call
    that fails for good has waited at most 0.25 + 0.5 + 1 + 2 = 3.75 s.

    Attributes:
        attempts: tries in all, the first included. For a download: tries in a row that brought no new byte.
        first_wait_seconds: bound of the first wait.
        longest_wait_seconds: bound of every wait.
        sleep: waits; tests pass one that does not.
        jitter: draws from [0, 1].
    """

    attempts: int = 5
    first_wait_seconds: float = 0.25
    longest_wait_seconds: float = 8.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def wait(self, failures: int, asked_seconds: float = 0.0) -> None:
        """Waits after the `failures`-th failure in a row (1-based), at least `asked_seconds` (a Retry-After)."""
        bound = min(self.longest_wait_seconds, self.first_wait_seconds * 2 ** (failures - 1))
        # From 0 on ("full jitter"): many clients that failed together come back spread over the whole time.
        self.sleep(max(asked_seconds, bound * self.jitter()))


class Patience:
    """How long a wait outlives a service that does not answer, such as one that is being restarted.

    Args:
        seconds: bound of one outage, from its first failure.
        pause_seconds: between two questions while it lasts.
        sleep: waits.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        seconds: float = 300.0,
        *,
        pause_seconds: float = 2.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._pause_seconds = pause_seconds
        self._sleep = sleep
        self._monotonic = monotonic
        self._failing_since: float | None = None

    def allows_another(self) -> bool:
        """After a failure: pauses and says True, or False when this outage has lasted too long."""
        now = self._monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now + self._pause_seconds - self._failing_since > self._seconds:
            return False
        self._sleep(self._pause_seconds)
        return True

    def restore(self) -> None:
        """After an answer: the next outage is given the whole time again."""
        self._failing_since = None
