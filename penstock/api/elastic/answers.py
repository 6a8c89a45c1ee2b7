"""Elasticsearch's shapes: of answers, of errors, and of what a cluster says about itself."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import fastapi
import orjson
import starlette.exceptions
from fastapi import exceptions as fastapi_exceptions
from fastapi import routing

from penstock import errors
from penstock.api import problems
from penstock.intake.requests import bulk

VERSION = "8.19.0"
"""What is said of the version: shippers of 8 find what they ask for, and those of 9 accept older ones."""

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
"""Official clients refuse a server that does not send it."""

_TYPES = {
    401: "security_exception",
    403: "security_exception",
    404: "index_not_found_exception",
    413: "content_too_long_exception",
    429: "es_rejected_execution_exception",
    503: "unavailable_shards_exception",
}
_PASSING = frozenset((408, 500, 502, 503, 507))


def of_json(content: Any, status: int = 200) -> fastapi.Response:
    """An answer."""
    return fastapi.Response(orjson.dumps(content), status, headers=PRODUCT, media_type="application/json")


@dataclasses.dataclass(frozen=True, slots=True)
class ItemError:
    """Why an item was not taken in.

    Attributes:
        status: 400 or 404: sent again, it is refused again; 429 or 503: it may be taken in later.
        type: Elasticsearch's name for it.
        reason: for people; begins with Penstock's own code.
    """

    status: int
    type: str
    reason: str


def of_bulk(
    items: Sequence[bulk.Item], refused: Sequence[ItemError | None], names: Sequence[str], took_ms: int
) -> dict[str, Any]:
    """The answer to a `_bulk` request.

    Args:
        refused: of each item why it was not taken in; None if it is in the lake.
        names: of each item the index that is named.
    """
    rows = []
    for item, error, name in zip(items, refused, names, strict=True):
        row: dict[str, Any] = {"_index": name}
        if item.action.id is not None:
            row["_id"] = item.action.id
        if error is None:
            row |= {"_version": 1, "result": "created", "status": 201}
        else:
            row |= {"status": error.status, "error": {"type": error.type, "reason": error.reason}}
        rows.append({item.action.kind: row})
    return {"took": took_ms, "errors": any(refused), "items": rows}


def of_fault(error: errors.PenstockError) -> ItemError:
    """What one item is answered where a fault concerns only some items of a request."""
    status = _status(error.status)
    # The sentence may name the operator's folders, which are no tenant's business.
    said = error.detail if error.status < 500 else f"a part of the service failed ({error.title.lower()})"
    return ItemError(status, _TYPES.get(status, "illegal_argument_exception"), f"{error.code}: {said}")


def of_problem(problem: problems.Problem) -> fastapi.Response:
    """A problem in Elasticsearch's shape, with Penstock's own code, hint and ids beside it."""
    told = json.loads(bytes(problem.body))
    status = _status(told["status"])
    cause = {
        "type": _TYPES.get(status, "illegal_argument_exception" if status < 500 else "exception"),
        "reason": f"{told['code']}: {told['detail']}",
    }
    own = {name: told[name] for name in ("code", "hint", "request_id", "error_id") if told.get(name)}
    answer = of_json({"error": {"root_cause": [cause], **cause, **own}, "status": status}, status)
    if "Retry-After" in problem.headers:
        answer.headers["Retry-After"] = problem.headers["Retry-After"]
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'ApiKey, Basic realm="penstock", charset="UTF-8"'
    return answer


def _status(status: int) -> int:
    """The status that makes shippers do the right thing: 400 they drop, 429 and 503 they send again."""
    if status in _PASSING:
        return 503
    return 400 if status == 422 else status


class Route(routing.APIRoute):
    """A route whose errors have Elasticsearch's shape."""

    def get_route_handler(self) -> Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]:
        """The handler, its errors caught and told."""
        handle = super().get_route_handler()

        async def handle_and_tell(request: fastapi.Request) -> fastapi.Response:
            try:
                return await handle(request)
            except errors.PenstockError as error:
                problem = problems.of_error(request, error)
            except fastapi_exceptions.RequestValidationError as error:
                problem = problems.of_validation(request, error)
            except starlette.exceptions.HTTPException as error:
                problem = problems.of_http(request, error)
            except Exception as error:
                problem = problems.of_bug(request, error)
            return of_problem(problem)

        return handle_and_tell


def filtered(content: Any, filter_path: str) -> Any:
    """The members of an answer that `filter_path` asks for: paths such as `items.*.status`, parted by commas.

    Names, `*` for any name and `**` for any names are known; all of it for a path that begins with `-`.
    """
    paths = [path.strip().split(".") for path in filter_path.split(",") if path.strip()]
    if not paths or any(path[0].startswith("-") for path in paths):
        return content
    kept = _kept(content, paths)
    return {} if kept is None else kept


def _kept(value: Any, paths: Sequence[Sequence[str]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, list):  # a path says nothing of lists
        return [kept for one in value if (kept := _kept(one, paths)) is not None] or None
    if not isinstance(value, dict):
        return None
    found = {}
    for name, inner in value.items():
        deeper = [path[1:] for path in paths if path[0] in (name, "*", "**")]
        deeper += [path for path in paths if path[0] == "**"]
        if deeper and (kept := _kept(inner, deeper)) is not None:
            found[name] = kept
    return found or None


def banner(public_key: str) -> dict[str, Any]:
    """What `GET /` says. `public_key` is the service's own; the cluster's id comes from it."""
    digest = hashlib.sha256(public_key.encode()).digest()
    return {
        "name": "penstock",
        "cluster_name": "penstock",
        "cluster_uuid": base64.urlsafe_b64encode(digest)[:22].decode(),
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "docker",
            "build_hash": "unknown",
            "build_date": "2025-07-23T22:10:18.138215839Z",
            "build_snapshot": False,
            "lucene_version": "9.12.2",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",  # older clients look for these very words
    }


LICENSE = {
    "license": {
        "status": "active",
        "uid": "00000000-0000-0000-0000-000000000000",
        "type": "basic",
        "issue_date": "2025-01-01T00:00:00.000Z",
        "issue_date_in_millis": 1735689600000,
        "max_nodes": 1000,
        "issued_to": "penstock",
        "issuer": "penstock",
        "start_date_in_millis": -1,
    }
}

HEALTH = {
    "cluster_name": "penstock",
    "status": "green",
    "timed_out": False,
    "number_of_nodes": 1,
    "number_of_data_nodes": 1,
    "active_primary_shards": 1,
    "active_shards": 1,
    "relocating_shards": 0,
    "initializing_shards": 0,
    "unassigned_shards": 0,
    "delayed_unassigned_shards": 0,
    "number_of_pending_tasks": 0,
    "number_of_in_flight_fetch": 0,
    "task_max_waiting_in_queue_millis": 0,
    "active_shards_percent_as_number": 100.0,
}

NO_NODES = {"_nodes": {"total": 0, "successful": 0, "failed": 0}, "cluster_name": "penstock", "nodes": {}}
"""Who looks for other nodes finds none and stays with the address it has: a proxy's is the only right one."""

XPACK = {
    "build": {"hash": "unknown", "date": "2025-07-23T22:10:18.138215839Z"},
    "license": {"uid": LICENSE["license"]["uid"], "type": "basic", "mode": "basic", "status": "active"},
    "features": {"ilm": {"available": False, "enabled": False}, "security": {"available": True, "enabled": True}},
    "tagline": "You know, for X",
}
