"""The paths of Elasticsearch that shippers use: `_bulk`, and what they ask before they send."""

from __future__ import annotations

from typing import Annotated, Any

import fastapi
from fastapi import responses

from penstock import errors
from penstock.api import auth, bodies, context, problems
from penstock.api.elastic import answers, callers, shapes, taking

router = fastapi.APIRouter(tags=["elastic"], route_class=answers.Route)

PATH_SUFFIX = "/_bulk"
"""Paths that end so bound their body themselves."""

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
        "description": 'Pairs of lines: an action, `{"create": {"_index": "acme"}}`, and an event.',
    },
    "security": [{"ApiKey": []}],
}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": shapes.BulkAnswer},
    "default": {"model": shapes.ErrorAnswer, "description": "An error in Elasticsearch's shape."},
}
_ENCODING = fastapi.Header(alias="Content-Encoding", description="`gzip`, `zstd`, or none.")
_FILTER = fastapi.Query(
    description="Members of the answer to send, as Elasticsearch has it: `errors,items.*.status`.", max_length=300
)


@router.post(
    "/_bulk",
    operation_id="bulk",
    summary="Take events in, as Elasticsearch does",
    responses=_ANSWERS,
    openapi_extra=_BODY,
)
@router.put("/_bulk", include_in_schema=False)
async def bulk(
    request: fastapi.Request,
    here: context.Here,
    caller: callers.Writer,
    content_encoding: Annotated[str, _ENCODING] = "",
    filter_path: Annotated[str, _FILTER] = "",
) -> fastapi.Response:
    """Each action's `_index` names a community of the API key; a key of one community needs none, and takes any.

    `create` and `index` are taken; answered when all that was accepted is in the lake. See docs/shippers.md.
    """
    return await _take(request, here, caller, content_encoding, filter_path, None)


@router.post(
    "/{index}/_bulk",
    operation_id="bulk_into_index",
    summary="Take events in to one community, as Elasticsearch does",
    responses=_ANSWERS,
    openapi_extra=_BODY,
)
@router.put("/{index}/_bulk", include_in_schema=False)
async def bulk_into_index(
    index: str,
    request: fastapi.Request,
    here: context.Here,
    caller: callers.Writer,
    content_encoding: Annotated[str, _ENCODING] = "",
    filter_path: Annotated[str, _FILTER] = "",
) -> fastapi.Response:
    """All items go into the community that `index` names, by name or UUID, whatever `_index` the actions name."""
    return await _take(request, here, caller, content_encoding, filter_path, index)


async def _take(
    request: fastapi.Request,
    here: context.Context,
    caller: auth.Caller,
    encoding: str,
    filter_path: str,
    index: str | None,
) -> fastapi.Response:
    indices: callers.Indices = request.app.state.indices
    mine = await indices.of(here, caller)
    with here.intake.shares.one_of(caller.actor):
        async with bodies.received(request.stream(), taking.most_bytes(here)) as sent:
            answer = await taking.take(
                here, caller.actor, mine, sent, encoding=encoding, index=index, filter_path=filter_path
            )
    return fastapi.Response(answer, headers=answers.PRODUCT, media_type="application/json")


# What shippers ask before they send. Paths of this kind are no part of Penstock's own API, and not in its document.


def is_elastic(request: fastapi.Request) -> bool:
    """Whether a request for `/` is a shipper's. A browser is given the console, also behind a proxy with passwords."""
    return "authorization" in request.headers and "text/html" not in request.headers.get("accept", "")


async def root(request: fastapi.Request, here: context.Context) -> fastapi.Response:
    """What `GET /` answers a shipper."""
    try:
        await callers.find(request)
    except errors.PenstockError as error:
        return answers.of_problem(problems.of_error(request, error))
    return answers.of_json(answers.banner(here.services.signer.public_key))


@router.get("/_license", include_in_schema=False)
async def license_(caller: callers.Writer) -> fastapi.Response:
    """Asked by Beats."""
    return answers.of_json(answers.LICENSE)


@router.get("/_xpack", include_in_schema=False)
async def xpack(caller: callers.Writer) -> fastapi.Response:
    """Asked by older Beats."""
    return answers.of_json(answers.XPACK)


@router.get("/_cluster/health", include_in_schema=False)
async def cluster_health(caller: callers.Writer) -> fastapi.Response:
    """Asked by Vector."""
    return answers.of_json(answers.HEALTH)


@router.get("/_cat/health", include_in_schema=False)
async def cat_health(caller: callers.Writer) -> fastapi.Response:
    """Asked by rsyslog."""
    return responses.PlainTextResponse("penstock green 1 1\n", headers=answers.PRODUCT)


@router.get("/_nodes", include_in_schema=False)
@router.get("/_nodes/{what:path}", include_in_schema=False)
async def nodes(caller: callers.Writer) -> fastapi.Response:
    """Asked by Logstash and by clients that look for other nodes."""
    return answers.of_json(answers.NO_NODES)


_IGNORED = ("_template", "_index_template", "_component_template", "_ilm/policy", "_data_stream")


async def show_ignored(caller: callers.Writer) -> fastapi.Response:
    """A template, a policy, a data stream: there is always one, so that shippers make none."""
    return answers.of_json({})


async def put_ignored(caller: callers.Writer) -> fastapi.Response:
    """Acknowledged, and ignored: types of fields are Penstock's own matter."""
    return answers.of_json({"acknowledged": True})


for _kind in _IGNORED:
    router.add_api_route(f"/{_kind}/{{name}}", show_ignored, methods=["GET"], include_in_schema=False)
    router.add_api_route(f"/{_kind}/{{name}}", put_ignored, methods=["PUT", "POST"], include_in_schema=False)


@router.put("/_ingest/pipeline/{name}", include_in_schema=False)
async def put_pipeline(name: str, caller: callers.Writer) -> fastapi.Response:
    """Refused: a shipper that relies on a pipeline must learn that there is none."""
    raise errors.InvalidRequest(
        "no_pipelines",
        f"The pipeline {name[:200]!r} cannot be kept: events are taken in unchanged.",
        "Let the shipper parse its events.",
    )
