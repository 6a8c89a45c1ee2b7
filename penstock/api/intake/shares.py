"""How much of intake one API key may have: requests under way, and threads of large bodies."""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

import anyio
import anyio.to_thread

from penstock import errors

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
        self._threads: dict[str, anyio.CapacityLimiter] = {}
        self._all_threads = anyio.CapacityLimiter(THREADS)

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
                self._threads.pop(key, None)

    async def run(self, key: str, function: Callable[[], _Result]) -> _Result:
        """Runs an ingest of a key whose request is counted on a thread, waiting for a free one, and for its own."""
        # The key's own bound is outside: a key that waits for it holds none of the threads that all share.
        async with self._threads.setdefault(key, anyio.CapacityLimiter(THREADS_PER_KEY)):
            return await anyio.to_thread.run_sync(functools.partial(function), limiter=self._all_threads)
