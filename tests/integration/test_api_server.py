"""Claims about the running server: TLS, ports, signals, a slow sender, and many readers beside an export."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from support import databases, waiting
from support.tenants import tenant

from penstock import errors, settings, worker
from penstock.control import exports, secrets, states
from penstock.process import logs, server, services
from penstock.worker import process as worker_process

JOBS = "/v1/sic/conf/events/search/jobs"


def home(path: pathlib.Path, **values: Any) -> settings.Settings:
    """A fresh home on a free port."""
    path.mkdir(exist_ok=True)
    secrets.MasterKeys.create(path)
    return settings.Settings(home=path, port=0, poll_seconds=0.02, **values)


@contextlib.contextmanager
def client(listening: server.Listening, token: str) -> Iterator[httpx.Client]:
    verify = ssl.create_default_context(cafile=str(listening.ca_file)) if listening.ca_file else True
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=listening.url, headers=headers, verify=verify, timeout=120) as http:
        yield http


def lines(count: int) -> bytes:
    return b"".join(
        b'{"@timestamp":"2026-03-01T%02d:%02d:%02dZ","message":"event %d"}\n'
        % (n // 3600 % 24, n // 60 % 60, n % 60, n)
        for n in range(count)
    )


def until(http: httpx.Client, path: str, done: Any) -> dict[str, Any]:
    """The first answer that is `done`; a minute at most."""

    def answer() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(path).json()
        return found if done(found) else None

    found = waiting.until(answer)
    assert found is not None
    return found


def search(http: httpx.Client) -> str:
    times = {"earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-02T00:00:00Z"}
    job: str = http.post(JOBS, json=times).json()["uuid"]
    until(http, f"{JOBS}/{job}", lambda one: one["status"] == 2)
    return job


def test_a_search_becomes_a_download_over_tls(tmp_path: pathlib.Path) -> None:
    with server.running(home(tmp_path), tls=True) as listening:
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+", listening.url)
        assert listening.ca_file == tmp_path / "tls" / "ca.pem"
        community, token = tenant(listening.services)
        with client(listening, token) as http:
            http.post(f"/v1/communities/{community}/events", content=lines(500))
            started = http.post(f"{JOBS}/{search(http)}/export", json={"generate_customer_key": True}).json()
            path = f"/v1/tasks/{started['task_uuid']}"
            task = until(http, path, lambda one: one["status"] not in ("PENDING", "RUNNING"))
            url = task["attributes"]["download_url"]
            assert url.startswith(f"{listening.url}/storage/")
            prefix = "x-amz-server-side-encryption-customer-"
            key = {
                f"{prefix}algorithm": "AES256",
                f"{prefix}key": started["sse_customer_key"],
                f"{prefix}key-MD5": started["sse_customer_key_md5"],
            }
            whole = http.get(url, headers=key)
        assert gzip.decompress(whole.content).count(b"\n") == 500


def test_a_client_that_does_not_trust_the_ca_is_not_served(tmp_path: pathlib.Path) -> None:
    with server.running(home(tmp_path), tls=True, worker=False) as listening, pytest.raises(httpx.ConnectError):
        httpx.get(f"{listening.url}/healthz", verify=ssl.create_default_context())


def test_the_public_url_of_the_settings_wins(tmp_path: pathlib.Path) -> None:
    values = home(tmp_path, public_url="https://penstock.example")
    with server.running(values, worker=False) as listening:
        assert listening.url == "https://penstock.example"
        assert listening.services.settings.public_url == "https://penstock.example"
        assert httpx.get(f"http://127.0.0.1:{listening.port}/healthz").status_code == 200


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "localhost"), ("::1", r"\[::1\]"), ("localhost", "localhost")])
def test_the_announced_url_can_be_reached(tmp_path: pathlib.Path, host: str, url: str) -> None:
    with server.running(home(tmp_path, host=host), worker=False) as listening:
        assert re.fullmatch(rf"http://{url}:{listening.port}", listening.url)
        assert httpx.get(f"{listening.url}/healthz").status_code == 200
        assert listening.url in listening.announcement()


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "127.0.0.1"}, False),  # nobody else can connect
        ({"host": "0.0.0.0", "public_url": "https://penstock.example"}, False),
        ({"host": "0.0.0.0", "storage": "s3", "s3_bucket": "b"}, False),  # S3's URLs are S3's
    ],
)
def test_download_urls_that_other_machines_cannot_reach_are_warned_of_at_start(
    tmp_path: pathlib.Path, values: dict[str, str], warned: bool
) -> None:
    with structlog.testing.capture_logs() as logs, server.running(home(tmp_path, **values), worker=False) as listening:
        pass
    assert ("PENSTOCK_PUBLIC_URL" in listening.announcement()) == warned
    told = [entry for entry in logs if entry["event"] == "public_url_not_set"]
    assert [(entry["log_level"], entry["download_urls_begin_with"]) for entry in told] == (
        [("warning", listening.url)] if warned else []
    )


def test_a_taken_port_is_named(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        values = dataclasses.replace(home(tmp_path), port=port)
        with pytest.raises(errors.ConfigurationError) as caught, server.running(values):
            pass
    assert caught.value.code == "address_unavailable"
    assert str(port) in caught.value.detail


def test_a_worker_that_cannot_start_is_no_silent_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise errors.ConfigurationError("home_unwritable", "No.", "Mend it.")

    monkeypatch.setattr(worker.Worker, "start", fail)
    monkeypatch.setattr(worker_process.Beside, "start", fail)
    monkeypatch.setattr(logs, "configure", lambda settings: None)  # it is this process's log
    values = home(tmp_path)
    with pytest.raises(errors.ConfigurationError) as caught, server.running(values):
        pass
    assert caught.value.code == "server_not_started"
    with pytest.raises(errors.ConfigurationError) as caught:
        server.serve(values, tls=False, worker=True)
    assert caught.value.code == "server_not_started"


def test_a_port_is_free_again_afterwards(tmp_path: pathlib.Path) -> None:
    values = home(tmp_path)
    with server.running(values, worker=False) as listening:
        port = listening.port
        httpx.get(f"{listening.url}/healthz")
    with server.running(dataclasses.replace(values, port=port), worker=False) as again:
        assert again.port == port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly_and_gives_its_export_back(
    tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    """The export is large enough to be still running; after the signal nobody holds it, and no attempt is lost."""
    values = home(tmp_path, slice_rows=1000)
    with services.opened(values) as opened:
        community, token = tenant(opened)
    environment = os.environ | {
        "PENSTOCK_HOME": str(tmp_path), "PENSTOCK_SLICE_ROWS": "1000", "PENSTOCK_ENCODING_THREADS": "1",
        "PENSTOCK_POLL_SECONDS": "0.02", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    program = (
        "from penstock import settings; from penstock.process import server; "
        "server.serve(settings.load(port=0), tls=False, worker=True)"
    )
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    with contextlib.ExitStack() as undo, process.stdout:
        undo.callback(process.wait)
        undo.callback(process.kill)  # no test that comes later is to meet what a failed one left
        url = process.stdout.readline().rpartition(" ")[2].strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=120) as http:
            for _ in range(2):
                answer = http.post(f"/v1/communities/{community}/events", content=lines(200_000))
                assert answer.status_code == 200, answer.text
            task = http.post(f"{JOBS}/{search(http)}/export", json={"generate_customer_key": True}).json()["task_uuid"]
            until(http, f"/v1/tasks/{task}", lambda one: one["status"] == "RUNNING")
            process.send_signal(number)
            assert process.wait(timeout=120) == 0, (tmp_path / "log").read_text()
    with services.opened(values) as opened, opened.database.read() as tx:
        export = exports.get(tx, task, None)
    assert export.status is states.ExportStatus.RUNNING
    assert export.worker_id is None
    assert export.attempts == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_senders_that_stall_do_not_hold_readers_up(tmp_path: pathlib.Path) -> None:
    """More ingests than there are threads for them stand open; reading a task answers all the same."""
    with server.running(home(tmp_path), worker=False) as listening:
        community, token = tenant(listening.services)
        stalled = []
        head = (
            f"POST /v1/communities/{community}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            "Content-Length: 1000\r\n\r\n{"
        )
        try:
            for _ in range(50):
                connection = socket.create_connection(("127.0.0.1", listening.port))
                connection.sendall(head.encode())
                stalled.append(connection)
            with client(listening, token) as http:
                for _ in range(20):
                    assert http.get("/v1/tasks").elapsed.total_seconds() < 2
        finally:
            for connection in stalled:
                connection.close()


def test_no_answer_waits_for_its_clients_acknowledgement(tmp_path: pathlib.Path) -> None:
    """Head and body are sent apart; where the second waits for the first to be acknowledged, that takes 40 ms."""
    with server.running(home(tmp_path), worker=False) as listening:
        seconds = []
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", listening.port)) as connection:
            for _ in range(60):  # acknowledgements come at once on a connection's first segments
                began = time.perf_counter()
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds[30:]) < 0.03


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The setting: SQLite in the home, or an empty schema."""
    if request.param == "sqlite":
        yield ""
    else:
        with databases.postgresql_schema(databases.postgresql_server()) as url:
            yield url


