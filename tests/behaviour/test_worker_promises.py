"""What the worker promises of an export in the middle of its life: quota, months, deadline, keys, cancel, SIGTERM."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import house
from support.waiting import until

from penstock import errors, worker
from penstock.base import clock as clocks
from penstock.control import audit, exports, limits, quota, secrets
from penstock.process import services
from penstock.worker import sweeper

DAY = dt.timedelta(days=1)


@pytest.fixture
def small_house(tmp_path: pathlib.Path, database_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, {}) as made:
        yield made


class TurnedClock(clocks.SystemClock):
    """The system's clock, turned to an instant; it runs on from there."""

    def __init__(self, instant: dt.datetime) -> None:
        self.turn_to(instant)

    def turn_to(self, instant: dt.datetime) -> None:
        self._ahead = instant - super().now()

    def now(self) -> dt.datetime:
        return super().now() + self._ahead


@contextlib.contextmanager
def turned(made: house.House, instant: dt.datetime) -> Iterator[tuple[house.House, TurnedClock]]:
    """The same house, living at another time."""
    clock = TurnedClock(instant)
    with services.opened(made.opened.settings, clock=clock) as opened:
        yield dataclasses.replace(made, opened=opened, late=opened), clock


def allow(made: house.House, **own: int) -> None:
    with made.opened.database.begin() as tx:
        limits.set_for_community(tx, made.community_uuid, limits.Overrides(**own))


def drive(made: house.House, at: str, event: Callable[[], object]) -> None:
    """One worker that drives one export; `event` happens before its step `at`."""
    seen = []

    def step(name: str) -> None:
        if name == at and not seen:
            seen.append(name)
            event()

    worker.Worker(made.opened, step=step).run_export()
    assert seen, f"never came to {at}"


def used_and_reserved(made: house.House) -> tuple[int, int]:
    with made.opened.database.read() as tx:
        own = limits.for_community(tx, made.community_uuid, made.opened.settings)
        usage = quota.usage(tx, made.community_uuid, made.opened.clock.now(), own)
    return usage.used_bytes, usage.reserved_bytes


def assert_nothing_stays(made: house.House, task_uuid: str) -> None:
    """No object, no upload, no secret, no reservation."""
    assert list(made.opened.store.list_unfinished()) == []
    with pytest.raises(errors.ObjectMissing):
        made.content(task_uuid)
    with made.opened.database.read() as tx:
        assert secrets.key_ids_in_use(tx) == frozenset()
    assert used_and_reserved(made)[1] == 0


# Quota and months


