"""Customer keys and bucket secrets are sealed while an export is active, and lie nowhere after, whatever became of it.

Searched are the home folder with SQLite's files, PostgreSQL's own files, the logs at level debug, and Ceph's raw
device. Each search is shown to find what is there.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import pathlib
import secrets as randomness
import socket
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator

import pytest
import sqlalchemy as sa
from support import ceph_service

from penstock.storage.keys import CustomerKey

pytestmark = pytest.mark.ceph

WORKER = """
import sys, threading
from penstock import settings, worker
from penstock.process import logs, services
from penstock.control import exports
from penstock.worker import holding

values = settings.load()
logs.configure(values)
with services.opened(values) as opened:
    def cancel_at_the_first_part(name):
        if name == "record 1 done" and len(sys.argv) > 1:
            with opened.database.begin() as tx:
                exports.request_cancel(tx, sys.argv[1], None, "tests", opened.clock.now())
            threading.Event().wait(3 * holding.WATCH_SECONDS)
    worker.Worker(opened, step=cancel_at_the_first_part).run_pending()
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """A service, its database's own files, and the customer's secret."""

    world: ceph_service.World
    customer: ceph_service.Customer
    marker: str
    database: sa.Engine | None

    def work(self, *cancel: str) -> None:
        """A worker process of its own, whose log at level debug is kept in the home folder."""
        environment = {**os.environ, **self.world.environment}
        with (self.world.home / "worker.log").open("a") as log:
            command = [sys.executable, "-c", WORKER, *cancel]
            subprocess.run(command, env=environment, stdout=log, stderr=log, check=True, timeout=120)

    def files(self) -> Iterator[pathlib.Path]:
        """Every file of the home folder, and of PostgreSQL: the database's, and its write-ahead log."""
        yield from (path for path in self.world.home.rglob("*") if path.is_file())
        if self.database is not None:
            with self.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("CHECKPOINT"))
                query = "SELECT oid FROM pg_database WHERE datname = current_database()"
                oid = connection.execute(sa.text(query)).scalar_one()
                folder = pathlib.Path(connection.execute(sa.text("SHOW data_directory")).scalar_one())
            yield from (folder / "base" / str(oid)).iterdir()
            yield from (path for path in (folder / "pg_wal").iterdir() if path.is_file())
            yield from folder.parent.glob("*.log")

    def holds(self, needle: bytes) -> bool:
        return bool(holding({needle: "it"}, self.files()))

    def blobs(self, task_uuid: str) -> list[bytes | None]:
        """What is sealed, as the database has it."""
        with self.world.opened() as opened, opened.database.read() as tx:
            query = sa.text("SELECT sealed_customer_key, sealed_destination FROM exports WHERE task_uuid = :task")
            return list(tx.execute(query, {"task": task_uuid}).one())


def holding(needles: dict[bytes, str], paths: Iterable[pathlib.Path]) -> list[str]:
    """Which needles are in which files."""
    found = []
    for path in paths:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # SQLite's and PostgreSQL's files come and go
            continue
        found += [f"{name} in {path}" for needle, name in needles.items() if needle in content]
    return found


@pytest.fixture(
    params=[pytest.param("s3 and sqlite", marks=pytest.mark.soak), "s3 and postgresql", "embedded and sqlite"]
)
def scene(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Scene]:
    storage, _, kind = request.param.partition(" and ")
    marker, more, database = f"MARKER-{randomness.token_hex(12)}", {"PENSTOCK_STORAGE": storage}, None
    if kind == "postgresql":
        database = made_database()
        more["PENSTOCK_DATABASE_URL"] = database.url.render_as_string(hide_password=False)
    given, port = ceph_service.ceph(), free_port()
    more["PENSTOCK_PUBLIC_URL"] = (
        f"https://127.0.0.1:{port}"  # the worker is another process, and signs URLs of the API
    )
    events = ceph_service.large_events(8_000) + ceph_service.small_events(marker)
    with (
        ceph_service.served(tmp_path / "home", given, events, "--no-worker", "--port", str(port), **more) as world,
        given.customer(given.url) as customer,
    ):
        yield Scene(world=world, customer=customer, marker=marker, database=database)
    if database is not None:
        with server().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            database.dispose()
            connection.execute(sa.text(f'DROP DATABASE "{database.url.database}" WITH (FORCE)'))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def server() -> sa.Engine:
    url = os.environ.get("PENSTOCK_TEST_POSTGRESQL", "")
    if not url:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have PostgreSQL (scripts/postgresql.sh start)")
        pytest.skip("no PostgreSQL: scripts/postgresql.sh start, then set PENSTOCK_TEST_POSTGRESQL")
    return sa.create_engine(url, poolclass=sa.NullPool)


def made_database() -> sa.Engine:
    with server().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        folder = pathlib.Path(connection.execute(sa.text("SHOW data_directory")).scalar_one())
        if not os.access(folder, os.R_OK):
            pytest.skip("PostgreSQL's files cannot be read by this user")
        name = f"secrets_{uuid.uuid4().hex}"
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        return sa.create_engine(connection.engine.url.set(database=name), poolclass=sa.NullPool)


