"""The documentation page: made from the OpenAPI document, with no script and nothing fetched from elsewhere."""

from __future__ import annotations

import fastapi
from fastapi import responses

from penstock.api import docs_page

router = fastapi.APIRouter(include_in_schema=False)


@router.get("/", response_class=responses.RedirectResponse)
def root(request: fastapi.Request) -> responses.RedirectResponse:
    """Leads to the documentation."""
    return responses.RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


@router.get("/docs", response_class=responses.HTMLResponse)
def docs(request: fastapi.Request) -> responses.HTMLResponse:
    """The documentation as a page."""
    return responses.HTMLResponse(
        docs_page.render(request.app.openapi()),
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
