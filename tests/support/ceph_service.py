"""A whole service on Ceph: `penstock serve --tls` with its exports in a bucket, and customers with their own buckets.

Between the service and Ceph stands a `Wire`, which a test can cut. Signed URLs lead through it as well.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import functools
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import botocore.config
import httpx
import pytest

from penstock import settings
from penstock.base import clock
from penstock.control import apikeys, communities, limits, secrets, states
from penstock.intake import ingest
from penstock.lake import table
from penstock.process import services
from support.waiting import until

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "ceph.sh"
JOBS = "/v1/sic/conf/events/search/jobs"
LARGE_DAY, SMALL_DAY = "2026-03-01", "2026-03-02"


class Wire:
    """A TCP proxy on loopback in front of one port, that breaks when told to. A context manager.

    Attributes:
        port: where it listens.
        cuts: bytes towards the client after which each next connection is broken.
        stalls: a connection that comes to its cut stays open and silent.
        opened: how many connections there were.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.cuts: list[int] = []
        self.stalls = False
        self.opened = 0
        self._is_away = False
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def go_away(self) -> None:
        """Breaks all connections, and every new one until `come_back`."""
        with self._lock:
            self._is_away = True
            opened = list(self._open)
        for end in opened:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        """Joins connections again."""
        self._is_away = False

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._join(near)

    def _join(self, near: socket.socket) -> None:
        with self._lock:
            self.opened += 1
            cut = self.cuts.pop(0) if self.cuts else None
        try:
            if self._is_away:
                raise ConnectionRefusedError
            far = socket.create_connection(("127.0.0.1", self._target_port))
        except OSError:
            near.close()
            return
        with self._lock:
            self._open |= {near, far}
        threading.Thread(target=self._pump, args=(near, far, None), daemon=True).start()
        threading.Thread(target=self._pump, args=(far, near, cut), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, cut: int | None) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 18):
                if cut is not None:
                    chunk, cut = chunk[:cut], cut - len(chunk)
                sink.sendall(chunk)
                if cut is not None and cut <= 0:
                    while self.stalls:
                        time.sleep(0.01)
                    break
        for end in (source, sink):
            with self._lock:
                self._open.discard(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Customer:
    """A user of the Ceph with a bucket."""

    access_key_id: str
    secret_access_key: str
    bucket: str
    endpoint_url: str
    ca_file: str

    def s3(self, **changed: str) -> dict[str, str]:
        """The `s3` member of an export request."""
        members = {
            "bucket_name": self.bucket,
            "prefix": "evidence/case-17",
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "endpoint_url": self.endpoint_url,
            "region_name": "us-east-1",
        }
        return {name: value for name, value in (members | changed).items() if value}

    def client(self) -> Any:
        """Plain boto3, as the customer would use it."""
        return boto3_client(self.endpoint_url, self.ca_file, self.access_key_id, self.secret_access_key)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ceph:
    """The Ceph of scripts/ceph.sh."""

    url: str
    ca_file: str
    folder: pathlib.Path | None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def script(self, *words: str) -> None:
        """Runs scripts/ceph.sh on this Ceph: kill and restart."""
        environment = {**os.environ, "D": str(self.own_folder), "PORT": str(self.port)}
        subprocess.run([SCRIPT, *words], check=True, env=environment, capture_output=True, timeout=240)

    @property
    def own_folder(self) -> pathlib.Path:
        if self.folder is None:
            pytest.skip("PENSTOCK_TEST_CEPH_DIR is not set: this Ceph is not ours to look into")
        return self.folder

    def revive(self) -> None:
        """Starts a gateway that has died by itself, and shows its last words: no failure of ours."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
        except ConnectionRefusedError:
            words = [(self.own_folder / name) for name in ("client.rgw.log", "rgw.out")]
            tails = [word.read_text(errors="replace")[-3000:] for word in words if word.exists()]
            print("Ceph's gateway died by itself:", *tails, sep="\n", file=sys.__stderr__)
            self.script("start")

    def client(self) -> Any:
        """Plain boto3 as the user of the service's bucket."""
        return boto3_client(self.url, self.ca_file, "test", "testtest")

    @contextlib.contextmanager
    def bucket(self, client: Any, *, stays: bool = False) -> Iterator[str]:
        """A fresh bucket, emptied afterwards and, unless it `stays`, removed."""
        name = f"service-{uuid.uuid4().hex}"
        self.revive()
        client.create_bucket(Bucket=name)
        try:
            yield name
        finally:
            self.revive()
            with contextlib.suppress(client.exceptions.NoSuchBucket):
                for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
                    client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
                for key in held_in(client, name):
                    client.delete_object(Bucket=name, Key=key)
                if not stays:
                    client.delete_bucket(Bucket=name)

    @contextlib.contextmanager
    def customer(self, endpoint_url: str) -> Iterator[Customer]:
        """A user of their own, whose secret is nowhere but where this test put it."""
        access_key_id, secret = f"AK{uuid.uuid4().hex}", f"SK-{uuid.uuid4().hex}{uuid.uuid4().hex}"
        name = f"u{uuid.uuid4().hex}"
        self._admin(
            "user",
            "create",
            f"--uid={name}",
            "--display-name=customer",
            f"--access-key={access_key_id}",
            f"--secret={secret}",
        )
        try:
            client = boto3_client(self.url, self.ca_file, access_key_id, secret)
            with self.bucket(client) as bucket:
                yield Customer(
                    access_key_id=access_key_id,
                    secret_access_key=secret,
                    bucket=bucket,
                    endpoint_url=endpoint_url,
                    ca_file=self.ca_file,
                )
        finally:
            self._admin("user", "rm", f"--uid={name}", "--purge-data")

    def _admin(self, *words: str) -> None:
        environment = {**os.environ, "CEPH_CONF": str(self.own_folder / "ceph.conf")}
        command = ["radosgw-admin", "-n", "client.rgw", *words]
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=120)


