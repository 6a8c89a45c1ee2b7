"""What the service answers, as values."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Self, TypeVar

from penstock.base import statuses

_Item = TypeVar("_Item")


class Page(tuple[_Item, ...], Generic[_Item]):
    """Some items of a list, as a tuple.

    Attributes:
        total: how many the whole list has.
    """

    total: int

    def __new__(cls, items: Iterable[_Item], total: int) -> Self:
        page = super().__new__(cls, items)
        page.total = total
        return page


TaskStatus = statuses.ExportStatus
"""The API calls an export a task."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """An export as `GET /v1/tasks/{uuid}` tells it.

    Attributes:
        uuid: names the task.
        status: where it stands.
        progress: events written.
        total: events expected; None while unknown.
        message: a sentence, when it failed.
        eta_seconds: the service's guess of what remains; None while unknown.
        job_uuid: the search job it exports.
        fields: what each line holds.
        download_url: set while the file can be downloaded.
        manifest_url: likewise.
        export_size_compressed: bytes of the file; None until known.
        expire_at: end of the download window (UTC).
        sse_customer_key_md5: base64 MD5 of the key that the file is encrypted with; None from a service that does not
            tell.
        created_at: when it was asked for (UTC).
        started_at: when a worker first took it (UTC).
        ended_at: when it came to an end (UTC).
        raw: the whole answer.
    """

    uuid: str
    status: TaskStatus
    progress: int
    total: int | None
    message: str | None
    eta_seconds: float | None
    job_uuid: str | None
    fields: tuple[str, ...]
    download_url: str | None
    manifest_url: str | None
    export_size_compressed: int | None
    expire_at: dt.datetime | None
    sse_customer_key_md5: str | None
    created_at: dt.datetime | None
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    raw: Mapping[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        attributes = answer.get("attributes") or {}
        return cls(
            uuid=str(answer["uuid"]),
            # Taken in both spellings; the contract has one L.
            status=TaskStatus("CANCELED" if answer["status"] == "CANCELLED" else answer["status"]),
            progress=answer.get("progress") or 0,
            total=answer.get("total"),
            message=answer.get("message") or attributes.get("error"),
            eta_seconds=answer.get("eta_seconds"),
            job_uuid=attributes.get("job_uuid"),
            fields=tuple(attributes.get("fields") or ()),
            download_url=attributes.get("download_url"),
            manifest_url=attributes.get("manifest_url"),
            export_size_compressed=attributes.get("export_size_compressed"),
            expire_at=instant(attributes.get("expire_at")),
            sse_customer_key_md5=attributes.get("sse_customer_key_md5"),
            created_at=instant(answer.get("created_at")),
            started_at=instant(answer.get("started_at")),
            ended_at=instant(answer.get("ended_at")),
            raw=answer,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportFacts:
    """An export as its search job lists it.

    Attributes:
        task_uuid: names the export's task.
        status: where it stands.
        fields: what each line holds.
        events: events of the file; None until known.
        export_size: bytes of its lines before compression.
        export_size_compressed: bytes of the file.
        download_url: set while the file can be downloaded.
        expire_at: end of the download window (UTC).
        destination: where it lands, for people.
        error: a sentence, when it failed.
        created_at: when it was asked for (UTC).
        ended_at: when it came to an end (UTC).
        raw: the whole answer.
    """

    task_uuid: str
    status: TaskStatus
    fields: tuple[str, ...]
    events: int | None
    export_size: int | None
    export_size_compressed: int | None
    download_url: str | None
    expire_at: dt.datetime | None
    destination: str | None
    error: str | None
    created_at: dt.datetime | None
    ended_at: dt.datetime | None
    raw: Mapping[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        return cls(
            task_uuid=str(answer["task_uuid"]),
            status=TaskStatus(answer["status"]),
            fields=tuple(answer.get("fields") or ()),
            events=answer.get("events"),
            export_size=answer.get("export_size"),
            export_size_compressed=answer.get("export_size_compressed"),
            download_url=answer.get("download_url"),
            expire_at=instant(answer.get("expire_at")),
            destination=answer.get("destination"),
            error=answer.get("error"),
            created_at=instant(answer.get("created_at")),
            ended_at=instant(answer.get("ended_at")),
            raw=answer,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quota:
    """A community's export bytes of this calendar month (UTC).

    Attributes:
        limit_bytes: compressed bytes it may export.
        used_bytes: charged by finished exports.
        reserved_bytes: written so far by running ones.
        resets_at: when the month turns.
        active_task_uuid: the export that is active, if any.
        raw: the whole answer.
    """

    limit_bytes: int
    used_bytes: int
    reserved_bytes: int
    resets_at: dt.datetime | None
    active_task_uuid: str | None
    raw: Mapping[str, Any] = dataclasses.field(repr=False)

    @property
    def left_bytes(self) -> int:
        """What can still be exported this month."""
        return max(0, self.limit_bytes - self.used_bytes - self.reserved_bytes)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        return cls(
            limit_bytes=answer["limit_bytes"],
            used_bytes=answer["used_bytes"],
            reserved_bytes=answer.get("reserved_bytes") or 0,
            resets_at=instant(answer.get("resets_at")),
            active_task_uuid=answer.get("active_task_uuid"),
            raw=answer,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an export would be, had it been started.

    Attributes:
        events: events it would hold.
        estimated_size_compressed: bytes of the file, from a sample; None if not estimated.
        estimated_seconds: how long it would take; None if not estimated.
        quota: the community's quota now; None when the service does not say.
        allowed: would it be accepted?
        problems: why not: problem documents.
        raw: the whole answer.
    """

    events: int
    estimated_size_compressed: int | None
    estimated_seconds: float | None
    quota: Quota | None
    allowed: bool
    problems: tuple[Mapping[str, Any], ...]
    raw: Mapping[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        quota = answer.get("quota")
        return cls(
            events=answer["events"],
            estimated_size_compressed=answer.get("estimated_size_compressed"),
            estimated_seconds=answer.get("estimated_seconds"),
            quota=Quota.parse(quota) if quota and "limit_bytes" in quota else None,
            allowed=bool(answer["allowed"]),
            problems=tuple(answer.get("problems") or ()),
            raw=answer,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Histogram:
    """Matches over time.

    Attributes:
        interval_seconds: length of a bucket.
        buckets: (start, events) in time order.
        raw: the whole answer.
    """

    interval_seconds: float
    buckets: tuple[tuple[str, int], ...]
    raw: Mapping[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        buckets = tuple((bucket["start"], bucket["count"]) for bucket in answer["buckets"])
        return cls(interval_seconds=answer["interval_seconds"], buckets=buckets, raw=answer)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A field that events of a community have.

    Attributes:
        name: dotted name.
        type: its type.
        description: what it means; None where unknown.
        files: data files that hold it; None when the service does not say.
    """

    name: str
    type: str
    description: str | None
    files: int | None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        return cls(
            name=answer["name"],
            type=answer["type"],
            description=answer.get("description") or None,
            files=answer.get("files"),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """Fields that belong together in an investigation.

    Attributes:
        name: what `--preset` takes.
        title: for people.
        fields: its fields, in order.
    """

    name: str
    title: str
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of the API."""
        return cls(name=answer["name"], title=answer.get("title") or answer["name"], fields=tuple(answer["fields"]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ingested:
    """What became of events that were sent.

    Attributes:
        accepted: events now in the lake.
        rejected: the lines that were not, each with `line` (1-based in all that was sent) and `reason`.
    """

    accepted: int
    rejected: tuple[Mapping[str, Any], ...]


def instant(text: str | None) -> dt.datetime | None:
    """An aware instant from RFC 3339; None stays None."""
    return dt.datetime.fromisoformat(text) if text else None
