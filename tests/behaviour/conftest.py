"""What the behaviour suites run on: each suite runs on every implementation, real servers included."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import settings as settings_module
from penstock import testing
from penstock.control import apikeys, communities, database, exports, limits, searchjobs

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
    server = os.environ.get("PENSTOCK_TEST_POSTGRESQL", "")
    if not server:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must set PENSTOCK_TEST_POSTGRESQL (scripts/postgresql.sh start)")
        pytest.skip("no PostgreSQL: scripts/postgresql.sh start, then set PENSTOCK_TEST_POSTGRESQL")
    schema = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    try:
        url = sa.make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """URL of a fresh, migrated database of each kind."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "penstock.db")
        return f"sqlite:///{tmp_path / 'penstock.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    made = database.Database(url)
    made.migrate()
    made.close()
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
    job: searchjobs.SearchJob
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
        job = searchjobs.create(
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
        claim = searchjobs.claim(tx, "worker-0", now, 15)
        assert claim is not None
        totals, snapshots = {community.uuid: 1000}, {community.uuid: 7}
        searchjobs.finish(tx, claim, totals=totals, snapshots=snapshots, histogram_json={"buckets": []}, now=now)
        job = searchjobs.get(tx, job.uuid, None)
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
def new_sqlite_plane(sqlite_template: pathlib.Path, tmp_path: pathlib.Path) -> Callable[[], ControlPlane]:
    """Makes control planes on fresh SQLite databases, as many as a property test wants."""

    def make() -> ControlPlane:
        path = tmp_path / f"{uuid.uuid4().hex}.db"
        shutil.copy(sqlite_template, path)
        return control_plane(database.Database(f"sqlite:///{path}"))

    return make
