"""Sealed secrets at rest: rotation of the master key while exports run, erasure at every end; on both databases."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import exports, secrets

CUSTOMER_KEY = b"\x01" * 32
BUCKET = b'{"secret_access_key":"hush"}'


def start_sealed(plane: Any, keys: secrets.MasterKeys) -> exports.Export:
    task_uuid = exports.new_task_uuid()
    export: exports.Export = plane.start(
        task_uuid=task_uuid,
        sealed_customer_key=keys.seal(CUSTOMER_KEY, secrets.customer_key_context(task_uuid)),
        sealed_destination=keys.seal(BUCKET, secrets.destination_context(task_uuid)),
    )
    return export


@pytest.fixture
def keys(tmp_path: Any) -> secrets.MasterKeys:
    return secrets.MasterKeys.create(tmp_path)


def test_worker_unseals_what_the_start_sealed(plane: Any, keys: secrets.MasterKeys) -> None:
    export = start_sealed(plane, keys)
    claim = plane.claim()
    assert keys.unseal(claim.sealed_customer_key, secrets.customer_key_context(export.task_uuid)) == CUSTOMER_KEY
    assert keys.unseal(claim.sealed_destination, secrets.destination_context(export.task_uuid)) == BUCKET


def test_rotation_reseals_running_exports_and_lets_the_old_key_go(plane: Any, keys: secrets.MasterKeys) -> None:
    export = start_sealed(plane, keys)
    claim = plane.claim()
    rotated = keys.rotated()
    with plane.db.begin() as tx:
        assert secrets.key_ids_in_use(tx) == {keys.active_id}
        assert rotated.without_unused(secrets.key_ids_in_use(tx)).ids == rotated.ids
        assert secrets.reseal_all(tx, rotated) == 2
        assert secrets.reseal_all(tx, rotated) == 0
        assert secrets.key_ids_in_use(tx) == {rotated.active_id}
        alone = rotated.without_unused(secrets.key_ids_in_use(tx))
    assert alone.ids == (rotated.active_id,)
    assert alone.derive("url") == keys.derive("url")
    plane.clock.advance(15)
    claim = plane.claim("worker-2")
    assert alone.unseal(claim.sealed_customer_key, secrets.customer_key_context(export.task_uuid)) == CUSTOMER_KEY
    assert alone.unseal(claim.sealed_destination, secrets.destination_context(export.task_uuid)) == BUCKET
    with pytest.raises(errors.ConfigurationError) as refused:
        keys_without_file(keys).unseal(claim.sealed_customer_key, secrets.customer_key_context(export.task_uuid))
    assert refused.value.code == "master_key_unknown"


def keys_without_file(keys: secrets.MasterKeys) -> secrets.MasterKeys:
    return secrets.MasterKeys.parse(keys.text())


def end(plane: Any, tx: sa.Connection, claim: exports.Claim, how: str) -> None:
    now = plane.clock.now()
    if how == "finished":
        exports.finish(
            tx,
            claim,
            compressed_bytes=1,
            raw_bytes=1,
            events=1,
            download_url=None,
            manifest_url=None,
            expire_at=None,
            now=now,
        )
    elif how == "failed":
        exports.fail(tx, claim, "code", "message", now)
    elif how == "canceled":
        exports.canceled(tx, claim, now)
    else:
        plane.clock.advance(plane.limits.export_deadline_seconds + 60)
        assert exports.end_dead(tx, plane.clock.now()) == [claim.task_uuid]


@pytest.mark.parametrize("how", ["finished", "failed", "canceled", "worker died"])
def test_every_end_erases_both_secrets(plane: Any, keys: secrets.MasterKeys, how: str) -> None:
    export = start_sealed(plane, keys)
    claim = plane.claim()
    with plane.db.begin() as tx:
        end(plane, tx, claim, how)
    assert plane.secrets_of(export.task_uuid) == (None, None)
    with plane.db.begin() as tx:
        assert secrets.key_ids_in_use(tx) == frozenset()
        assert secrets.reseal_all(tx, keys.rotated()) == 0


@pytest.mark.parametrize("column", ["sealed_customer_key", "sealed_destination"])
def test_database_itself_refuses_a_secret_of_an_ended_export(plane: Any, column: str) -> None:
    export = plane.start()
    plane.finish(plane.claim())
    with pytest.raises(errors.StorageError) as refused, plane.db.begin() as tx:
        tx.execute(
            sa.text(f"UPDATE exports SET {column} = :b WHERE task_uuid = :t"), {"b": b"x", "t": export.task_uuid}
        )
    assert refused.value.code == "database_conflict"


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "FINISHED", "FAILED", "CANCELED"])
def test_database_itself_ties_the_slot_to_the_state(plane: Any, status: str) -> None:
    export = plane.start()
    wrong = "NULL" if status in ("PENDING", "RUNNING") else "0"
    with pytest.raises(errors.StorageError) as refused, plane.db.begin() as tx:
        tx.execute(
            sa.text(
                f"UPDATE exports SET status = '{status}', active_slot = {wrong}, sealed_customer_key = NULL"
                " WHERE task_uuid = :t"
            ),
            {"t": export.task_uuid},
        )
    assert refused.value.code == "database_conflict"
