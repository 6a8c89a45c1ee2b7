"""The worker that `serve` starts beside its API: a process that lets others go first and does not outlive it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from structlog.testing import capture_logs
from support.tenants import tenant
from support.waiting import until

from penstock import errors, settings
from penstock.base import pacing
from penstock.base.secret import Secret
from penstock.control import secrets
from penstock.process import services
from penstock.search import child
from penstock.worker import loop, process
from penstock.worker.searches import children

JOBS = "/v1/sic/conf/events/search/jobs"

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def workers_of(pid: int, program: bytes = b"worker.main()") -> list[int]:
    """Children of a process that are workers, or run another program."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and program in folder.joinpath("cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    """`penstock serve`, once it answers and its worker looks for work."""
    secrets.MasterKeys.create(tmp_path)
    environment = os.environ | {"PENSTOCK_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1", "PENSTOCK_POLL_SECONDS": "600"}
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0"]
    log_file = tmp_path / "log"
    with log_file.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
    try:
        until(lambda: "worker_started" in log_file.read_text())
        yield process
    finally:
        process.kill()
        process.wait()


@linux
def test_the_api_goes_before_searches_and_they_before_exports(
    service: subprocess.Popen[str],
) -> None:
    (worker,) = workers_of(service.pid)
    own = os.getpriority(os.PRIO_PROCESS, service.pid)

    def niceness(pid: int) -> set[int]:
        """Of a process's threads, above the service's."""
        tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
        return {os.getpriority(os.PRIO_PROCESS, int(task.name)) - own for task in tasks}

    (search,) = workers_of(worker, child.__name__.encode())
    until(lambda: niceness(search) == {process.NICENESS + children.NICENESS})
    assert 0 < children.NICENESS < loop.SMALL_NICENESS < loop.NICENESS
    assert niceness(worker) == {process.NICENESS + each for each in (0, loop.SMALL_NICENESS, loop.NICENESS)}
    # Linux shares the cores among sessions first: the worker's counts for less, its searches are part of it.
    assert os.getsid(worker) == os.getsid(search) == worker
    group = pathlib.Path(f"/proc/{worker}/autogroup")
    # Not where the kernel has none, or lets nobody say it.
    can_be_said = subprocess.run("echo 10 > /proc/self/autogroup", shell=True, start_new_session=True).returncode == 0
    assert not can_be_said or group.read_text().split()[-1] == str(process.SESSION_NICENESS)


@linux
def test_a_worker_that_dies_is_started_again_and_ends_with_its_service(
    service: subprocess.Popen[str], tmp_path: pathlib.Path
) -> None:
    (worker,) = workers_of(service.pid)
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(re.findall("worker_started", (tmp_path / "log").read_text())) == 2)
    (second,) = workers_of(service.pid)
    assert second != worker
    assert re.search(r"worker_died .*exit_code=-9", (tmp_path / "log").read_text())
    service.terminate()
    assert service.wait(timeout=120) == 0
    assert not is_alive(second)
    for sign in ("Traceback", "Fatal Python error"):
        assert sign not in (tmp_path / "log").read_text()


def test_a_worker_is_told_of_a_search_and_of_an_export(service: subprocess.Popen[str], tmp_path: pathlib.Path) -> None:
    """It looks by itself every ten minutes here; nobody waits for that."""
    with services.opened(settings.Settings(home=tmp_path)) as opened:
        community, token = tenant(opened)
    url = re.findall(r"listens on (\S+)", (tmp_path / "log").read_text())[0]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=120) as http:
        line = b'{"@timestamp":"2026-03-01T00:00:00Z","message":"one"}\n'
        http.post(f"/v1/communities/{community}/events", content=line).raise_for_status()
        times = {"earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-02T00:00:00Z"}
        job = http.post(JOBS, json=times).json()["uuid"]
        until(lambda: http.get(f"{JOBS}/{job}").json()["status"] == 2)
        task = http.post(f"{JOBS}/{job}/export", json={"generate_customer_key": True}).json()["task_uuid"]
        until(lambda: http.get(f"/v1/tasks/{task}").json()["status"] == "FINISHED")


@linux
def test_a_worker_ends_after_a_service_that_was_killed(service: subprocess.Popen[str], tmp_path: pathlib.Path) -> None:
    (worker,) = workers_of(service.pid)
    service.kill()
    service.wait()
    until(lambda: not is_alive(worker))
    assert "worker_stopped" in (tmp_path / "log").read_text()  # in order: its leases were given back


def test_a_worker_that_cannot_start_is_tried_again_with_pauses(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PACE", pacing.Pace(first_seconds=0.01, longest_seconds=0.02))
    command = (sys.executable, "-c", "import sys; sys.exit(7)")
    beside = process.Beside(settings.Settings(home=tmp_path), command=command)
    with capture_logs() as logs:
        beside.start()
        until(lambda: len(logs) >= 3)
        beside.stop()
    assert {(entry["event"], entry["exit_code"]) for entry in logs} == {("worker_died", 7)}
    pid = beside.pid
    assert pid is None


def test_a_worker_that_ended_in_order_is_not_started_at_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops a service may signal all of its processes: none is to begin new work meanwhile."""
    monkeypatch.setattr(process, "PACE", pacing.Pace(first_seconds=0.01, longest_seconds=0.02))
    beside = process.Beside(settings.Settings(home=tmp_path), command=(sys.executable, "-c", ""))
    with capture_logs() as logs:
        beside.start()
        until(lambda: logs)
        beside.stop()
    assert [(entry["event"], entry["starts_again_in_seconds"]) for entry in logs] == [("worker_ended", 60.0)]


def test_a_worker_that_does_not_end_is_killed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    beside = process.Beside(settings.Settings(home=tmp_path), command=(sys.executable, "-c", program))
    beside.start()
    time.sleep(0.5)  # that it ignores the signal by then is likely, not needed: the claim holds either way
    began = time.monotonic()
    beside.stop()
    assert beside.pid is None
    assert time.monotonic() - began < 30


def test_secrets_are_not_sent_but_read_again(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes through the pipe holds none; what comes out has those of the environment, all else of the parent."""
    monkeypatch.setenv("PENSTOCK_S3_SECRET_ACCESS_KEY", "the-secret-of-s3")
    given = settings.load(home=tmp_path, public_url="https://penstock.example", port=0)
    beside = process.Beside(given)
    assert b"the-secret-of-s3" not in beside._sent
    received = given.without_secrets().with_secrets_of(settings.load(home=tmp_path))
    assert received == given
    assert received.s3_secret_access_key == Secret("the-secret-of-s3")


def test_an_engine_that_cannot_work_is_refused_before_anything_is_served(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.ConfigurationError) as refusal:
        process.Beside(settings.Settings(home=tmp_path, engine="ray", storage="embedded"))
    assert refusal.value.code in ("engine_settings_incomplete", "engine_not_installed")
