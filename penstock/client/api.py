"""The entry: one service, one API key."""

from __future__ import annotations

import pathlib
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from penstock.client import communities, exports, searchjobs, sending
from penstock.client.exports import Export
from penstock.client.http.retry import Retry
from penstock.client.http.transport import Transport
from penstock.client.replies import Field, Ingested, Page, Preset, Quota, Task, TaskStatus
from penstock.client.searchjobs import SearchJob
from penstock.storage.keys import CustomerKey

_PAGE = 500
_Item = TypeVar("_Item")


def _all(page_at: Callable[[int], Page[_Item]], *, key: Callable[[_Item], str]) -> Iterator[_Item]:
    """Items of all pages, each once: what is added meanwhile moves the later ones down, so some would come twice."""
    seen: set[str] = set()
    offset = 0
    # Until a page is empty: `total` may change between two pages.
    while page := page_at(offset):
        for item in page:
            if key(item) not in seen:
                seen.add(key(item))
                yield item
        offset += len(page)


class Penstock:
    """A Penstock service, seen with one API key. A context manager; safe from several threads.

    Args:
        url: `https://host`, `host` or `host:port` (https), or `http://127.0.0.1:8080` for a service on this machine.
        key: the API key. It is sent to this service only, never to a download host.
        verify: True: the machine's trusted CAs; a path: that CA file; or an SSL context.
        timeout_seconds: of silence on the wire.
        retry: bound of repeats of harmless calls.

    Raises:
        UsageError: `invalid_api_host`, `insecure_url`, `invalid_ca_file`, `api_key_not_given`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        verify: bool | str | ssl.SSLContext = True,
        timeout_seconds: float = 30.0,
        retry: Retry | None = None,
    ) -> None:
        self._transport = Transport(url, key, verify=verify, timeout_seconds=timeout_seconds, retry=retry or Retry())

    @property
    def url(self) -> str:
        """The service's URL."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    # -- searching

    def search(
        self,
        query: str = "",
        *,
        earliest: str = "-24h",
        latest: str = "now",
        filters: Sequence[Mapping[str, Any]] = (),
        communities: Sequence[str] | None = None,
        wait: bool = True,
        max_wait_seconds: float | None = None,
    ) -> SearchJob:
        """Starts a search job and waits until it is done.

        Args:
            query: in the events query language; empty matches everything.
            earliest: RFC 3339, or relative like `-7d`; inclusive.
            latest: likewise, or `now`; exclusive.
            filters: as the API names them, ANDed to the query.
            communities: UUIDs; None: all of the key. An export wants exactly one.
            wait: False: come back at once, while it may still be counting.

        Raises:
            QuerySyntaxError: with `position`, `expected` and `caret` in `extra`.
            InvalidRequest, PermissionMissing, NetworkError ...
        """
        body: dict[str, Any] = {
            "term": query,
            "term_lang": "dork",
            "earliest_time": earliest,
            "latest_time": latest,
            "filters": [dict(entry) for entry in filters],
        }
        if communities is not None:
            body["community_uuids"] = list(communities)
        facts = self._transport.post(searchjobs.JOBS, body)
        job = SearchJob(self._transport, str(facts["uuid"]), facts)
        return job.wait(max_wait_seconds=max_wait_seconds) if wait else job

    def search_job(self, uuid: str) -> SearchJob:
        """A search job by its UUID. Asks nothing yet."""
        return SearchJob(self._transport, uuid)

    def search_jobs(self, *, limit: int = 100, offset: int = 0) -> Page[SearchJob]:
        """Search jobs, newest first: one page of them; `total` says how many there are."""
        answer = self._transport.get(searchjobs.JOBS, {"limit": limit, "offset": offset})
        found = (SearchJob(self._transport, str(facts["uuid"]), facts) for facts in answer["items"])
        return Page(found, answer["total"])

    def all_search_jobs(self) -> Iterator[SearchJob]:
        """All search jobs, newest first, page by page."""
        return _all(lambda offset: self.search_jobs(limit=_PAGE, offset=offset), key=lambda job: job.uuid)

    # -- exports

    def export(self, task_uuid: str, *, customer_key: CustomerKey | str | None = None) -> Export:
        """An export by its task's UUID. Asks nothing yet."""
        return Export(self._transport, task_uuid, exports.as_key(customer_key))

    def tasks(self, *, status: TaskStatus | str | None = None, limit: int = 100, offset: int = 0) -> Page[Task]:
        """Exports of the key's communities, newest first: one page of them; `total` says how many there are."""
        answer = self._transport.get(exports.TASKS, {"status": status, "limit": limit, "offset": offset})
        return Page((Task.parse(item) for item in answer["items"]), answer["total"])

    def all_tasks(self, *, status: TaskStatus | str | None = None) -> Iterator[Task]:
        """All exports of the key's communities, newest first, page by page."""
        return _all(lambda offset: self.tasks(status=status, limit=_PAGE, offset=offset), key=lambda task: task.uuid)

    # -- communities

    def communities(self) -> tuple[Mapping[str, Any], ...]:
        """The key's communities, as JSON objects with `uuid` and `name`."""
        answer = self._transport.get("/v1/communities")
        return tuple(answer["items"] if isinstance(answer, dict) else answer)

    def quota(self, community: str | None = None) -> Quota:
        """A community's export bytes of this month. `community` None: the key's only one."""
        return Quota.parse(self._transport.get(f"/v1/communities/{self._community(community)}/quota"))

    def fields(self, match: str = "", *, community: str | None = None) -> tuple[Field, ...]:
        """Fields that events of a community have, those whose name holds `match`."""
        answer = self._transport.get(f"/v1/communities/{self._community(community)}/fields", {"match": match or None})
        return tuple(Field.parse(item) for item in (answer["items"] if isinstance(answer, dict) else answer))

    def presets(self) -> tuple[Preset, ...]:
        """Lists of fields for the three investigation scenarios."""
        answer = self._transport.get("/v1/field-presets")
        return tuple(Preset.parse(item) for item in (answer["items"] if isinstance(answer, dict) else answer))

    def ingest(
        self,
        source: str | pathlib.Path | Iterable[Mapping[str, Any] | bytes],
        *,
        community: str | None = None,
        batch_id: str | None = None,
    ) -> Ingested:
        """Sends events: the path of a file of JSON Lines (plain, .gz, .zst), or an iterable of events or lines.

        Args:
            batch_id: names what is sent; sent again under the same name, nothing is taken in twice.
        """
        return sending.send(self._transport, self._community(community), source, batch_id=batch_id)

    def _community(self, wanted: str | None) -> str:
        """The UUID of a community given by UUID or name, or the key's only one."""
        return communities.pick(self.communities(), wanted)
