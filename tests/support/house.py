"""A service with one community and one search job, whose exports are made to crash; for several suites."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import settings, storage, worker
from penstock.base import clock as clocks
from penstock.control import apikeys, communities, exports, limits, quota, searches, secrets
from penstock.lake.attached import definition
from penstock.process import attached_tables, services, tables
from penstock.samples import generate

HERE = pathlib.Path(__file__).parent
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
EARLIEST, LATEST = START - dt.timedelta(days=1), START + dt.timedelta(days=30)
FIELDS = ("@timestamp", "message", "source.port")
MARK = "customer-key-of-the-crash-tests!"  # 32 bytes

SMALL = {"events": 1_200, "slice_rows": 150, "part_bytes": 9_000}
"""For the embedded store: a slice has at most 150 events, and makes a part."""

LARGE = {"events": 200_000, "slice_rows": 20_000, "part_bytes": 5 << 20}
"""For S3, whose parts have 5 MiB or more: 10 slices, about 3 parts."""


class LateClock(clocks.SystemClock):
    """The system's clock, two hours on: to it every lease has run out."""

    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(hours=2)


@dataclasses.dataclass(kw_only=True)
class House:
    """A service with one community whose exports are made to crash."""

    home: pathlib.Path
    environment: dict[str, str]
    opened: services.Services
    late: services.Services
    community_uuid: str
    api_key_uuid: str
    job: searches.SearchJob

    def start(self, bucket: storage.CustomerBucket | None = None) -> str:
        """Starts an export, into a customer's bucket if one is given."""
        key, task_uuid, now = storage.CustomerKey(MARK.encode()), exports.new_task_uuid(), self.opened.clock.now()
        sealed = self.opened.master_keys.seal(key.raw, secrets.customer_key_context(task_uuid))
        into: dict[str, Any] = {}
        if bucket is not None:
            unsealed, context = bucket.seal_bytes(), secrets.destination_context(task_uuid)
            into = {
                "destination": bucket.destination,
                "in_customer_bucket": True,
                "sealed_destination": self.opened.master_keys.seal(unsealed, context),
            }
        with self.opened.database.begin() as tx:
            own = limits.for_community(tx, self.community_uuid, self.opened.settings)
            exports.start(
                tx,
                exports.NewExport(
                    task_uuid=task_uuid,
                    job_uuid=self.job.uuid,
                    community_uuid=self.community_uuid,
                    fields=FIELDS,
                    term=self.job.term,
                    earliest=self.job.earliest,
                    latest=self.job.latest,
                    expected_events=self.job.total or 0,
                    sse_customer_key_md5=key.md5,
                    customer_key_generated=False,
                    sealed_customer_key=sealed,
                    created_by=self.api_key_uuid,
                    **into,
                ),
                limits=own,
                now=now,
            )
        return task_uuid

    def spawn(self, step: str, how: str = "kill", ahead_seconds: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "crashing_worker.py"), step, how, str(ahead_seconds)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def die_at(self, step: str, ahead_seconds: int = 0) -> bool:
        """Runs a worker that dies at the step; False if it ended without coming there."""
        process = self.spawn(step, ahead_seconds=ahead_seconds)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), printed
        return process.returncode == -signal.SIGKILL

    def take_over(self) -> None:
        """Another worker drives everything that is left to its end.

        It looks again for a while, as workers do: PostgreSQL may take a moment to notice that the dead worker is gone,
        and keeps what its last transaction had locked until then.
        """
        deadline = time.monotonic() + 30
        while True:
            worker.Worker(self.late).run_pending()
            with self.late.database.read() as tx:
                active = sum(exports.count_active(tx).values())
            if not active:
                return
            assert time.monotonic() < deadline, f"{active} exports were left by the worker that took over"
            time.sleep(0.05)

    def export(self, task_uuid: str) -> exports.Export:
        with self.opened.database.read() as tx:
            return exports.get(tx, task_uuid, None)

    def content(self, task_uuid: str) -> bytes:
        key = self.export(task_uuid).object_key
        assert key is not None
        return b"".join(self.opened.store.read(key, storage.CustomerKey(MARK.encode())))

    def used_bytes(self) -> int:
        with self.late.database.read() as tx:
            own = limits.for_community(tx, self.community_uuid, self.late.settings)
            return quota.usage(tx, self.community_uuid, self.late.clock.now(), own).used_bytes

    def steps_of_an_undisturbed_export(self) -> tuple[list[str], bytes]:
        """The names of all steps, in order, and the file."""
        task_uuid = self.start()
        printed, _ = self.spawn("-").communicate(timeout=120)
        assert self.export(task_uuid).status == "FINISHED", printed
        return steps_in(printed), self.content(task_uuid)

    def assert_exact(self, task_uuid: str, expected: bytes, used_before: int) -> None:
        export = self.export(task_uuid)
        assert (export.status, export.error_message) == ("FINISHED", None)
        assert self.content(task_uuid) == expected
        assert export.compressed_bytes == len(expected)
        assert self.used_bytes() - used_before == len(expected)
        with self.opened.database.read() as tx:
            assert secrets.key_ids_in_use(tx) == frozenset()  # nothing sealed is left
        worker.Worker(self.late).sweep()  # an upload that began and was never written down is the sweeper's
        assert list(self.opened.store.list_unfinished()) == []