def test_an_export_that_comes_to_the_quota_half_way_fails_leaves_nothing_and_costs_nothing(
    small_house: house.House,
) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    allow(small_house, quota_bytes_per_month=len(expected) * 3 // 2)
    used_before, task_uuid, parts_written = used_and_reserved(small_house)[0], small_house.start(), []
    record = parts_written.append
    worker.Worker(
        small_house.opened, step=lambda name: record(name) if name.startswith("record") else None
    ).run_export()
    export = small_house.export(task_uuid)
    assert (export.status, export.error_code) == ("FAILED", "monthly_quota_exceeded")
    assert "not charged" in (export.error_message or "")
    assert len(parts_written) >= 2  # it did write before it was stopped
    assert used_and_reserved(small_house)[0] == used_before
    assert_nothing_stays(small_house, task_uuid)


def test_an_export_over_the_turn_of_the_month_has_the_new_months_quota_and_is_charged_to_it(
    small_house: house.House,
) -> None:
    """The old month has no room for its second half; the new month has."""
    _, expected = small_house.steps_of_an_undisturbed_export()
    allow(small_house, quota_bytes_per_month=len(expected) * 3 // 2)
    with turned(small_house, dt.datetime(2027, 1, 31, 23, 50, tzinfo=dt.UTC)) as (living, clock):
        first = living.start()
        worker.Worker(living.opened).run_export()
        assert living.export(first).status == "FINISHED"
        assert used_and_reserved(living) == (len(expected), 0)

        second = living.start()
        drive(living, "record 2", lambda: clock.turn_to(dt.datetime(2027, 2, 1, tzinfo=dt.UTC)))
        assert living.export(second).status == "FINISHED"
        assert living.content(second) == expected
        assert used_and_reserved(living) == (len(expected), 0)  # February's
        clock.turn_to(dt.datetime(2027, 1, 31, tzinfo=dt.UTC))
        assert used_and_reserved(living) == (len(expected), 0)  # January's, as it was


# Deadline, cap, keys


def test_an_export_past_its_deadline_fails_says_what_to_do_and_leaves_nothing(small_house: house.House) -> None:
    used_before = small_house.used_bytes()
    with turned(small_house, small_house.opened.clock.now()) as (living, clock):
        task_uuid = living.start()
        drive(living, "record 3", lambda: clock.turn_to(clock.now() + DAY))
        export = living.export(task_uuid)
        assert (export.status, export.error_code) == ("FAILED", "export_deadline_exceeded")
        assert "export_deadline_seconds" in (export.error_message or "")
        assert export.progress_events > 0
        assert f"had written {export.progress_events:,} of 1,200 events" in (export.error_message or "")
        assert used_and_reserved(living)[0] == used_before
        assert_nothing_stays(living, task_uuid)


def test_an_export_that_has_outgrown_the_cap_fails_before_it_writes_anything(small_house: house.House) -> None:
    task_uuid, steps = small_house.start(), []
    allow(small_house, export_max_events=1_000)
    worker.Worker(small_house.opened, step=steps.append).run_export()
    export = small_house.export(task_uuid)
    assert (export.status, export.error_code) == ("FAILED", "too_many_events")
    assert not [name for name in steps if name.startswith(("begin", "part"))]


def test_an_export_outlives_the_rotation_of_the_master_key_and_the_old_key_goes(small_house: house.House) -> None:
    """The worker dies, the key is rotated, the next worker has been running since before the rotation."""
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    old = small_house.opened.master_keys.active_id
    assert small_house.die_at("record 2 done")
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "keys", "rotate"],
        env=small_house.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "1 secrets were resealed" in done.stdout
    kept = secrets.MasterKeys.load(small_house.opened.settings)
    assert kept.active_id != old
    small_house.take_over()
    small_house.assert_exact(task_uuid, expected, used_before)


# Leaving and cancelling, as a real `penstock worker`


@pytest.fixture(scope="module", params=["embedded", pytest.param("ceph", marks=pytest.mark.ceph)])
def busy_house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[house.House]:
    """Exports of many small slices, so that one runs for some seconds."""
    more = house.ceph_settings() if request.param == "ceph" else {}
    # S3's parts are larger, and some must be left when the first one is there.
    sizes = {"events": 250_000 if more else 100_000, "slice_rows": 1_000, "part_bytes": 5 << 20 if more else 100_000}
    more |= {"PENSTOCK_ENCODING_THREADS": "1", "PENSTOCK_POLL_SECONDS": "0.02"}
    with house.opened_house(tmp_path_factory.mktemp("busy") / "home", "", sizes, more) as made:
        yield made


@contextlib.contextmanager
def working(made: house.House) -> Iterator[subprocess.Popen[str]]:
    """A `penstock worker` process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "worker"],
        env=made.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    drain = threading.Thread(target=lambda: process.stdout and process.stdout.read())
    drain.start()
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
        drain.join()
        assert process.stdout is not None
        process.stdout.close()


def parts_of(made: house.House, task_uuid: str) -> tuple[exports.Part, ...]:
    with made.opened.database.read() as tx:
        return exports.list_parts(tx, task_uuid)


def test_a_worker_that_gets_sigterm_finishes_its_parts_and_gives_the_lease_back(busy_house: house.House) -> None:
    _, expected = busy_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = busy_house.used_bytes(), busy_house.start()
    with working(busy_house) as process:
        until(lambda: bool(parts_of(busy_house, task_uuid)), 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0
    left = busy_house.export(task_uuid)
    assert (left.status, left.worker_id, left.attempts) == ("RUNNING", None, 0)
    worker.Worker(busy_house.opened).run_pending()  # with the same clock: the lease is free at once
    busy_house.assert_exact(task_uuid, expected, used_before)


def test_a_part_in_flight_when_the_worker_must_leave_is_put_and_written_down(small_house: house.House) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid, put = small_house.used_bytes(), small_house.start(), []

    def step(name: str) -> None:
        if name == "part 2":
            leaving.stop()
        if name.startswith("part") and name.endswith("done"):
            put.append(int(name.split()[1]))

    leaving = worker.Worker(small_house.opened, step=step)
    leaving.run_pending()
    assert 2 in put
    assert [part.number for part in parts_of(small_house, task_uuid)] == sorted(put)
    worker.Worker(small_house.opened).run_pending()
    small_house.assert_exact(task_uuid, expected, used_before)


def test_a_running_export_is_canceled_within_a_second_and_its_upload_aborted(busy_house: house.House) -> None:
    took = []
    with working(busy_house):
        for _ in range(3):
            task_uuid = busy_house.start()
            until(lambda: busy_house.export(task_uuid).progress_events > 0, 120)  # noqa: B023 - called at once
            with busy_house.opened.database.begin() as tx:
                exports.request_cancel(tx, task_uuid, None, "somebody", busy_house.opened.clock.now())
            began = time.monotonic()
            until(lambda: busy_house.export(task_uuid).status == "CANCELED", 120)  # noqa: B023 - called at once
            took.append(time.monotonic() - began)
            until(lambda: not list(busy_house.opened.store.list_unfinished()), 120)
            assert_nothing_stays(busy_house, task_uuid)
    print(f"canceled after {', '.join(f'{each:.2f} s' for each in took)}")
    assert min(took) < 1  # the quickest of three: tests share their cores


# Sweeping


def test_sweepers_that_work_at_once_get_in_nobodys_way_and_a_second_pass_finds_nothing(
    small_house: house.House,
) -> None:
    finished = small_house.start()
    worker.Worker(small_house.opened).run_pending()
    failed = small_house.start()  # for lack of a worker, three days later
    assert small_house.die_at("record 2 done")
    with turned(small_house, small_house.opened.clock.now() + 3 * DAY) as (living, _):
        removed: list[str] = []
        barrier = threading.Barrier(4)

        def sweep() -> None:
            barrier.wait()
            worker.Worker(living.opened, step=removed.append).sweep()

        sweepers = [threading.Thread(target=sweep) for _ in range(4)]
        for each in sweepers:
            each.start()
        for each in sweepers:
            each.join()
        assert removed
        for task_uuid in (finished, failed):
            assert_nothing_stays(living, task_uuid)
            assert living.export(task_uuid).status in ("FINISHED", "FAILED")
            assert living.export(task_uuid).download_url is None
        removed.clear()
        worker.Worker(living.opened, step=removed.append).sweep()
        assert removed == []
        with living.opened.database.read() as tx:
            ends, _ = audit.list_entries(tx, audit.Filters(object_uuid=failed, action="export.failed"))
        assert len(ends) == 1  # one sweeper ended it


class Stubborn:
    """A store that cannot delete one object."""

    def __init__(self, store: Any, object_key: str) -> None:
        self._store = store
        self._object_key = object_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, object_key: str) -> None:
        if object_key == self._object_key:
            raise errors.StorageError("access_denied", "The object is under legal hold.")
        self._store.delete(object_key)


def test_an_object_that_cannot_be_deleted_keeps_no_other_and_goes_once_it_can(small_house: house.House) -> None:
    held = small_house.start()
    worker.Worker(small_house.opened).run_pending()
    other = small_house.start()
    worker.Worker(small_house.opened).run_pending()
    with turned(small_house, small_house.opened.clock.now() + 3 * DAY) as (living, _):
        object_key = living.export(held).object_key
        assert object_key is not None
        stubborn: Any = Stubborn(living.opened.store, object_key)
        working = worker.Worker(dataclasses.replace(living.opened, store=stubborn))
        working.sweep()
        assert_nothing_stays(living, other)
        assert living.content(held)
        stubborn._object_key = ""
        for _ in range(sweeper.RESTS + 1):
            working.sweep()
        assert_nothing_stays(living, held)
