"""Takes the body of a request in, in a group with others or alone; records it in audit and metrics."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO

import anyio
import anyio.to_thread

from penstock.api import bodies, metrics
from penstock.api.intake import auditing, gathering, shares
from penstock.intake import ingest
from penstock.intake.requests import groups
from penstock.process import services as services_module


class Intake:
    """What one app takes events in with.

    Attributes:
        shares: counts requests by API key; every request that takes a body in is counted.
    """

    def __init__(self, services: services_module.Services, measures: metrics.Measures) -> None:
        self.shares = shares.Shares(services.settings.ingest_requests_per_key)
        self._services = services
        self._measures = measures
        self.recorder = auditing.Recorder(services)
        self._limits = ingest.Limits.of(services.settings, request=True)
        window_seconds = services.settings.ingest_group_milliseconds / 1000
        self._gatherer = gathering.Gatherer(self._commit, window_seconds=window_seconds)

    async def take_lines(
        self, actor: str, community_uuid: str, sent: IO[bytes], encoding: str, batch_id: str | None
    ) -> groups.Taken:
        """Takes in a body of any shape that intake knows, whole or not at all, for the API key `actor`.

        Args:
            sent: the body as it was sent, at its beginning.
            encoding: value of Content-Encoding.

        Raises:
            TooManyRequests: `intake_full`.
            BodyTooLarge, UnsupportedEncoding, IngestError, StorageError: see `bodies` and `ingest`.
        """

        def alone() -> groups.Taken:
            # On the thread: unpacking is work for the processor, and would hold the event loop up.
            with bodies.unpacked(sent, encoding, self._services.settings.request_max_bytes) as body:
                report = ingest.ingest_stream(
                    self._services.table(community_uuid),
                    body,
                    clock=self._services.clock,
                    limits=self._limits,
                    batch_id=batch_id,
                )
            return groups.Taken(
                accepted=report.accepted,
                rejected=report.rejected,
                rejects=report.rejects,
                version=report.version,
                is_repeat=bool(report.skipped),
            )

        size = sent.seek(0, io.SEEK_END)
        sent.seek(0)
        if not self._gatherer.takes(size):
            return await self._take_alone(actor, community_uuid, alone)
        text = sent.read()
        sent.seek(0)

        def items() -> Iterable[groups.Item]:
            # A larger one is left out of the group, and its bound is looked at when it is taken in alone.
            with bodies.unpacked(io.BytesIO(text), encoding, gathering.MOST_BODY_BYTES) as body:
                return list(groups.items_of(body, self._limits))

        held = size if not encoding else gathering.MOST_BODY_BYTES
        return await self.take(actor, community_uuid, groups.Body(items=items, batch_id=batch_id), held, alone)

    async def take(
        self, actor: str, community_uuid: str, body: groups.Body, held_bytes: int, alone: Callable[[], groups.Taken]
    ) -> groups.Taken:
        """Takes in a body in a group, if it is small, or with `alone` (on a thread). Raises as `take_lines`.

        Args:
            held_bytes: what it takes in memory.
        """
        taken = None
        if self._gatherer.takes(held_bytes):
            post = gathering.Post(body=body, bytes=held_bytes, actor=actor)
            taken = await self._gatherer.take(community_uuid, post)
        return taken or await self._take_alone(actor, community_uuid, alone)

    async def _take_alone(self, actor: str, community_uuid: str, alone: Callable[[], groups.Taken]) -> groups.Taken:
        taken = await self.shares.run(actor, alone)
        await anyio.to_thread.run_sync(self.record, community_uuid, {actor: [taken]})
        return taken

    def take_one(self, community_uuid: str, body: groups.Body) -> groups.Taken:
        """Takes in a body alone, on this thread; unrecorded. Raises as `groups.take_one`."""
        table = self._services.table(community_uuid)
        return groups.take_one(table, body, clock=self._services.clock, limits=self._limits)

    def _commit(self, community_uuid: str, posts: Sequence[gathering.Post]) -> list[groups.Outcome]:
        outcomes = groups.take(
            self._services.table(community_uuid),
            [post.body for post in posts],
            clock=self._services.clock,
            limits=self._limits,
        )
        by_actor: dict[str, list[groups.Taken]] = {}
        for post, outcome in zip(posts, outcomes, strict=True):
            if isinstance(outcome, groups.Taken):
                by_actor.setdefault(post.actor, []).append(outcome)
        self.record(community_uuid, by_actor)
        return outcomes

    def record(self, community_uuid: str, by_actor: Mapping[str, Sequence[groups.Taken]]) -> None:
        """One entry of the audit for what a key brought to one commit: not one for each of many small requests."""
        details = []
        for actor, taken in by_actor.items():
            accepted, rejected = sum(one.accepted for one in taken), sum(one.rejected for one in taken)
            self._measures.ingested(accepted, rejected)
            version = max(one.version for one in taken)
            detail = {"requests": len(taken), "accepted": accepted, "rejected": rejected, "version": version}
            details.append((actor, detail))
        if details:
            self.recorder.record(community_uuid, details)
