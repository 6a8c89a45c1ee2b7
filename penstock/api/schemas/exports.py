"""Shapes of exports, tasks, estimates, quotas and destinations."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import pydantic
from pydantic import Field

from penstock.api.schemas.searches import Filter
from penstock.api.schemas.shared import Encryption, ProblemSummary, TaskStatus


class S3Settings(pydantic.BaseModel):
    """Where the export goes and who holds its key. Without a bucket, the service's own storage is used."""

    bucket_name: str | None = Field(None, description="The customer's bucket; wants both access keys beside it.")
    prefix: str | None = Field(None, description="First part of the object's key in that bucket.")
    access_key_id: str | None = None
    secret_access_key: pydantic.SecretStr | None = None
    endpoint_url: str | None = Field(None, description="https URL of an S3-compatible server; left out: AWS.")
    region_name: str | None = None
    encryption: str | None = Field(
        None, description="Of a bucket of your own: `sse-c` (the default), `sse-kms` or `bucket-default`."
    )
    kms_key_id: str | None = Field(None, description="With `sse-kms`: the key of its KMS; left out: the bucket's own.")
    # SecretStr: a model that ends up in a log or a traceback prints stars.
    sse_customer_key: pydantic.SecretStr | None = Field(
        None, description="Base64 of the 32 bytes that encrypt the export."
    )
    sse_customer_algorithm: str | None = Field(None, description="`AES256`.")
    sse_customer_key_md5: str | None = Field(None, description="Base64 of the MD5 of the key's bytes; checked if sent.")


class ExportRequest(pydantic.BaseModel):
    """What to export; everything may be left out, the body too."""

    fields: list[str] | None = Field(
        None, description="Dotted names in the order wanted; left out: `@timestamp`, `message`.", max_length=5000
    )
    s3: S3Settings | None = None
    generate_customer_key: bool | None = Field(
        None,
        description="True: the service makes the customer key and shows it once, in the answer. Without a key and "
        "without this, the answer is 422 `customer_key_required`.",
    )


class StartedExport(pydantic.BaseModel):
    """The task that was started."""

    task_uuid: str
    status: TaskStatus
    sse_customer_key: str | None = Field(
        None, description="Base64. Only when the service made the key, and only in this answer: save it."
    )
    sse_customer_key_md5: str | None = Field(None, description="Names the key; left out where the export has none.")
    sse_customer_algorithm: str | None = Field(None, description="`AES256`; left out where the export has no key.")


class Quota(pydantic.BaseModel):
    """Compressed bytes of a community's month (UTC)."""

    limit_bytes: int
    used_bytes: int = Field(description="Bytes of the exports that finished this month.")
    reserved_bytes: int = Field(description="Bytes that the running export has written so far.")
    resets_at: dt.datetime = Field(description="The first of next month, 00:00 UTC.")
    active_task_uuid: str | None


class QuotaDay(pydantic.BaseModel):
    """What was charged on one day (UTC)."""

    day: dt.date
    bytes: int = Field(description="Compressed bytes of the exports that finished on it.")
    exports: int = Field(description="How many they were.")


class QuotaDays(pydantic.BaseModel):
    """A month's charges by day."""

    month: str = Field(description="UTC.", examples=["2026-01"])
    items: list[QuotaDay] = Field(description="Every day of the month, in order.")


class TriedDestination(pydantic.BaseModel):
    """A bucket that took a small object and gave it up again."""

    destination: str = Field(description="The destination, in words.")
    seconds: float = Field(description="How long it took.")


class Estimate(pydantic.BaseModel):
    """What an export would be; nothing was started."""

    events: int = Field(description="Matches on the newest snapshot.")
    estimated_size_compressed: int = Field(description="Bytes of the file, from a sample.")
    estimated_seconds: float = Field(description="From the pace of the latest exports.")
    quota: Quota | None = Field(description="None when the job spans several communities.")
    allowed: bool = Field(description="True if a start now would be accepted.")
    problems: list[ProblemSummary] = Field(description="Why not; empty when allowed.")


class ExportJob(pydantic.BaseModel):
    """One export of a search job."""

    task_uuid: str
    status: TaskStatus
    fields: list[str]
    events: int = Field(description="Events written so far; in the end: in the file.")
    export_size: int = Field(description="Bytes before compression.")
    export_size_compressed: int = Field(description="Bytes of the file.")
    download_url: str | None = Field(description="Set while `expire_at` lies ahead.")
    manifest_url: str | None
    expire_at: dt.datetime | None
    encryption: Encryption
    sse_customer_key_md5: str | None = Field(description="Names the customer key without giving it away.")
    destination: str = Field(description="Where the export lands, in words.")
    created_at: dt.datetime
    ended_at: dt.datetime | None
    error: str | None = Field(description="Why it failed, in a sentence.")
    error_code: str | None = Field(description="Why it failed, as a stable code.")


class ExportJobPage(pydantic.BaseModel):
    """Exports of one search job, newest first."""

    items: list[ExportJob]
    total: int


class TaskAttributes(pydantic.BaseModel):
    """What is particular to an export."""

    job_uuid: str
    community_uuid: str
    term: str = Field(description="The query text; empty: all events.")
    filters: list[Filter] = Field(description="Conditions beside the text.")
    earliest_time: dt.datetime = Field(description="Inclusive.")
    latest_time: dt.datetime = Field(description="Exclusive.")
    created_by: str = Field(description="UUID of the API key that asked for it.")
    created_by_name: str | None = Field(description="That key's name.")
    fields: list[str]
    download_url: str | None = Field(description="Set while `expire_at` lies ahead, null before and after.")
    manifest_url: str | None
    export_size: int
    export_size_compressed: int
    encryption: Encryption
    sse_customer_key_md5: str | None = Field(description="Names the customer key; null where the export has none.")
    destination: str
    expire_at: dt.datetime | None
    error: str | None
    error_code: str | None


class Task(pydantic.BaseModel):
    """An export as work in progress."""

    uuid: str
    type: Literal["massive_export"] = "massive_export"
    status: TaskStatus
    progress: int = Field(description="Events written.")
    total: int = Field(description="Events to write.")
    message: str | None = Field(description="Why the task failed, was canceled, or waits at present, in a sentence.")
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    eta_seconds: int | None = Field(description="Seconds to go at the pace so far; null when it cannot be told.")
    attributes: TaskAttributes


class TaskPage(pydantic.BaseModel):
    """Tasks, newest first."""

    items: list[Task]
    total: int
