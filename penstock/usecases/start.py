"""Judges, estimates and starts exports: all that stands between a request and the row that a worker claims.

What is refused is refused here, before anything is started:

    search job ─▶ one community ─▶ cost of the query ─▶ fields ─▶ customer key ─▶ bucket, endpoint
               ─▶ Idempotency-Key, limits, quota ─▶ number of events, size ─▶ probe of the bucket
               ─▶ start (limits and quota again, under the lock)

All functions block; the last three steps may take seconds: call them on a thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from penstock import errors, storage
from penstock.control import exports, limits, quota, searches, secrets
from penstock.fields import presets
from penstock.process import services as services_module
from penstock.usecases import destinations, extents, known_fields, orders, results
from penstock.usecases import found as events

MAX_IDEMPOTENCY_KEY_LENGTH = 255


def start(
    services: services_module.Services,
    caller: orders.Caller,
    job_uuid: str,
    order: orders.ExportOrder,
    idempotency_key: str | None,
) -> orders.StartedExport:
    """Starts an export, or finds the one that the same Idempotency-Key started.

    Raises:
        Refused: any refusal of docs/api.md; nothing was started then.
    """
    job = exportable_job(services, caller, job_uuid)
    community_uuid = community_of(job)
    check_cost(services, job)
    fields = fields_of(services, order, community_uuid)
    destination = destinations.of(services, order)
    new = _new_export(services, caller, job, community_uuid, fields, destination, order, idempotency_key)
    # Before all that takes long: a repeated request is answered at once.
    earlier = _check(services, new)
    if earlier is not None:
        return _answer(services, earlier)
    in_force = _limits(services, community_uuid)
    extent = extents.extent_of(services, job, community_uuid, in_force)
    extents.check_extent(extent, in_force)
    usage = _usage(services, community_uuid, in_force)
    extents.check_size(extent, usage, lambda: extents.compressed_bytes(extent, fields, services.settings.compression))
    # Last of the checks: it writes into the customer's bucket, and must not for a request that is refused anyway.
    destination.probe()
    new = dataclasses.replace(new, expected_events=extent.events)
    now = services.clock.now()
    # The key first: a row whose key is missing could never be worked on. A key without a row is swept
    # later.
    with _wrapping_key_kept(services, new), services.database.begin() as tx:
        started = exports.start(tx, new, limits=in_force, now=now)
    return _answer(services, started)


@contextlib.contextmanager
def _wrapping_key_kept(services: services_module.Services, new: exports.NewExport) -> Iterator[None]:
    """The key is there before the row that needs it, and goes if there will be no row."""
    if new.wrapping_key is not None:
        services.vault.keep(new.task_uuid, new.wrapping_key)
    try:
        yield
    except errors.Refused:  # after any other error the row may be there
        services.vault.forget(new.task_uuid)
        raise


def check_limits(
    services: services_module.Services,
    caller: orders.Caller,
    job: searches.SearchJob,
    community_uuid: str,
    fields: tuple[str, ...],
    destination: destinations.Destination,
) -> None:
    """Raises what limits and quota would refuse a start for."""
    order = orders.ExportOrder()
    _check(services, _new_export(services, caller, job, community_uuid, fields, destination, order, None))


# The checks, in the order in which a start makes them


def exportable_job(services: services_module.Services, caller: orders.Caller, job_uuid: str) -> searches.SearchJob:
    """The search job, if it is done.

    Raises:
        NotFound: `search_job_not_found`.
        Conflict: `search_job_not_done`, `search_job_expired`.
    """
    with services.database.read() as tx:
        job = searches.get(tx, job_uuid, caller.communities)
    events.require_usable(job, services.clock.now())
    return job


def check_cost(services: services_module.Services, job: searches.SearchJob) -> None:
    """Raises InvalidRequest `search_too_costly`: late events, or a bound lowered since, made the query too dear."""
    extents.check_cost(services, results.question_of(job).node, job.community_uuids, job.earliest, job.latest)


def community_of(job: searches.SearchJob) -> str:
    """The one community of the job. Raises InvalidRequest `multi_community_not_supported`."""
    if len(job.community_uuids) == 1:
        return job.community_uuids[0]
    raise errors.InvalidRequest(
        "multi_community_not_supported",
        f"The search job spans {len(job.community_uuids)} communities; an export holds one.",
        "Search again once for each, with `community_uuids` set to the one.",
        community_uuids=list(job.community_uuids),
    )


def fields_of(services: services_module.Services, order: orders.ExportOrder, community_uuid: str) -> tuple[str, ...]:
    """The fields asked for, or the default ones. Raises FieldSelectionError."""
    if order.fields is None:
        return presets.DEFAULT_FIELDS
    return known_fields.check(services, order.fields, [community_uuid])


# What they are made of


def _limits(services: services_module.Services, community_uuid: str) -> limits.Limits:
    with services.database.read() as tx:
        return limits.for_community(tx, community_uuid, services.settings)


def _usage(services: services_module.Services, community_uuid: str, in_force: limits.Limits) -> quota.Quota:
    with services.database.read() as tx:
        return quota.usage(tx, community_uuid, services.clock.now(), in_force)


def _new_export(
    services: services_module.Services,
    caller: orders.Caller,
    job: searches.SearchJob,
    community_uuid: str,
    fields: tuple[str, ...],
    destination: destinations.Destination,
    order: orders.ExportOrder,
    idempotency_key: str | None,
) -> exports.NewExport:
    task_uuid = exports.new_task_uuid()
    sealer, key, bucket = services.vault.sealer(), destination.key, destination.bucket
    seal = sealer.seal
    return exports.NewExport(
        task_uuid=task_uuid,
        job_uuid=job.uuid,
        community_uuid=community_uuid,
        fields=fields,
        term=job.term,
        term_lang=job.term_lang,
        filters=tuple(job.filters),
        earliest=job.earliest,
        latest=job.latest,
        # Counted later; `check` does not judge it.
        expected_events=0,
        compression=services.settings.compression,
        destination=bucket.destination if bucket else "service",
        in_customer_bucket=bucket is not None,
        encryption=destination.encryption,
        sse_customer_key_md5=key.md5 if key else None,
        customer_key_generated=destination.key_generated,
        sealed_customer_key=seal(key.raw, secrets.customer_key_context(task_uuid)) if key else None,
        sealed_destination=seal(bucket.seal_bytes(), secrets.destination_context(task_uuid)) if bucket else None,
        wrapping_key=sealer.wrapping_key,
        created_by=caller.actor,
        created_by_type=caller.actor_type,
        idempotency_key=_checked(idempotency_key),
        idempotency_fingerprint=exports.fingerprint(order.as_json(), job.uuid, caller.actor),
        idempotency_ttl_seconds=services.settings.idempotency_ttl_seconds,
    )


def _checked(idempotency_key: str | None) -> str | None:
    if idempotency_key is None or (0 < len(idempotency_key) <= MAX_IDEMPOTENCY_KEY_LENGTH):
        return idempotency_key
    raise errors.InvalidRequest(
        "invalid_idempotency_key",
        f"The Idempotency-Key has {len(idempotency_key)} characters; it may have 1 to {MAX_IDEMPOTENCY_KEY_LENGTH}.",
        "Use a fresh UUID for each export.",
    )


def _check(services: services_module.Services, new: exports.NewExport) -> exports.StartedExport | None:
    """Raises what a start would be refused for; an earlier start with the same key is returned.

    The costly checks that follow are thus made only for requests that stand a chance, and a repeated request is
    answered without them.
    """
    with services.database.read() as tx:
        in_force = limits.for_community(tx, new.community_uuid, services.settings)
        return exports.check(tx, new, limits=in_force, now=services.clock.now())


def _answer(services: services_module.Services, started: exports.StartedExport) -> orders.StartedExport:
    """The generated key is shown in the answer of the start, and in its repetitions while the export is active."""
    export, shown = started.export, None
    if export.customer_key_generated and started.sealed_customer_key is not None:
        context = secrets.customer_key_context(export.task_uuid)
        raw = services.vault.unseal(export.task_uuid, started.sealed_customer_key, context)
        shown = storage.CustomerKey(raw).base64
    return orders.StartedExport(
        task_uuid=export.task_uuid,
        status=export.status.value,
        customer_key=shown,
        customer_key_md5=export.sse_customer_key_md5,
    )
