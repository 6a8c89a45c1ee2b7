"""The audit's entries of intake. The events are in by then: what fails here makes no client send them again."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterable
from typing import Any

import structlog

from penstock import errors
from penstock.control import audit
from penstock.process import services as services_module

WAITING = 10_000
"""Entries that wait in memory for a database that is away; the oldest go, and the log has them all."""

_ACTOR_TYPE = "apikey"
_LOG = structlog.get_logger("penstock.api")


class Recorder:
    """Writes entries; those that could not be written come with the next ones, under their own time."""

    def __init__(self, services: services_module.Services) -> None:
        self._services = services
        self._waiting: collections.deque[dict[str, Any]] = collections.deque(maxlen=WAITING)

    def record(self, community_uuid: str, details: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Writes an entry for each API key (its uuid, and what it brought) of one commit; never raises."""
        now = self._services.clock.now()
        own: list[dict[str, Any]] = [
            {
                "now": now,
                "actor": actor,
                "actor_type": _ACTOR_TYPE,
                "action": "events.ingested",
                "community_uuid": community_uuid,
                "detail": detail,
            }
            for actor, detail in details
        ]
        entries = [*self._taken(), *own]
        try:
            with self._services.database.begin() as tx:
                for entry in entries:
                    audit.record(tx, **entry)
        except errors.PenstockError as error:
            self._waiting.extend(entries)
            # Should this process end before the database is back, the log is the only place that has them.
            for entry in own:
                _LOG.error(
                    "audit_not_recorded",
                    code=error.code,
                    at=now,
                    actor=entry["actor"],
                    community=community_uuid,
                    **entry["detail"],
                )

    def _taken(self) -> list[dict[str, Any]]:
        """All that wait, each taken by one thread only."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._waiting.popleft())
        return taken
