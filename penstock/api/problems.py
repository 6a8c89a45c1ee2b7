"""What a client is told when something goes wrong: RFC 9457 problem documents, made in one place.

A problem has `type`, `title`, `status`, `code`, `detail`, `hint`, `request_id` and whatever more the error knows
(`extra`). The value of a request is never echoed from a validation error: it may be a secret.
"""

from __future__ import annotations

import datetime as dt
import http
import math
import traceback
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import fastapi
import starlette.exceptions
import structlog
from fastapi import exceptions as fastapi_exceptions
from fastapi import responses

from penstock import errors
from penstock.api import context

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:penstock:problem:"
"""A problem's `type` is this and its code."""

RETRY_AFTER_SECONDS = 5
"""Asked of clients after a fault that may pass by itself: a database or a store that is away, a full disk."""

_PASSING_STATUSES = frozenset((502, 503, 507))
_SPEAKING_STATUSES = frozenset((503,))
"""Of faults whose sentence is written for clients: the service is not ready."""

_LOG = structlog.get_logger("penstock.api")

_CODES_BY_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_HINTS_BY_STATUS = {
    404: "All paths start with /v1 or /api/v1; /docs lists them.",
    400: "Correct the request; /docs shows the shape of every one.",
    405: "The Allow header names the methods of this path.",
    413: "Send less in one request.",
}


class Problem(responses.JSONResponse):
    """A problem document as a response."""

    media_type = MEDIA_TYPE


def document(
    request: fastapi.Request, *, status: int, code: str, title: str, detail: str, hint: str = "", **extra: Any
) -> Problem:
    """The response for one problem; a 401 gets its header."""
    content: dict[str, Any] = {
        **extra,
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
        "instance": request.url.path,
        "request_id": request.scope.get("penstock.request_id"),
    }
    headers: dict[str, str] = {}
    if status == http.HTTPStatus.UNAUTHORIZED:
        # RFC 9110 §15.5.2: a 401 must say how to authenticate.
        headers["WWW-Authenticate"] = 'Bearer realm="penstock"'
    request.scope["penstock.problem_code"] = code
    return Problem(content, status_code=status, headers=headers)


def of_error(request: fastapi.Request, error: errors.PenstockError) -> Problem:
    """The problem of an error of the tree.

    A fault of the service itself is logged, and its client gets the code and an id to find it by: the sentence may name
    the operator's database, folders and buckets, which are no tenant's business.
    """
    detail, hint, extra = error.detail, error.hint, dict(error.extra)
    if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        extra = {"error_id": _log_fault(request, error), "retriable": error.retriable}
        # The sentence is for the operator: it may name hosts, folders and buckets.
        if error.status not in _SPEAKING_STATUSES:
            detail = f"A part of the service failed ({error.title.lower()})."
            hint = "Try again in some seconds. If it stays, give the operator the error_id: the log has the rest."
        if isinstance(error, errors.NoRoom):
            detail, numbers = _no_room(error)
            hint = "Send it again later, unchanged; nothing was done. If it stays, give the operator the error_id."
            extra |= numbers
    problem = document(
        request,
        status=error.status,
        code=error.code,
        title=error.title,
        detail=detail,
        hint=hint,
        **{name: value for name, value in extra.items() if name not in _OWN_MEMBERS},
    )
    if error.status in _PASSING_STATUSES:
        problem.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, errors.TooManyRequests):
        problem.headers["Retry-After"] = "1"
    if isinstance(error, errors.QuotaExhausted):
        problem.headers["Retry-After"] = str(_seconds_until(request, error.extra["resets_at"]))
    return problem


def _no_room(error: errors.NoRoom) -> tuple[str, dict[str, int]]:
    """The sentence for clients, and the numbers where they are known."""
    numbers: dict[str, int] = {
        name: value for name, value in error.extra.items() if name in ("free_bytes", "kept_back_bytes")
    }
    if len(numbers) < 2:
        return "The service has no room left for this.", numbers
    free, kept_back = numbers["free_bytes"], numbers["kept_back_bytes"]
    return f"The service has no room left for this: {free:,} bytes are free, {kept_back:,} are kept back.", numbers


