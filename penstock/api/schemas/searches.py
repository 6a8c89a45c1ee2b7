"""Shapes of search jobs, their events, fields and histograms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Self

import pydantic
from pydantic import Field

from penstock.api.schemas.shared import Lenient, SearchStatus, Text
from penstock.base import instants


class Filter(Lenient):
    """One condition beside the query text; conditions are ANDed."""

    field: str = Field(description="Dotted field name.", examples=["event.outcome"])
    operator: str = Field("is", description="`is`, `is_not`, `contains`, `exists`, `gt`, `gte`, `lt`, `lte` …")
    value: Any = Field(None, description="What the field is compared with.", examples=["failure"])
    disabled: bool = Field(False, description="A disabled filter is kept and not applied.")
    excluded: bool = Field(False, description="Turns the condition around.")


class SearchJobRequest(Lenient):
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


class Bucket(pydantic.BaseModel):
    """One stretch of time."""

    start: dt.datetime
    count: int


class Histogram(pydantic.BaseModel):
    """The job's matches over time."""

    interval_seconds: float
    buckets: list[Bucket]

    @classmethod
    def of(cls, interval_seconds: float, counts: Iterable[Sequence[int]]) -> Self:
        """From pairs of a bucket's start, in microseconds since 1970, and its matches."""
        buckets = [Bucket(start=instants.from_microseconds(us), count=count) for us, count in counts]
        return cls(interval_seconds=interval_seconds, buckets=buckets)


class SoFar(pydantic.BaseModel):
    """What a search that runs has counted so far."""

    total: int = Field(description="Events that match, of those looked at.")
    share: float = Field(ge=0, le=1, description="How much of the events in the time range is looked at.")
    histogram: Histogram = Field(description="The matches so far; the newest events are looked at first.")


class SearchJob(pydantic.BaseModel):
    """A stored query, its state and its count."""

    uuid: str
    term: str
    understood: str = Field(description="The query with its operators, quotes and parentheses written out.")
    term_lang: str
    earliest_time: dt.datetime = Field(description="Resolved when the job was created; inclusive.")
    latest_time: dt.datetime = Field(description="Resolved when the job was created; exclusive.")
    filters: list[Filter]
    community_uuids: list[str]
    status: SearchStatus
    total: int = Field(description="Events that match; 0 until the job is done.")
    so_far: SoFar | None = Field(
        None, description="While a worker counts: what there is so far. Null before the first figures and afterwards."
    )
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
