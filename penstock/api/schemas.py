"""The shapes of requests and answers, as pydantic models: what /docs and /openapi.json show.

Members of a request that are not named here are ignored: clients of the reference platform may send more.
"""

from __future__ import annotations

import datetime as dt
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


# Search jobs


class _Lenient(pydantic.BaseModel):
    """A member that is null, or an empty list, means its default: saved jobs of the reference platform hold such."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_empty(cls, members: Any) -> Any:
        if not isinstance(members, dict):
            return members
        return {name: value for name, value in members.items() if value is not None and value != []}


class Filter(_Lenient):
    """One condition beside the query text; conditions are ANDed."""

    field: str = Field(description="Dotted field name.", examples=["event.outcome"])
    operator: str = Field("is", description="`is`, `is_not`, `contains`, `exists`, `gt`, `gte`, `lt`, `lte` …")
    value: Any = Field(None, description="What the field is compared with.", examples=["failure"])
    disabled: bool = Field(False, description="A disabled filter is kept and not applied.")
    excluded: bool = Field(False, description="Turns the condition around.")


class SearchJobRequest(_Lenient):
    """What to search. Only the two times are required."""

    term: Text = Field("", description="Query text; empty matches every event.", examples=["source.ip:1.2.3.4"])
    term_lang: Text = Field("dork", description="The query language: `dork`, or its other name `es-query-string`.")
    earliest_time: Text = Field(
        max_length=64,
        description="Inclusive. RFC 3339, a day, seconds since 1970, or relative: `now`, `today`, `-30d`, `-1M` …",
        examples=["-7d"],
    )
    latest_time: Text = Field(max_length=64, description="Exclusive; same forms.", examples=["now"])
    filters: list[Filter] = Field(default_factory=list, max_length=100, description="Conditions beside the text.")
    community_uuids: list[str] | None = Field(
        None, description="Communities to search; left out or empty: every community of the API key."
    )
    max_last_events: int = Field(1000, ge=0, description="How many of the newest events to show; 1,000 at most.")
    visible: bool = Field(True, description="False keeps the job out of lists that people look at.")
    view_uuid: Text | None = Field(None, max_length=36, description="Kept and given back; means nothing here.")


class Note(pydantic.BaseModel):
    """What a query probably did not mean."""

    code: str = Field(
        description="`unknown_field`, `looks_like_operator`, `not_an_address` …", examples=["unknown_field"]
    )
    detail: str = Field(description="How the query was understood.")
    hint: str = Field(description="What was probably meant, and how to write it.")
    field: str | None = Field(None, description="The field it is about.")
    suggestions: list[str] = Field(default_factory=list, description="Fields that were probably meant, closest first.")
    replacement: str | None = Field(None, description="The query as it was probably meant.")


class SearchJob(pydantic.BaseModel):
    """A stored query, its state and its count."""

    uuid: str
    term: str
    term_lang: str
    earliest_time: dt.datetime = Field(description="Resolved when the job was created; inclusive.")
    latest_time: dt.datetime = Field(description="Resolved when the job was created; exclusive.")
    filters: list[Filter]
    community_uuids: list[str]
    status: SearchStatus
    total: int = Field(description="Events that match; 0 until the job is done.")
    expired: bool = Field(description="True once the job can no longer be shown or exported.")
    results_ttl: int = Field(description="Seconds for which a client may keep the results.")
    visible: bool
    max_last_events: int
    view_uuid: str | None
    created_at: dt.datetime
    created_by: str = Field(description="UUID of the API key that created the job.")
    created_by_type: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    canceled_at: dt.datetime | None
    canceled_by: str | None
    canceled_by_type: str | None
    error: str | None = Field(description="Why the job failed.")
    notes: list[Note] = Field(default_factory=list, description="What the query probably did not mean; empty in lists.")


class SearchJobPage(pydantic.BaseModel):
    """Search jobs, newest first."""

    items: list[SearchJob]
    total: int = Field(description="How many there are in all.")


class EventPage(pydantic.BaseModel):
    """Events, newest first."""

    items: list[dict[str, Any]] = Field(
        description="Flat objects of dotted names, with `timestamp`, a copy of `@timestamp`; `flat=false` nests."
    )
    total: int = Field(description="Events that the job matches in all.")


class CommonValue(pydantic.BaseModel):
    """A value of a field."""

    name: str = Field(description="The value; a text without quotes.")
    value: float = Field(description="Per cent, of the events looked at that have the field, that have the value.")


class FoundField(pydantic.BaseModel):
    """A field of the events that a job found."""

    name: str
    display_name: str
    description: str = Field(description="Empty where nothing is known.")
    value_type: str
    most_common_values: list[CommonValue] = Field(description="The most common first; 10 at most.")


class FoundFieldPage(pydantic.BaseModel):
    """Fields in alphabetical order."""

    items: list[FoundField]
    total: int


class Bucket(pydantic.BaseModel):
    """One stretch of time."""

    start: dt.datetime
    count: int


class Histogram(pydantic.BaseModel):
    """The job's matches over time."""

    interval_seconds: float
    buckets: list[Bucket]


