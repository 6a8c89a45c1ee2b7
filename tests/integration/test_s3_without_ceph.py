"""The service's Ceph killed in the middle of an export: it waits, says why, and its file is exact once Ceph is back."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from support import ceph_service

from penstock import settings, worker
from penstock.storage.keys import CustomerKey

pytestmark = pytest.mark.ceph
"""This file comes last of them by its name: for half a minute after a gateway's death, Ceph waits for the dead one
before it makes or removes a bucket."""

KEY = CustomerKey(bytes(range(7, 39)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph_service.World]:
    home, events = tmp_path_factory.mktemp("outage") / "home", ceph_service.large_events(18_000)
    given = ceph_service.ceph()
    assert given.own_folder
    more = {"PENSTOCK_EXPORT_MAX_ATTEMPTS": "1"}
    with ceph_service.served(home, given, events, "--no-worker", bucket_stays=True, **more) as running:
        yield running


@pytest.fixture(scope="module")
def job(world: ceph_service.World) -> str:
    uuid = world.search(ceph_service.LARGE_DAY)
    work(world, lambda name: None)
    return uuid


def work(world: ceph_service.World, step: Callable[[str], None], **more: str) -> None:
    with world.opened(**more) as opened:
        worker.Worker(opened, step=step).run_pending()


def start(world: ceph_service.World, job: str) -> str:
    return str(world.start(job, s3={"sse_customer_key": KEY.base64})["task_uuid"])


def left_in(world: ceph_service.World, task_uuid: str) -> list[str]:
    client = world.ceph.client()
    uploads = client.list_multipart_uploads(Bucket=world.bucket).get("Uploads", ())
    names = [*ceph_service.held_in(client, world.bucket), *(upload["Key"] for upload in uploads)]
    return [name for name in names if task_uuid in name]


def test_an_export_outlives_the_death_of_its_ceph_and_is_exact(world: ceph_service.World, job: str) -> None:
    uuid, restarts = start(world, job), []

    def kill(name: str) -> None:
        if name == "record 1 done" and not restarts:
            world.ceph.script("kill", "rgw")
            restarts.append(threading.Thread(target=world.ceph.script, args=("restart", "rgw")))
            restarts[0].start()

    try:
        work(world, kill, PENSTOCK_S3_RETRY_SECONDS="120")
    finally:
        for restart in restarts:
            restart.join()
    assert restarts
    task = world.ended(uuid)
    url = task["attributes"]["download_url"]
    content = requests.get(url, headers=KEY.headers(), verify=world.ca_file, timeout=120).content
    assert [json.loads(line) for line in gzip.decompress(content).splitlines()] == ceph_service.large_events(18_000)
    assert [name.partition(uuid)[2] for name in sorted(left_in(world, uuid))] == [".jsonl.gz", ".manifest.json"]
    quota = world.http.get(f"/v1/communities/{world.community_uuid}/quota").json()
    assert (quota["used_bytes"], quota["reserved_bytes"]) == (len(content), 0)


def test_an_export_whose_ceph_stays_away_waits_and_ends_by_name_at_its_deadline(
    world: ceph_service.World, job: str
) -> None:
    charged = world.http.get(f"/v1/communities/{world.community_uuid}/quota").json()["used_bytes"]
    killed: list[Any] = []

    def kill(name: str) -> None:
        if name == "record 1 done" and not killed:
            killed.append(world.ceph.script("kill", "rgw"))

    uuid = start(world, job)
    try:
        work(world, kill, PENSTOCK_S3_RETRY_SECONDS="1")
        waiting = world.task(uuid)
    finally:
        world.ceph.script("restart", "rgw")
    assert killed
    assert (waiting["status"], waiting["attributes"]["error"]) == ("RUNNING", None)
    assert "storage does not answer" in waiting["message"]
    assert world.wire_url not in waiting["message"]  # the operator's, no tenant's
    assert left_in(world, uuid) != []  # what the export would go on from

    late = dt.timedelta(seconds=settings.Settings().export_deadline_seconds + 60)
    with world.opened(late) as opened:
        worker.Worker(opened).sweep()  # ends it
        worker.Worker(opened).sweep()  # clears away what it has in the store
    assert world.ended(uuid, "FAILED")["attributes"]["error_code"] == "export_deadline_exceeded"
    assert left_in(world, uuid) == []
    quota = world.http.get(f"/v1/communities/{world.community_uuid}/quota").json()
    assert (quota["used_bytes"], quota["reserved_bytes"]) == (charged, 0)