def of_bug(request: fastapi.Request, error: Exception) -> Problem:
    """The problem of an error nobody foresaw: an id to find it in the log by, and nothing of its inside."""
    return document(
        request,
        status=500,
        code="internal_error",
        title="Internal error",
        detail="The service failed to answer this request.",
        hint="Try again; if it stays, give the operator the error_id: the log has the rest.",
        error_id=_log_failure(request, error),
    )


def of_http(request: fastapi.Request, error: starlette.exceptions.HTTPException) -> Problem:
    """The problem of what the framework refuses: unknown path, wrong method, too large a body."""
    problem = document(
        request,
        status=error.status_code,
        code=_CODES_BY_STATUS.get(error.status_code, "http_error"),
        title=http.HTTPStatus(error.status_code).phrase,
        detail=_http_detail(request, error),
        hint=_HINTS_BY_STATUS.get(error.status_code, ""),
    )
    problem.headers.update(error.headers or {})
    return problem


def of_validation(request: fastapi.Request, error: fastapi_exceptions.RequestValidationError) -> Problem:
    """The problem of a request that does not have the shape the route wants; every place that is wrong is listed."""
    found = error.errors()
    # 400, not 422: what is no JSON has no shape to be wrong.
    if any(item["type"] == "json_invalid" for item in found):
        return document(
            request,
            status=400,
            code="invalid_json",
            title="Invalid JSON",
            detail=f"The body is not valid JSON: {_json_complaint(found)}.",
            hint="Send one JSON object, UTF-8, with Content-Type: application/json.",
        )
    # Without `input`, which holds the value that was sent: it may be a key.
    places = [{"location": _location(item["loc"]), "message": str(item["msg"])} for item in found]
    listed = "; ".join(f"{place['location']}: {place['message']}" for place in places)
    return document(
        request,
        status=422,
        code="invalid_request",
        title="Invalid request",
        detail=f"The request does not have the right shape: {listed}.",
        hint="/docs shows the shape of every request; send JSON with Content-Type: application/json.",
        errors=places,
    )


def install(app: fastapi.FastAPI) -> None:
    """Makes `app` answer with problems. Errors nobody foresaw are caught by `middleware.RequestFrame`."""
    app.add_exception_handler(errors.PenstockError, of_error)  # type: ignore[arg-type]
    app.add_exception_handler(fastapi_exceptions.RequestValidationError, of_validation)  # type: ignore[arg-type]
    app.add_exception_handler(starlette.exceptions.HTTPException, of_http)  # type: ignore[arg-type]


_OWN_MEMBERS = frozenset(("status", "code", "title", "detail", "hint", "request"))


def _log_failure(request: fastapi.Request, error: Exception) -> str:
    error_id = uuid.uuid4().hex
    _LOG.error(
        "request_failed",
        error_id=error_id,
        request_id=request.scope.get("penstock.request_id"),
        error_code=getattr(error, "code", type(error).__name__),
        # As text: a renderer of the log's might show local variables, and those may hold secrets.
        exception="".join(traceback.format_exception(error)),
    )
    return error_id


def _log_fault(request: fastapi.Request, error: errors.PenstockError) -> str:
    """One line: a database that is away fails every request, and each traceback would say the same."""
    error_id = uuid.uuid4().hex
    _LOG.error(
        "request_failed",
        error_id=error_id,
        request_id=request.scope.get("penstock.request_id"),
        error_code=error.code,
        error_detail=error.detail,
        error_hint=error.hint,
        cause=repr(error.__cause__)[:300] if error.__cause__ else None,
    )
    return error_id


def _seconds_until(request: fastapi.Request, instant: str) -> int:
    left = dt.datetime.fromisoformat(instant) - context.of(request).services.clock.now()
    # Retry-After is in whole seconds; rounded down, the client would come back too early.
    return max(1, math.ceil(left.total_seconds()))


def _http_detail(request: fastapi.Request, error: starlette.exceptions.HTTPException) -> str:
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        return f"There is nothing at {request.url.path}."
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not a method of {request.url.path}."
    return str(error.detail)


def _location(parts: Sequence[Any]) -> str:
    return ".".join(str(part) for part in parts)


def _json_complaint(found: Sequence[Mapping[str, Any]]) -> str:
    item = next(item for item in found if item["type"] == "json_invalid")
    return f"{item.get('ctx', {}).get('error', item['msg'])} at character {item['loc'][-1]}"
