"""A worker whose disk fills, whose home turns read-only, whose database dies: the export waits and ends exact."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support import house

from penstock import worker

ROOT = pathlib.Path(__file__).parent.parent.parent
linux_root = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting needs root on Linux")


def own_server(test: Callable[..., None]) -> Callable[..., None]:
    """For tests that start a PostgreSQL of their own: one after the other, since it has one port."""
    return pytest.mark.xdist_group("own_postgresql")(pytest.mark.postgresql(test))


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 8 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def drive(made: house.House, at: str, disaster: Callable[[], None]) -> None:
    """One worker that meets a disaster before the step `at`, and stops there."""
    done = []

    def step(name: str) -> None:
        if name == at and not done:
            done.append(name)
            disaster()

    worker.Worker(made.opened, step=step).run_export()
    assert done


@linux_root
@pytest.mark.parametrize("at", ["plan", "part 2", "record 3", "complete"])
def test_a_full_disk_is_waited_out(tmp_path: pathlib.Path, small_disk: pathlib.Path, at: str) -> None:
    """Store and database lie on the disk that fills, for two leases: no attempt is counted."""
    with house.opened_house(small_disk / "home", "", house.SMALL, {"PENSTOCK_LEASE_SECONDS": "2"}) as made:
        _, expected = made.steps_of_an_undisturbed_export()
        used_before, task_uuid = made.used_bytes(), made.start()
        ballast = small_disk / "ballast"
        there_is_room = threading.Timer(4, ballast.unlink)

        def fill() -> None:
            with contextlib.suppress(OSError), ballast.open("wb") as file:
                while True:
                    file.write(bytes(4096))
            there_is_room.start()

        drive(made, at, fill)
        there_is_room.join()
        # Neither lost nor failed: it waits.
        assert (made.export(task_uuid).status, made.export(task_uuid).attempts) == ("RUNNING", 0)
        made.take_over()
        made.assert_exact(task_uuid, expected, used_before)


@linux_root
@pytest.mark.parametrize("at", ["begin", "part 2"])
def test_a_home_that_turns_read_only_is_waited_out(tmp_path: pathlib.Path, small_disk: pathlib.Path, at: str) -> None:
    database = f"sqlite:///{tmp_path / 'penstock.db'}"  # elsewhere: an open file keeps a file system writable
    with house.opened_house(small_disk / "home", database, house.SMALL, {}) as made:
        _, expected = made.steps_of_an_undisturbed_export()
        used_before, task_uuid = made.used_bytes(), made.start()

        def protect() -> None:
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

        drive(made, at, protect)
        assert made.export(task_uuid).status == "RUNNING"
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        made.take_over()
        made.assert_exact(task_uuid, expected, used_before)


@linux_root
def test_a_disk_that_stays_full_is_waited_for_until_the_deadline_and_costs_nothing(small_disk: pathlib.Path) -> None:
    database = f"sqlite:///{small_disk.parent / 'penstock.db'}"
    more = {"PENSTOCK_EXPORT_MAX_ATTEMPTS": "1", "PENSTOCK_EXPORT_DEADLINE_SECONDS": "3600"}
    with house.opened_house(small_disk / "home", database, house.SMALL, more) as made:
        used_before, task_uuid = made.used_bytes(), made.start()

        def fill() -> None:
            with contextlib.suppress(OSError), (small_disk / "ballast").open("wb") as file:
                while True:
                    file.write(bytes(4096))

        drive(made, "part 2", fill)
        export = made.export(task_uuid)
        assert (export.status, export.attempts) == ("RUNNING", 0)
        assert "The disk of the service's storage is full." in (export.waiting_for or "")
        assert str(small_disk) not in (export.waiting_for or "")
        worker.Worker(made.late).sweep()  # two hours on
        assert made.export(task_uuid).error_code == "export_deadline_exceeded"
        assert made.used_bytes() == used_before
        assert list(made.opened.store.list_unfinished()) == []


@pytest.fixture
def own_postgresql(tmp_path: pathlib.Path) -> Iterator[Callable[[str], str]]:
    """A PostgreSQL of its own: a function that runs `start` or `kill` on it and returns its URL."""
    if not os.environ.get("PENSTOCK_TEST_POSTGRESQL"):
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have PostgreSQL (scripts/postgresql.sh start)")
        pytest.skip("no PostgreSQL: scripts/postgresql.sh start, then set PENSTOCK_TEST_POSTGRESQL")
    # its server's user must reach it, which it cannot below pytest's own folder
    folder = pathlib.Path("/tmp") / f"penstock-pg-{os.getpid()}"
    # A port for each of the processes that run tests: what is started by one must never answer another.
    port = 7490 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    environment = {**os.environ, "D": str(folder), "PORT": str(port)}

    def run(verb: str) -> str:
        for _ in range(20):  # right after a crash, old backends may still hold the shared memory
            done = subprocess.run(
                [ROOT / "scripts" / "postgresql.sh", verb], env=environment, capture_output=True, text=True
            )
            if not done.returncode:
                return done.stdout.strip().partition("=")[2]
            time.sleep(0.5)
        raise AssertionError(f"postgresql.sh {verb}: {done.stderr}")

    yield run
    run("remove")
    shutil.rmtree(folder, ignore_errors=True)


@own_server
@pytest.mark.parametrize("at", ["part 2", "record 3"])
def test_postgresql_that_dies_and_comes_back_in_the_middle_of_an_export_is_waited_for(
    tmp_path: pathlib.Path, own_postgresql: Callable[[str], str], at: str
) -> None:
    url = own_postgresql("start")
    with house.opened_house(tmp_path / "home", url, house.SMALL, {}) as made:
        _, expected = made.steps_of_an_undisturbed_export()
        used_before, task_uuid = made.used_bytes(), made.start()

        def crash() -> None:
            own_postgresql("kill")
            own_postgresql("start")

        drive(made, at, crash)
        assert made.export(task_uuid).status == "FINISHED"  # by the same worker, in the same attempt
        assert made.export(task_uuid).attempts == 1
        made.assert_exact(task_uuid, expected, used_before)


@own_server
def test_postgresql_that_is_away_longer_than_two_leases_costs_no_attempt(
    tmp_path: pathlib.Path, own_postgresql: Callable[[str], str]
) -> None:
    url = own_postgresql("start")
    with house.opened_house(tmp_path / "home", url, house.SMALL, {"PENSTOCK_LEASE_SECONDS": "1"}) as made:
        _, expected = made.steps_of_an_undisturbed_export()
        used_before, task_uuid = made.used_bytes(), made.start()
        back = threading.Timer(4, own_postgresql, ["start"])

        def go_away() -> None:
            own_postgresql("kill")
            back.start()

        drive(made, "record 2", go_away)
        back.join()
        assert (made.export(task_uuid).status, made.export(task_uuid).attempts) == ("RUNNING", 0)
        made.take_over()
        assert made.export(task_uuid).attempts == 1
        made.assert_exact(task_uuid, expected, used_before)
