"""What a node of the cluster does, with settings and secrets of its own: computes one shard of an export and puts its
parts, or looks at one of a search.

A node has Penstock installed, as the worker has, and in its environment the settings that say where things are:
`lake_path`, the `s3_…` ones, `engine_secret`. It needs neither database nor master key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from penstock import __version__, errors, query, storage
from penstock import settings as settings_module
from penstock.base import clock as clocks
from penstock.export import parts
from penstock.export import work as works
from penstock.export.engines.on_ray import orders, sealing
from penstock.export.shards import shard
from penstock.lake import files, table
from penstock.lake.read import plan, shards
from penstock.process import tables
from penstock.storage import opening

SEARCH_NICENESS = 15
"""Of shards of searches: what Ray gives its processes, which none of them may lower. Of two shards that want the same
core one of a search has two thirds and more."""

NICENESS = 19
"""Of shards of exports: whatever else runs on the node, searches above all, goes first."""

COMPUTED, FAILED, DIFFERS, TOO_MUCH = "computed", "failed", "differs", "too much"
"""Kinds of answers: a sealed one of `orders`; a sealed error; what sets the node apart, a sentence in clear; nothing,
since there would be too much to answer."""

MOST_REJECTS_BYTES = 32 * 1024 * 1024
"""Of rejected lines that a node answers: an answer goes through memory, and through Ray's object store."""


def service_of(settings: settings_module.Settings) -> dict[str, str]:
    """What workers and nodes must have in common; no secrets."""
    return {
        "protocol": str(orders.PROTOCOL),
        "version": __version__,
        "lake_path": settings.resolved_lake_path,
        "storage": settings.storage,
        "s3_bucket": settings.s3_bucket,
        "s3_prefix": settings.s3_prefix,
        "s3_endpoint_url": settings.s3_endpoint_url,
        "lake_s3_endpoint_url": settings.lake_s3_endpoint_url,
        "attach_s3_endpoint_url": settings.attach_s3_endpoint_url,
    }


def compute(task_uuid: str, number: int, cpus: int, sealed: bytes) -> tuple[str, bytes]:
    """Computes shard `number` of an export; runs in a process of Ray's.

    Returns one of the kinds above, and what belongs to it. Raises what no error of ours is; Ray then says so.
    """

    def opened() -> tuple[settings_module.Settings, sealing.Box]:
        settings, secret = _settings(NICENESS)
        return settings, _box(settings, secret, task_uuid)

    def computed(settings: settings_module.Settings, order: dict[str, Any]) -> bytes:
        return orders.answer_of(_computed(settings, order, cpus))

    return _answered(opened, number, sealed, computed)


def search(job_uuid: str, number: int, sealed: bytes) -> tuple[str, bytes]:
    """Looks at shard `number` of a search; as `compute`."""

    def opened() -> tuple[settings_module.Settings, sealing.Box]:
        settings, secret = _settings(SEARCH_NICENESS)
        return settings, sealing.box_of_search(secret, job_uuid)

    return _answered(opened, number, sealed, _searched)


def ingest(ingest_uuid: str, number: int, sealed: bytes) -> tuple[str, bytes]:
    """Takes in shard `number` of an ingest; as `compute`."""

    def opened() -> tuple[settings_module.Settings, sealing.Box]:
        settings, secret = _settings(NICENESS)
        return settings, sealing.box_of_ingest(secret, ingest_uuid)

    return _answered(opened, number, sealed, _taken)


def _answered(
    opened: Callable[[], tuple[settings_module.Settings, sealing.Box]],
    number: int,
    sealed: bytes,
    do: Callable[[settings_module.Settings, dict[str, Any]], bytes],
) -> tuple[str, bytes]:
    try:
        settings, box = opened()
        order = json.loads(box.open(sealed, f"order {number}"))
        _check(settings, order["service"])
    except sealing.Unopened:
        return DIFFERS, f"{socket.gethostname()} has another engine_secret than the worker".encode()
    except _Differs as difference:
        return DIFFERS, str(difference).encode()
    except errors.PenstockError as error:
        # Before there is a box to seal it in. Its sentence names settings and places, never a secret.
        return DIFFERS, f"{socket.gethostname()}: {error.code}: {error.detail}".encode()
    try:
        return COMPUTED, box.seal(do(settings, order), f"answer {number}")
    except _TooMuch:
        return TOO_MUCH, b""
    except _Differs as difference:
        return DIFFERS, str(difference).encode()
    except shards.Differs:
        return DIFFERS, f"{socket.gethostname()} sees other files in the lake than the worker".encode()
    except errors.PenstockError as error:
        told = {"code": error.code, "detail": error.detail, "hint": error.hint, "extra": error.extra}
        return FAILED, box.seal(json.dumps(told, default=str).encode(), f"answer {number}")


