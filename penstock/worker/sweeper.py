"""Sweeps what is over: expired files, orphan uploads, exports nobody will finish, rows past their time.

Every sweep may be cut off anywhere and repeated by anybody: each item is first removed, then forgotten.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable

import structlog

from penstock import errors, storage
from penstock.control import exports, sweep
from penstock.process import services
from penstock.worker.exports import abort_uploads, journal

log = structlog.get_logger(__name__)

ORPHAN_GRACE_SECONDS = 3600
"""An unfinished upload younger than this is left alone even if no export owns it: its worker may be about to say so."""

CLEARING_LEASE_SECONDS = 60.0
"""More than 5 x abort_uploads.PATIENCE_SECONDS: another sweeper takes over only when this one is dead."""

CLEARINGS = 3
"""Sweepers that may die over one upload; the next one ends the export without touching it."""

CLEARED_A_PASS = 10
"""Exports cleared in one pass, which so takes at most CLEARED_A_PASS x 5 x abort_uploads.PATIENCE_SECONDS longer."""


RESTS = 10
"""Passes for which an item that could not be removed is left out, so that it does not stand before all others."""

MOST_SKIPPED = 1000
"""Of them, at once: a query names each."""


class Sweeper:
    """One pass is `sweep`. A step that fails is logged and does not keep the others from running.

    Args:
        open_services: the process's parts.
        sweeper_id: names the holder of leases; unique for each sweeper.
        should_stop: ends the pass between two customers' buckets.
        step: called with each step that has an effect.
    """

    def __init__(
        self,
        open_services: services.Services,
        *,
        sweeper_id: str,
        should_stop: Callable[[], bool],
        step: journal.Step = journal.no_step,
    ) -> None:
        self._sweeper_id = sweeper_id
        self._should_stop = should_stop
        self._services = open_services
        self._database = open_services.database
        self._store = open_services.store
        self._step = step
        self._passes = 0
        self._failed: dict[tuple[str, str], int] = {}

    def sweep(self) -> None:
        """Does everything that is due now."""
        self._passes += 1
        for work in (
            # Rows first: an export that is found dead here has its key and object removed in the same pass.
            self._rows,
            self._keys,
            self._stray_keys,
            self._objects,
            self._orphans,
            self._customers_buckets,
            self._log_of_the_database,
        ):
            self._guarded(work)

    def _guarded(self, work: Callable[[dt.datetime], None]) -> None:
        try:
            work(self._services.clock.now())
        except errors.PenstockError as error:
            log.warning("sweep_failed", step=work.__name__, code=error.code, detail=error.detail)

    def _rows(self, now: dt.datetime) -> None:
        with self._database.begin() as tx:
            swept = sweep.rows(tx, now, self._services.settings)
        if any(dataclasses.astuple(swept)):
            log.info("rows_swept", **dataclasses.asdict(swept))

    def _log_of_the_database(self, now: dt.datetime) -> None:
        self._database.truncate_log()

    def _objects(self, now: dt.datetime) -> None:
        with self._database.read() as tx:
            left = exports.expired_objects(tx, now, skip=self._skipped("object"))
        for item in left:
            self._one("object", item.task_uuid, functools.partial(self._remove, item, now))

    def _remove(self, item: exports.LeftObject, now: dt.datetime) -> None:
        self._step("remove")
        if item.upload_id is not None:
            self._store.abort(storage.Upload(key=item.object_key, upload_id=item.upload_id))
        self._store.delete(item.object_key)
        self._store.delete(storage.manifest_key(item.object_key))
        self._step("remove done")
        with self._database.begin() as tx:
            exports.forget_object(tx, item.task_uuid, now)
        log.info("export_removed", export_id=item.task_uuid, status=item.status)

    def _keys(self, now: dt.datetime) -> None:
        """Destroys what the secrets of ended exports were wrapped with."""
        with self._database.read() as tx:
            ended = exports.keys_to_forget(tx, skip=self._skipped("key"))
        for task_uuid in ended:
            self._one("key", task_uuid, functools.partial(self._forget_key, task_uuid, now))

    def _forget_key(self, task_uuid: str, now: dt.datetime) -> None:
        self._services.vault.forget(task_uuid)
        with self._database.begin() as tx:
            exports.forget_key(tx, task_uuid, now)

    def _stray_keys(self, now: dt.datetime) -> None:
        """Destroys keys without an export: it was never written down, because database or disk failed just then."""
        for task_uuid in self._services.vault.kept_before(now - dt.timedelta(seconds=ORPHAN_GRACE_SECONDS)):
            with self._database.read() as tx:
                needed = exports.needs_key(tx, task_uuid)
            if not needed:
                self._one("stray key", task_uuid, functools.partial(self._services.vault.forget, task_uuid))

    def _one(self, kind: str, name: str, work: Callable[[], None]) -> None:
        """One item; if it fails the others still get their turn, and it gets its next one after RESTS passes."""
        if self._should_stop():
            return
        try:
            work()
        except errors.PenstockError as error:
            self._failed[kind, name] = self._passes + RESTS
            log.warning("sweep_failed", step=kind, item=name, code=error.code, detail=error.detail)

    def _skipped(self, kind: str) -> list[str]:
        self._failed = {item: until for item, until in self._failed.items() if until > self._passes}
        return [name for of, name in self._failed if of == kind][:MOST_SKIPPED]

    def _orphans(self, now: dt.datetime) -> None:
        for upload in self._store.list_unfinished():
            young = upload.started_at is not None and (now - upload.started_at).total_seconds() < ORPHAN_GRACE_SECONDS
            with self._database.read() as tx:
                # Asked after the upload was listed: one that is recorded in between counts as owned.
                owned = exports.owns_upload(tx, upload.upload_id, upload.key)
            # The store's clock dates an upload, ours judges it; the grace of an hour covers their difference.
            if not owned and not young:
                self._one("orphan", upload.upload_id, functools.partial(self._abort_orphan, upload))

    def _abort_orphan(self, upload: storage.Upload) -> None:
        self._store.abort(upload)
        log.info("orphan_upload_aborted", object_key=upload.key)

    def _customers_buckets(self, now: dt.datetime) -> None:
        """Ends dead exports whose upload lies in a customer's bucket, and aborts it while it holds the credentials."""
        for _ in range(CLEARED_A_PASS):
            if self._should_stop():
                return
            with self._database.begin() as tx:
                claim = exports.take_dead(tx, self._sweeper_id, now, CLEARING_LEASE_SECONDS)
            if claim is None:
                return
            self._step("clear")
            self._clear(claim)
            self._step("clear done")
            # Asked again: clearing may have taken 25 s, and the lease is renewed from this instant on.
            now = self._services.clock.now()
            with self._database.begin() as tx:
                status = exports.end_taken(tx, claim, now)
            self._step("clear ended")
            log.info("dead_export_ended", export_id=claim.task_uuid, status=status)

    def _clear(self, claim: exports.Claim) -> None:
        export = claim.export
        assert export.object_key is not None, "the plan comes before the upload"
        key = export.object_key
        upload = storage.Upload(key=key, upload_id=export.upload_id) if export.upload_id else None
        if exports.clearings(claim) <= CLEARINGS:
            abort_uploads.abort_at_customer(self._services, claim, key, upload)
        else:
            abort_uploads.tell_what_is_left(claim, key, upload, "sweepers_died", f"{CLEARINGS} sweepers died over it.")
