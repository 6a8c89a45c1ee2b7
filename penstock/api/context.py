"""What routes work with: the services, the metrics, and a bounded number of threads for what takes long."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import fastapi

from penstock import errors
from penstock.api import metrics
from penstock.process import services as services_module

HEAVY_THREADS = 4
"""Scans, counts and probes at once; the light routes keep threads of their own, so that reading a task never waits."""

INGEST_THREADS = 4
"""Ingests at once, each with its whole body at hand."""

UNRECORDED = 10_000
"""Entries of the audit that wait in memory for a database that is away; the oldest go, and the log has them all."""

INGEST_THREADS_PER_KEY = 3
"""Of one API key: one thread is always left to the others."""

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """One app's surroundings.

    Attributes:
        services: settings, database, keys, store, clock, event tables.
        measures: metrics.
        heavy: bound on scans and probes at once.
        ingest: bound on ingests at once.
        ingests: requests under way, by API key.
        unrecorded: entries of the audit (arguments of `audit.record`) that could not be written yet.
    """

    services: services_module.Services
    measures: metrics.Measures
    heavy: anyio.CapacityLimiter
    ingest: anyio.CapacityLimiter
    ingests: Ingests
    unrecorded: collections.deque[dict[str, Any]] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=UNRECORDED)
    )

    async def run_heavy(
        self, function: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs
    ) -> _Result:
        """Runs blocking work that may take seconds on a thread, waiting for a free one."""
        return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs), limiter=self.heavy)

    async def run_light(
        self, function: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs
    ) -> _Result:
        """Runs a short look into the database on a thread, as FastAPI runs routes that are not async."""
        return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))

    async def run_ingest(
        self, key: str, function: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs
    ) -> _Result:
        """Runs an ingest of the API key `key` on a thread, waiting for a free one, and for those of this key."""
        # The key's own bound is outside: a key that waits for it holds none of the threads that all share.
        async with self.ingests.threads_of(key):
            return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs), limiter=self.ingest)


class Ingests:
    """Ingest requests under way, by API key.

    Args:
        most_requests: of one key at once.
    """

    def __init__(self, most_requests: int) -> None:
        self._most_requests = most_requests
        self._requests: collections.Counter[str] = collections.Counter()
        self._threads: dict[str, anyio.CapacityLimiter] = {}

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

    def threads_of(self, key: str) -> anyio.CapacityLimiter:
        """Bounds the threads of a key whose request is counted."""
        return self._threads.setdefault(key, anyio.CapacityLimiter(INGEST_THREADS_PER_KEY))


def of(request: fastapi.Request) -> Context:
    """The context of the request's app."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


async def _here(request: fastapi.Request) -> Context:
    """Async: FastAPI runs a dependency that is not on a thread, and each hop to a thread costs 0.2 ms."""
    return of(request)


Here = Annotated[Context, fastapi.Depends(_here)]
