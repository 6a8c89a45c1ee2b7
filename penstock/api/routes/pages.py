"""The pages for people: the console at `/`, and the documentation, made from the OpenAPI document."""

from __future__ import annotations

import urllib.parse

import fastapi
from fastapi import responses

from penstock import errors, settings
from penstock.api import context, docs_page
from penstock.api.elastic import routes as elastic
from penstock.console import site

router = fastapi.APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def console(request: fastapi.Request, here: context.Here) -> fastapi.Response:
    """The console; to a shipper, what Elasticsearch says of itself."""
    if elastic.is_elastic(request):
        return await elastic.root(request, here)
    answer = site.answer_page(site.load().index, request.headers, stores=stores_of(here.services.settings))
    return _sent(answer)


@router.api_route("/console/{digest}/{path:path}", methods=["GET", "HEAD"])
def console_file(digest: str, path: str, request: fastapi.Request) -> fastapi.Response:
    """A file of the console."""
    file = site.load().find(digest, path)
    if file is None:
        raise errors.NotFound(
            "not_found", f"The console has no file {path} of this version.", "Load the console's page again."
        )
    return _sent(site.answer_asset(file, request.headers))


@router.get("/docs", response_class=responses.HTMLResponse)
def docs(request: fastapi.Request) -> responses.HTMLResponse:
    """The documentation as a page."""
    return responses.HTMLResponse(
        docs_page.render(request.app.openapi()),
        # The page has no script, and none may come: descriptions in it are ours, but the header costs nothing.
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


def _sent(answer: site.Answer) -> fastapi.Response:
    return fastapi.Response(answer.body, status_code=answer.status, headers=answer.headers)


def stores_of(values: settings.Settings) -> tuple[str, ...]:
    """Origins that presigned URLs of the service's own bucket have; none where the service keeps exports itself."""
    if values.storage != "s3":
        return ()
    if values.s3_endpoint_url:
        parts = urllib.parse.urlsplit(values.s3_endpoint_url)
        return (f"{parts.scheme}://{parts.netloc}",)
    # Presigned URLs of AWS come in three forms, by region and addressing style; the console's policy must allow each.
    host = f"s3.{values.s3_region}.amazonaws.com"
    return (f"https://{host}", f"https://{values.s3_bucket}.{host}", f"https://{values.s3_bucket}.s3.amazonaws.com")
