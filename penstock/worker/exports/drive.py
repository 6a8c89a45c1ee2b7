"""The way of one claimed export, from wherever it stands.

    claim ─▶ plan ─▶ begin upload ─▶ parts … ─▶ complete ─▶ manifest ─▶ sign URLs ─▶ finish (charge, erase secrets)

Every step may be the last one this process makes: the next worker finds the plan, the upload and the parts in the
database, does again what was not recorded, and comes to the same bytes. A part's number is its place in the file, and
before each part the lease is renewed. A zombie that was stopped just then may still put that part when it wakes; the
upload is completed with the receipts of the worker that holds the lease. Where the store can tell the two apart, it
refuses the zombie's part, and the export is written from the start; where it cannot, they are the same to the byte.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import structlog

from penstock import errors, storage
from penstock import export as pipeline
from penstock.control import exports, limits, secrets
from penstock.evidence import manifest
from penstock.export import engines
from penstock.process import services
from penstock.worker import holding
from penstock.worker.exports import abort_uploads, journal, planning

log = structlog.get_logger(__name__)

_Key = storage.CustomerKey | None
"""None: the destination encrypts in its own way, see `storage.Encryption`."""


class Drive:
    """The steps of one claimed export, and what they leave in the store.

    Args:
        open_services: the process's parts.
        claim: the hold on the export.
        engine: what runs the slices.
        renew: renews the lease; raises what must stop the export.
        step: called with the name of each step.
    """

    def __init__(
        self,
        open_services: services.Services,
        claim: exports.Claim,
        *,
        engine: engines.Engine,
        renew: Callable[[], None],
        step: journal.Step,
    ) -> None:
        self._services = open_services
        self._database = open_services.database
        self._clock = open_services.clock
        self._settings = open_services.settings
        self._claim = claim
        self._engine = engine
        self._export = claim.export
        self._renew = renew
        self._step = step
        self._bucket: storage.CustomerBucket | None = None
        self._store: storage.Store | None = None
        self._upload: storage.Upload | None = None
        self._has_object = any(journal.is_last(part) for part in claim.parts)
        self._log = log.bind(export_id=claim.task_uuid)

    def run(self, hold: holding.Holding) -> None:
        """Goes the whole way; raises what stops it."""
        # Secrets first: without them nothing can be written, and a plan would be made in vain.
        customer_key = self._customer_key()
        store = self._open_store()
        hold.check()
        planner = planning.Planner(
            self._services, self._claim, check=hold.check, shard_slices=self._engine.shard_slices
        )
        work = self._plan(planner)
        upload = self._upload or self._begin(store, customer_key)
        try:
            outcome = self._put_parts(hold, work, store, customer_key, upload, self._claim.parts)
        # Once only: an upload that is spoilt again right after a fresh start has a cause that no further start removes.
        except errors.StorageError as error:
            if not _is_spoilt(error):
                raise
            self._log.warning("upload_spoilt", code=error.code, detail=error.detail)
            upload = self._begin(store, customer_key)
            outcome = self._put_parts(hold, work, store, customer_key, upload, ())
        self._describe(store, customer_key, outcome, planner)
        self._finish(store, customer_key, outcome)

    def _open_store(self) -> storage.Store:
        sealed = self._claim.sealed_destination
        if sealed is not None:
            self._bucket = storage.CustomerBucket.from_bytes(self._unseal(sealed, secrets.destination_context))
        bucket = self._bucket
        self._store = self._services.store if bucket is None else self._services.customer_store(bucket)
        if self._export.upload_id is not None:
            self._upload = storage.Upload(key=self._object_key, upload_id=self._export.upload_id)
        return self._store

    def _customer_key(self) -> storage.CustomerKey | None:
        sealed = self._claim.sealed_customer_key
        return None if sealed is None else storage.CustomerKey(self._unseal(sealed, secrets.customer_key_context))

    def _unseal(self, sealed: bytes, context: Callable[[str], str]) -> bytes:
        task_uuid = self._claim.task_uuid
        return self._services.vault.unseal(task_uuid, sealed, context(task_uuid))

    def _plan(self, planner: planning.Planner) -> pipeline.Work:
        work, plan_json = planner.work()
        if self._export.plan_json is not None:
            return work
        total, export = planner.count(work), self._export
        prefix = self._settings.s3_prefix if self._bucket is None else self._bucket.prefix
        # Named once and written down: the prefix is a setting, and a later worker must find the same object.
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

    def _begin(self, store: storage.Store, customer_key: _Key) -> storage.Upload:
        """A new upload; one that was there before is aborted, and its parts are forgotten."""
        self._step("begin")
        if self._upload is not None:
            # Now: once the new one is written down, nobody knows the old one's id any more.
            store.abort(self._upload)
        elif self._bucket is not None and self._export.attempts > 1:
            # An earlier worker may have died before it could write its upload down; nobody else would ever find it.
            abort_uploads.abort_unrecorded(store, self._claim, self._object_key)
        object_key = self._object_key
        upload = store.begin(
            object_key, customer_key, content_type=storage.EXPORT_CONTENT_TYPE, filename=_filename(object_key)
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

    def _put_parts(
        self,
        hold: holding.Holding,
        work: pipeline.Work,
        store: storage.Store,
        customer_key: _Key,
        upload: storage.Upload,
        recorded: tuple[exports.Part, ...],
    ) -> pipeline.Outcome:
        """Writes all parts behind the `recorded` ones, and makes the object of them."""
        record = journal.ExportJournal(self._services, self._claim, check=hold.check, step=self._step)
        target = engines.Target(
            put=lambda part: record.put(store, upload, part, customer_key),
            task_uuid=self._claim.task_uuid,
            upload=upload,
            customer_key=customer_key,
            bucket=self._bucket,
            wrapping_key=lambda: self._services.vault.wrapping_key(self._claim.task_uuid),
        )
        outcome = self._engine.run(work, target, record, done=journal.done(recorded))
        self._renew()  # nothing is made visible by a worker that has lost its lease
        hold.check()
        self._step("complete")
        self._has_object = True  # it may be there from now on, whatever the call says
        # Of shards not all numbers are used; the engine has seen that none of the parts is lost.
        store.complete(upload, outcome.receipts, customer_key, gaps=bool(work.shard_slices))
        self._step("complete done")
        return outcome

    def _describe(
        self,
        store: storage.Store,
        customer_key: _Key,
        outcome: pipeline.Outcome,
        planner: planning.Planner,
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
            encryption=export.encryption,
            kms_key_id=self._bucket.kms_key_id if self._bucket else None,
        )
        signed = self._services.signer.sign(manifest.build(subject, outcome.facts))
        manifest_key = storage.manifest_key(self._object_key)
        # Before FINISHED: whoever sees the task finished finds its manifest. A worker that dies here writes it again.
        self._step("manifest")
        store.put(
            manifest_key,
            manifest.dumps(signed),
            customer_key,
            content_type=storage.MANIFEST_CONTENT_TYPE,
            filename=_filename(manifest_key),
        )
        self._step("manifest done")

    def _finish(self, store: storage.Store, customer_key: _Key, outcome: pipeline.Outcome) -> None:
        """Signs the URLs while the key is at hand, then in one transaction: FINISHED, charged, secrets erased."""
        with self._database.read() as tx:
            own = limits.for_community(tx, self._export.community_uuid, self._settings)
        # The time is taken before the URLs are signed, so that each lives a little longer than `expire_at` says, never
        # shorter.
        now, window_seconds = self._clock.now(), own.download_window_seconds
        if self._bucket is not None or self._settings.storage == "s3":
            window_seconds = min(window_seconds, storage.MAX_S3_URL_SECONDS)
        # Now or never: the commit below erases the key that a signature of S3 is made over.
        urls = [
            store.presign(name, customer_key, expires_in_seconds=window_seconds, filename=_filename(name))
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

    def clear_customers_bucket(self) -> None:
        """Removes what an export that ends without finishing has in a customer's bucket. Best effort, bounded.

        That is its unfinished upload, or the file itself if this very export has just completed it: its key is the
        task's own. Nothing else in the bucket is ever deleted.
        """
        if self._bucket is None or self._store is None or self._export.object_key is None:
            return
        abort_uploads.abort_at_customer(self._services, self._claim, self._object_key, self._upload)
        self._upload = None
        if self._has_object:
            abort_uploads.delete_at_customer(self._services, self._claim, self._object_key)
            self._has_object = False

    def clear_away(self) -> None:
        """Removes what an export that did not finish has in its store. Best effort; the sweeper does it again for the
        service's own store."""
        if self._store is None or self._export.object_key is None:
            return
        if self._bucket is not None:
            if self._upload is not None or self._has_object:
                self.clear_customers_bucket()
            return
        try:
            if self._upload is not None:
                self._store.abort(self._upload)
            # Abort first: a completion under way could else make the object appear after its removal.
            self._store.delete(self._object_key)
            self._store.delete(storage.manifest_key(self._object_key))
            with self._database.begin() as tx:
                exports.forget_object(tx, self._export.task_uuid, self._clock.now())
        except errors.PenstockError as error:
            self._log.warning("not_cleared_away", code=error.code, detail=error.detail)


def _is_spoilt(error: errors.StorageError) -> bool:
    """The upload cannot be completed as recorded: it is gone, or a part of it was replaced."""
    return isinstance(error, errors.ObjectMissing | errors.InvalidPart)


def _filename(object_key: str) -> str:
    return object_key.rsplit("/", 1)[-1]