def test_racing_starts_make_one_task(tmp_path: pathlib.Path, database_url: str) -> None:
    """Without a key of its own each start but one is refused; with one Idempotency-Key all get the same answer."""
    with server.running(home(tmp_path, database_url=database_url), worker=False) as listening:
        community, token = tenant(listening.services)
        with client(listening, token) as http:
            http.post(f"/v1/communities/{community}/events", content=lines(10))
            times = {"earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-02T00:00:00Z"}
            job = http.post(JOBS, json=times).json()["uuid"]
            worker.Worker(listening.services).run_pending()

            plain = _race(http, f"{JOBS}/{job}/export", 64, {})
            assert sorted(answer.status_code for answer in plain) == [200] + [409] * 63
            (task,) = [answer.json()["task_uuid"] for answer in plain if answer.status_code == 200]
            assert {answer.json()["task_uuid"] for answer in plain} == {task}
            http.post(f"/v1/tasks/{task}/cancel")

            keyed = _race(http, f"{JOBS}/{job}/export", 64, {"Idempotency-Key": "one"})
            assert {answer.status_code for answer in keyed} == {200}
            assert len({json.dumps(answer.json(), sort_keys=True) for answer in keyed}) == 1
            assert http.get("/v1/tasks").json()["total"] == 2


def _race(http: httpx.Client, path: str, many: int, headers: dict[str, str]) -> list[httpx.Response]:
    barrier = threading.Barrier(many)
    answers: list[httpx.Response] = []

    def start() -> None:
        barrier.wait()
        answers.append(http.post(path, headers=headers, json={"generate_customer_key": True}))

    threads = [threading.Thread(target=start) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
