"""A small export of one community does not wait for a large one of another, on one worker."""

from __future__ import annotations

import pathlib
import threading

import httpx
import pytest
from support import waiting
from support.tenants import tenants

from penstock import settings, worker
from penstock.control import secrets
from penstock.process import server

JOBS = "/v1/sic/conf/events/search/jobs"
TIMES = {"earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-02T00:00:00Z"}


def lines(count: int) -> bytes:
    return b"".join(
        b'{"@timestamp":"2026-03-01T00:%02d:%02dZ","message":"event %d"}\n' % (n // 60 % 60, n % 60, n)
        for n in range(count)
    )


def status(http: httpx.Client, task: str) -> str:
    found: str = http.get(f"/v1/tasks/{task}").json()["status"]
    return found


def until(http: httpx.Client, path: str, wanted: object) -> None:
    waiting.until(lambda: http.get(path).json()["status"] == wanted)


def start(http: httpx.Client, community: str, count: int) -> str:
    http.post(f"/v1/communities/{community}/events", content=lines(count)).raise_for_status()
    job = http.post(JOBS, json={**TIMES, "community_uuids": [community]}).json()["uuid"]
    until(http, f"{JOBS}/{job}", 2)
    task: str = http.post(f"{JOBS}/{job}/export", json={"generate_customer_key": True}).json()["task_uuid"]
    return task


@pytest.mark.parametrize("small_events", [100, 0])
def test_a_small_export_goes_by_a_large_one(tmp_path: pathlib.Path, small_events: int) -> None:
    secrets.MasterKeys.create(tmp_path)
    values = settings.Settings(home=tmp_path, port=0, poll_seconds=0.02, small_export_events=small_events)
    held, go_on = threading.Event(), threading.Event()

    def step(name: str) -> None:
        """Holds the large one up; the small one is on another thread, or waits."""
        if name == "plan" and not go_on.is_set() and threading.current_thread().name == "penstock-export":
            held.set()
            assert go_on.wait(60)

    with server.running(values, worker=False) as listening:
        made, token = tenants(listening.services, "large", "small")
        working = worker.Worker(listening.services, step=step)
        working.start()
        try:
            with httpx.Client(
                base_url=listening.url, headers={"Authorization": f"Bearer {token}"}, timeout=120
            ) as http:
                large = start(http, made[0], 500)
                assert held.wait(60)
                small = start(http, made[1], 50)
                if small_events:
                    until(http, f"/v1/tasks/{small}", "FINISHED")
                else:
                    assert status(http, small) == "PENDING"
                assert status(http, large) == "RUNNING"
                go_on.set()
                for task in (large, small):
                    until(http, f"/v1/tasks/{task}", "FINISHED")
        finally:
            go_on.set()
            working.stop()
