"""A search job as its owner holds it: its total, its newest events, its histogram, its exports."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.base.statuses import SearchStatus
from penstock.client import exports
from penstock.client.exports import Export
from penstock.client.http.retry import Patience
from penstock.client.http.transport import Transport
from penstock.client.replies import Estimate, ExportFacts, Histogram
from penstock.fields import presets
from penstock.storage.keys import CustomerKey

JOBS = "/v1/sic/conf/events/search/jobs"
_PAGE = 1000


class SearchJob:
    """One search job.

    Attributes:
        uuid: names it.
    """

    def __init__(self, transport: Transport, uuid: str, facts: Mapping[str, Any] | None = None) -> None:
        self._transport = transport
        self._facts = facts
        self.uuid = uuid

    def __repr__(self) -> str:
        return f"SearchJob({self.uuid!r})"

    @property
    def facts(self) -> Mapping[str, Any]:
        """The service's last answer about it, as JSON; asked for on first use.

        Exporting does not use it: an API key that may export need not be allowed to search.
        """
        if self._facts is None:
            self.refresh()
        return self._facts or {}

    @property
    def status(self) -> SearchStatus:
        """Where it stood when last asked."""
        return SearchStatus(self.facts["status"])

    @property
    def total(self) -> int:
        """Events that match; 0 until it is done."""
        return self.facts.get("total") or 0

    def refresh(self) -> SearchJob:
        """Asks the service."""
        self._facts = self._transport.get(f"{JOBS}/{self.uuid}")
        return self

    def wait(
        self,
        progress: Callable[[SearchJob], None] | None = None,
        *,
        max_wait_seconds: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> SearchJob:
        """Waits until the search job is done. A service that does not answer is asked again for five minutes.

        Raises:
            Conflict: `search_job_failed`, `search_job_canceled`, `wait_timeout`.
        """
        deadline = None if max_wait_seconds is None else monotonic() + max_wait_seconds
        begun, pause = monotonic(), 0.05
        patience = Patience(min(300.0, max_wait_seconds or 300.0), sleep=sleep, monotonic=monotonic)
        while not self.status.is_final:
            if deadline is not None and monotonic() > deadline:
                raise errors.WaitTimeout(
                    "wait_timeout", f"Search job {self.uuid} is not done after {max_wait_seconds:g} s.", "Wait longer."
                )
            sleep(pause)
            # Nobody waits a twentieth longer than the search takes, and 0.05 s.
            pause = min(1.0, max(0.05, (monotonic() - begun) / 20))
            self._facts = self._transport.poll(f"{JOBS}/{self.uuid}", patience)
            if progress is not None:
                progress(self)
        if self.status is SearchStatus.DONE:
            return self
        word = "failed" if self.status is SearchStatus.FAILED else "canceled"
        reason = str(self.facts.get("error") or "").rstrip(".")
        raise errors.Conflict(
            f"search_job_{word}",
            f"Search job {self.uuid} {'was ' if word == 'canceled' else ''}{word}{f': {reason}' if reason else ''}.",
            "Start the search again.",
        )

    def events(self, limit: int = 100, *, flat: bool = True) -> Iterator[dict[str, Any]]:
        """Up to `limit` of the newest matches (at most 1,000), newest first.

        Args:
            flat: dotted names; False: nested objects.
        """
        offset = 0
        while offset < min(limit, _PAGE):
            page = self._transport.get(
                f"{JOBS}/{self.uuid}/events",
                {"limit": min(limit, _PAGE) - offset, "offset": offset, "flat": "true" if flat else "false"},
            )
            yield from page["items"]
            offset += len(page["items"])
            if not page["items"]:
                return

    def csv(self, fields: Sequence[str], limit: int = 1000) -> str:
        """The small direct export: the newest matches (at most 1,000) as CSV."""
        return self._transport.get_text(
            f"{JOBS}/{self.uuid}/events", {"format": "csv", "fields": ",".join(fields), "limit": min(limit, _PAGE)}
        )

    def histogram(self, buckets: int = 60) -> Histogram:
        """Matches over time."""
        return Histogram.parse(self._transport.get(f"{JOBS}/{self.uuid}/histogram", {"buckets": buckets}))

    def export(
        self,
        fields: Sequence[str] | None = None,
        *,
        preset: str | None = None,
        customer_key: CustomerKey | str | None = None,
        destination: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        encrypt: bool = True,
    ) -> Export:
        """Starts an export of all matches.

        Args:
            fields: what each line holds, in this order; None: `@timestamp` and `message`.
            preset: `network`, `identity` or `endpoint`, instead of `fields`.
            customer_key: 256 bits of your own; None: one is made here. Keep `Export.customer_key`: without it nobody
                can read the file.
            destination: settings of your own bucket, as the `s3` member of the API names them.
            encrypt: False: without a customer key, where the operator allows it; a `destination` whose `encryption` is
                not `sse-c` has none either.
            idempotency_key: None: a random one, so that a lost answer starts nothing twice.

        Raises:
            The refusals of the API: Conflict, FieldSelectionError, QuotaExhausted, DestinationError ...
        """
        has_key = encrypt and (destination or {}).get("encryption", "sse-c") == "sse-c"
        key = exports.as_key(customer_key) or (CustomerKey.generate() if has_key else None)
        answer = self._transport.post(
            f"{JOBS}/{self.uuid}/export",
            self._body(fields, preset, key, destination),
            # Always one: an answer that is lost on the way would else leave an export that nobody knows, and a taken
            # slot.
            idempotency_key=idempotency_key or str(uuid.uuid4()),
        )
        # A replay of the same Idempotency-Key: the key of the export that is there, not the one just made.
        if answer.get("sse_customer_key"):
            key = CustomerKey.parse(answer["sse_customer_key"])
        return Export(self._transport, answer["task_uuid"], key)

    def estimate(
        self,
        fields: Sequence[str] | None = None,
        *,
        preset: str | None = None,
        destination: Mapping[str, str] | None = None,
    ) -> Estimate:
        """What an export would be; starts nothing."""
        # Else the estimate would list the missing key among the problems; `export` brings one.
        body = self._body(fields, preset, None, destination) | {"generate_customer_key": True}
        return Estimate.parse(self._transport.post(f"{JOBS}/{self.uuid}/export/estimate", body))

    def exports(self) -> tuple[ExportFacts, ...]:
        """The exports of this search job."""
        answer = self._transport.get(f"{JOBS}/{self.uuid}/export-jobs")
        return tuple(ExportFacts.parse(item) for item in answer["items"])

    def cancel(self) -> SearchJob:
        """Stops the search job."""
        self._transport.post(f"{JOBS}/{self.uuid}/cancel")
        return self.refresh()

    def delete(self) -> None:
        """Deletes the search job."""
        self._transport.delete(f"{JOBS}/{self.uuid}")

    def _body(
        self,
        fields: Sequence[str] | None,
        preset: str | None,
        key: CustomerKey | None,
        destination: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        if fields is not None and preset is not None:
            raise errors.UsageError("fields_and_preset", "Both fields and a preset were given.", "Give one of the two.")
        body: dict[str, Any] = {}
        if preset is not None:
            fields = presets.fields_of(preset)
        if fields is not None:
            body["fields"] = list(fields)
        s3 = dict(destination or {})
        if key is not None:
            s3 |= {
                "sse_customer_key": key.base64,
                "sse_customer_algorithm": "AES256",
                "sse_customer_key_md5": key.md5,
            }
        if s3:
            body["s3"] = s3
        return body
