"""Puts the API together: routes under /v1 and /api/v1, problems, request frame, documentation."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import anyio
import anyio.to_thread
import fastapi
from starlette import types as starlette_types

import penstock
from penstock.api import auth, context, metrics, problems, schemas, threads
from penstock.api.around import middleware, polled
from penstock.api.elastic import callers
from penstock.api.elastic import routes as elastic
from penstock.api.intake import intaking
from penstock.api.routes import (
    audit,
    communities,
    destinations,
    downloads,
    events,
    exports,
    fields,
    ingest,
    pages,
    search_jobs,
    system,
    tasks,
)
from penstock.process import services as services_module

PREFIXES = ("/v1", "/api/v1")
"""Every route of the API answers under both; the documentation shows the first."""

_DESCRIPTION = """\
Takes events out of an event lake: search jobs count and show what a query matches, exports write it as one encrypted
gzip JSON Lines file. Every path below /v1 answers under /api/v1 as well. Send `Authorization: Bearer <API key>`.
Errors are RFC 9457 problem documents with a stable `code`."""

_ROUTERS = (
    search_jobs.router,
    events.router,
    exports.router,
    destinations.router,
    tasks.router,
    communities.router,
    ingest.router,
    fields.router,
    audit.router,
    system.versioned_router,
)


class Companion(Protocol):
    """What runs for as long as the API does."""

    def start(self) -> None:
        """Called before the first request is taken; returns at once."""

    def wake(self) -> None:
        """Called when there is work for it."""

    def stop(self) -> None:
        """Called after the last; may take some seconds."""


def create_app(services: services_module.Services, *, worker: Companion | None = None) -> fastapi.FastAPI:
    """The API over `services`; with a `worker`, it runs for as long as the API runs.

    The caller closes `services`, after the app has shut down.
    """
    app = fastapi.FastAPI(
        title="Penstock",
        version=penstock.__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan(worker),
        docs_url=None,  # pages.router serves a page that needs no script from elsewhere
        redoc_url=None,
        strict_content_type=False,
        redirect_slashes=False,  # such a redirect would lead where the request's Host header says
    )
    measures = metrics.Measures()
    light = anyio.CapacityLimiter(context.LIGHT_THREADS)
    app.state.context = context.Context(
        services=services,
        measures=measures,
        heavy=threads.Threads(context.HEAVY_THREADS, context.HEAVY_THREADS_PER_KEY),
        starting=threads.Threads(context.STARTING_THREADS, context.STARTING_THREADS_PER_KEY),
        far=threads.Threads(context.FAR_THREADS, context.FAR_THREADS_PER_KEY),
        light=light,
        intake=intaking.Intake(services, measures),
        wake=worker.wake if worker is not None else lambda: None,
    )
    app.state.indices = callers.Indices()
    app.state.known_keys = auth.KnownKeys(services, light)
    app.state.looks = polled.Looks(services, light)
    # Two prefixes, since published clients of the reference platform use both.
    for prefix in PREFIXES:
        for router in _ROUTERS:
            app.include_router(
                router, prefix=prefix, include_in_schema=prefix == PREFIXES[0], responses=_PROBLEM_RESPONSES
            )
    for router in (system.router, pages.router, downloads.router):
        app.include_router(router, responses=_PROBLEM_RESPONSES)
    app.include_router(elastic.router)
    app.openapi = functools.partial(_documented, app.openapi)  # type: ignore[method-assign]
    problems.install(app)
    # Added from the inside out: the last one is outermost. RequestFrame must be, so that every answer has an id and a
    # log line.
    app.add_middleware(polled.PolledTask, prefixes=PREFIXES)
    app.add_middleware(
        middleware.BodyPace,
        body_seconds=services.settings.request_body_seconds,
        least_bytes_per_second=services.settings.request_least_bytes_per_second,
    )
    app.add_middleware(middleware.RequestBounds, ingest_path_suffixes=(ingest.PATH_SUFFIX, elastic.PATH_SUFFIX))
    app.add_middleware(middleware.HeadAsGet, own_prefixes=("/storage/",))
    app.add_middleware(middleware.RequestFrame, measures=measures, prefixes=PREFIXES)
    return app


_PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": schemas.Problem, "description": "A problem document (RFC 9457)."}
}


def _documented(generate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI document, problems under their own media type, which FastAPI cannot be told."""
    document = generate()
    for item in document["paths"].values():
        for operation in item.values():
            for answer in operation["responses"].values():
                content = answer.get("content", {})
                if content.get("application/json", {}).get("schema") == _PROBLEM_REF:
                    content[problems.MEDIA_TYPE] = content.pop("application/json")
    return document


_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


def _lifespan(
    worker: Companion | None,
) -> starlette_types.StatelessLifespan[fastapi.FastAPI]:
    @contextlib.asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        if worker is not None:
            worker.start()
        try:
            yield
        finally:
            if worker is not None:
                # On a thread: it waits for up to 15 s, and requests in flight still need the event loop.
                await anyio.to_thread.run_sync(worker.stop)

    return lifespan
