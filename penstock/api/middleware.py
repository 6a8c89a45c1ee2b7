"""Around every request: a request id, a log event, metrics, a bound on the body, and a net for errors nobody foresaw."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import fastapi
import starlette.exceptions
import structlog
from starlette import types

from penstock.api import metrics, problems

REQUEST_ID_HEADER = "X-Request-Id"
JSON_BODY_MAX_BYTES = 1024 * 1024
"""Largest body of every request but an ingest (whose own bound is the setting `request_max_bytes`)."""

_LOG = structlog.get_logger("penstock.api")
_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")
_QUIET_ROUTES = frozenset(("/healthz", "/readyz", "/metrics"))


class RequestFrame:
    """The outermost layer. Reads the id a client sent, or makes one; both sides find it in log and answer."""

    def __init__(self, app: types.ASGIApp, measures: metrics.Measures) -> None:
        self._app = app
        self._measures = measures

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
                message["headers"] = [
                    *message.get("headers", ()),
                    (REQUEST_ID_HEADER.lower().encode(), request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
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
        route = route_of(scope)
        self._measures.request(scope["method"], route, status or 0, seconds)
        write = _LOG.debug if route in _QUIET_ROUTES else _LOG.info
        write("request", **_facts(scope, route, status, seconds))


def route_of(scope: types.Scope) -> str:
    """The route's template: bounded in number, and free of what a path or a signed query string gives away."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return str(path) if path else "(no route)"


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
        if name == REQUEST_ID_HEADER.lower().encode() and _SAFE_REQUEST_ID.match(value.decode("latin-1")):
            return str(value.decode("latin-1"))
    return uuid.uuid4().hex


class BodyBound:
    """Refuses a body over `JSON_BODY_MAX_BYTES` with 413, before or while it is read; ingest bounds its own."""

    def __init__(self, app: types.ASGIApp, ingest_path_suffix: str) -> None:
        self._app = app
        self._ingest_path_suffix = ingest_path_suffix

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(self._ingest_path_suffix):
            await self._app(scope, receive, send)
            return
        seen_bytes = 0

        async def bounded_receive() -> types.Message:
            nonlocal seen_bytes
            message = await receive()
            seen_bytes += len(message.get("body", b""))
            if seen_bytes > JSON_BODY_MAX_BYTES:
                raise starlette.exceptions.HTTPException(
                    413, f"The body has more than {JSON_BODY_MAX_BYTES:,} bytes, the most this path takes."
                )
            return message

        await self._app(scope, bounded_receive, send)
