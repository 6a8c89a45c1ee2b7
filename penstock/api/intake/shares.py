"""How much of intake one API key may have: requests under way, and threads of large bodies."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from penstock import errors
from penstock.api import threads

THREADS = 4
"""Bodies at once that are taken in alone."""

THREADS_PER_KEY = 3
"""Of one API key: one thread is always left to the others."""

_Result = TypeVar("_Result")


class Shares:
    """Ingest requests under way, by API key.

    Args:
        most_requests: of one key at once.
    """

    def __init__(self, most_requests: int) -> None:
        self._most_requests = most_requests
        self._requests: collections.Counter[str] = collections.Counter()
        self._threads = threads.Threads(THREADS, THREADS_PER_KEY)

    @contextlib.contextmanager
    def one_of(self, key: str) -> Iterator[None]:
        """Counts a request of this key while it lasts. Raises TooManyRequests `too_many_requests`."""
        if self._requests[key] >= self._most_requests:
            raise errors.TooManyRequests(
                "too_many_requests",
                f"This API key has {self._most_requests} ingest requests under way, the most it may have.",
                "Wait for the answers of some, or send more events in each.",
            )
        self._requests[key] += 1
        try:
            yield
        finally:
            self._requests[key] -= 1
            if not self._requests[key]:
                # A key that sends no more leaves nothing behind.
                del self._requests[key]

    async def run(self, key: str, function: Callable[[], _Result]) -> _Result:
        """Runs an ingest of a key whose request is counted on a thread, waiting for a free one, and for its own."""
        return await self._threads.run(key, function)
