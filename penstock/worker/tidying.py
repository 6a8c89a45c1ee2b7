"""Keeps every community's event table fast and small: joins small files, deletes files that nothing reads any more."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from penstock import errors
from penstock.control import communities, searches
from penstock.lake import table, upkeep
from penstock.lake.attached import table as attached
from penstock.process import services

log = structlog.get_logger(__name__)

KEEP_SECONDS = 86_400.0
"""A file that no snapshot in use needs is kept this long: a reader that has just opened a snapshot may be slow."""

TABLE_SECONDS = 60.0
"""No new files of one table are joined after this long, so that the others have their turn; the next pass goes on."""


class Tidying:
    """One pass is `tidy`. A table that cannot be tidied is logged and does not keep the others from it.

    Args:
        open_services: the process's parts.
        should_stop: ends the pass between two runs of files.
    """

    def __init__(self, open_services: services.Services, *, should_stop: Callable[[], bool]) -> None:
        self._services = open_services
        self._should_stop = should_stop

    def tidy(self) -> None:
        """Compacts and vacuums what needs it. Safe beside writers, readers and other workers' passes."""
        with self._services.database.read() as tx:
            owners = [community.uuid for community in communities.list_all(tx)]
        for community_uuid in owners:
            try:
                self._table(community_uuid)
            except table.Stopped:
                return
            except errors.PenstockError as error:
                if error.code == "community_detached":
                    continue
                log.warning("tidying_failed", community=community_uuid, code=error.code, detail=error.detail)

    def _table(self, community_uuid: str) -> None:
        events = self._services.table(community_uuid)
        if isinstance(events, attached.AttachedTable):
            # Its files are somebody else's; the lists of those that are pinned are ours.
            with self._services.database.read() as tx:
                pinned = searches.pinned_versions(tx, community_uuid, self._services.clock.now())
            events.forget(pinned, KEEP_SECONDS)
            return
        # A full disk has no room for joining, and all the more need of deleting.
        full: errors.NoRoom | None = None
        joined = None
        try:
            joined = upkeep.compact(events, max_seconds=TABLE_SECONDS, should_stop=self._should_stop)
        except errors.NoRoom as error:
            full = error
        with self._services.database.read() as tx:
            # Asked after the compaction, which may take a minute: a search that began meanwhile pins a version too.
            pinned = searches.pinned_versions(tx, community_uuid, self._services.clock.now())
        deleted = upkeep.vacuum(events, pinned_versions=pinned, keep_seconds=KEEP_SECONDS)
        if (joined is not None and joined.files_removed) or deleted.files:
            log.info(
                "table_tidied",
                community=community_uuid,
                files_joined=joined.files_removed if joined else 0,
                files_made=joined.files_added if joined else 0,
                files_deleted=len(deleted.files),
            )
        if full is not None:
            raise full