def ceph() -> Ceph:
    """The Ceph that PENSTOCK_TEST_CEPH names; skips without one, which CI may not."""
    url = os.environ.get("PENSTOCK_TEST_CEPH", "")
    if not url:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must set PENSTOCK_TEST_CEPH (scripts/ceph.sh start)")
        pytest.skip("no Ceph: scripts/ceph.sh start, then set PENSTOCK_TEST_CEPH and PENSTOCK_TEST_CEPH_CA")
    folder = os.environ.get("PENSTOCK_TEST_CEPH_DIR", "")
    return Ceph(url=url, ca_file=os.environ["PENSTOCK_TEST_CEPH_CA"], folder=pathlib.Path(folder) if folder else None)


@functools.cache
def boto3_client(endpoint_url: str, ca_file: str, access_key_id: str, secret: str) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        verify=ca_file,
        config=botocore.config.Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )


def held_in(client: Any, bucket: str) -> list[str]:
    """The keys of a bucket's objects."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def large_events(count: int = 45_000) -> list[dict[str, Any]]:
    """Events of a day that hardly compress: about 33 MiB as a file, which clients fetch in parallel."""
    noise = random.Random(5)
    return [
        {
            "@timestamp": f"{LARGE_DAY}T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z",
            "message": noise.randbytes(750).hex(),
        }
        for n in range(count)
    ]


def small_events(marker: str = "") -> list[dict[str, Any]]:
    return [
        {
            "@timestamp": f"{SMALL_DAY}T10:{n // 60 % 60:02d}:{n % 60:02d}Z",
            "message": f"connection {n} {marker} — état “ok”",
            "source.ip": f"10.0.{n % 7}.{n % 250}",
            "event.outcome": "failure" if n % 3 else "success",
        }
        for n in range(2_000)
    ]


def recent_events() -> list[dict[str, Any]]:
    """Events of the last hour, one a second."""
    begin = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=1)
    return [
        {
            "@timestamp": f"{begin + dt.timedelta(seconds=n):%Y-%m-%dT%H:%M:%SZ}",
            "message": f"session opened for user root, number {n}",
            "user.name": "root",
            "source.ip": f"192.0.2.{n}",
            "event.outcome": "success",
        }
        for n in range(50)
    ]


def trusting(ca_file: str) -> ssl.SSLContext:
    """Trusts what `World.ca_file` trusts."""
    return ssl.create_default_context(cafile=ca_file)


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """A running service on Ceph.

    Attributes:
        url: of the API.
        ca_file: trusts the API and Ceph.
        token: an API key that may do everything but administer.
        community_uuid: its only community.
        home: the home folder; `log` in it holds what the service wrote, at level debug.
        environment: the settings, as variables.
        http: speaks to the API with the key.
        bucket: the service's.
        wire: what its way to the bucket leads through.
    """

    url: str
    ca_file: str
    token: str
    community_uuid: str
    home: pathlib.Path
    environment: dict[str, str]
    http: httpx.Client
    ceph: Ceph
    bucket: str
    wire: Wire

    @property
    def wire_url(self) -> str:
        return f"https://127.0.0.1:{self.wire.port}"

    def search(self, day: str) -> str:
        """A search job over a day of events; waited for if a worker runs."""
        earliest = dt.datetime.fromisoformat(f"{day}T00:00:00+00:00")
        times = {"earliest_time": earliest.isoformat(), "latest_time": (earliest + dt.timedelta(days=1)).isoformat()}
        answer = self.http.post(JOBS, json=times)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["uuid"])

    def done_search(self, day: str) -> str:
        job = self.search(day)
        until(lambda: self.http.get(f"{JOBS}/{job}").json()["status"] == 2)
        return job

    def start(self, job: str, **body: Any) -> dict[str, Any]:
        body = {"generate_customer_key": "sse_customer_key" not in (body.get("s3") or {})} | body
        answer = self.http.post(f"{JOBS}/{job}/export", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def refused(self, job: str, status: int, **body: Any) -> dict[str, Any]:
        """The problem with which a start is refused."""
        body = {"generate_customer_key": "sse_customer_key" not in (body.get("s3") or {})} | body
        answer = self.http.post(f"{JOBS}/{job}/export", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def task(self, task_uuid: str) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/tasks/{task_uuid}").json())

    def ended(self, task_uuid: str, status: str = "FINISHED") -> dict[str, Any]:
        until(lambda: self.task(task_uuid)["status"] not in ("PENDING", "RUNNING"))
        task = self.task(task_uuid)
        assert task["status"] == status, task
        return task

    @contextlib.contextmanager
    def opened(self, late: dt.timedelta = dt.timedelta(0), **more: str) -> Iterator[services.Services]:
        """The service's parts in this process, with a clock that is `late`, and `more` settings."""
        with services.opened(loaded(self.environment | more), clock=Ahead(late)) as opened:
            yield opened

    def variables(self, cwd: pathlib.Path) -> dict[str, str]:
        """An environment with what a client's documentation names, and nothing of the service's."""
        names = ("S3_", "EXPORT_", "API_", "PENSTOCK_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(names)}
        given = {
            "API_KEY": self.token,
            "API_HOST": self.url.removeprefix("https://"),
            "REQUESTS_CA_BUNDLE": self.ca_file,
            "PENSTOCK_HOME": str(cwd / "no-home"),
            "PYTHONUTF8": "1",
        }
        return clean | given

    def run(self, command: list[str], cwd: pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a client to its end."""
        return subprocess.run(
            command,
            cwd=cwd,
            env=self.variables(cwd) | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )

    def penstock(self, *arguments: str, cwd: pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-m", "penstock", *arguments], cwd, **environment)


class Ahead(clock.SystemClock):
    """The system's clock, some time ahead."""

    def __init__(self, ahead: dt.timedelta) -> None:
        self._ahead = ahead

    def now(self) -> dt.datetime:
        return super().now() + self._ahead


def loaded(environment: Mapping[str, str]) -> settings.Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return settings.load()


@contextlib.contextmanager
def served(
    home: pathlib.Path,
    given: Ceph,
    events: list[dict[str, Any]],
    *options: str,
    window_seconds: int | None = None,
    bucket_stays: bool = False,
    **more: str,
) -> Iterator[World]:
    """A fresh home, bucket, community, key and events, and the server as a process of its own.

    Args:
        options: of `penstock serve`.
        window_seconds: the community's own download window.
        bucket_stays: for tests that kill the gateway: to remove a bucket, Ceph waits 24 s for the one that is dead.
        more: settings, as PENSTOCK_* variables.
    """
    with given.bucket(given.client(), stays=bucket_stays) as bucket, Wire(given.port) as wire:
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            "PENSTOCK_HOME": str(home),
            "PENSTOCK_STORAGE": "s3",
            "PENSTOCK_S3_BUCKET": bucket,
            "PENSTOCK_S3_ENDPOINT_URL": f"https://127.0.0.1:{wire.port}",
            "PENSTOCK_S3_ACCESS_KEY_ID": "test",
            "PENSTOCK_S3_SECRET_ACCESS_KEY": "testtest",
            "PENSTOCK_S3_CA_FILE": given.ca_file,
            "PENSTOCK_S3_RETRY_SECONDS": "10",
            "PENSTOCK_CUSTOMER_CA_FILE": given.ca_file,
            "PENSTOCK_ENDPOINT_ALLOW_LIST": '["127.0.0.1"]',
            "PENSTOCK_PART_BYTES": str(5 << 20),
            "PENSTOCK_SLICE_ROWS": "5000",
            "PENSTOCK_EXPORTS_PER_SEARCH_JOB": "1000",
            "PENSTOCK_POLL_SECONDS": "0.02",
            "PENSTOCK_LOG_LEVEL": "debug",
            **more,
        }
        secrets.MasterKeys.create(home)
        values = loaded(environment)
        with services.opened(values) as opened:
            community_uuid, token = _founded(opened, values, window_seconds)
            lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
            file = home / "events.jsonl"
            file.write_text(lines)
            report = ingest.ingest(
                table.EventTable(values.resolved_lake_path, community_uuid), [file], clock=opened.clock
            )
            assert report.accepted == len(events)
            file.unlink()
        with _process(home, environment, options) as (url, api_ca_file):
            ca_file = home.parent / f"{home.name}-trusted.pem"
            ca_file.write_text(pathlib.Path(api_ca_file).read_text() + pathlib.Path(given.ca_file).read_text())
            context = trusting(str(ca_file))
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, verify=context, timeout=120) as http:
                yield World(
                    url=url,
                    ca_file=str(ca_file),
                    token=token,
                    community_uuid=community_uuid,
                    home=home,
                    environment=environment,
                    http=http,
                    ceph=given,
                    bucket=bucket,
                    wire=wire,
                )


