"""Nobody opens the secrets of an export that has ended, whatever files, logs and master keys there are."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from support import house, thief

from penstock import errors, storage, worker
from penstock.control import exports, limits, secrets
from penstock.process import services
from penstock.storage import opening


@pytest.fixture
def made(tmp_path: pathlib.Path, database_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, {}) as one:
        yield one


def start(made: house.House) -> tuple[str, storage.CustomerKey, bytes]:
    """An export as the API starts it: its task, its customer key, and what lies sealed in the database."""
    key, task_uuid = storage.CustomerKey.generate(), exports.new_task_uuid()
    opened, sealer = made.opened, made.opened.vault.sealer()
    sealed = sealer.seal(key.raw, secrets.customer_key_context(task_uuid))
    opened.vault.keep(task_uuid, sealer.wrapping_key)
    with opened.database.begin() as tx:
        new = exports.NewExport(
            task_uuid=task_uuid,
            job_uuid=made.job.uuid,
            community_uuid=made.community_uuid,
            fields=house.FIELDS,
            term="",
            earliest=made.job.earliest,
            latest=made.job.latest,
            expected_events=made.job.total or 0,
            sse_customer_key_md5=key.md5,
            customer_key_generated=True,
            sealed_customer_key=sealed,
            created_by=made.api_key_uuid,
        )
        own = limits.for_community(tx, made.community_uuid, opened.settings)
        exports.start(tx, new, limits=own, now=opened.clock.now())
    return task_uuid, key, sealed


@pytest.mark.parametrize("end", ["finished", "canceled"])
def test_nobody_opens_the_key_of_an_export_that_has_ended(made: house.House, end: str) -> None:
    task_uuid, key, sealed = start(made)
    assert (
        thief.opened_by_somebody(made, task_uuid, sealed) == key.raw
    )  # as long as it is active, or the test proves nothing
    if end == "canceled":
        with made.opened.database.begin() as tx:
            exports.request_cancel(tx, task_uuid, None, "somebody", made.opened.clock.now())
        worker.Worker(made.opened).sweep()
    else:
        worker.Worker(made.opened).run_pending()
        assert made.export(task_uuid).status == "FINISHED"
    assert thief.opened_by_somebody(made, task_uuid, sealed) is None  # the database's log still has the sealed bytes
    assert key.raw not in thief.everything_in(made.home)
    with pytest.raises(errors.ConfigurationError) as gone:
        made.opened.vault.unseal(task_uuid, sealed, secrets.customer_key_context(task_uuid))
    assert gone.value.code == "export_key_missing"
    worker.Worker(made.opened).sweep()
    with made.opened.database.read() as tx:
        assert exports.keys_to_forget(tx) == []


def test_a_key_whose_export_was_never_written_down_is_destroyed(made: house.House) -> None:
    """The database failed between the key and the row: chaos found the key an hour later."""
    active, stray = start(made)[0], exports.new_task_uuid()
    made.opened.vault.keep(stray, b"k" * 32)
    folder = made.home / "exports" / "keys"
    (folder / "not a task").write_bytes(b"somebody's")
    worker.Worker(made.opened).sweep()
    assert (folder / stray).exists()  # its start may still be under way
    for path in folder.iterdir():
        os.utime(path, times=(0, 0))
    worker.Worker(made.opened).sweep()
    assert sorted(path.name for path in folder.iterdir()) == sorted([active, "not a task"])


def test_a_rotation_of_the_master_key_reseals_what_is_wrapped(made: house.House) -> None:
    task_uuid, key, _ = start(made)
    rotated = made.opened.master_keys.rotated()
    with made.opened.database.begin() as tx:
        assert secrets.reseal_all(tx, rotated) == 1
        blob = tx.execute(sa.text("SELECT sealed_customer_key FROM exports")).scalar_one()
    only_new = rotated.without_unused(frozenset())
    vault = services.vault.Vault(only_new, opening.open_wrapping_keys(made.opened.settings, made.opened.store))
    assert vault.unseal(task_uuid, bytes(blob), secrets.customer_key_context(task_uuid)) == key.raw
