"""Searches run side by side: fair shares, deadlines, and cancels that end a scan wherever it is."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import pickle
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from penstock import errors, settings, worker
from penstock.control import communities, searches, secrets, states
from penstock.export.engines import threads
from penstock.lake import table
from penstock.process import child_processes, services
from penstock.samples import generate
from penstock.search import child
from penstock.usecases import results
from penstock.worker.searches import children

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HEAVY = " OR ".join(f"nowhere{number}" for number in range(400))
"""A search that takes its time: no field is named, and no word is there."""


def create(tx: Any, community_uuid: str, term: str = "", **values: Any) -> searches.SearchJob:
    asked: dict[str, Any] = {
        "term": term,
        "earliest_time": "",
        "latest_time": "",
        "earliest": START,
        "latest": START + dt.timedelta(days=30),
        "community_uuids": [community_uuid],
        "created_by": "tests",
        "now": dt.datetime.now(dt.UTC),
        "ttl_seconds": 1000,
    }
    return searches.create(tx, **(asked | values))


def test_the_community_with_the_fewest_running_searches_comes_first(plane: Any) -> None:
    now = plane.clock.now()
    with plane.db.begin() as tx:
        quiet = communities.create(tx, name="quiet", now=now).uuid
        for _ in range(5):
            create(tx, plane.community.uuid, now=now)
        last = create(tx, quiet, now=now + dt.timedelta(seconds=9))
        both = create(tx, "", community_uuids=[plane.community.uuid, quiet], now=now + dt.timedelta(seconds=10))

    def claim() -> searches.SearchClaim | None:
        with plane.db.begin() as tx:
            return searches.claim(tx, "w", now, 15, most_a_community=2)

    first, second, third = claim(), claim(), claim()
    assert first is not None
    assert first.job.community_uuids == (plane.community.uuid,)
    assert second is not None
    assert second.uuid == last.uuid
    assert third is not None
    assert third.job.community_uuids == (plane.community.uuid,)
    assert claim() is None  # four wait, all of a community that runs two already
    with plane.db.begin() as tx:
        searches.finish(tx, first, totals={}, snapshots={}, histogram_json=None, now=now)
        searches.finish(tx, third, totals={}, snapshots={}, histogram_json=None, now=now)
    assert claim() is not None
    with plane.db.begin() as tx:
        searches.delete(tx, both.uuid, None)


def test_a_community_cannot_queue_searches_without_end(plane: Any) -> None:
    now = plane.clock.now()
    with plane.db.begin() as tx:
        quiet = communities.create(tx, name="quiet", now=now).uuid
        for _ in range(3):
            create(tx, plane.community.uuid, now=now, most_waiting=3)
        with pytest.raises(errors.Conflict) as refused:
            create(tx, "", community_uuids=[plane.community.uuid, quiet], now=now, most_waiting=3)
        create(tx, quiet, now=now, most_waiting=3)
    assert (refused.value.code, refused.value.extra) == ("too_many_searches", {"limit": 3})


class Service:
    """A worker at work on one community with events, and one without."""

    def __init__(self, opened: services.Services) -> None:
        self.opened = opened
        with opened.database.begin() as tx:
            self.busy = communities.create(tx, name="busy", now=opened.clock.now()).uuid
            self.quiet = communities.create(tx, name="quiet", now=opened.clock.now()).uuid
        events = table.EventTable(opened.settings.resolved_lake_path, self.busy)
        generate.generate(events, events=60_000, seed=1, start=START)

    def add_events(self) -> None:
        """A second data file."""
        events = table.EventTable(self.opened.settings.resolved_lake_path, self.busy)
        generate.generate(events, events=2_000, seed=2, start=START)

    def create(self, community: str, term: str) -> str:
        with self.opened.database.begin() as tx:
            return create(tx, community, term).uuid

    def get(self, uuid: str) -> searches.SearchJob:
        with self.opened.database.read() as tx:
            return searches.get(tx, uuid, None)

    def wait(self, uuid: str, *statuses: states.SearchStatus) -> searches.SearchJob:
        deadline = time.monotonic() + 60
        while (job := self.get(uuid)).status not in statuses:
            assert time.monotonic() < deadline, job
            time.sleep(0.01)
        return job


@pytest.fixture
def service(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    secrets.MasterKeys.create(tmp_path)
    more = getattr(request, "param", {})
    with services.opened(settings.load(home=tmp_path, search_threads=3, **more)) as opened:
        yield Service(opened)


def test_a_quiet_community_does_not_wait_for_a_busy_one_and_a_cancel_ends_the_scan(service: Service) -> None:
    working = worker.Worker(service.opened)
    heavy = [service.create(service.busy, HEAVY) for _ in range(4)]
    working.start()
    try:
        service.wait(heavy[0], states.SearchStatus.RUNNING)
        service.wait(heavy[1], states.SearchStatus.RUNNING)
        quiet = service.wait(service.create(service.quiet, "event.action:login"), states.SearchStatus.DONE)
        assert quiet.total == 0
        assert service.get(heavy[0]).status is states.SearchStatus.RUNNING  # or it was not heavy enough
        began = time.monotonic()
        with service.opened.database.begin() as tx:
            for uuid in heavy:
                searches.cancel(tx, uuid, None, "tests", service.opened.clock.now())
        service.wait(service.create(service.busy, "event.action:login"), states.SearchStatus.DONE)
        assert time.monotonic() - began < 5  # the threads of the canceled ones are free; a scan takes longer
    finally:
        working.stop()


def test_a_long_search_tells_what_it_has_counted_while_it_runs(service: Service) -> None:
    """Told at the latest between the count and the look for the newest events."""
    working = worker.Worker(service.opened)
    uuid = service.create(service.busy, f"event.category:* OR {HEAVY[: len(HEAVY) // 4].rsplit(' OR ', 1)[0]}")
    working.start()
    try:
        while (job := service.get(uuid)).so_far is None:
            assert not job.status.is_final, job
            time.sleep(0.01)
        assert job.so_far.share == 1.0
        assert job.so_far.total == sum(count for _, count in job.so_far.histogram["counts"])
        done = service.wait(uuid, states.SearchStatus.DONE)
        assert (done.total, done.so_far) == (job.so_far.total, None)
    finally:
        working.stop()


@pytest.mark.parametrize("service", [{"search_deadline_seconds": 0.5}], indirect=True)
def test_a_search_ends_at_its_deadline(service: Service) -> None:
    uuid = service.create(service.busy, HEAVY)
    worker.Worker(service.opened).run_pending()
    job = service.get(uuid)
    assert job.status is states.SearchStatus.FAILED
    assert job.error is not None
    assert "0.5 seconds" in job.error


def test_a_search_whose_process_dies_says_so_and_the_next_one_runs(service: Service) -> None:
    pool = children.Children()
    uuid = service.create(service.busy, HEAVY)
    working = worker.Worker(service.opened, children=pool)
    pool.warm()
    victim = pool._idle[0]
    killer = threading.Timer(0.5, victim.kill)
    killer.start()
    try:
        working.run_pending()
        assert "too much memory" in (service.get(uuid).error or "")
        after = service.create(service.busy, "")
        working.run_pending()
        assert service.get(after).total == 60_000
    finally:
        killer.join()
        pool.close()


@pytest.mark.parametrize("dies", ["before the answer", "within the request", "while its child starts"])
def test_a_searchs_process_whose_parent_dies_ends_without_a_word(service: Service, dies: str) -> None:
    is_gone = dies == "while its child starts"
    job = service.get(service.create(service.busy, HEAVY if is_gone else ""))
    asked = results.question_of(job)
    body = pickle.dumps((service.opened.settings.without_secrets(), asked, {}, 0))
    request = child_processes.LENGTH.pack(len(body)) + body
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    parent = 1 if is_gone else os.getpid()
    command = child_processes.command(child.__name__, parent, children.NICENESS)
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        if not is_gone:
            process.stdout.close()
        process.stdin.write(request[:-9] if dies == "within the request" else request)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert not is_gone or process.stdout.read() == b""


def test_a_search_over_a_file_that_cannot_be_read_fails_at_once_without_the_operators_inside(
    service: Service, tmp_path: pathlib.Path
) -> None:
    for path in tmp_path.glob("lake/*/**/*.parquet"):
        path.write_bytes(b"no parquet")
    uuid = service.create(service.busy, "source.ip:10.0.0.0/8")
    worker.Worker(service.opened).run_pending()
    job = service.get(uuid)
    assert job.status is states.SearchStatus.FAILED
    assert "cannot read the community's events" in (job.error or "")
    assert str(tmp_path) not in (job.error or "")


class _Away(threads.Threads):
    """An engine whose cluster is away, or whose nodes cannot read the lake; for searches."""

    most = 2

    def __init__(self, fault: errors.PenstockError) -> None:
        super().__init__(threads=1, upload_threads=1)
        self.fault = fault
        self.given = self.stopped = 0

    def search_pool(self, job_uuid: str) -> Any:
        return self

    def submit(self, shard: Any, question: Any) -> int:
        self.given += 1
        return self.given

    def wait(self, tickets: Any, timeout_seconds: float) -> Any:
        raise self.fault

    def stop(self) -> None:
        self.stopped += 1


@pytest.mark.parametrize("service", [{"search_shard_rows": 20_000}], indirect=True)
def test_a_wide_search_whose_cluster_fails_is_run_by_the_worker_and_one_it_refuses_fails(service: Service) -> None:
    """The cluster's troubles are the operator's; what the query is to blame for would fail here as well."""
    service.add_events()
    for code, fault in (("engine_unavailable", errors.NotReady), ("lake_failed", errors.StorageError)):
        uuid, engine = service.create(service.busy, "event.category:*"), _Away(fault(code, "No.", "Look."))
        with structlog.testing.capture_logs() as logs:
            worker.Worker(service.opened, engine=engine).run_pending()
        assert service.get(uuid).status is states.SearchStatus.DONE
        assert (engine.given, engine.stopped > 0) == (2, True)
        assert [entry["code"] for entry in logs if entry["event"] == "search_back_on_worker"] == [code]
    uuid, engine = service.create(service.busy, ""), _Away(errors.InvalidRequest("query_not_computable", "No.", ""))
    worker.Worker(service.opened, engine=engine).run_pending()
    assert service.get(uuid).status is states.SearchStatus.FAILED
