"""Drives one claimed export from wherever it stands to its end.

    claim ─▶ plan ─▶ begin upload ─▶ parts … ─▶ complete ─▶ manifest ─▶ sign URLs ─▶ finish (charge, erase secrets)

Every step may be the last one this process makes: the next worker finds the plan, the upload and the parts in the
database, does again what was not recorded, and comes to the same bytes. Before each part is put its number is written
down under the lease (`intend_part`); a worker that takes over numbers its parts above all of those, so that a part
which a zombie puts late is never one that the finished file is made of.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import threading
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from penstock import errors, pipeline, query, services, storage
from penstock.control import exports, limits, searchjobs, secrets
from penstock.lake import plan, scan, table
from penstock.pipeline import manifest
from penstock.worker import holding, journal, retrying

log = structlog.get_logger(__name__)


class ExportRun:
    """One worker's work on one claimed export.

    Args:
        open_services: the process's parts.
        claim: the hold on the export.
        shutdown: set when the process must end.
        step: told of each step.
    """

    def __init__(
        self,
        open_services: services.Services,
        claim: exports.Claim,
        *,
        shutdown: threading.Event,
        step: journal.Step = journal.no_step,
    ) -> None:
        self._services = open_services
        self._database = open_services.database
        self._clock = open_services.clock
        self._settings = open_services.settings
        self._claim = claim
        self._export = claim.export
        self._shutdown = shutdown
        self._step = step
        self._target: tuple[storage.Store, bool] | None = None
        self._upload: storage.Upload | None = None
        self._log = log.bind(export_id=claim.task_uuid)

    def run(self) -> None:
        """Drives the export; ends it FINISHED, FAILED or CANCELED, or gives it back, or finds it lost. Never raises
        a PenstockError: what goes wrong with the export becomes its message."""
        self._log.info("export_claimed", attempt=self._export.attempts, parts=len(self._claim.parts))
        with holding.Holding(
            renew=self._renew,
            cancel_requested=self._cancel_requested,
            lease_seconds=self._claim.lease_seconds,
            clock=self._clock,
            shutdown=self._shutdown,
        ) as hold:
            try:
                self._drive(hold)
            except errors.LeaseLost:
                self._log.warning("lease_lost")
            except holding.CancelRequested:
                self._end("cancel", lambda tx, now: exports.canceled(tx, self._claim, now))
                self._clear_away()
            except holding.ShuttingDown:
                self._end("release", lambda tx, now: exports.release(tx, self._claim, now))
            except errors.PenstockError as error:
                self._stopped_by(error)

    # The way of an export

    def _drive(self, hold: holding.Holding) -> None:
        hold.check()
        key = storage.CustomerKey(self._unseal(self._claim.sealed_customer_key, secrets.customer_key_context))
        store = self._opened_store()
        work = self._planned(hold)
        upload = self._begun(store, key)
        record = journal.ExportJournal(self._services, self._claim, check=hold.check, step=self._step)
        outcome = pipeline.run(
            work,
            lambda part: record.put(store, upload, part, key),
            record,
            threads=self._settings.encoding_threads,
            upload_threads=self._settings.upload_threads,
            done=journal.done(self._claim.parts),
        )
        hold.check()
        self._completed(store, upload, key, outcome)

    def _opened_store(self) -> storage.Store:
        bucket = self._bucket()
        store = self._services.store if bucket is None else self._services.customer_store(bucket)
        self._target = (store, bucket is None)
        return store

    def _bucket(self) -> storage.CustomerBucket | None:
        sealed = self._claim.sealed_destination
        if sealed is None:
            return None
        return storage.CustomerBucket.from_bytes(self._unseal(sealed, secrets.destination_context))

    def _unseal(self, sealed: bytes, context: Callable[[str], str]) -> bytes:
        return self._services.master_keys.unseal(sealed, context(self._claim.task_uuid))

    def _planned(self, hold: holding.Holding) -> pipeline.Work:
        """The work of this export: as recorded by an earlier attempt, or planned now on the newest snapshot."""
        node = query.both(query.parse(self._export.term), query.from_filters(self._export.filters))
        events = self._services.table(self._export.community_uuid)
        time_range = plan.TimeRange(earliest=self._export.earliest, latest=self._export.latest)
        recorded = None if self._export.plan_json is None else json.loads(self._export.plan_json)
        snapshot = events.snapshot(self._export.snapshot_version if recorded else None)
        predicate = query.compile(node, snapshot.columns)
        bounds = recorded or {"max_rows": self._settings.slice_rows, "max_bytes": self._settings.slice_bytes}
        work = pipeline.Work(
            snapshot=snapshot,
            slices=plan.plan_slices(
                snapshot,
                time_range,
                max_rows=bounds["max_rows"],
                max_bytes=bounds["max_bytes"],
                fields=predicate.columns.union(self._export.fields),
                should_stop=lambda: _raised(hold.check),
            ),
            fields=self._export.fields,
            predicate=predicate,
            compression=self._export.compression,
            part_bytes=self._export.part_bytes or self._part_bytes(),
        )
        if recorded is None:
            total = self._count(snapshot, time_range, predicate, hold)
            self._record_plan(work, bounds, total)
        return work

    def _part_bytes(self) -> int:
        """The setting, but never less than S3 allows where the destination is S3."""
        is_embedded = self._claim.sealed_destination is None and self._settings.storage == "embedded"
        return self._settings.part_bytes if is_embedded else max(storage.MIN_PART_BYTES, self._settings.part_bytes)

    def _count(
        self, snapshot: table.Snapshot, time_range: plan.TimeRange, predicate: query.Predicate, hold: holding.Holding
    ) -> int:
        """How many events there will be. What the search job counted on this very snapshot is not counted again."""
        with self._database.begin() as tx:
            own = limits.for_community(tx, self._export.community_uuid, self._settings)
        counted = self._counted()
        if counted is not None and counted[1] == snapshot.version:
            total = counted[0]
        else:
            total = scan.count(snapshot, time_range, predicate, should_stop=lambda: _raised(hold.check))
        limits.check_events(total, own)
        return total

    def _counted(self) -> tuple[int, int] | None:
        """What the search job counted in the export's community, and on which version; None if the job is gone."""
        try:
            with self._database.read() as tx:
                job = searchjobs.get(tx, self._export.job_uuid, None)
        except errors.NotFound:
            return None
        community_uuid = self._export.community_uuid
        return job.totals.get(community_uuid, 0), job.snapshots.get(community_uuid, -1)

    def _record_plan(self, work: pipeline.Work, bounds: dict[str, int], total: int) -> None:
        export, bucket = self._export, self._bucket()
        prefix = self._settings.s3_prefix if bucket is None else bucket.prefix
        key = storage.object_key(prefix, export.community_uuid, export.created_at, export.task_uuid)
        self._step("plan")
        with self._database.begin() as tx:
            exports.record_plan(
                tx,
                self._claim,
                snapshot_version=work.snapshot.version,
                plan_json=json.dumps(bounds),
                object_key=key,
                part_bytes=work.part_bytes,
                total_events=total,
                now=self._clock.now(),
            )
        self._step("plan done")
        self._export = dataclasses.replace(
            self._export, snapshot_version=work.snapshot.version, object_key=key, expected_events=total
        )
        self._log.info("export_planned", slices=len(work.slices), events=total, snapshot=work.snapshot.version)

    def _begun(self, store: storage.Store, key: storage.CustomerKey) -> storage.Upload:
        object_key = self._object_key()
        if self._export.upload_id is not None:
            self._upload = storage.Upload(key=object_key, upload_id=self._export.upload_id)
            return self._upload
        self._step("begin")
        self._upload = upload = store.begin(
            object_key,
            key,
            content_type=storage.EXPORT_CONTENT_TYPE,
            filename=_filename(object_key),
        )
        self._step("begin done")
        with self._database.begin() as tx:
            exports.record_upload(tx, self._claim, upload.upload_id, self._clock.now())
        self._step("begin recorded")
        return upload

    def _completed(
        self, store: storage.Store, upload: storage.Upload, key: storage.CustomerKey, outcome: pipeline.Outcome
    ) -> None:
        object_key = self._object_key()
        self._renew()  # nothing is made visible by a worker that has lost its lease
        self._step("complete")
        store.complete(upload, outcome.receipts, key)
        self._step("complete done")
        signed = self._services.signer.sign(manifest.build(self._subject(), outcome.facts))
        manifest_key = storage.manifest_key(object_key)
        self._step("manifest")
        store.put(
            manifest_key,
            manifest.dumps(signed),
            key,
            content_type=storage.MANIFEST_CONTENT_TYPE,
            filename=_filename(manifest_key),
        )
        self._step("manifest done")
        self._finish(store, key, outcome, object_key, manifest_key)

    def _finish(
        self,
        store: storage.Store,
        key: storage.CustomerKey,
        outcome: pipeline.Outcome,
        object_key: str,
        manifest_key: str,
    ) -> None:
        """Signs the URLs while the key is at hand, then in one transaction: FINISHED, charged, secrets erased."""
        now = self._clock.now()
        with self._database.begin() as tx:
            own = limits.for_community(tx, self._export.community_uuid, self._settings)
        window = own.download_window_seconds
        urls = [
            store.presign(name, key, expires_in_seconds=window, filename=_filename(name))
            for name in (object_key, manifest_key)
        ]
        size = sum(facts.size for facts in outcome.facts)
        events = sum(facts.events for facts in outcome.facts)
        self._step("finish")
        with self._database.begin() as tx:
            exports.finish(
                tx,
                self._claim,
                compressed_bytes=size,
                raw_bytes=sum(facts.raw_bytes for facts in outcome.facts),
                events=events,
                download_url=urls[0],
                manifest_url=urls[1],
                expire_at=now + dt.timedelta(seconds=window),
                now=now,
            )
        self._step("finish done")
        self._log.info("export_finished", events=events, compressed_bytes=size)

    def _object_key(self) -> str:
        if self._export.object_key is None:
            raise errors.ExportFailed("plan_missing", "The export has an upload but no plan.", "Start it again.")
        return self._export.object_key

    def _subject(self) -> manifest.Subject:
        export = self._export
        counted = self._counted()
        return manifest.Subject(
            task_uuid=export.task_uuid,
            job_uuid=export.job_uuid,
            community_uuid=export.community_uuid,
            term=export.term,
            filters=export.filters,
            earliest=export.earliest,
            latest=export.latest,
            fields=export.fields,
            snapshot_version=export.snapshot_version or 0,
            search_job_events=export.expected_events if counted is None else counted[0],
            compression=export.compression,
            created_at=export.created_at,
        )

    # The lease

    def _renew(self) -> None:
        with self._database.begin() as tx:
            renewal = exports.renew(tx, self._claim, self._clock.now())
        if renewal.deadline_passed:
            raise exports.deadline_exceeded(self._export)

    def _cancel_requested(self) -> bool:
        with self._database.read() as tx:
            return exports.get(tx, self._claim.task_uuid, None).cancel_requested_at is not None

    # Ends that are not FINISHED

    def _stopped_by(self, error: errors.PenstockError) -> None:
        """A passing fault leaves the export to whoever claims it when the lease has run out; the rest is its end."""
        if retrying.is_passing(error) and self._export.attempts < self._export.max_attempts:
            self._log.warning("export_left_for_retry", code=error.code, detail=error.detail)
            return
        self._log.warning("export_failed", code=error.code, detail=error.detail)
        self._end("fail", lambda tx, now: exports.fail(tx, self._claim, error.code, str(error), now))
        self._clear_away()

    def _end(self, name: str, move: Callable[[sa.Connection, dt.datetime], None]) -> None:
        try:
            self._step(name)
            with self._database.begin() as tx:
                move(tx, self._clock.now())
            self._step(f"{name} done")
            self._log.info("export_left", how=name)
        except errors.PenstockError as error:
            self._log.warning("end_not_recorded", how=name, code=error.code)

    def _clear_away(self) -> None:
        """Removes what an export that did not finish has in its store. Best effort: the sweeper does it again.

        A customer's bucket is cleared here or never, since its credentials are erased by now; of a customer's
        bucket only the unfinished upload is aborted, nothing is deleted.
        """
        if self._target is None or self._export.object_key is None:
            return
        store, is_ours = self._target
        try:
            if self._upload is not None:
                store.abort(self._upload)
            if is_ours:
                store.delete(self._export.object_key)
                store.delete(storage.manifest_key(self._export.object_key))
                with self._database.begin() as tx:
                    exports.forget_object(tx, self._export.task_uuid, self._clock.now())
        except errors.PenstockError as error:
            self._log.warning("not_cleared_away", code=error.code, detail=error.detail)


def _raised(check: Callable[[], None]) -> bool:
    """`check` as a question that is never answered yes: what it raises ends the work at once."""
    check()
    return False


def _filename(key: str) -> str:
    return key.rsplit("/", 1)[-1]