def test_keys_and_bucket_secrets_are_sealed_while_exports_are_active_and_nowhere_after(
    scene: Scene, tmp_path: pathlib.Path
) -> None:
    world, customer = scene.world, scene.customer
    jobs = [world.search(day) for day in (ceph_service.SMALL_DAY, ceph_service.LARGE_DAY)]
    scene.work()
    gone = f"gone-{uuid.uuid4().hex}"
    customer.client().create_bucket(Bucket=gone)
    keys = {"finished": "", "failed": CustomerKey.generate().base64, "cancelled": CustomerKey.generate().base64}
    own = {name: {"sse_customer_key": key} for name, key in keys.items()}
    bodies = {
        "finished": {},
        "failed": {"s3": customer.s3(bucket_name=gone) | own["failed"]},
        "cancelled": {"s3": customer.s3() | own["cancelled"]},
    }
    needles = {customer.secret_access_key.encode(): "the bucket's secret", world.token.encode(): "the API key"}
    ends = {"finished": "FINISHED", "failed": "FAILED", "cancelled": "CANCELED"}
    for name, body in bodies.items():
        started = world.start(jobs[0 if name == "finished" else 1], **body)
        keys[name] = started.get("sse_customer_key", keys[name])
        needles |= dict.fromkeys(ceph_service.forms_of(keys[name]), f"the key of the {name} export")
        blobs = [blob for blob in scene.blobs(started["task_uuid"]) if blob is not None]
        assert len(blobs) == (2 if body else 1)
        assert all(scene.holds(blob) for blob in blobs), "what is sealed is not where we look"
        assert holding(needles, scene.files()) == []
        if name == "failed":
            customer.client().delete_bucket(Bucket=gone)
        scene.work(*([started["task_uuid"]] if name == "cancelled" else []))
        task = world.ended(started["task_uuid"], ends[name])
        assert scene.blobs(started["task_uuid"]) == [None, None]
        if name == "finished":
            check_the_store(scene, task, keys[name], tmp_path)
    provoke(world, jobs[0], customer, keys["failed"])
    assert holding(needles, scene.files()) == []
    for log in ("log", "worker.log"):
        assert "export_id" in (world.home / "worker.log").read_text()
        assert scene.marker not in (world.home / log).read_text()


def provoke(world: ceph_service.World, job: str, customer: ceph_service.Customer, key: str) -> None:
    """Requests that are refused with a secret in them; neither the answers nor the logs may repeat it."""
    secret = customer.secret_access_key
    for s3 in (
        {"sse_customer_key": [key]},
        {"sse_customer_key": key + "x"},
        {"sse_customer_key": key, "sse_customer_key_md5": "AAAA"},
        customer.s3() | {"secret_access_key": [secret]},
        customer.s3(bucket_name="no-such-bucket-of-ours") | {"sse_customer_key": key},
        customer.s3(endpoint_url=f"https://user:{secret}@127.0.0.1"),
    ):
        answer = world.http.post(f"{ceph_service.JOBS}/{job}/export", json={"s3": s3, "generate_customer_key": True})
        assert answer.status_code == 422, answer.text
        assert "endpoint_url" in s3 or secret not in answer.text
        assert key not in answer.text
    answer = world.http.post(f"{ceph_service.JOBS}/{job}/export", content=f'{{"s3": {{"sse_customer_key": "{key}"')
    assert (answer.status_code, key in answer.text) == (400, False)


def check_the_store(scene: Scene, task: dict[str, object], key: str, tmp_path: pathlib.Path) -> None:
    """Neither the events nor the file that holds them, nor the manifest, is in clear in the store."""
    world, target, manifest_file = scene.world, tmp_path / "x.gz", tmp_path / "x.manifest"
    options = ("-o", str(target), "--manifest", str(manifest_file))
    ran = world.penstock("download", str(task["uuid"]), *options, cwd=tmp_path, S3_SSE_C_KEY=key)
    assert ran.returncode == 0, ran.stderr
    content, root = target.read_bytes(), json.loads(manifest_file.read_text())["root_sha256"]
    assert scene.marker.encode() in gzip.decompress(content)
    needles = {
        scene.marker.encode(): "the marker",
        content[4000:4032]: "a stretch of the file",
        root.encode(): "a digest of the manifest",
        **dict.fromkeys(ceph_service.forms_of(key)[:4], "the key"),
    }
    if world.environment["PENSTOCK_STORAGE"] == "embedded":
        store = [path for path in (world.home / "exports").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in store) > len(content)
        assert holding(needles, store) == []
        return
    if scene.database is not None:
        return  # the device was looked through with SQLite
    control = randomness.token_bytes(32)
    world.ceph.client().put_object(Bucket=world.bucket, Key="in-clear", Body=control * 10_000)
    name = urllib.parse.urlsplit(str(task["attributes"]["download_url"])).path.rpartition("/")[2]  # type: ignore[index]
    folder = world.ceph.own_folder
    found = on_device(folder / "osd" / "block", {**needles, control: "control", name.encode(): "name"})
    assert found == {"control", "name"}, "the device holds what it must not, or we do not look at the right one"
    logs = [*folder.glob("*.log"), *folder.glob("*.out")]
    assert logs
    assert holding(needles, logs) == []


def on_device(device: pathlib.Path, needles: dict[bytes, str]) -> set[str]:
    """Which needles are on a device that is a sparse file; only what is allocated is read."""
    found, left, overlap, piece_bytes = set(), dict(needles), max(map(len, needles)), 4 << 20
    with device.open("rb") as file:
        end = 0
        while True:
            try:
                offset = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                return found
            end = os.lseek(file.fileno(), offset, os.SEEK_HOLE)
            while offset < end:
                piece = os.pread(file.fileno(), min(piece_bytes + overlap, end - offset), offset)
                offset += min(piece_bytes, len(piece))
                for needle in [each for each in left if each in piece]:
                    found.add(left.pop(needle))