class _Differs(Exception):
    """This node is not set up as the worker."""


class _TooMuch(Exception):
    """The answer would be too large."""


@functools.cache
def _settings(niceness: int) -> tuple[settings_module.Settings, bytes]:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    settings = settings_module.load()
    return settings, sealing.parsed(settings.engine_secret)


@functools.cache
def _service_store(settings: settings_module.Settings) -> storage.Store:
    return opening.open_service_bucket(settings, clock=clocks.SystemClock())


def _table(settings: settings_module.Settings, community_uuid: str) -> table.EventTable:
    return tables.kept(_tables, community_uuid, settings, community_uuid)


_tables: dict[str, table.EventTable] = {}


def _box(settings: settings_module.Settings, secret: bytes, task_uuid: str) -> sealing.Box:
    # Asked each time, never kept: a copy here would outlive the export.
    keys = opening.open_wrapping_keys(settings, _service_store(settings))
    return sealing.Box(secret, keys.get(task_uuid), task_uuid)


def _check(settings: settings_module.Settings, wanted: dict[str, str]) -> None:
    own = service_of(settings)
    for name, value in wanted.items():
        if own.get(name) != value:
            raise _Differs(f"{socket.gethostname()} has {name} {own.get(name)!r}, the worker {value!r}")
    path = settings.resolved_lake_path
    # Looked for first: a table that is not there would be made, empty, in a folder that nobody else sees.
    if "://" not in path and not os.path.isdir(path):
        raise _Differs(f"{socket.gethostname()} does not see the lake at {path}")


def _computed(settings: settings_module.Settings, order: dict[str, Any], cpus: int) -> shard.Computed:
    recipe = works.Recipe(**order["recipe"])
    snapshot = _table(settings, recipe.community_uuid).snapshot(order["snapshot_version"])
    node = query.both(query.parse(recipe.term), query.from_filters(recipe.filters))
    slices = [plan.Slice.from_json(each) for each in order["slices"]]
    segment_of = works.segment_maker(
        snapshot,
        fields=order["fields"],
        predicate=query.compile(node, snapshot.query_columns),
        compression=order["compression"],
        together=slices,
    )
    bucket, customer_key = orders.bucket_of(order), orders.customer_key_of(order)
    store = _service_store(settings) if bucket is None else opening.open_customer_store(bucket, settings)
    upload = storage.Upload(**order["upload"])

    def put(part: parts.Part) -> storage.Receipt:
        return store.put_part(upload, part.facts.ordinal + 1, part.body, customer_key)

    return shard.compute(
        orders.assignment_of(order),
        slices,
        segment_of,
        put,
        part_bytes=order["part_bytes"],
        threads=cpus,
        upload_threads=settings.upload_threads,
        # Ray interrupts this thread, or kills the process, when the coordinator wants the shard no more.
        check=_nothing,
    )


def _searched(settings: settings_module.Settings, order: dict[str, Any]) -> bytes:
    own = shards.shard_from_json(order["shard"])
    snapshot = _table(settings, own.community_uuid).snapshot(own.version)
    found = shards.answer(snapshot, own, shards.question_from_json(order["question"]))
    return json.dumps(dataclasses.asdict(found)).encode()


def _taken(settings: settings_module.Settings, order: dict[str, Any]) -> bytes:
    # Here: no other shard needs what they load.
    from penstock.export.engines.on_ray import taken
    from penstock.intake import batch
    from penstock.intake.shards import taking

    for source, size in zip(order["shard"]["sources"], order["sizes"], strict=True):
        if not os.path.isfile(source) or os.path.getsize(source) != size:
            raise _Differs(f"{socket.gethostname()} does not see the same file at {source}")
    with tempfile.TemporaryDirectory(prefix="penstock-rejects-") as folder:
        kept = pathlib.Path(folder, "rejects")
        events = _table(settings, order["community_uuid"])
        came = taking.take(
            events,
            taken.shard_from_json(order["shard"], kept),
            clock=clocks.SystemClock(),
            limits=batch.Limits(**order["limits"]),
        )
        if kept.exists() and kept.stat().st_size > MOST_REJECTS_BYTES:
            files.delete(events.folder, came.written)
            raise _TooMuch
        return taken.answer_of(came, kept.read_bytes() if kept.exists() else b"")


def _nothing() -> None: ...
