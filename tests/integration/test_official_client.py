"""The reference platform's own client, unmodified from PyPI, against `penstock serve --tls`."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from support import published
from support.tenants import tenant

from penstock import settings
from penstock.control import secrets
from penstock.process import services

EVENTS = [
    {
        "@timestamp": f"2026-03-01T10:{n // 60 % 60:02d}:{n % 60:02d}Z",
        "message": f"connection {n} from 10.0.{n % 7}.{n % 250} \u2014 \u00e9tat \u201cok\u201d",
        "source.ip": f"10.0.{n % 7}.{n % 250}",
        "event.category": ["network"],
        "event.outcome": "failure" if n % 3 else "success",
    }
    for n in range(3000)
]
CLIENT = pathlib.Path(sys.executable).with_name("sekoia-event-exporter")
OWN_KEY = base64.b64encode(bytes(range(32))).decode()
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclasses.dataclass
class Service:
    """A running `penstock serve --tls`, and what a client must know of it."""

    process: subprocess.Popen[str]
    url: str
    ca_file: str
    token: str
    http: httpx.Client

    @property
    def host(self) -> str:
        return self.url.removeprefix("https://")

    def search(self, term: str = "") -> str:
        """A search job over all events; done when a worker runs."""
        answer = self.http.post(
            "/v1/sic/conf/events/search/jobs",
            json={"term": term, "earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-02T00:00:00Z"},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["uuid"])

    def done_search(self, term: str = "") -> str:
        uuid = self.search(term)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job = self.http.get(f"/v1/sic/conf/events/search/jobs/{uuid}").json()
            if job["status"] >= 2:
                assert job["status"] == 2, job
                return uuid
            time.sleep(0.02)  # who asks without a pause takes the core that the search needs
        raise AssertionError(f"the search job does not end: {job}")

    def run(
        self, *arguments: str, cwd: pathlib.Path, client: Sequence[str] = (str(CLIENT),), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs the official client with only what its documentation names in its environment."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("S3_", "EXPORT_", "API_"))}
        return subprocess.run(
            [*client, *arguments],
            cwd=cwd,
            env=clean
            | {"API_KEY": self.token, "API_HOST": self.host, "REQUESTS_CA_BUNDLE": self.ca_file, "PYTHONUTF8": "1"}
            | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )


@contextlib.contextmanager
def served(home: pathlib.Path, *options: str) -> Iterator[Service]:
    """A fresh home, a community, a key, the events, and the server as its own process on a free port."""
    values = settings.Settings(home=home)
    home.mkdir(exist_ok=True)
    secrets.MasterKeys.create(home)
    with services.opened(values) as opened:
        community, token = tenant(opened)
    command = [sys.executable, "-m", "penstock", "serve", "--tls", "--port", "0", *options]
    environment = os.environ | {"PENSTOCK_HOME": str(home), "PYTHONUNBUFFERED": "1", "PENSTOCK_POLL_SECONDS": "0.02"}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        url, ca_file = _announced(process, home)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, verify=_trusting(ca_file), timeout=120) as http:
            lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EVENTS)
            answer = http.post(f"/v1/communities/{community}/events", content=lines.encode())
            assert answer.json()["accepted"] == len(EVENTS), answer.text
            yield Service(process=process, url=url, ca_file=ca_file, token=token, http=http)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=120)
        if process.stdout:
            process.stdout.close()
    assert code == 0, (home / "log").read_text()


def _announced(process: subprocess.Popen[str], home: pathlib.Path) -> tuple[str, str]:
    assert process.stdout is not None
    url = None
    for line in process.stdout:
        if found := re.search(r"listens on (https://\S+)", line):
            url = found[1]
        if found := re.match(r"CA file: (.+)", line):
            assert url is not None
            return url, found[1].strip()
    raise AssertionError(f"the server ended: {(home / 'log').read_text()}")


def _trusting(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def job(service: Service) -> str:
    return service.done_search()


@pytest.fixture
def idle_service(tmp_path: pathlib.Path) -> Iterator[Service]:
    """A service whose tasks stay PENDING, since no worker runs."""
    with served(tmp_path / "home", "--no-worker") as running:
        yield running


def rows(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def expected(*fields: str) -> list[dict[str, Any]]:
    return [{field: event[field] for field in fields if field in event} for event in EVENTS]


def exactly(found: list[dict[str, Any]], *fields: str) -> None:
    """Every event once, the fields in the order asked, in time order (events of one second in any order)."""
    assert [tuple(row) for row in found] == [tuple(row) for row in expected(*fields)]
    assert sorted(map(str, found)) == sorted(map(str, expected(*fields)))
    if "@timestamp" in fields:
        times = [row["@timestamp"] for row in found]
        assert times == sorted(times)


def key_shown(output: str) -> str:
    found = re.search(r"Encryption Key: (\S{44})", output)
    assert found, output
    return found[1]


def task_shown(output: str) -> str:
    found = re.search(r"Task UUID: (\S{36})", output)
    assert found, output
    return found[1]


def test_export_writes_the_default_fields_to_a_dated_file(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run("export", job, "--interval", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Export triggered" in done.stdout
    assert "Export ready!" in done.stdout
    assert "Download complete" in done.stdout
    assert len(base64.b64decode(key_shown(done.stdout))) == 32
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"export_\d{8}_\d{6}\.json\.gz", file.name)
    exactly(rows(file), "message", "@timestamp")


def test_export_writes_the_fields_asked_for_in_their_order(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run(
        "export",
        job,
        "--interval",
        "1",
        "-o",
        "out.gz",
        "--fields",
        "source.ip, event.category,@timestamp",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    exactly(rows(tmp_path / "out.gz"), "source.ip", "event.category", "@timestamp")


def test_export_takes_fields_from_the_environment(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run("export", job, "--interval", "1", "-o", "out.gz", cwd=tmp_path, EXPORT_FIELDS="event.outcome")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["event.outcome"] for row in rows(tmp_path / "out.gz")} == {"failure", "success"}


def test_export_uses_the_key_given(service: Service, tmp_path: pathlib.Path) -> None:
    job = service.done_search("event.outcome:success")
    done = service.run("export", job, "--interval", "1", "--s3-sse-c-key", OWN_KEY, "--output", "own.gz", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SSE-C encryption enabled" in done.stdout
    assert OWN_KEY not in done.stdout
    assert len(rows(tmp_path / "own.gz")) == sum(event["event.outcome"] == "success" for event in EVENTS)
    task = service.http.get(f"/v1/tasks/{task_shown(done.stdout)}").json()
    md5 = base64.b64encode(hashlib.md5(bytes(range(32))).digest()).decode()
    assert task["attributes"]["sse_customer_key_md5"] == md5


def test_without_download_then_status_then_download(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run("export", job, "--interval", "1", "--no-download", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    key, task = key_shown(done.stdout), task_shown(done.stdout)

    status = service.run("status", task, cwd=tmp_path)
    assert status.returncode == 0, status.stdout + status.stderr
    assert "Status: FINISHED" in status.stdout
    assert "3,000 / 3,000" in status.stdout
    assert f"{service.url}/storage/" in status.stdout

    loaded = service.run("download", task, "--s3-sse-c-key", key, "-o", "later.gz", cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    assert "Using SSE-C encryption headers" in loaded.stdout
    exactly(rows(tmp_path / "later.gz"), "message", "@timestamp")


@pytest.mark.parametrize(("key", "status"), [(None, "400"), (OWN_KEY, "403")], ids=["no key", "another key"])
def test_download_without_the_right_key_fails(
    service: Service, job: str, tmp_path: pathlib.Path, key: str | None, status: str
) -> None:
    done = service.run("export", job, "--interval", "1", "--no-download", cwd=tmp_path)
    options = ["--s3-sse-c-key", key] if key else []
    loaded = service.run("download", task_shown(done.stdout), *options, "-o", "no.gz", cwd=tmp_path)
    assert loaded.returncode == 1
    assert f"{status} Client Error" in loaded.stderr
    assert not (tmp_path / "no.gz").exists()


def test_an_export_with_a_wrong_api_key_ends_with_1(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run("export", job, cwd=tmp_path, API_KEY="pst_wrong")
    assert done.returncode == 1
    assert "Failed to trigger export: 401" in done.stderr
    assert "api_key_unknown" in done.stderr


def test_an_export_without_an_api_key_ends_with_2(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run("export", job, cwd=tmp_path, API_KEY="")
    assert done.returncode == 2
    assert "Config error" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("export", UNKNOWN), 404, "search_job_not_found"),
        (("export", "nonsense"), 404, "search_job_not_found"),
        (("status", UNKNOWN), 404, "task_not_found"),
        (("download", UNKNOWN), 404, "task_not_found"),
    ],
)
def test_what_does_not_exist_ends_with_1(
    service: Service, tmp_path: pathlib.Path, arguments: tuple[str, ...], status: int, code: str
) -> None:
    done = service.run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert f"{status}" in done.stderr
    assert code in done.stderr


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ("sorce.ip", "unknown_field", "source.ip"),
        ("source.*", "wildcard_not_supported", "source.*"),
        ("message,message", "duplicate_field", "message"),
    ],
)
def test_fields_that_cannot_be_exported_are_named(
    service: Service, job: str, tmp_path: pathlib.Path, fields: str, code: str, words: str
) -> None:
    done = service.run("export", job, "--fields", fields, cwd=tmp_path)
    assert done.returncode == 1
    assert "Failed to trigger export: 422" in done.stderr
    assert code in done.stderr
    assert words in done.stderr


def test_a_bucket_without_credentials_is_refused(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    done = service.run("export", job, "--s3-bucket", "mine", cwd=tmp_path)
    assert done.returncode == 1
    assert "incomplete_s3_settings" in done.stderr


def test_a_bucket_at_a_private_endpoint_is_refused(service: Service, job: str, tmp_path: pathlib.Path) -> None:
    bucket = ["--s3-bucket", "mine", "--s3-access-key", "A", "--s3-secret-key", "S"]
    done = service.run("export", job, *bucket, "--s3-endpoint", "https://169.254.169.254", cwd=tmp_path)
    assert done.returncode == 1
    assert "endpoint_not_allowed" in done.stderr


def test_progress_is_shown_while_a_task_waits(idle_service: Service, tmp_path: pathlib.Path) -> None:
    """No worker runs in the server: what the client sees is a task that waits; one is run for the search job only."""
    uuid = idle_service.search()
    environment = os.environ | {"PENSTOCK_HOME": str(tmp_path / "home")}
    program = (
        "from penstock import settings, worker\nfrom penstock.process import services\n"
        "with services.opened(settings.load()) as opened:\n"
        "    assert worker.Worker(opened).run_search()\n"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)

    waiting = idle_service.run("export", uuid, "--max-wait", "1", "--interval", "1", cwd=tmp_path)
    assert waiting.returncode == 1
    assert "0 / 3,000 events" in waiting.stdout
    assert "Timed out after 1s" in waiting.stderr
    task = task_shown(waiting.stdout)

    status = idle_service.run("status", task, cwd=tmp_path)
    assert status.returncode == 0
    assert "Status: PENDING" in status.stdout
    assert "Export still in progress" in status.stdout

    early = idle_service.run("download", task, cwd=tmp_path)
    assert early.returncode == 1
    assert "Export not ready yet" in early.stdout

    again = idle_service.run("export", uuid, cwd=tmp_path)
    assert again.returncode == 1
    assert "409" in again.stderr
    assert "export_in_progress" in again.stderr
    assert task in again.stderr

    assert idle_service.http.post(f"/v1/tasks/{task}/cancel").status_code == 202
    canceled = idle_service.run("status", task, cwd=tmp_path)
    assert "Task canceled" in canceled.stdout


# Published versions, each as its users have it: with its own dependencies, beside nothing of ours

VERSIONS = ("0.4.0", "0.5.5", "0.6.0")


@pytest.fixture(
    scope="module",
    params=[VERSIONS[0], *(pytest.param(one, marks=pytest.mark.soak) for one in VERSIONS[1:-1]), VERSIONS[-1]],
)
def version(request: pytest.FixtureRequest) -> Sequence[str]:
    """The command of a published version."""
    folder = published.installed(request.param, f"sekoia-event-exporter=={request.param}")
    return published.command(folder, "from sekoia_event_exporter import main; sys.exit(main())")


def test_a_published_version_exports_and_downloads(
    service: Service, version: Sequence[str], tmp_path: pathlib.Path
) -> None:
    job = service.done_search()
    done = service.run("export", job, "--interval", "1", "-o", "out.gz", cwd=tmp_path, client=version)
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(tmp_path / "out.gz")
    assert len(found) == len(EVENTS)
    assert {name for row in found for name in row} <= {"@timestamp", "message"}


def test_a_published_version_takes_up_a_task_with_its_key(
    service: Service, version: Sequence[str], tmp_path: pathlib.Path
) -> None:
    job = service.done_search()
    started = service.run(
        "export",
        job,
        "--interval",
        "1",
        "--no-download",
        "--s3-sse-c-key",
        OWN_KEY,
        cwd=tmp_path,
        client=version,
    )
    assert started.returncode == 0, started.stdout + started.stderr
    verbs = service.run("--help", cwd=tmp_path, client=version).stdout
    verb = "download" if "download" in verbs else "status"  # 0.4.0 downloads with `status`
    task = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", started.stdout.replace(job, ""))
    assert task, started.stdout
    done = service.run(verb, task[0], "--s3-sse-c-key", OWN_KEY, "-o", "later.gz", cwd=tmp_path, client=version)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows(tmp_path / "later.gz")) == len(EVENTS)


def test_a_published_version_without_a_key_is_refused_before_anything_starts(
    service: Service, version: Sequence[str], tmp_path: pathlib.Path
) -> None:
    """It would drop the key that the service makes: a file that nobody can read, charged to the quota."""
    job = service.done_search()
    before = service.http.get("/v1/tasks").json()["total"]
    done = service.run("export", job, "--no-sse-c", cwd=tmp_path, client=version)
    assert done.returncode == 1
    assert "customer_key_required" in done.stderr
    assert service.http.get("/v1/tasks").json()["total"] == before


@pytest.fixture(scope="module")
def allowing_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose operator allows unencrypted exports."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PENSTOCK_ALLOW_UNENCRYPTED_EXPORTS", "true")
        with served(tmp_path_factory.mktemp("allowing")) as running:
            yield running


def test_where_allowed_a_published_version_exports_without_a_key(
    allowing_service: Service, version: Sequence[str], tmp_path: pathlib.Path
) -> None:
    job = allowing_service.done_search()
    done = allowing_service.run(
        "export", job, "--no-sse-c", "--interval", "1", "-o", "plain.gz", cwd=tmp_path, client=version
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows(tmp_path / "plain.gz")) == len(EVENTS)