def attached(made: House, name: str, table: str, kind: str) -> House:
    """The same service with a community over somebody else's table in place of its own."""
    with made.opened.database.begin() as tx:
        community = communities.create(tx, name=name, now=made.opened.clock.now())
    loaded = made.opened.settings
    defined = definition.Definition(table=table, type=definition.TableType(kind))
    looked_at = attached_tables.open_attached(loaded, community.uuid, defined)
    looked_at.check()
    attached_tables.attach(loaded, community.uuid, looked_at)
    job = _searched(made.opened, community.uuid, made.api_key_uuid)
    return dataclasses.replace(made, community_uuid=community.uuid, job=job)


def _searched(opened: services.Services, community_uuid: str, api_key_uuid: str) -> searches.SearchJob:
    """A search job over all of a community's events, done."""
    with opened.database.begin() as tx:
        job = searches.create(
            tx,
            term="",
            earliest_time="",
            latest_time="",
            earliest=EARLIEST,
            latest=LATEST,
            community_uuids=[community_uuid],
            created_by=api_key_uuid,
            now=opened.clock.now(),
            ttl_seconds=86_400,
        )
    worker.Worker(opened).run_pending()
    with opened.database.read() as tx:
        return searches.get(tx, job.uuid, None)


def steps_in(printed: str) -> list[str]:
    """The steps that a crashing worker has printed, each once."""
    steps = [line.removeprefix("step: ") for line in printed.splitlines() if line.startswith("step: ")]
    return list(dict.fromkeys(steps))


@contextlib.contextmanager
def opened_house(home: pathlib.Path, database_url: str, sizes: dict[str, int], more: dict[str, str]) -> Iterator[House]:
    environment = {
        **os.environ,
        "PENSTOCK_HOME": str(home),
        "PENSTOCK_DATABASE_URL": database_url,
        "PENSTOCK_SLICE_ROWS": str(sizes["slice_rows"]),
        "PENSTOCK_PART_BYTES": str(sizes["part_bytes"]),
        "PENSTOCK_EXPORTS_PER_SEARCH_JOB": "100000",
        "PENSTOCK_LEASE_SECONDS": "30",
        **more,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        loaded = settings.load()
    home.mkdir(exist_ok=True)
    secrets.MasterKeys.create(home)
    with services.opened(loaded) as opened, services.opened(loaded, clock=LateClock()) as late:
        now = opened.clock.now()
        with opened.database.begin() as tx:
            community = communities.create(tx, name="crashes", now=now, limits=None)
            key, _ = apikeys.create(tx, communities=[community.uuid], permissions=["ADMIN"], name="k", now=now)
        generate.generate(tables.open_table(loaded, community.uuid), events=sizes["events"], seed=3, start=START)
        job = _searched(opened, community.uuid, key.uuid)
        assert job.total == sizes["events"]
        yield House(
            home=home,
            environment=environment,
            opened=opened,
            late=late,
            community_uuid=community.uuid,
            api_key_uuid=key.uuid,
            job=job,
        )


def ceph_settings() -> dict[str, str]:
    """The settings of the Ceph that PENSTOCK_TEST_CEPH names, with a bucket made for these tests.

    PENSTOCK_TEST_CEPH_BUCKET names one that is there already.
    """
    endpoint = os.environ.get("PENSTOCK_TEST_CEPH", "")
    if not endpoint:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must set PENSTOCK_TEST_CEPH (scripts/ceph.sh start)")
        pytest.skip("no Ceph: scripts/ceph.sh start, then set PENSTOCK_TEST_CEPH")
    import boto3
    from botocore.config import Config

    ca = os.environ["PENSTOCK_TEST_CEPH_CA"]
    bucket = os.environ.get("PENSTOCK_TEST_CEPH_BUCKET", "") or f"crashes-{os.getpid()}-{time.time_ns()}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        verify=ca,
        aws_access_key_id="test",
        aws_secret_access_key="testtest",
        region_name="us-east-1",
        config=Config(signature_version="s3v4", request_checksum_calculation="when_required"),
    )
    if "PENSTOCK_TEST_CEPH_BUCKET" not in os.environ:
        client.create_bucket(Bucket=bucket)
    client.close()
    return {
        "PENSTOCK_STORAGE": "s3",
        "PENSTOCK_S3_BUCKET": bucket,
        "PENSTOCK_S3_ENDPOINT_URL": endpoint,
        "PENSTOCK_S3_ACCESS_KEY_ID": "test",
        "PENSTOCK_S3_SECRET_ACCESS_KEY": "testtest",
        "PENSTOCK_S3_CA_FILE": ca,
    }
