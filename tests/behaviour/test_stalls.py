"""A store that stalls holds nobody up who cancels; and a worker that ends an export ends no more than its own."""

from __future__ import annotations

import dataclasses
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from support import house

from penstock import errors, storage, testing, worker
from penstock.control import exports, limits, secrets
from penstock.process import services
from penstock.worker import holding

BUCKET = storage.CustomerBucket(bucket_name="theirs", access_key_id="AK", secret_access_key=storage.Secret("secret"))
BOUND_SECONDS = 2 * holding.WATCH_SECONDS + holding.CANCEL_PATIENCE_SECONDS
"""What docs/control-plane.md promises, but for a commit."""

SLACK_SECONDS = 5.0
"""Tests share their cores."""


class Stalling:
    """A store that one call of hangs until told to go on."""

    def __init__(self, store: Any, call: str) -> None:
        self._store = store
        self._call = call
        self.stalled, self.goes_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        return call if name != self._call else lambda *args, **named: self._hang(call, *args, **named)

    def _hang(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        self.stalled.set()
        assert self.goes_on.wait(60)
        return call(*args, **named)


class Failing:
    """A store whose every write fails."""

    def __init__(self, store: Any, error: errors.StorageError) -> None:
        self._store = store
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return self._fail if name in {"begin", "put_part", "put", "complete"} else getattr(self._store, name)

    def _fail(self, *args: Any, **named: Any) -> Any:
        raise self._error


@pytest.fixture
def small_house(tmp_path: pathlib.Path, database_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, {}) as made:
        yield made


def canceled_while_it_hangs(made: house.House, opened: services.Services, store: Stalling, task_uuid: str) -> float:
    """Seconds until the export was CANCELED; when it was, the store goes on, and the worker comes back."""
    working = threading.Thread(target=worker.Worker(opened).run_export)
    working.start()
    try:
        assert store.stalled.wait(60)
        with made.opened.database.begin() as tx:
            exports.request_cancel(tx, task_uuid, None, "somebody", made.opened.clock.now())
        began = time.monotonic()
        while made.export(task_uuid).status != "CANCELED":
            assert time.monotonic() - began < 12, "it waits for the store"
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        store.goes_on.set()
        working.join()


@pytest.mark.sqlite_suffices
@pytest.mark.parametrize("call", ["begin", "put_part", "complete", "put"])
def test_an_export_is_canceled_within_its_bound_while_the_store_hangs(small_house: house.House, call: str) -> None:
    store = Stalling(small_house.opened.store, call)
    opened = dataclasses.replace(small_house.opened, store=store)
    task_uuid = small_house.start()
    assert canceled_while_it_hangs(small_house, opened, store, task_uuid) < BOUND_SECONDS + SLACK_SECONDS
    assert small_house.export(task_uuid).status == "CANCELED"
    assert list(small_house.opened.store.list_unfinished()) == []
    with pytest.raises(errors.ObjectMissing):
        small_house.content(task_uuid)
    with small_house.opened.database.read() as tx:
        assert secrets.key_ids_in_use(tx) == frozenset()
    assert small_house.used_bytes() == 0


@pytest.mark.sqlite_suffices
@pytest.mark.parametrize("call", ["begin", "put_part", "abort", "complete"])
def test_in_a_customers_bucket_the_upload_is_aborted_when_the_store_goes_on(
    small_house: house.House, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = testing.MemoryStore(min_part_bytes=1)
    store = Stalling(theirs, call)
    monkeypatch.setattr(services.Services, "customer_store", lambda self, bucket, **patience: store)
    task_uuid = small_house.start(BUCKET)
    if call == "abort":  # the run stops at once, and hangs as it clears away
        theirs.fail_next("complete", errors.BucketRefused("no_such_bucket", "It is gone.", "Make it."))
    canceled_while_it_hangs(small_house, small_house.opened, store, task_uuid)
    assert list(theirs.list_unfinished()) == []
    assert theirs.keys() == []


@pytest.mark.sqlite_suffices
def test_a_shutdown_gives_the_lease_back_while_the_store_hangs(
    small_house: house.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    monkeypatch.setattr(holding, "SHUTDOWN_PATIENCE_SECONDS", 0.2)
    store = Stalling(small_house.opened.store, "put_part")
    stopping = worker.Worker(dataclasses.replace(small_house.opened, store=store))
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    working = threading.Thread(target=stopping.run_export)
    working.start()
    try:
        assert store.stalled.wait(60)
        stopping.stop()
        began = time.monotonic()
        while small_house.export(task_uuid).worker_id is not None:
            assert time.monotonic() - began < 12, "it waits for the store"
            time.sleep(0.01)
        assert small_house.export(task_uuid).attempts == 0
        small_house.take_over()
    finally:
        store.goes_on.set()
        working.join()
    small_house.assert_exact(task_uuid, expected, used_before)


@pytest.mark.parametrize("bucket", [None, BUCKET], ids=["service", "customer"])
def test_a_cancel_that_is_accepted_before_the_finish_leaves_nothing_and_charges_nothing(
    small_house: house.House, bucket: storage.CustomerBucket | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = testing.MemoryStore(min_part_bytes=1)
    monkeypatch.setattr(services.Services, "customer_store", lambda self, bucket, **patience: theirs)
    used_before, task_uuid = small_house.used_bytes(), small_house.start(bucket)

    def step(name: str) -> None:
        if name == "finish":  # the file and its manifest are there; a quarter of a second is left to see the cancel
            with small_house.opened.database.begin() as tx:
                exports.request_cancel(tx, task_uuid, None, "somebody", small_house.opened.clock.now())

    worker.Worker(small_house.opened, step=step).run_export()
    export = small_house.export(task_uuid)
    assert (export.status, export.download_url) == ("CANCELED", None)
    assert small_house.used_bytes() == used_before
    assert theirs.keys() == []
    assert list(theirs.list_unfinished()) == []
    with pytest.raises(errors.ObjectMissing):
        small_house.content(task_uuid)


@pytest.mark.sqlite_suffices
def test_faults_of_the_store_cost_no_attempt_and_are_told_without_the_operators_inside(
    small_house: house.House,
) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    secret = errors.StorageError("storage_unavailable", "https://inside.example/bucket does not answer.", "Look.")
    for number in range(8):  # more than there are attempts
        worker.Worker(dataclasses.replace(small_house.late, store=Failing(small_house.late.store, secret))).run_export()
        export = small_house.export(task_uuid)
        assert (export.status, export.attempts, export.waits) == ("RUNNING", 0, number + 1)
        assert export.waiting_for is not None
        assert "storage does not answer" in export.waiting_for
        assert "inside.example" not in export.waiting_for
        with small_house.opened.database.begin() as tx:  # its rest is over
            tx.execute(sa.text("UPDATE exports SET lease_until = created_at WHERE status = 'RUNNING'"))
    small_house.take_over()
    export = small_house.export(task_uuid)
    assert (export.waits, export.waiting_for, export.attempts) == (0, None, 1)
    small_house.assert_exact(task_uuid, expected, used_before)


def test_a_worker_killed_as_it_cancels_has_cleared_the_customers_bucket_before(
    small_house: house.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = testing.MemoryStore(min_part_bytes=1)
    monkeypatch.setattr(services.Services, "customer_store", lambda self, bucket, **patience: theirs)
    task_uuid = small_house.start(BUCKET)

    def step(name: str) -> None:
        if name == "record 1":
            with small_house.opened.database.begin() as tx:
                exports.request_cancel(tx, task_uuid, None, "somebody", small_house.opened.clock.now())
            time.sleep(3 * holding.WATCH_SECONDS)
        if name == "cancel done":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.Worker(small_house.opened, step=step).run_export()
    assert small_house.export(task_uuid).status == "CANCELED"
    assert list(theirs.list_unfinished()) == []


def test_a_cancel_seen_before_the_plan_is_read_clears_what_the_dead_worker_left_at_the_customers(
    small_house: house.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, opened_times = testing.MemoryStore(min_part_bytes=1), []

    def customer_store(*_: Any, **patience: Any) -> testing.MemoryStore:
        opened_times.append(1)
        if len(opened_times) == 2:
            time.sleep(3 * holding.WATCH_SECONDS)
        return theirs

    def die(name: str) -> None:
        if name == "record 1 done":
            raise KeyboardInterrupt

    monkeypatch.setattr(services.Services, "customer_store", customer_store)
    task_uuid = small_house.start(BUCKET)
    with pytest.raises(KeyboardInterrupt):
        worker.Worker(small_house.opened, step=die).run_export()
    with small_house.opened.database.begin() as tx:
        exports.request_cancel(tx, task_uuid, None, "somebody", small_house.opened.clock.now())
    worker.Worker(small_house.late).run_export()
    assert small_house.export(task_uuid).status == "CANCELED"
    assert list(theirs.list_unfinished()) == []


def test_a_worker_that_fails_after_its_lease_deletes_nothing_of_the_one_that_finished(small_house: house.House) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    with small_house.opened.database.begin() as tx:
        tight = limits.Overrides(quota_bytes_per_month=used_before + len(expected) // 2)
        limits.set_for_community(tx, small_house.community_uuid, tight)

    def overtaken(name: str) -> None:
        if name == "fail":
            with small_house.opened.database.begin() as tx:
                limits.set_for_community(tx, small_house.community_uuid, limits.Overrides())
            small_house.take_over()

    worker.Worker(small_house.opened, step=overtaken).run_export()
    small_house.assert_exact(task_uuid, expected, used_before)
