"""What the behaviour suites run on: each suite runs on every implementation, real servers included."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
import http.server
import os
import pathlib
import shutil
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import botocore.config
import pytest
import requests
import sqlalchemy as sa
from support import databases

from penstock import errors, testing
from penstock import settings as settings_module
from penstock.control import apikeys, communities, database, exports, limits, searches
from penstock.control.schema import tables
from penstock.storage import Secret, Store
from penstock.storage.embedded import responses
from penstock.storage.embedded import store as embedded
from penstock.storage.s3 import store as s3

# Databases: a fresh one for each test, at the price of a file copy or a schema.


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A migrated, empty database to copy."""
    path = tmp_path_factory.mktemp("template") / "penstock.db"
    made = database.Database(f"sqlite:///{path}")
    made.migrate()
    made.close()
    return path


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """A fresh, empty schema of the server that PENSTOCK_TEST_POSTGRESQL names, as a URL."""
    with databases.postgresql_schema(databases.postgresql_server()) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgresql_url() -> Iterator[str]:
    """A migrated schema that `database_url` empties before each test: making one takes ten times as long."""
    with databases.postgresql_schema(databases.postgresql_server()) as url:
        made = database.Database(url)
        made.migrate()
        made.close()
        yield url


def empty_postgresql(url: str) -> None:
    names = [table.name for table in reversed(tables.metadata.sorted_tables) if table is not tables.audit_horizon]
    guarded = ("audit_entries", "audit_horizon")
    statements = [
        "SET LOCAL lock_timeout = '10s'",
        *(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in guarded),
        *(f"DELETE FROM {name}" for name in names),
        "UPDATE audit_horizon SET delete_before = '0001-01-01 00:00:00+00'",
        *(f"ALTER TABLE {name} ENABLE TRIGGER USER" for name in guarded),
    ]
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join(statements))


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("sqlite_suffices") and item.get_closest_marker("postgresql"):
            item.add_marker(pytest.mark.soak)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """URL of a fresh, migrated database of each kind."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "penstock.db")
        return f"sqlite:///{tmp_path / 'penstock.db'}"
    url: str = request.getfixturevalue("migrated_postgresql_url")
    empty_postgresql(url)
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[database.Database]:
    """The fresh database."""
    made = database.Database(database_url)
    yield made
    made.close()


@dataclasses.dataclass(kw_only=True)
class ControlPlane:
    """A database with one community, one API key and one finished search job, and short words for what tests do."""

    db: database.Database
    clock: testing.ManualClock
    settings: settings_module.Settings
    community: communities.Community
    key: apikeys.ApiKey
    job: searches.SearchJob
    limits: limits.Limits

    def new_export(self, **values: Any) -> exports.NewExport:
        """A request to export the search job."""
        asked: dict[str, Any] = {
            "task_uuid": exports.new_task_uuid(),
            "job_uuid": self.job.uuid,
            "community_uuid": self.community.uuid,
            "fields": ("@timestamp", "message"),
            "term": self.job.term,
            "earliest": self.job.earliest,
            "latest": self.job.latest,
            "expected_events": 1000,
            "sse_customer_key_md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
            "customer_key_generated": True,
            "sealed_customer_key": b"sealed customer key",
            "created_by": self.key.uuid,
        }
        return exports.NewExport(**(asked | values))

    def start(self, **values: Any) -> exports.Export:
        with self.db.begin() as tx:
            return exports.start(tx, self.new_export(**values), limits=self.limits, now=self.clock.now()).export

    def claim(self, worker_id: str = "worker-1", lease_seconds: float = 15) -> exports.Claim | None:
        with self.db.begin() as tx:
            return exports.claim(tx, worker_id, self.clock.now(), lease_seconds)

    def running(self, worker_id: str = "worker-1", **values: Any) -> exports.Claim:
        """An export that is claimed, planned, and whose upload has begun."""
        self.start(**values)
        claim = self.claim(worker_id)
        assert claim is not None
        with self.db.begin() as tx:
            exports.record_plan(
                tx,
                claim,
                snapshot_version=7,
                plan_json='{"slices":[]}',
                object_key=f"exports/{claim.task_uuid}.jsonl.gz",
                part_bytes=100,
                total_events=1000,
                now=self.clock.now(),
            )
            exports.record_upload(tx, claim, f"upload-of-{claim.task_uuid}", self.clock.now())
        return claim

    def part(self, number: int, **values: Any) -> exports.Part:
        facts: dict[str, Any] = {
            "number": number,
            "etag": f"etag-{number}",
            "size": 100,
            "events": 10,
            "raw_bytes": 1000,
            "sha256": f"{number:064x}",
            "crc32": 4_294_967_295,
            "next_slice": number,
            "segments_json": "[]",
        }
        return exports.Part(**(facts | values))

    def write_part(self, claim: exports.Claim, number: int, **values: Any) -> None:
        with self.db.begin() as tx:
            exports.record_part(tx, claim, self.part(number, **values), self.clock.now())

    def finish(self, claim: exports.Claim, compressed_bytes: int = 300) -> None:
        with self.db.begin() as tx:
            exports.finish(
                tx,
                claim,
                compressed_bytes=compressed_bytes,
                raw_bytes=3000,
                events=30,
                download_url="https://store/object?signature",
                manifest_url="https://store/manifest?signature",
                expire_at=self.clock.now() + dt.timedelta(seconds=self.limits.download_window_seconds),
                now=self.clock.now(),
            )

    def get(self, task_uuid: str) -> exports.Export:
        with self.db.read() as tx:
            return exports.get(tx, task_uuid, None)

    def secrets_of(self, task_uuid: str) -> tuple[Any, ...]:
        """The sealed columns as they lie in the database."""
        with self.db.read() as tx:
            query = "SELECT sealed_customer_key, sealed_destination FROM exports WHERE task_uuid = :t"
            return tuple(tx.execute(sa.text(query), {"t": task_uuid}).one())

    def count(self, table: str) -> int:
        with self.db.read() as tx:
            return int(tx.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def control_plane(db: database.Database) -> ControlPlane:
    clock = testing.ManualClock()
    settings = settings_module.Settings()
    now = clock.now()
    with db.begin() as tx:
        community = communities.create(tx, name="acme", now=now)
        key, _ = apikeys.create(
            tx, communities=[community.uuid], permissions=["SIC_MASSIVE_EXPORT_EVENTS"], name="exporter", now=now
        )
        job = searches.create(
            tx,
            term="source.ip:10.0.0.0/8",
            earliest_time="-7d",
            latest_time="now",
            earliest=now - dt.timedelta(days=7),
            latest=now,
            community_uuids=[community.uuid],
            created_by=key.uuid,
            now=now,
            ttl_seconds=settings.search_job_ttl_seconds,
        )
        claim = searches.claim(tx, "worker-0", now, 15)
        assert claim is not None
        totals, snapshots = {community.uuid: 1000}, {community.uuid: 7}
        searches.finish(tx, claim, totals=totals, snapshots=snapshots, histogram_json={"buckets": []}, now=now)
        job = searches.get(tx, job.uuid, None)
    return ControlPlane(
        db=db,
        clock=clock,
        settings=settings,
        community=community,
        key=key,
        job=job,
        limits=limits.from_settings(settings),
    )


@pytest.fixture
def plane(db: database.Database) -> ControlPlane:
    """The control plane on a fresh database of each kind."""
    return control_plane(db)


@pytest.fixture
def new_sqlite_plane(sqlite_template: pathlib.Path, tmp_path: pathlib.Path) -> Callable[..., ControlPlane]:
    """Makes control planes on fresh SQLite databases, as many as a property test wants, in a folder if it says so."""

    def make(folder: pathlib.Path = tmp_path) -> ControlPlane:
        path = folder / f"{uuid.uuid4().hex}.db"
        shutil.copy(sqlite_template, path)
        return control_plane(database.Database(f"sqlite:///{path}"))

    return make


@pytest.fixture
def new_postgresql_plane(migrated_postgresql_url: str) -> Callable[[], ControlPlane]:
    """Makes control planes on PostgreSQL; each empties the schema, so there is one at a time."""

    def make() -> ControlPlane:
        empty_postgresql(migrated_postgresql_url)
        return control_plane(database.Database(migrated_postgresql_url))

    return make


# Stores: one that is empty for each test, and how its URLs are fetched.

ON_CEPH = pytest.param("ceph", marks=pytest.mark.ceph)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreKit:
    """A store under test.

    Attributes:
        kind: memory, embedded or ceph.
        store: the store.
        prefix: keys of this test begin with it.
        verify: what `requests` checks certificates with.
        folder: where the store keeps its files, if it is a folder of this machine.
        let_expire: lets a URL of a few seconds expire.
    """

    kind: str
    store: Store
    prefix: str
    verify: str | bool = True
    folder: pathlib.Path | None = None
    let_expire: Callable[[str], None] = lambda url: None

    def get(self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> requests.Response:
        """Fetches a URL as a customer would."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, url, headers=dict(headers or {}), verify=self.verify, timeout=120)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ceph:
    """The Ceph of scripts/ceph.sh."""

    url: str
    ca_file: str
    bucket: str

    def client(self) -> Any:
        """A plain boto3 client: what a customer would use."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="testtest",
            verify=self.ca_file,
            config=botocore.config.Config(
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )

    def store(self, **settings: Any) -> s3.S3Store:
        """Our store in the session's bucket."""
        given: dict[str, Any] = {
            "bucket": self.bucket,
            "endpoint_url": self.url,
            "access_key_id": "test",
            "secret_access_key": Secret("testtest"),
            "ca_file": self.ca_file,
        }
        return s3.S3Store(s3.S3Settings(**{**given, **settings}))


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """A bucket of its own on the Ceph that PENSTOCK_TEST_CEPH names."""
    url = os.environ.get("PENSTOCK_TEST_CEPH", "")
    if not url:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must set PENSTOCK_TEST_CEPH (scripts/ceph.sh start)")
        pytest.skip("no Ceph: scripts/ceph.sh start, then set PENSTOCK_TEST_CEPH and PENSTOCK_TEST_CEPH_CA")
    found = Ceph(url=url, ca_file=os.environ["PENSTOCK_TEST_CEPH_CA"], bucket=f"test-{uuid.uuid4().hex}")
    client = found.client()
    client.create_bucket(Bucket=found.bucket)
    yield found
    for upload in found.store().list_unfinished():
        found.store().abort(upload)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=found.bucket)
    held = [item["Key"] for page in pages for item in page.get("Contents", ())]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.delete_object(Bucket=found.bucket, Key=key), held))
    client.delete_bucket(Bucket=found.bucket)


