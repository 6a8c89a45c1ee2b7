"""Downloads from the embedded store: signed URLs, S3's headers, S3's errors. Wants no API key: the URL is signed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Generator, Iterator

import fastapi
import sqlalchemy as sa
from fastapi import concurrency, responses

from penstock import errors
from penstock.api import context
from penstock.control import audit, exports
from penstock.process import services as services_module
from penstock.storage.embedded import responses as embedded_http
from penstock.storage.embedded import store as embedded

router = fastapi.APIRouter(tags=["downloads"])

_TASK_IN_KEY = re.compile(r"export_([0-9a-f-]{36})\.")


@router.get(
    "/storage/{key:path}",
    operation_id="download",
    summary="Download an export",
    response_class=fastapi.Response,
    responses={
        200: {"content": {"application/gzip": {}}, "description": "The file."},
        206: {"content": {"application/gzip": {}}, "description": "The range asked for."},
        400: {"content": {"application/xml": {}}, "description": "S3's `InvalidRequest`: the customer key is missing."},
        403: {
            "content": {"application/xml": {}},
            "description": "S3's `AccessDenied`: wrong key, URL over or changed.",
        },
    },
)
@router.head("/storage/{key:path}", include_in_schema=False)
def download(key: str, request: fastapi.Request, here: context.Here) -> fastapi.Response:
    """`download_url` and `manifest_url` of a task lead here when the service keeps its exports itself.

    Send the three headers `x-amz-server-side-encryption-customer-algorithm`, `-key` and `-key-MD5`; `Range` works.
    """
    store = here.services.store
    if not isinstance(store, embedded.EmbeddedStore):
        raise errors.NotFound("not_found", "Exports are not kept here.", "Use the task's download_url unchanged.")
    # With the prefix again, and decoded: the signature is over the plain key.
    answer = embedded_http.respond(store, request.method, f"/storage/{key}", request.query_params, request.headers)
    if answer.error_code is not None:
        request.scope["penstock.problem_code"] = answer.error_code
    # A HEAD hands nothing out, so that the audit has nothing to tell of it.
    elif request.method == "GET":
        _record(here.services, request, answer)
    return responses.StreamingResponse(_pieces(answer.body), status_code=answer.status, headers=answer.headers)


async def _pieces(body: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The body, read on threads; its file is closed at the end, and also when the client goes away before."""
    try:
        async for piece in concurrency.iterate_in_threadpool(body):
            yield piece
    finally:
        # An iterator that is merely dropped closes its file whenever the collector comes by.
        if isinstance(body, Generator):
            body.close()


def _record(
    services: services_module.Services, request: fastapi.Request, answer: embedded_http.DownloadResponse
) -> None:
    """Who holds a signed URL and the key is not known by name: the audit keeps the address it came from."""
    task = _TASK_IN_KEY.search(answer.object_key)
    with services.database.begin() as tx:
        audit.record(
            tx,
            now=services.clock.now(),
            actor=request.client.host if request.client else "unknown",
            actor_type="download",
            action="export.downloaded" if answer.object_key.endswith(".gz") else "export.manifest_downloaded",
            community_uuid=_community_of(tx, task[1]) if task else None,
            object_uuid=task[1] if task else None,
            detail={
                "object_key": answer.object_key,
                "range": request.headers.get("range"),
                "bytes": int(answer.headers.get("Content-Length", 0)),
            },
        )


def _community_of(tx: sa.Connection, task_uuid: str) -> str | None:
    """None once the old row of the export is swept away."""
    try:
        return exports.get(tx, task_uuid, None).community_uuid
    except errors.NotFound:
        return None
