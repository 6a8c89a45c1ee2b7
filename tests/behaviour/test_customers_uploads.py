"""Exports into customers' buckets that end without a file leave no unfinished upload there, and no credentials here."""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Callable, Iterator

import pytest
import structlog
from support import house

from penstock import errors, storage, testing, worker
from penstock.base import clock as clocks
from penstock.control import exports, limits, secrets
from penstock.process import services
from penstock.worker import sweeper

BUCKET = storage.CustomerBucket(
    bucket_name="theirs", access_key_id="AK", secret_access_key=storage.Secret("a customer's secret"), prefix="p"
)
UNREACHABLE = errors.StorageError("storage_unavailable", "The store does not answer.", "Wait.")


class Died(BaseException):
    """What happens to a process that dies."""


def dying_at(at: str) -> Callable[[str], None]:
    def step(name: str) -> None:
        if name == at:
            raise Died

    return step


class LaterClock(clocks.SystemClock):
    """The system's clock, which a test may put on."""

    ahead = dt.timedelta(hours=2)

    def now(self) -> dt.datetime:
        return super().now() + self.ahead


@pytest.fixture
def small_house(tmp_path: pathlib.Path, database_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, {}) as made:
        with made.opened.database.begin() as tx:
            limits.set_for_community(tx, made.community_uuid, limits.Overrides(export_max_attempts=1))
        yield made


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> testing.MemoryStore:
    """The customer's store, for every process of the house."""
    store = testing.MemoryStore(min_part_bytes=1)
    monkeypatch.setattr(services.Services, "customer_store", lambda self, bucket, **patience: store)
    return store


@pytest.fixture
def later(small_house: house.House) -> Iterator[services.Services]:
    with services.opened(small_house.opened.settings, clock=LaterClock()) as opened:
        yield opened


@pytest.fixture
def dead(small_house: house.House, theirs: testing.MemoryStore) -> str:
    """An export whose last worker has died over its upload."""
    task_uuid = small_house.start(BUCKET)
    with pytest.raises(Died):
        worker.Worker(small_house.opened, step=dying_at("record 1 done")).run_export()
    assert small_house.export(task_uuid).status == "RUNNING"
    assert len(list(theirs.list_unfinished())) == 1
    return task_uuid


def assert_ended(made: house.House, task_uuid: str, status: str = "FAILED") -> None:
    export = made.export(task_uuid)
    assert export.status == status
    with made.opened.database.read() as tx:
        assert secrets.key_ids_in_use(tx) == frozenset()
    assert made.used_bytes() == 0


def test_sweeper_aborts_the_upload_of_an_export_over_which_every_worker_died(
    small_house: house.House, theirs: testing.MemoryStore, dead: str
) -> None:
    worker.Worker(small_house.opened).sweep()  # its lease still holds
    assert small_house.export(dead).status == "RUNNING"
    assert not worker.Worker(small_house.late).run_export()  # no worker ends it, and it is not work
    assert theirs.calls["abort"] == 0
    worker.Worker(small_house.late).sweep()
    assert list(theirs.list_unfinished()) == []
    assert theirs.keys() == []
    assert_ended(small_house, dead)
    assert small_house.export(dead).error_code == "export_attempts_exhausted"
    assert (small_house.export(dead).error_message or "").startswith("1 workers stopped")
    worker.Worker(small_house.late).sweep()
    assert theirs.calls["abort"] == 1


def test_a_cancel_that_no_worker_lived_to_see_ends_it_canceled_and_its_upload_too(
    small_house: house.House, theirs: testing.MemoryStore, dead: str
) -> None:
    with small_house.opened.database.begin() as tx:
        exports.request_cancel(tx, dead, None, "somebody", small_house.opened.clock.now())
    worker.Worker(small_house.late).sweep()
    assert list(theirs.list_unfinished()) == []
    assert_ended(small_house, dead, "CANCELED")


@pytest.mark.parametrize("at", ["clear", "clear done"])
def test_a_sweeper_that_dies_over_it_is_followed_by_another(
    small_house: house.House, theirs: testing.MemoryStore, dead: str, later: services.Services, at: str
) -> None:
    with pytest.raises(Died):
        worker.Worker(later, step=dying_at(at)).sweep()
    assert small_house.export(dead).status == "RUNNING"
    worker.Worker(later).sweep()  # the dead sweeper's lease still holds
    assert small_house.export(dead).status == "RUNNING"
    later.clock.ahead += dt.timedelta(seconds=sweeper.CLEARING_LEASE_SECONDS)
    worker.Worker(later).sweep()
    assert list(theirs.list_unfinished()) == []
    assert_ended(small_house, dead)
    assert theirs.calls["abort"] == (2 if at == "clear done" else 1)


def test_an_upload_over_which_sweepers_die_is_left_alone_in_the_end(
    small_house: house.House, theirs: testing.MemoryStore, dead: str, later: services.Services
) -> None:
    for _ in range(sweeper.CLEARINGS):
        with pytest.raises(Died):
            worker.Worker(later, step=dying_at("clear done")).sweep()
        later.clock.ahead += dt.timedelta(seconds=sweeper.CLEARING_LEASE_SECONDS)
    with structlog.testing.capture_logs() as logs:
        worker.Worker(later).sweep()
    assert theirs.calls["abort"] == sweeper.CLEARINGS
    assert_ended(small_house, dead)
    assert [entry["code"] for entry in logs if entry["event"] == "customers_upload_left"] == ["sweepers_died"]


def test_an_export_whose_store_cannot_be_reached_ends_all_the_same_and_says_what_is_left_where(
    small_house: house.House, theirs: testing.MemoryStore, dead: str
) -> None:
    theirs.fail_next("abort", UNREACHABLE)
    with structlog.testing.capture_logs() as logs:
        worker.Worker(small_house.late).sweep()
    assert_ended(small_house, dead)
    (left,) = [entry for entry in logs if entry["event"] == "customers_upload_left"]
    assert left["log_level"] == "warning"
    assert (left["export_id"], left["code"]) == (dead, "storage_unavailable")
    assert left["destination"] == "s3://theirs/p"
    assert left["object_key"] == small_house.export(dead).object_key
    assert "a customer's secret" not in str(logs)
    worker.Worker(small_house.late).sweep()
    assert theirs.calls["abort"] == 1


def test_a_worker_that_was_only_asleep_writes_nothing_once_a_sweeper_has_its_export(
    small_house: house.House, theirs: testing.MemoryStore
) -> None:
    task_uuid, swept = small_house.start(BUCKET), []

    def oversleep(name: str) -> None:
        if name == "record 1" and not swept:
            swept.append(name)
            worker.Worker(small_house.late).sweep()

    worker.Worker(small_house.opened, step=oversleep).run_export()
    assert swept
    assert_ended(small_house, task_uuid)
    assert list(theirs.list_unfinished()) == []
    assert theirs.keys() == []