# Exports


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


class ProblemSummary(pydantic.BaseModel):
    """Why an export would be refused."""

    code: str
    detail: str
    hint: str


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


# Tasks


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
    message: str | None = Field(description="Why the task failed or was canceled, in a sentence.")
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    eta_seconds: int | None = Field(description="Seconds to go at the pace so far; null when it cannot be told.")
    attributes: TaskAttributes


class TaskPage(pydantic.BaseModel):
    """Tasks, newest first."""

    items: list[Task]
    total: int


# Communities and what is around them


class CommunityRequest(pydantic.BaseModel):
    """A community to create."""

    name: Text = Field(max_length=1000, description="1 to 200 printable characters; unique.", examples=["acme"])


class Community(pydantic.BaseModel):
    """A tenant."""

    uuid: str
    name: str
    created_at: dt.datetime
    reachable: bool = Field(description="Whether the API key belongs to it; with ADMIN others are listed too.")


class CommunityPage(pydantic.BaseModel):
    """Communities of the API key."""

    items: list[Community]
    total: int


class Rejection(pydantic.BaseModel):
    """A line that was not taken in."""

    line: int = Field(description="1-based.")
    code: str = Field(description="Why, as a stable code.")
    reason: str = Field(description="Why, in words.")


class IngestResult(pydantic.BaseModel):
    """What became of the lines of the body."""

    accepted: int
    rejected: list[Rejection] = Field(description="The first 100 of them.")
    rejected_total: int = Field(description="All of them, counted.")


class FieldInfo(pydantic.BaseModel):
    """A field that can be searched and exported."""

    name: str
    type: str
    description: str = Field(description="Empty where nothing is known.")
    files: int = Field(description="Data files of the community's table that hold the field; 0: known, not yet seen.")


class FieldPage(pydantic.BaseModel):
    """Fields in alphabetical order."""

    items: list[FieldInfo]
    total: int


class CommonValues(pydantic.BaseModel):
    """The most common values of a field, the most common first."""

    items: list[CommonValue]
    events: int = Field(description="How many of the newest events with the field were looked at.")


class Preset(pydantic.BaseModel):
    """A list of fields for one kind of investigation."""

    name: str
    title: str
    fields: list[str]


class PresetPage(pydantic.BaseModel):
    """The field presets."""

    items: list[Preset]
    total: int


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


class ManifestKey(pydantic.BaseModel):
    """The public key that manifests are signed with."""

    algorithm: Literal["Ed25519"] = "Ed25519"
    public_key: str = Field(description="Base64 of the 32 raw bytes.")


class Health(pydantic.BaseModel):
    """Whether the service works."""

    status: Literal["ok"] = "ok"


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