def ceph_kit(ceph: Ceph) -> StoreKit:
    def let_expire(url: str) -> None:
        """Ceph's clock cannot be turned: asks until the URL has expired."""
        deadline = time.monotonic() + 20
        while requests.get(url, verify=ceph.ca_file, timeout=10).text.count("SignatureDoesNotMatch"):
            assert time.monotonic() < deadline, "the URL did not expire"

    return StoreKit(
        kind="ceph",
        store=ceph.store(),
        prefix=f"t{uuid.uuid4().hex}/",
        verify=ceph.ca_file,
        let_expire=let_expire,
    )


class DownloadHandler(http.server.BaseHTTPRequestHandler):
    """`embedded_http.respond` behind a real socket."""

    protocol_version = "HTTP/1.1"
    store: embedded.EmbeddedStore

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        path = urllib.parse.unquote(parts.path)
        answer = responses.respond(self.store, self.command, path, query, dict(self.headers.items()))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for piece in answer.body:
                self.wfile.write(piece)
        except errors.StorageError:
            self.close_connection = True

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture
def embedded_kit(tmp_path: pathlib.Path) -> Iterator[StoreKit]:
    """An embedded store, its URLs served over a real socket, its clock turned by hand."""
    clock = testing.ManualClock()
    handler = type("Handler", (DownloadHandler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.store = embedded.EmbeddedStore(
        tmp_path / "exports",
        signing_key=b"a signing key of thirty-two byte",
        public_url=f"http://127.0.0.1:{server.server_address[1]}",
        clock=clock,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield StoreKit(
        kind="embedded",
        store=handler.store,
        prefix="penstock/",
        folder=tmp_path / "exports",
        let_expire=lambda url: clock.advance(3600),
    )
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["memory", "embedded", ON_CEPH])
def kit(request: pytest.FixtureRequest) -> StoreKit:
    """Every store there is."""
    if request.param == "memory":
        return StoreKit(kind="memory", store=testing.MemoryStore(), prefix="penstock/")
    return served(request)


@pytest.fixture(params=["embedded", ON_CEPH])
def served_kit(request: pytest.FixtureRequest) -> StoreKit:
    """Every store whose URLs can be fetched."""
    return served(request)


def served(request: pytest.FixtureRequest) -> StoreKit:
    if request.param == "embedded":
        kit: StoreKit = request.getfixturevalue("embedded_kit")
        return kit
    return ceph_kit(request.getfixturevalue("ceph"))
