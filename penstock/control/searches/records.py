"""What a search job is, as its callers see it: values only, no SQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from penstock.base.findings import SoFar
from penstock.control import leases, states


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchJob:
    """One search job.

    Attributes:
        uuid: its name.
        status: where it stands.
        term, term_lang, filters: the query, as asked.
        earliest_time, latest_time: the range, as asked (`-7d`, `now`, RFC 3339).
        earliest, latest: the range as resolved at creation (UTC); earliest inclusive, latest exclusive.
        community_uuids: whose events it reads; sorted.
        max_last_events: newest events it shows.
        visible: listed; False for jobs that a program made for itself.
        view_uuid: opaque to us.
        results_ttl: seconds; announced to clients.
        total: matching events over all communities; None until DONE.
        totals: community UUID -> matching events; empty until DONE.
        snapshots: community UUID -> table version it counted; empty until DONE.
        histogram: JSON value made by the worker; None until DONE.
        so_far: None unless RUNNING for long enough to tell.
        error: a sentence; None unless FAILED.
        created_at, created_by, created_by_type: who asked, when.
        started_at, ended_at: UTC.
        canceled_at, canceled_by, canceled_by_type: None unless CANCELED.
        expires_at: until when it is listed and can be exported.
    """

    uuid: str
    status: states.SearchStatus
    term: str
    term_lang: str
    filters: tuple[dict[str, Any], ...]
    earliest_time: str
    latest_time: str
    earliest: dt.datetime
    latest: dt.datetime
    community_uuids: tuple[str, ...]
    max_last_events: int
    visible: bool
    view_uuid: str | None
    results_ttl: int
    total: int | None
    totals: dict[str, int]
    snapshots: dict[str, int]
    histogram: Any
    so_far: SoFar | None
    error: str | None
    created_at: dt.datetime
    created_by: str
    created_by_type: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    canceled_at: dt.datetime | None
    canceled_by: str | None
    canceled_by_type: str | None
    expires_at: dt.datetime

    def is_expired(self, now: dt.datetime) -> bool:
        """Too old to be listed or exported; the sweeper deletes it some time later."""
        return self.expires_at <= now


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchClaim(leases.Hold):
    """A worker's hold on a search job; `uuid` is the job's.

    Attributes:
        job: the job when it was claimed.
    """

    job: SearchJob
