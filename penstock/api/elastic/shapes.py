"""Elasticsearch's answers as /docs and /openapi.json show them; `answers` makes them without these models."""

from __future__ import annotations

from typing import Any

import pydantic
from pydantic import Field


class BulkAnswer(pydantic.BaseModel):
    """What became of the items of a `_bulk` request."""

    took: int = Field(description="Milliseconds.")
    errors: bool = Field(description="Whether any item was refused.")
    items: list[dict[str, dict[str, Any]]] = Field(
        description="In order, each under its action: `_index`, `status` (201, 400, 404, 429, 503), and `error` with "
        "`type` and `reason` where it was refused."
    )


class Refusal(pydantic.BaseModel):
    """Why a request was refused."""

    type: str = Field(description="Elasticsearch's name for it.")
    reason: str = Field(description="The code, and a sentence.")
    code: str = Field(description="Penstock's own.")
    hint: str = Field("", description="What to do.")
    request_id: str
    error_id: str = Field("", description="Of a fault of the service: finds it in the log.")


class ErrorAnswer(pydantic.BaseModel):
    """An error of a whole request."""

    error: Refusal
    status: int
