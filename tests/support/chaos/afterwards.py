"""What must hold when all is quiet again, whatever befell the service."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from penstock import storage, worker
from penstock.control import exports, states
from penstock.control.schema import tables
from support import ceph_service, house, thief
from support.chaos import tenants


def check(made: house.House, quiet: Mapping[str, tenants.Tenant], expected: Mapping[str, bytes]) -> dict[str, int]:
    """Raises AssertionError, naming what is wrong; returns how many exports of the quiet tenants ended how."""
    ends: dict[str, int] = {}
    found = {name: _of(made, tenant) for name, tenant in quiet.items()}
    for name, tenant in quiet.items():
        _check_ends(found[name], tenant)
        for task, export in found[name].items():
            ends[export.status] = ends.get(export.status, 0) + 1
            if export.status == "FINISHED":
                assert export.object_key is not None
                content = b"".join(made.opened.store.read(export.object_key, storage.CustomerKey(tenant.started[task])))
                assert content == expected[name], f"the file of {task} is not exact"
                assert export.compressed_bytes == len(content)
        _check_charges(made, tenant, found[name])
    worker.Worker(made.late).sweep()  # what began and was never written down is the sweeper's
    finished = [one for every in found.values() for one in every.values() if one.status == "FINISHED"]
    _check_store(made, finished)
    _check_leases(made)
    for tenant in quiet.values():
        _check_secrets(made, tenant)
    return ends


def _of(made: house.House, tenant: tenants.Tenant) -> dict[str, exports.Export]:
    query = sa.select(tables.exports.c.task_uuid).where(tables.exports.c.community_uuid == tenant.community_uuid)
    with made.opened.database.read() as tx:
        return {task: exports.get(tx, task, None) for task in tx.execute(query).scalars()}


def _check_ends(found: dict[str, exports.Export], tenant: tenants.Tenant) -> None:
    """What the API has answered was so."""
    assert set(found) == set(tenant.started), "an answer did not say whether the export was started"
    for task, export in found.items():
        assert export.status in ("FINISHED", "CANCELED"), f"{task} {export.status}: {export.error_message}"
        assert export.status != "CANCELED" or task in tenant.asked_to_cancel, f"nobody canceled {task}"
        assert export.status == "CANCELED" or task not in tenant.canceled, f"the cancel of {task} was accepted"


def _check_charges(made: house.House, tenant: tenants.Tenant, found: dict[str, exports.Export]) -> None:
    charges = tables.quota_charges
    query = sa.select(charges.c.task_uuid, charges.c.compressed_bytes)
    with made.opened.database.read() as tx:
        charged = {row[0]: row[1] for row in tx.execute(query.where(charges.c.community_uuid == tenant.community_uuid))}
    assert charged == {task: one.compressed_bytes for task, one in found.items() if one.status == "FINISHED"}


def _check_store(made: house.House, finished: list[exports.Export]) -> None:
    """It holds the files of finished exports and their manifests, and nothing else."""
    assert list(made.opened.store.list_unfinished()) == []
    keys = [str(one.object_key) for one in finished]
    keys += [storage.manifest_key(key) for key in keys]
    if made.opened.settings.storage == "s3":
        with _client(made) as client:
            held_keys = ceph_service.held_in(client, made.opened.settings.s3_bucket)
        assert not set(held_keys) ^ set(keys), f"orphans or losses: {set(held_keys) ^ set(keys)}"
        return
    root = made.home / "exports"
    held = {folder: [path for path in (root / folder).rglob("*") if path.is_file()] for folder in FOLDERS}
    with made.opened.database.read() as tx:
        parts = sum(len(exports.list_parts(tx, one.task_uuid)) for one in finished)
    counts = {folder: len(paths) for folder, paths in held.items()}
    expected = {"objects": len(keys), "data": parts + len(finished), "uploads": 0, "tmp": 0, "keys": 0}
    assert counts == expected, [path for folder in ("uploads", "tmp", "keys") for path in held[folder]]


FOLDERS = ("objects", "data", "uploads", "tmp", "keys")
"""Of the embedded store; a manifest is one part."""


@contextlib.contextmanager
def _client(made: house.House) -> Iterator[Any]:
    given = made.opened.settings
    client = ceph_service.boto3_client(str(given.s3_endpoint_url), str(given.s3_ca_file), "test", "testtest")
    with contextlib.closing(client):
        yield client


def _check_leases(made: house.House) -> None:
    with made.opened.database.read() as tx:
        held = sa.select(sa.func.count()).select_from(tables.exports).where(tables.exports.c.worker_id.is_not(None))
        assert tx.execute(held).scalar_one() == 0
        jobs = tables.search_jobs
        unended = jobs.c.status.in_((states.SearchStatus.PENDING, states.SearchStatus.RUNNING))
        assert tx.execute(sa.select(sa.func.count()).select_from(jobs).where(unended)).scalar_one() == 0


def _check_secrets(made: house.House, tenant: tenants.Tenant) -> None:
    """Nobody opens what lay sealed, and no file holds a key in the clear."""
    everything = thief.everything_in(made.home)
    for task, key in tenant.started.items():
        assert key not in everything, f"the key of {task} lies in a file"
    for task, sealed in tenant.sealed.items():
        assert thief.opened_by_somebody(made, task, sealed) is None, f"somebody opens the key of {task}"
    with made.opened.database.read() as tx:
        assert exports.keys_to_forget(tx) == []
        kept = sa.select(sa.func.count()).select_from(tables.exports)
        assert tx.execute(kept.where(tables.exports.c.sealed_customer_key.is_not(None))).scalar_one() == 0
