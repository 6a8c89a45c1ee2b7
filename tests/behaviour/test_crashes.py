"""Workers that are killed at every step with an effect: the export still ends FINISHED and the same to the byte.

`make test` runs a sample; `make soak` every step on every pair of database and store, once and twice, and ends with its
counts. The worker that dies is a real process and dies by SIGKILL; the one that takes over has a clock that says that
the lease has run out.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import IO

import pytest
from support import house, kills

from penstock import errors, worker
from penstock.control import exports, limits

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def small_house(tmp_path: pathlib.Path, database_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, {}) as made:
        yield made


SAMPLE = ("plan", "begin done", "part 2 done", "record 3 done", "complete done", "finish", "finish done")


def test_a_worker_killed_at_any_step_leaves_an_export_that_another_finishes_exactly(small_house: house.House) -> None:
    steps, expected = small_house.steps_of_an_undisturbed_export()
    assert set(SAMPLE) <= set(steps)
    assert sum(step.startswith("record") for step in steps) >= 10  # five parts or more, before and after
    is_sqlite = small_house.opened.database.is_sqlite
    for step in SAMPLE if is_sqlite else SAMPLE[::3]:  # a death costs some seconds, and `make soak` takes every step
        used_before = small_house.used_bytes()
        task_uuid = small_house.start()
        assert small_house.die_at(step), f"never came to {step}"
        small_house.take_over()
        small_house.assert_exact(task_uuid, expected, used_before)


@pytest.mark.sqlite_suffices
def test_an_export_survives_a_death_at_every_part(small_house: house.House) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    with small_house.opened.database.begin() as tx:
        generous = limits.Overrides(export_max_attempts=1000)
        limits.set_for_community(tx, small_house.community_uuid, generous)
    used_before, task_uuid, deaths = small_house.used_bytes(), small_house.start(), 0
    while small_house.export(task_uuid).status in ("PENDING", "RUNNING"):
        next_number = len(_parts(small_house, task_uuid)) + 1
        deaths += small_house.die_at(f"record {next_number} done", ahead_seconds=60 * deaths)
        assert deaths < 60
    assert deaths >= 3
    small_house.assert_exact(task_uuid, expected, used_before)


def _parts(made: house.House, task_uuid: str) -> tuple[exports.Part, ...]:
    with made.opened.database.read() as tx:
        return exports.list_parts(tx, task_uuid)


def test_no_part_that_a_zombie_puts_after_its_lease_survives(
    small_house: house.House, request: pytest.FixtureRequest
) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    zombie = small_house.spawn("part 3", how="stop")
    request.addfinalizer(zombie.kill)
    assert zombie.stdout is not None
    read_until("step: part 3", zombie.stdout)  # it stops right before it puts part 3

    def wake_before_completion(name: str) -> None:
        if name == "complete":  # the other worker has put all parts, and is about to complete the upload
            zombie.send_signal(signal.SIGCONT)
            read_until("step: part 3 done", zombie.stdout)  # late, but it is put

    worker.Worker(small_house.late, step=wake_before_completion).run_pending()
    taken = {part.number: part.etag for part in _parts(small_house, task_uuid)}
    printed, _ = zombie.communicate(timeout=120)
    assert zombie.returncode == 0, printed
    assert not {"record 3 done", "complete"} & set(house.steps_in(printed))
    assert {part.number: part.etag for part in _parts(small_house, task_uuid)} == taken
    small_house.assert_exact(task_uuid, expected, used_before)


def read_until(line: str, output: IO[str] | None) -> None:
    assert output is not None
    assert any(printed == f"{line}\n" for printed in output), f"never printed {line}"


@pytest.mark.sqlite_suffices
def test_an_upload_that_vanished_is_written_afresh(small_house: house.House) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    assert small_house.die_at("record 4 done")
    for upload in small_house.opened.store.list_unfinished():
        small_house.opened.store.abort(upload)  # as a lifecycle rule would
    small_house.take_over()
    small_house.assert_exact(task_uuid, expected, used_before)


def test_a_worker_asked_to_end_gives_its_export_back_without_costing_an_attempt(small_house: house.House) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid = small_house.used_bytes(), small_house.start()
    leaving = worker.Worker(small_house.opened, step=lambda name: leaving.stop() if name == "part 2" else None)
    leaving.run_pending()
    given_back = small_house.export(task_uuid)
    assert given_back.status == "RUNNING"
    assert given_back.attempts == 0
    worker.Worker(small_house.opened).run_pending()  # with the same clock: the lease is free at once
    small_house.assert_exact(task_uuid, expected, used_before)


def test_a_cancelled_export_is_gone_from_the_store_and_costs_nothing(small_house: house.House) -> None:
    used_before, task_uuid = small_house.used_bytes(), small_house.start()

    def cancel(name: str) -> None:
        if name == "part 2":
            with small_house.opened.database.begin() as tx:
                exports.request_cancel(tx, task_uuid, None, "somebody", small_house.opened.clock.now())
        if name == "part 4":
            time.sleep(1)  # the watch looks every quarter of a second

    worker.Worker(small_house.opened, step=cancel).run_pending()
    export = small_house.export(task_uuid)
    assert export.status == "CANCELED"
    assert small_house.used_bytes() == used_before
    assert list(small_house.opened.store.list_unfinished()) == []
    with pytest.raises(errors.ObjectMissing):
        small_house.content(task_uuid)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("store", ["embedded", pytest.param("ceph", marks=pytest.mark.ceph)])
def test_every_step_on_every_database_and_store(
    tmp_path: pathlib.Path, database_url: str, store: str, kill_counts: kills.Counts
) -> None:
    began = time.monotonic()
    more = house.ceph_settings() if store == "ceph" else {}
    with house.opened_house(
        tmp_path / "home", database_url, house.LARGE if store == "ceph" else house.SMALL, more
    ) as made:
        steps, expected = made.steps_of_an_undisturbed_export()
        killed = 0
        for step in steps:
            for deaths in (1, 2):  # the second time, the one that takes over dies at the same step
                used_before, task_uuid = made.used_bytes(), made.start()
                killed += made.die_at(step)
                if deaths == 2:
                    killed += made.die_at(step, ahead_seconds=60)
                made.take_over()
                made.assert_exact(task_uuid, expected, used_before)
        worker.Worker(made.late).sweep()
        assert list(made.opened.store.list_unfinished()) == []
        assert killed >= len(steps)
        kind = "SQLite" if made.opened.database.is_sqlite else "PostgreSQL"
    kill_counts.add(f"{kind} and {store}", kills=killed, steps=len(steps), seconds=time.monotonic() - began)
    assert not kill_counts.is_whole or kill_counts.total >= LEAST_KILLS


LEAST_KILLS = 200
"""In one run over every database and store."""


def test_soak_starts_every_server_and_may_skip_nothing() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_TEST")}
    would_run = subprocess.run(
        ["make", "-n", "soak"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert {"scripts/postgresql.sh", "scripts/ceph.sh", "CI=true"} <= set(re.split(r"[\s\"$()]+", would_run))
    assert "-n 2" not in would_run  # the counts are one process's


def test_the_end_of_a_soak_says_how_many_were_killed_where() -> None:
    counts = kills.Counts()
    assert counts.lines() == []
    counts.add("SQLite and embedded", kills=60, steps=20, seconds=99.6)
    counts.add("SQLite and ceph", kills=45, steps=15, seconds=200.2)
    assert counts.lines() == [
        "SQLite and embedded: 60 kills at 20 steps in 100 s",
        "SQLite and ceph: 45 kills at 15 steps in 200 s",
        "105 kills in all, on 2 of 4 pairs of database and store",
        "After each of them: the export exact, charged once, nothing left behind.",
    ]
    assert (counts.total, counts.is_whole) == (105, False)
