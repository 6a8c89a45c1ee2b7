"""Writes an export's steps down under its lease, so that any other worker can go on from there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence

from penstock import errors, export, storage
from penstock.base import pacing
from penstock.control import exports, limits, quota
from penstock.evidence.facts import PartFacts, SegmentFacts
from penstock.process import services

PROGRESS_SECONDS = 0.5
"""How often the number of encoded events is written down between parts."""

_AGAIN = pacing.Pace(first_seconds=0.1, longest_seconds=2.0)

Step = Callable[[str], None]
"""Called with the name of each effect, before (`begin`) and after (`begin done`). Crash tests die in it."""


def no_step(name: str) -> None:
    """Does nothing; used in production."""


class ExportJournal:
    """The `pipeline.Journal` of a claimed export.

    Args:
        open_services: the process's parts.
        claim: the hold on the export.
        check: raises what must stop the run.
        step: called with each step.

    A database that does not answer is waited for as long as the lease may last; then the fault ends the run, and the
    export waits for its next worker.
    """

    def __init__(
        self,
        open_services: services.Services,
        claim: exports.Claim,
        *,
        check: Callable[[], None],
        step: Step = no_step,
    ) -> None:
        self._services = open_services
        self._claim = claim
        self._step = step
        self.check = check
        self._unrecorded_bytes = 0
        self._told_at = open_services.clock.monotonic()

    def put(
        self, store: storage.Store, upload: storage.Upload, part: export.Part, customer_key: storage.CustomerKey | None
    ) -> storage.Receipt:
        """Puts one part. Its number is its place, so whoever puts it again puts the same bytes."""
        number = part.facts.ordinal + 1
        self._step(f"part {number}")
        # No fence guards a put, since the store knows none: `complete` takes the receipts that count.
        receipt = store.put_part(upload, number, part.body, customer_key)
        self._step(f"part {number} done")
        return receipt

    def before_part(self, facts: PartFacts) -> None:
        """Makes sure, under the lease, that the quota has room for the part.

        Raises:
            LeaseLost: then the part must not be put.
            ExportFailed: `monthly_quota_exceeded`.
        """
        # Renewed and asked in one transaction: a worker that learns here of a lost lease has put nothing yet.
        self._write(lambda: self._check_room(facts))
        # Parts that are put and not yet recorded: the database's sum of reserved bytes does not know them.
        self._unrecorded_bytes += facts.size

    def _check_room(self, facts: PartFacts) -> None:
        now, settings = self._services.clock.now(), self._services.settings
        with self._services.database.begin() as tx:
            exports.renew(tx, self._claim, now)
            own = limits.for_community(tx, self._claim.export.community_uuid, settings)
            if quota.would_exceed(
                tx, self._claim.export.community_uuid, self._unrecorded_bytes + facts.size, limits=own, now=now
            ):
                raise quota.exceeded(own, now)

    def after_part(self, facts: PartFacts, receipt: storage.Receipt) -> None:
        """Writes the checkpoint down."""
        part = _record(facts, receipt)
        self._step(f"record {receipt.number}")
        self._write(lambda: self._record_part(part))
        self._step(f"record {receipt.number} done")
        self._unrecorded_bytes -= facts.size

    def _record_part(self, part: exports.Part) -> None:
        with self._services.database.begin() as tx:
            exports.record_part(tx, self._claim, part, self._services.clock.now())

    def progress(self, events: int) -> None:
        """Writes the number of encoded events down, twice a second at most."""
        now = self._services.clock.monotonic()
        if now - self._told_at < PROGRESS_SECONDS:
            return
        self._told_at = now
        self._write(lambda: self._record_progress(events))

    def _record_progress(self, events: int) -> None:
        with self._services.database.begin() as tx:
            exports.record_progress(tx, self._claim, events, self._services.clock.now())

    def _write(self, work: Callable[[], None]) -> None:
        pacing.patiently(
            work,
            pace=_AGAIN,
            patience_seconds=self._claim.lease_seconds,
            clock=self._services.clock,
            passes=lambda error: isinstance(error, errors.PenstockError) and error.retriable,
            check=self.check,
        )


def done(recorded: Sequence[exports.Part]) -> list[tuple[PartFacts, storage.Receipt]]:
    """The parts of earlier attempts as the pipeline wants them."""
    return [
        (_facts(part), storage.Receipt(number=part.number, etag=part.etag, size=part.size))
        for part in sorted(recorded, key=lambda part: part.number)
    ]


def is_last(part: exports.Part) -> bool:
    """Whether the recorded part is the file's last."""
    return bool(json.loads(part.segments_json)["is_last"])


def _record(facts: PartFacts, receipt: storage.Receipt) -> exports.Part:
    return exports.Part(
        number=receipt.number,
        etag=receipt.etag,
        size=facts.size,
        events=facts.events,
        raw_bytes=facts.raw_bytes,
        sha256=facts.sha256,
        crc32=facts.crc32,
        next_slice=facts.next_slice,
        segments_json=json.dumps(
            {
                "ordinal": facts.ordinal,
                "is_last": facts.is_last,
                "first_slice": facts.first_slice,
                "segments": [dataclasses.asdict(segment) for segment in facts.segments],
            }
        ),
    )


def _facts(part: exports.Part) -> PartFacts:
    more = json.loads(part.segments_json)
    return PartFacts(
        ordinal=more["ordinal"],
        size=part.size,
        events=part.events,
        raw_bytes=part.raw_bytes,
        crc32=part.crc32,
        sha256=part.sha256,
        next_slice=part.next_slice,
        is_last=more["is_last"],
        first_slice=more.get("first_slice", 0),
        segments=tuple(SegmentFacts(**segment) for segment in more["segments"]),
    )
