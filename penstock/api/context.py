"""What routes work with: the services, the metrics, and a bounded number of threads for what takes long."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import fastapi

from penstock.api import metrics, threads
from penstock.api.intake import intaking
from penstock.process import services as services_module

HEAVY_THREADS = 4
"""Scans and counts at once; the light routes keep threads of their own, so that reading a task never waits."""

HEAVY_THREADS_PER_KEY = 3
"""Of one API key: one thread is always left to the others; as for starts and buckets below."""

STARTING_THREADS = 2
"""Starts of exports at once: planning is Python, and forty communities that start in the same second would otherwise
keep the interpreter from those who read their tasks."""

STARTING_THREADS_PER_KEY = 1

FAR_THREADS = 8
"""Requests at once that wait for a customer's bucket, which may be silent for as long as its owner likes."""

FAR_THREADS_PER_KEY = 2

LIGHT_THREADS = 4
"""Short looks into the database at once. Threads of one interpreter answer no faster for being many: with forty, under
load, each read of a task cost twice as much."""

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """One app's surroundings.

    Attributes:
        services: settings, database, keys, store, clock, event tables.
        measures: metrics.
        heavy: threads for scans and counts.
        starting: threads for starts of exports into the service's own storage.
        far: threads for all that speaks to a customer's bucket.
        light: bound on short looks into the database at once.
        intake: takes events in.
        wake: tells a worker beside the API that there is work.
    """

    services: services_module.Services
    measures: metrics.Measures
    heavy: threads.Threads
    starting: threads.Threads
    far: threads.Threads
    light: anyio.CapacityLimiter
    intake: intaking.Intake
    wake: Callable[[], None]

    async def run_light(
        self, function: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs
    ) -> _Result:
        """Runs a short look into the database on a thread."""
        return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs), limiter=self.light)


def of(request: fastapi.Request) -> Context:
    """The context of the request's app."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


async def _here(request: fastapi.Request) -> Context:
    """Async: FastAPI runs a dependency that is not on a thread, and each hop to a thread costs 0.2 ms."""
    return of(request)


Here = Annotated[Context, fastapi.Depends(_here)]
