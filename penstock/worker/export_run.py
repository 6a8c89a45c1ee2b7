"""Drives one claimed export from wherever it stands to its end.

    claim ─▶ plan ─▶ begin upload ─▶ parts … ─▶ complete ─▶ manifest ─▶ sign URLs ─▶ finish (charge, erase secrets)

Every step may be the last one this process makes: the next worker finds the plan, the upload and the parts in the
database, does again what was not recorded, and comes to the same bytes. A part's number is its place in the file, and
before each part the lease is renewed. A zombie that was stopped just then may still put that part when it wakes; the
upload is completed with the receipts of the worker that holds the lease. Where the store can tell the two apart, it
refuses the zombie's part, and the export is written afresh; where it cannot, they are the same to the byte.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Iterator

import sqlalchemy as sa
import structlog

from penstock import errors, storage
from penstock import export as pipeline
from penstock.control import exports, limits, secrets
from penstock.evidence import manifest
from penstock.process import services
from penstock.worker import abort_uploads, holding, journal, planning

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
        self._bucket: storage.CustomerBucket | None = None
        self._store: storage.Store | None = None
        self._upload: storage.Upload | None = None
        self._ending = threading.Lock()
        self._is_over = False
        self._is_completing = False
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
            give_up=self._cancel_though_stalled,
        ) as hold:
            try:
                self._drive(hold)
            except errors.LeaseLost:
                if not self._is_over:
                    self._log.warning("lease_lost")
            except holding.CancelRequested:
                self._leave("cancel", lambda tx, now: exports.canceled(tx, self._claim, now))
            except holding.ShuttingDown:
                self._end("release", lambda tx, now: exports.release(tx, self._claim, now))
            except errors.PenstockError as error:
                if not self._is_over:
                    self._stopped_by(error)
        if self._is_over:
            self._clear_away()

    # The way of an export

    def _drive(self, hold: holding.Holding) -> None:
        key = storage.CustomerKey(self._unseal(self._claim.sealed_customer_key, secrets.customer_key_context))
        store = self._open_store()
        hold.check()
        planner = planning.Planner(self._services, self._claim, check=hold.check)
        work = self._planned(planner)
        try:
            outcome = self._written(hold, work, store, key, self._upload or self._begun(store, key), self._claim.parts)
        except errors.StorageError as error:
            if not _is_spoilt(error):
                raise
            self._log.warning("upload_spoilt", code=error.code, detail=error.detail)
            outcome = self._written(hold, work, store, key, self._begun(store, key), ())
        self._describe(store, key, outcome, planner)
        self._finish(store, key, outcome)

    def _open_store(self) -> storage.Store:
        sealed = self._claim.sealed_destination
        if sealed is not None:
            self._bucket = storage.CustomerBucket.from_bytes(self._unseal(sealed, secrets.destination_context))
        bucket = self._bucket
        self._store = self._services.store if bucket is None else self._services.customer_store(bucket)
        if self._export.upload_id is not None:
            self._upload = storage.Upload(key=self._object_key, upload_id=self._export.upload_id)
        return self._store

    def _unseal(self, sealed: bytes, context: Callable[[str], str]) -> bytes:
        return self._services.master_keys.unseal(sealed, context(self._claim.task_uuid))

    def _planned(self, planner: planning.Planner) -> pipeline.Work:
        work, plan_json = planner.work()
        if self._export.plan_json is not None:
            return work
        total, export = planner.count(work), self._export
        prefix = self._settings.s3_prefix if self._bucket is None else self._bucket.prefix
        object_key = storage.object_key(prefix, export.community_uuid, export.created_at, export.task_uuid)
        self._step("plan")
        with self._database.begin() as tx:
            exports.record_plan(
                tx,
                self._claim,
                snapshot_version=work.snapshot.version,
                plan_json=plan_json,
                object_key=object_key,
                part_bytes=work.part_bytes,
                total_events=total,
                now=self._clock.now(),
            )
        self._step("plan done")
        self._export = dataclasses.replace(
            export, snapshot_version=work.snapshot.version, object_key=object_key, expected_events=total
        )
        self._log.info("export_planned", slices=len(work.slices), events=total, snapshot=work.snapshot.version)
        return work

    @property
    def _object_key(self) -> str:
        assert self._export.object_key is not None, "the plan names it"
        return self._export.object_key

    def _begun(self, store: storage.Store, key: storage.CustomerKey) -> storage.Upload:
        """A new upload; one that was there before is aborted, and its parts are forgotten."""
        self._step("begin")
        if self._upload is not None:
            store.abort(self._upload)
        upload = store.begin(
            self._object_key, key, content_type=storage.EXPORT_CONTENT_TYPE, filename=_filename(self._object_key)
        )
        self._upload = upload
        self._step("begin done")
        try:
            with self._database.begin() as tx:
                exports.record_upload(tx, self._claim, upload.upload_id, self._clock.now())
        except errors.LeaseLost:
            store.abort(upload)  # nobody else's; in a customer's bucket nobody else could
            raise
        self._step("begin recorded")
        return upload

    def _written(
        self,
        hold: holding.Holding,
        work: pipeline.Work,
        store: storage.Store,
        key: storage.CustomerKey,
        upload: storage.Upload,
        recorded: tuple[exports.Part, ...],
    ) -> pipeline.Outcome:
        """Writes all parts behind the `recorded` ones, and makes the object of them."""
        record = journal.ExportJournal(self._services, self._claim, check=hold.check, step=self._step)
        outcome = pipeline.run(
            work,
            lambda part: record.put(store, upload, part, key),
            record,
            threads=self._settings.encoding_threads,
            upload_threads=self._settings.upload_threads,
            done=journal.done(recorded),
        )
        self._renew()  # nothing is made visible by a worker that has lost its lease
        with self._completing(hold):
            self._step("complete")
            store.complete(upload, outcome.receipts, key)
            self._step("complete done")
        return outcome

    @contextlib.contextmanager
    def _completing(self, hold: holding.Holding) -> Iterator[None]:
        """From here on a cancel loses, unless completing fails: the object may be there at any moment."""
        with self._ending:
            hold.check()
            self._is_completing = True
        try:
            yield
        except BaseException:
            self._is_completing = False
            raise

    def _describe(
        self, store: storage.Store, key: storage.CustomerKey, outcome: pipeline.Outcome, planner: planning.Planner
    ) -> None:
        """Puts the signed manifest beside the object."""
        export, counted = self._export, planner.counted()
        subject = manifest.Subject(
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
        signed = self._services.signer.sign(manifest.build(subject, outcome.facts))
        manifest_key = storage.manifest_key(self._object_key)
        self._step("manifest")
        store.put(
            manifest_key,
            manifest.dumps(signed),
            key,
            content_type=storage.MANIFEST_CONTENT_TYPE,
            filename=_filename(manifest_key),
        )
        self._step("manifest done")

    def _finish(self, store: storage.Store, key: storage.CustomerKey, outcome: pipeline.Outcome) -> None:
        """Signs the URLs while the key is at hand, then in one transaction: FINISHED, charged, secrets erased."""
        with self._database.read() as tx:
            own = limits.for_community(tx, self._export.community_uuid, self._settings)
        now, window_seconds = self._clock.now(), own.download_window_seconds
        if self._bucket is not None or self._settings.storage == "s3":
            window_seconds = min(window_seconds, storage.MAX_S3_URL_SECONDS)
        urls = [
            store.presign(name, key, expires_in_seconds=window_seconds, filename=_filename(name))
            for name in (self._object_key, storage.manifest_key(self._object_key))
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
                # Whole seconds, as signatures count: what `expire_at` promises, the URL keeps.
                expire_at=now.replace(microsecond=0) + dt.timedelta(seconds=window_seconds),
                now=now,
            )
        self._step("finish done")
        self._log.info("export_finished", events=events, compressed_bytes=size)

    # The lease

    def _renew(self) -> None:
        with self._database.begin() as tx:
            renewal = exports.renew(tx, self._claim, self._clock.now())
            export = exports.get(tx, self._claim.task_uuid, None) if renewal.deadline_passed else None
        if export is not None:
            raise exports.deadline_exceeded(export)  # how far it has come, which the claim does not know

    def _cancel_requested(self) -> bool:
        with self._database.read() as tx:
            return exports.get(tx, self._claim.task_uuid, None).cancel_requested_at is not None

    # Ends that are not FINISHED

    def _stopped_by(self, error: errors.PenstockError) -> None:
        """A passing fault leaves the export to whoever claims it when the lease has run out; the rest is its end."""
        refused = self._bucket is not None and isinstance(error, errors.BucketRefused)
        if error.retriable and not refused and self._export.attempts < self._export.max_attempts:
            self._log.warning("export_left_for_retry", code=error.code, detail=error.detail)
            return
        self._log.warning("export_failed", code=error.code, detail=error.detail)
        self._leave("fail", lambda tx, now: exports.fail(tx, self._claim, error.code, str(error), now))

    def _leave(self, name: str, move: Callable[[sa.Connection, dt.datetime], None]) -> None:
        """Ends the export FAILED or CANCELED.

        A customer's bucket is cleared before: should this process die in between, the credentials are still there for
        the next one. The service's own store is cleared afterwards, by this worker or the sweeper.
        """
        if self._bucket is not None and not self._is_over and self._still_holds():
            self._abort_upload()
        self._is_over = self._end(name, move)

    def _still_holds(self) -> bool:
        try:
            with self._database.begin() as tx:
                exports.renew(tx, self._claim, self._clock.now())
        except errors.PenstockError:
            return False
        return True

    def _end(self, name: str, move: Callable[[sa.Connection, dt.datetime], None]) -> bool:
        """Whether it was written down, now or before."""
        with self._ending:
            if self._is_over:
                return True
            try:
                self._step(name)
                with self._database.begin() as tx:
                    move(tx, self._clock.now())
            except errors.PenstockError as error:
                self._log.warning("end_not_recorded", how=name, code=error.code)
                return False
            self._step(f"{name} done")
            self._log.info("export_left", how=name)
            return True

    def _cancel_though_stalled(self) -> None:
        """Ends the export CANCELED while the store (or the lake) still holds the run up; idempotent.

        What the run has in its store is cleared away when it comes back. Raises what the database raises.
        """
        with self._ending:
            if self._is_over or self._is_completing:
                return
            with self._database.begin() as tx:
                exports.canceled(tx, self._claim, self._clock.now())
            self._is_over = True
            self._log.info("export_left", how="cancel", stalled=True)

    def _abort_upload(self) -> None:
        """Raises what the service's own store raises."""
        upload, self._upload = self._upload, None
        if upload is None or self._store is None:
            return
        if self._bucket is None:
            self._store.abort(upload)
        else:
            abort_uploads.abort_at_customer(self._services, self._claim, upload)

    def _clear_away(self) -> None:
        """Removes what an export that did not finish has in its store. Best effort.

        The sweeper does it again for the service's own store. Of a customer's bucket only the unfinished upload is
        aborted, nothing is deleted.
        """
        if self._store is None or self._export.object_key is None:
            return
        try:
            self._abort_upload()
            if self._bucket is None:
                self._store.delete(self._object_key)
                self._store.delete(storage.manifest_key(self._object_key))
                with self._database.begin() as tx:
                    exports.forget_object(tx, self._export.task_uuid, self._clock.now())
        except errors.PenstockError as error:
            self._log.warning("not_cleared_away", code=error.code, detail=error.detail)


def _is_spoilt(error: errors.StorageError) -> bool:
    """The upload cannot be completed as recorded: it is gone, or a part of it was replaced."""
    return isinstance(error, errors.ObjectMissing | errors.InvalidPart)


def _filename(key: str) -> str:
    return key.rsplit("/", 1)[-1]
