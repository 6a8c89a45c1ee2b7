"""Around every request: a request id, a log event, metrics, bounds, and a net for errors nobody foresaw."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

import anyio
import fastapi
import starlette.exceptions
import structlog
from starlette import types

from penstock import errors
from penstock.api import metrics, problems

REQUEST_ID_HEADER = "X-Request-Id"
JSON_BODY_MAX_BYTES = 1024 * 1024
"""Largest body of every request but an ingest (whose own bound is the setting `request_max_bytes`)."""

GRACE_SECONDS = 10.0
"""Before the least rate of a body is asked for."""

_LOG = structlog.get_logger("penstock.api")
_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")
_QUIET_ROUTES = frozenset(("/healthz", "/readyz", "/metrics"))


class RequestFrame:
    """The outermost layer. Reads the id a client sent, or makes one; both sides find it in log and answer.

    Args:
        prefixes: what the API's paths start with; log and metrics name the first, whichever was used.
    """

    def __init__(self, app: types.ASGIApp, measures: metrics.Measures, prefixes: Sequence[str]) -> None:
        self._app = app
        self._measures = measures
        self._prefixes = tuple(prefixes)

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["penstock.request_id"] = _request_id(scope)
        began = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: types.Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = message.get("headers", ())
                names = {name.lower() for name, _ in present}
                # A route that has set one of these itself knows better.
                ours = (
                    (REQUEST_ID_HEADER.lower().encode(), request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                )
                message["headers"] = [*present, *(header for header in ours if header[0] not in names)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            request = fastapi.Request(scope)
            problem = problems.of_bug(request, error)
            if status is not None:
                raise  # the answer has begun: all that is left is to break the connection
            await problem(scope, receive, send_with_id)
        finally:
            self._account(scope, status, time.perf_counter() - began)

    def _account(self, scope: types.Scope, status: int | None, seconds: float) -> None:
        route = self._route(scope)
        self._measures.request(scope["method"], route, status or 0, seconds)
        # Probes and scrapers come every few seconds and would be most of the log.
        write = _LOG.debug if route in _QUIET_ROUTES else _LOG.info
        write("request", **_facts(scope, route, status, seconds))

    def _route(self, scope: types.Scope) -> str:
        """The route's template: bounded in number, and free of what a path or a signed query string gives away."""
        route = scope.get("route")
        template = str(getattr(route, "path_format", ""))
        if not template:
            return "(no route)"
        # FastAPI leaves the prefix of an included router out of its routes' templates.
        for prefix in self._prefixes:
            if scope["path"].startswith(f"{prefix}/"):
                return self._prefixes[0] + template.removeprefix(prefix)
        return template


def _facts(scope: types.Scope, route: str, status: int | None, seconds: float) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "request_id": scope["penstock.request_id"],
        "method": scope["method"],
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
    facts |= {name: str(value) for name, value in scope.get("path_params", {}).items() if name.endswith("uuid")}
    for name in ("api_key_uuid", "problem_code"):
        if f"penstock.{name}" in scope:
            facts[name] = scope[f"penstock.{name}"]
    return facts


def _request_id(scope: types.Scope) -> str:
    for name, value in scope["headers"]:
        # Only a plain one is taken over: it ends up in the log and in a header, where a line break would forge another.
        if name == REQUEST_ID_HEADER.lower().encode() and _SAFE_REQUEST_ID.match(value.decode("latin-1")):
            return str(value.decode("latin-1"))
    return uuid.uuid4().hex


class HeadAsGet:
    """Answers HEAD where GET is answered: the same status and headers, without the body.

    Args:
        own_prefixes: paths whose routes answer HEAD themselves, cheaper than a GET.
    """

    def __init__(self, app: types.ASGIApp, own_prefixes: tuple[str, ...]) -> None:
        self._app = app
        self._own_prefixes = own_prefixes

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(self._own_prefixes):
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: types.Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        # Routes declare GET only. Content-Length stays as GET has it, which RFC 9110 §9.3.2 asks of a HEAD.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_without_body)
        finally:
            scope["method"] = "HEAD"  # for log and metrics


class BodyPace:
    """Gives up bodies that come too slowly: a deadline for the whole, a least rate after the first seconds.

    Nothing but the connection waits for a body, so a slow sender costs memory of one chunk; the bound is for many of
    them.

    Args:
        body_seconds: from the request's head to the end of its body.
        least_bytes_per_second: on average, after `GRACE_SECONDS`; 0: any rate.
    """

    def __init__(self, app: types.ASGIApp, body_seconds: float, least_bytes_per_second: int) -> None:
        self._app = app
        self._body_seconds = body_seconds
        self._least_bytes_per_second = least_bytes_per_second

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        received = 0
        is_whole = False

        async def paced_receive() -> types.Message:
            nonlocal received, is_whole
            if is_whole:  # what is awaited now is the client's hanging up, which may take as long as it likes
                return await receive()
            try:
                with anyio.fail_after(max(0.0, began + self._allowed_seconds(received) - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow(received, time.monotonic() - began) from None
            received += len(message.get("body", b""))
            # A disconnect has no such member either, and ends the body all the same.
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, paced_receive, send)

    def _allowed_seconds(self, received: int) -> float:
        """From the beginning to the next byte."""
        rate = self._least_bytes_per_second
        # What has come earns the time for more: a fast start may be followed by a pause.
        return min(self._body_seconds, GRACE_SECONDS + received / rate) if rate else self._body_seconds

    def _too_slow(self, received: int, seconds: float) -> errors.RequestTooSlow:
        return errors.RequestTooSlow(
            "request_too_slow",
            f"{received:,} bytes of the body came in {seconds:.0f} s; expected are {self._least_bytes_per_second:,} a "
            f"second, and the whole within {self._body_seconds:g} s.",
            "Send it again, in smaller requests over a slow line; nothing was done.",
        )


class RequestBounds:
    """Refuses what no route could make sense of.

    A body over `JSON_BODY_MAX_BYTES` is 413, noticed while it is read; ingest bounds its own. A NUL in path or query,
    which no name of ours holds and PostgreSQL does not take, is 404 or 400.
    """

    def __init__(self, app: types.ASGIApp, ingest_path_suffixes: tuple[str, ...]) -> None:
        self._app = app
        self._ingest_path_suffixes = ingest_path_suffixes

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (refusal := _nul(scope)) is not None:
            await problems.of_http(fastapi.Request(scope), refusal)(scope, receive, send)
            return
        # Its body is bounded by a setting, after unpacking as well.
        if scope["path"].endswith(self._ingest_path_suffixes):
            await self._app(scope, receive, send)
            return
        seen_bytes = 0

        async def bounded_receive() -> types.Message:
            nonlocal seen_bytes
            message = await receive()
            seen_bytes += len(message.get("body", b""))
            # Counted, since Content-Length may be missing or wrong.
            if seen_bytes > JSON_BODY_MAX_BYTES:
                raise starlette.exceptions.HTTPException(
                    413, f"The body has more than {JSON_BODY_MAX_BYTES:,} bytes, the most this path takes."
                )
            return message

        await self._app(scope, bounded_receive, send)


def _nul(scope: types.Scope) -> starlette.exceptions.HTTPException | None:
    if "\0" in scope["path"]:
        return starlette.exceptions.HTTPException(404)
    # PostgreSQL's text cannot hold NUL, and the driver's error would be a fault of the service.
    if b"%00" in scope["query_string"]:
        return starlette.exceptions.HTTPException(400, "The query holds a NUL character.")
    return None
