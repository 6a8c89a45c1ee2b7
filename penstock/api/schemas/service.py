"""Shapes of audit, API keys, manifest keys and health."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import pydantic
from pydantic import Field


class AuditEntry(pydantic.BaseModel):
    """Who did what, when."""

    id: int = Field(description="Grows with every entry.")
    at: dt.datetime
    actor: str = Field(description="UUID of the API key; or the worker's or sweeper's name.")
    actor_type: str
    actor_name: str | None = Field(description="The API key's name, if the actor is one.")
    action: str
    community_uuid: str | None
    object_uuid: str | None
    detail: dict[str, Any]


class AuditPage(pydantic.BaseModel):
    """Audit entries, newest first."""

    items: list[AuditEntry]
    total: int


class ValidKey(pydantic.BaseModel):
    """The API key is good."""

    valid: Literal[True] = True
    uuid: str = Field(description="Names the key in `created_by` and in the audit.")
    name: str


class KeyCommunity(pydantic.BaseModel):
    """A community that an API key belongs to."""

    uuid: str
    name: str


class Me(pydantic.BaseModel):
    """The API key that asks."""

    uuid: str = Field(description="Names the key in `created_by` and in the audit.")
    name: str
    created_at: dt.datetime
    permissions: list[str]
    communities: list[KeyCommunity]
    unencrypted_exports: bool = Field(description="Whether the operator allows exports without a customer key.")


class ManifestKey(pydantic.BaseModel):
    """The public key that manifests are signed with."""

    algorithm: Literal["Ed25519"] = "Ed25519"
    public_key: str = Field(description="Base64 of the 32 raw bytes.")


class Health(pydantic.BaseModel):
    """Whether the service works."""

    status: Literal["ok"] = "ok"


class Readiness(pydantic.BaseModel):
    """Whether requests can be served."""

    status: Literal["ok", "degraded"] = "ok"
    full_disks: list[str] | None = Field(
        None,
        description="Left out, or which of `lake` (in S3: `lake_cache`), `storage`, `database` lie on a disk with "
        "only the room kept back.",
    )


class HealthPart(pydantic.BaseModel):
    """How one part of the service is."""

    name: str = Field(description="`database`, `lake`, `storage` or `workers`.")
    status: Literal["ok", "warning", "failed"]
    detail: str = Field(description="What was seen, and what to do where something is to be done.")


class HealthReport(pydantic.BaseModel):
    """How the service is, in parts."""

    status: Literal["ok", "warning", "failed"] = Field(description="The worst of the parts.")
    checked_at: dt.datetime
    parts: list[HealthPart]
