"""The end of the download window, on Ceph over https: the sweeper deletes, a lifecycle rule is the safety net."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import json
import pathlib
import re
from collections.abc import Iterator

import pytest
import requests
from support import ceph_service, waiting

from penstock import errors, storage, worker
from penstock.client import Penstock
from penstock.client.download import download as downloads
from penstock.control import limits
from penstock.storage.keys import CustomerKey

pytestmark = pytest.mark.ceph

WINDOW = dt.timedelta(seconds=2)
FILE = {"content_type": storage.EXPORT_CONTENT_TYPE, "filename": "export.jsonl.gz"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph_service.World]:
    """A community whose files can be downloaded for two seconds, and no worker but the tests' own."""
    home, events = tmp_path_factory.mktemp("window") / "home", ceph_service.small_events()
    with ceph_service.served(home, ceph_service.ceph(), events, "--no-worker", window_seconds=2) as running:
        yield running


@pytest.fixture(scope="module")
def job(world: ceph_service.World) -> str:
    uuid = world.search(ceph_service.SMALL_DAY)
    work(world)
    return uuid


def work(world: ceph_service.World) -> None:
    with world.opened() as opened:
        worker.Worker(opened).run_pending()


def sweep(world: ceph_service.World, late: dt.timedelta) -> None:
    with world.opened(late=late) as opened:
        worker.Worker(opened).sweep()


def held(world: ceph_service.World) -> list[str]:
    return ceph_service.held_in(world.ceph.client(), world.bucket)


def test_after_the_window_the_url_is_dead_and_clients_say_why(
    world: ceph_service.World, job: str, tmp_path: pathlib.Path
) -> None:
    started = world.start(job)
    key, uuid = CustomerKey.parse(started["sse_customer_key"]), started["task_uuid"]
    work(world)
    url = world.ended(uuid)["attributes"]["download_url"]

    def get() -> requests.Response:
        return requests.get(url, headers=key.headers(), verify=world.ca_file, timeout=120)

    assert gzip.decompress(get().content).count(b"\n") == 2_000
    waiting.until(lambda: get().status_code != 200)
    assert (get().status_code, "<Code>AccessDenied</Code>" in get().text) == (403, True)
    assert world.task(uuid)["attributes"]["download_url"] is None
    with pytest.raises(errors.AccessDenied) as raw:
        downloads.download(url, tmp_path / "x", customer_key=key, verify=ceph_service.trusting(world.ca_file))
    with (
        Penstock(world.url, world.token, verify=world.ca_file) as penstock,
        pytest.raises(errors.AccessDenied) as asked,
    ):
        penstock.export(uuid, customer_key=key).download(tmp_path / "x")
    assert (raw.value.code, asked.value.code) == ("download_expired", "download_expired")
    ran = world.penstock("download", uuid, "-o", "x", cwd=tmp_path, S3_SSE_C_KEY=key.base64)
    assert (ran.returncode, ran.stderr.split("]")[0]) == (1, "Error [download_expired")


def test_the_sweeper_deletes_file_and_manifest_after_the_window_and_not_before(
    world: ceph_service.World, job: str
) -> None:
    sweep(world, dt.timedelta(days=1))
    started = world.start(job)
    work(world)
    world.ended(started["task_uuid"])
    names = held(world)
    assert [name.partition(started["task_uuid"])[2] for name in sorted(names)] == [".jsonl.gz", ".manifest.json"]
    sweep(world, -WINDOW)
    assert held(world) == names
    sweep(world, WINDOW + dt.timedelta(minutes=10))
    assert held(world) == []
    sweep(world, WINDOW + dt.timedelta(minutes=20))  # again is harmless
    assert world.task(started["task_uuid"])["status"] == "FINISHED"


def test_a_window_longer_than_s3_signs_for_is_cut_to_what_the_url_keeps(world: ceph_service.World, job: str) -> None:
    month = {"download_window_seconds": 30 * 86_400}
    with world.opened() as opened, opened.database.begin() as tx:
        before = limits.overrides(tx, world.community_uuid)
        limits.set_for_community(tx, world.community_uuid, dataclasses.replace(before, **month))
    started = world.start(job)
    work(world)
    attributes = world.ended(started["task_uuid"])["attributes"]
    with world.opened() as opened, opened.database.begin() as tx:
        limits.set_for_community(tx, world.community_uuid, before)
    headers = CustomerKey.parse(started["sse_customer_key"]).headers()
    assert requests.get(attributes["download_url"], headers=headers, verify=world.ca_file, timeout=120).ok
    left = dt.datetime.fromisoformat(attributes["expire_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=6.9) < left <= dt.timedelta(days=7)
    assert "X-Amz-Expires=604800" in attributes["download_url"]


def test_uploads_that_no_export_owns_are_aborted_and_those_that_one_owns_are_not(
    world: ceph_service.World, job: str
) -> None:
    """An answer to `begin` that was lost leaves such an upload; other tenants of the bucket have some of their own."""
    client, key = world.ceph.client(), CustomerKey.generate()
    with world.opened() as opened:
        orphan = opened.store.begin(f"penstock/{world.community_uuid}/2026/01/01/export_x.jsonl.gz", key, **FILE)
        opened.store.put_part(orphan, 1, bytes(5 << 20), key)
    client.create_multipart_upload(Bucket=world.bucket, Key="somebody-else/x")
    started = world.start(job)

    class Stop(Exception):
        """The worker dies here, in the middle of its export."""

    def die(name: str) -> None:
        if name == "begin recorded":
            raise Stop

    def uploads() -> list[str]:
        return [each["Key"] for each in client.list_multipart_uploads(Bucket=world.bucket).get("Uploads", ())]

    with world.opened() as opened, pytest.raises(Stop):
        worker.Worker(opened, step=die).run_export()
    owned = [name for name in uploads() if started["task_uuid"] in name]
    assert len(owned) == 1
    sweep(world, dt.timedelta(0))
    assert orphan.key in uploads()  # young: its export may be about to say so
    sweep(world, dt.timedelta(hours=2))
    assert sorted(uploads()) == sorted(["somebody-else/x", *owned])
    with world.opened(late=dt.timedelta(hours=2)) as late:
        worker.Worker(late).run_pending()
    world.ended(started["task_uuid"])
    assert uploads() == ["somebody-else/x"]


def test_storage_init_installs_the_safety_net_and_storage_check_shows_it(
    world: ceph_service.World, tmp_path: pathlib.Path
) -> None:
    client = world.ceph.client()
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 90}}
    client.put_bucket_lifecycle_configuration(Bucket=world.bucket, LifecycleConfiguration={"Rules": [theirs]})

    def storage_command(word: str, *more: str) -> str:
        ran = world.penstock("storage", word, *more, cwd=tmp_path, **world.environment)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    before = held(world)
    assert "after 2 days" in storage_command("init")
    storage_command("init")  # again changes nothing
    shown = storage_command("check")
    assert "takes, gives back and deletes encrypted objects" in shown
    assert re.search(r"penstock-expiry\s+penstock/\s+yes\s+yes\s+2\s+2", shown), shown
    assert re.search(r"theirs\s+logs/\s+yes\s+no\s+90", shown), shown
    rules = {rule["name"]: rule for rule in json.loads(storage_command("check", "--json"))["lifecycle"]}
    assert set(rules) == {"penstock-expiry", "theirs"}
    assert held(world) == before
    found = client.get_bucket_lifecycle_configuration(Bucket=world.bucket)["Rules"]
    ours = next(rule for rule in found if rule["ID"] == "penstock-expiry")
    assert ours["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert ours["Expiration"]["Days"] == 2