def _founded(opened: services.Services, values: settings.Settings, window_seconds: int | None) -> tuple[str, str]:
    now, own = opened.clock.now(), limits.from_settings(values)
    if window_seconds is not None:
        own = dataclasses.replace(own, download_window_seconds=window_seconds)
    permissions = [each for each in states.Permission if each is not states.Permission.ADMIN]
    with opened.database.begin() as tx:
        community = communities.create(tx, name="acme", now=now, limits=own)
        _, token = apikeys.create(tx, communities=[community.uuid], permissions=permissions, name="tests", now=now)
    return community.uuid, token


@contextlib.contextmanager
def _process(home: pathlib.Path, environment: dict[str, str], options: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "penstock", "serve", "--tls", "--port", "0", *options]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield _announced(process, home)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=120)
        if process.stdout:
            process.stdout.close()
    assert code == 0, (home / "log").read_text()


def _announced(process: subprocess.Popen[str], home: pathlib.Path) -> tuple[str, str]:
    assert process.stdout is not None
    url = ""
    for line in process.stdout:
        if found := re.search(r"listens on (https://\S+)", line):
            url = found[1]
        if found := re.match(r"CA file: (.+)", line):
            return url, found[1].strip()
    raise AssertionError(f"the server ended: {(home / 'log').read_text()}")


def forms_of(key: str) -> list[bytes]:
    """What a customer key looks like, raw, base64, base64url, in a URL, in hex."""
    raw = base64.b64decode(key)
    texts = (key.rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("="), urllib.parse.quote(key, safe=""))
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), *(text.encode() for text in texts)]
