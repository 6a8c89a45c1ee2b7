"""Shapes and types that several rooms of the API share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field


def _without_nul(text: str) -> str:
    """PostgreSQL's text cannot hold a NUL."""
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


Text = Annotated[str, pydantic.AfterValidator(_without_nul)]


SearchStatus = Annotated[
    int, Field(ge=0, le=4, description="0 not started, 1 in progress, 2 done, 3 canceled, 4 failed.")
]


Encryption = Annotated[
    Literal["sse-c", "sse-kms", "bucket-default", "none"],
    Field(description="How the file is encrypted where it lies; only `sse-c` has a customer key."),
]


TaskStatus = Literal["PENDING", "RUNNING", "FINISHED", "FAILED", "CANCELED"]


class Problem(pydantic.BaseModel):
    """An RFC 9457 problem document (`application/problem+json`); further members depend on the code."""

    type: str = Field(description="`urn:penstock:problem:` and the code.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="The HTTP status, again.")
    code: str = Field(description="Stable name that programs may rely on.", examples=["search_job_not_found"])
    detail: str = Field(description="What happened, with the value.")
    hint: str = Field(description="What to do next.")
    instance: str = Field(description="The path of the request.")
    request_id: str = Field(description="Finds the request in the service's log.")


class Lenient(pydantic.BaseModel):
    """A member that is null, or an empty list, means its default: saved jobs of the reference platform hold such."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_empty(cls, members: Any) -> Any:
        if not isinstance(members, dict):
            return members
        # Only null and the empty list: 0, false and "" are values.
        return {name: value for name, value in members.items() if value is not None and value != []}


class ProblemSummary(pydantic.BaseModel):
    """Why an export would be refused."""

    code: str
    detail: str
    hint: str
