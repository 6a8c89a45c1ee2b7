"""Exports into a customer's own bucket, on Ceph over https: tried before they start, exact, and never touched again."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import pathlib
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa
import structlog
from support import ceph_service

from penstock import worker
from penstock.control import limits
from penstock.storage.keys import CustomerKey
from penstock.worker import holding
from penstock.worker.exports import abort_uploads

pytestmark = pytest.mark.ceph

OFFICIAL = pathlib.Path(sys.executable).with_name("sekoia-event-exporter")
KMS_KEY = "penstock-test"
"""The one key of the gateway's own KMS: scripts/ceph.sh."""

OWN_KEY = CustomerKey(bytes(range(100, 132)))
AFTER_THE_WINDOW = dt.timedelta(hours=25)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph_service.World]:
    """No worker runs in it: the tests work themselves, to meet exports on their way."""
    home, events = tmp_path_factory.mktemp("own") / "home", ceph_service.large_events(18_000)
    events += ceph_service.small_events()
    with ceph_service.served(home, ceph_service.ceph(), events, "--no-worker") as running:
        yield running


@pytest.fixture(scope="module")
def customer(world: ceph_service.World) -> Iterator[ceph_service.Customer]:
    with world.ceph.customer(world.ceph.url) as made:
        yield made


@pytest.fixture(scope="module")
def jobs(world: ceph_service.World) -> dict[str, str]:
    """Search jobs that are done, by day."""
    made = {day: world.search(day) for day in (ceph_service.LARGE_DAY, ceph_service.SMALL_DAY)}
    work(world)
    return made


@pytest.fixture
def small_job(jobs: dict[str, str]) -> str:
    return jobs[ceph_service.SMALL_DAY]


def work(world: ceph_service.World, step: Any = lambda name: None) -> None:
    with world.opened() as opened:
        worker.Worker(opened, step=step).run_pending()


def object_key_of(task: dict[str, Any]) -> str:
    """From the URL: /BUCKET/KEY."""
    return urllib.parse.unquote(urllib.parse.urlsplit(task["attributes"]["download_url"]).path).split("/", 2)[2]


def read(customer: ceph_service.Customer, name: str, key: CustomerKey) -> bytes:
    sse_c = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key.base64, "SSECustomerKeyMD5": key.md5}
    body: bytes = customer.client().get_object(Bucket=customer.bucket, Key=name, **sse_c)["Body"].read()
    return body


def sealed(world: ceph_service.World, task_uuid: str) -> list[bytes | None]:
    with world.opened() as opened, opened.database.read() as tx:
        query = sa.text("SELECT sealed_customer_key, sealed_destination FROM exports WHERE task_uuid = :task")
        return list(tx.execute(query, {"task": task_uuid}).one())


def test_a_bucket_is_tried_without_leaving_anything(world: ceph_service.World, customer: ceph_service.Customer) -> None:
    before = ceph_service.held_in(customer.client(), customer.bucket)
    reply = world.http.post("/v1/destinations/try", json=customer.s3(prefix="tried"))
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["destination"] == f"s3://{customer.bucket}/tried at {customer.endpoint_url}"
    assert 0 < answer["seconds"] < 60
    assert ceph_service.held_in(customer.client(), customer.bucket) == before


@pytest.mark.parametrize("prefix", ["evidence/case-17", ""])
@pytest.mark.parametrize("own_key", [True, False], ids=["own key", "a key made for it"])
def test_the_export_lands_in_the_bucket_with_its_manifest_beside_it(
    world: ceph_service.World, customer: ceph_service.Customer, small_job: str, prefix: str, own_key: bool
) -> None:
    sse_c = {"sse_customer_key": OWN_KEY.base64, "sse_customer_key_md5": OWN_KEY.md5} if own_key else {}
    started = world.start(small_job, s3=customer.s3(prefix=prefix) | sse_c)
    key = OWN_KEY if own_key else CustomerKey.parse(started["sse_customer_key"])
    assert ("sse_customer_key" in started) != own_key
    work(world)
    task = world.ended(started["task_uuid"])
    name, today = object_key_of(task), f"{dt.datetime.now(dt.UTC):%Y/%m/%d}"
    expected = f"{prefix}/{world.community_uuid}/{today}/export_{started['task_uuid']}.jsonl.gz".lstrip("/")
    assert name == expected
    held = ceph_service.held_in(customer.client(), customer.bucket)
    assert name in held
    manifest = json.loads(read(customer, name.replace(".jsonl.gz", ".manifest.json"), key))
    assert (manifest["task_uuid"], manifest["events"]) == (started["task_uuid"], 2_000)
    rows = [json.loads(line) for line in gzip.decompress(read(customer, name, key)).splitlines()]
    expected_rows = [
        {"@timestamp": event["@timestamp"], "message": event["message"]} for event in ceph_service.small_events()
    ]
    assert sorted(map(str, rows)) == sorted(map(str, expected_rows))
    assert (
        task["attributes"]["destination"]
        == f"s3://{customer.bucket}/{prefix}".rstrip("/") + f" at {customer.endpoint_url}"
    )
    assert not [other for other in held if ".penstock-probe" in other]
    got = requests.get(task["attributes"]["download_url"], headers=key.headers(), verify=world.ca_file, timeout=120)
    assert gzip.decompress(got.content).count(b"\n") == 2_000
    assert ceph_service.held_in(world.ceph.client(), world.bucket) == []


@pytest.mark.parametrize("named", [{"encryption": "sse-kms", "kms_key_id": KMS_KEY}, {"encryption": "bucket-default"}])
def test_the_buckets_own_encryption_needs_no_customer_key(
    world: ceph_service.World, customer: ceph_service.Customer, small_job: str, named: dict[str, str]
) -> None:
    """Debian's Ceph cannot be given a default key of a bucket: there, `bucket-default` is what the bucket does."""
    started = world.start(small_job, generate_customer_key=False, s3=customer.s3(prefix=named["encryption"]) | named)
    work(world)
    task = world.ended(started["task_uuid"])
    assert "sse_customer_key" not in started
    assert task["attributes"]["encryption"] == named["encryption"]
    name = object_key_of(task)
    for key in (name, name.replace(".jsonl.gz", ".manifest.json")):
        held = customer.client().head_object(Bucket=customer.bucket, Key=key)
        assert held.get("SSEKMSKeyId") == named.get("kms_key_id")
    got = requests.get(task["attributes"]["download_url"], verify=world.ca_file, timeout=120)
    assert gzip.decompress(got.content).count(b"\n") == 2_000


@pytest.mark.parametrize("program", ["penstock", "official"])
def test_both_clients_export_into_the_bucket_and_download_from_it(
    world: ceph_service.World, customer: ceph_service.Customer, small_job: str, tmp_path: pathlib.Path, program: str
) -> None:
    command = [str(OFFICIAL)] if program == "official" else [sys.executable, "-m", "penstock"]
    members = {
        "S3_BUCKET": customer.bucket,
        "S3_PREFIX": "by-client",
        "S3_ACCESS_KEY_ID": customer.access_key_id,
        "S3_SECRET_ACCESS_KEY": customer.secret_access_key,
        "S3_ENDPOINT_URL": customer.endpoint_url,
        "S3_SSE_C_KEY": OWN_KEY.base64,
    }
    interval = "1" if program == "official" else "0.1"
    ended = threading.Event()

    def keep_working() -> None:
        with world.opened() as opened:
            while not ended.wait(0.05):
                worker.Worker(opened).run_pending()

    thread = threading.Thread(target=keep_working)
    thread.start()
    try:
        ran = world.run([*command, "export", small_job, "--interval", interval, "-o", "x.gz"], tmp_path, **members)
    finally:
        ended.set()
        thread.join()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert customer.secret_access_key not in ran.stdout + ran.stderr
    assert len(gzip.decompress((tmp_path / "x.gz").read_bytes()).splitlines()) == 2_000
    assert [name for name in ceph_service.held_in(customer.client(), customer.bucket) if name.startswith("by-client/")]


def test_credentials_are_sealed_while_the_export_is_active_and_erased_after(
    world: ceph_service.World, customer: ceph_service.Customer, small_job: str
) -> None:
    started = world.start(small_job, s3=customer.s3() | {"sse_customer_key": OWN_KEY.base64})
    for blob in sealed(world, started["task_uuid"]):
        assert blob is not None
        assert customer.secret_access_key.encode() not in blob
        assert customer.access_key_id.encode() not in blob
        assert OWN_KEY.raw not in blob
    work(world)
    world.ended(started["task_uuid"])
    assert sealed(world, started["task_uuid"]) == [None, None]


def test_nothing_is_deleted_in_the_bucket_when_the_window_is_over(
    world: ceph_service.World, customer: ceph_service.Customer, small_job: str
) -> None:
    started = world.start(small_job, s3=customer.s3(prefix="kept"))
    work(world)
    world.ended(started["task_uuid"])
    before = ceph_service.held_in(customer.client(), customer.bucket)
    with world.opened(late=AFTER_THE_WINDOW) as late:
        worker.Worker(late).sweep()
        worker.Worker(late).sweep()
    assert ceph_service.held_in(customer.client(), customer.bucket) == before
    assert len([name for name in before if name.startswith("kept/")]) == 2


def test_a_cancelled_export_aborts_its_upload_and_leaves_nothing(
    world: ceph_service.World, customer: ceph_service.Customer, jobs: dict[str, str]
) -> None:
    started = world.start(jobs[ceph_service.LARGE_DAY], s3=customer.s3(prefix="cancelled"))
    uploads: list[int] = []

    def cancel(name: str) -> None:
        if name == "record 1 done" and not uploads:
            found = customer.client().list_multipart_uploads(Bucket=customer.bucket).get("Uploads", ())
            uploads.append(len(found))
            assert world.http.post(f"/v1/tasks/{started['task_uuid']}/cancel").status_code == 202
            threading.Event().wait(3 * holding.WATCH_SECONDS)  # within which the worker looks

    work(world, cancel)
    assert uploads == [1]
    world.ended(started["task_uuid"], "CANCELED")
    assert "Uploads" not in customer.client().list_multipart_uploads(Bucket=customer.bucket)
    assert not [n for n in ceph_service.held_in(customer.client(), customer.bucket) if n.startswith("cancelled/")]
    assert sealed(world, started["task_uuid"]) == [None, None]


class Died(BaseException):
    """What happens to a process that dies."""


def die_at(at: str) -> Any:
    def step(name: str) -> None:
        if name == at:
            raise Died

    return step


def left_by_its_workers(world: ceph_service.World, job: str, s3: dict[str, str]) -> str:
    """An export over which every worker that it may cost has died."""
    with world.opened() as opened, opened.database.begin() as tx:
        limits.set_for_community(tx, world.community_uuid, limits.Overrides(export_max_attempts=1))
    task_uuid: str = world.start(job, s3=s3)["task_uuid"]
    with pytest.raises(Died):
        work(world, die_at("record 1 done"))
    with world.opened() as opened, opened.database.begin() as tx:
        limits.set_for_community(tx, world.community_uuid, limits.Overrides())
    return task_uuid


@pytest.mark.parametrize("sweeper_dies_at", [None, "clear", "clear done"])
def test_sweeper_aborts_the_upload_of_an_export_over_which_every_worker_died(
    world: ceph_service.World,
    customer: ceph_service.Customer,
    jobs: dict[str, str],
    sweeper_dies_at: str | None,
) -> None:
    task_uuid = left_by_its_workers(world, jobs[ceph_service.LARGE_DAY], customer.s3(prefix="dead"))
    assert len(customer.client().list_multipart_uploads(Bucket=customer.bucket)["Uploads"]) == 1
    if sweeper_dies_at:
        with world.opened(late=dt.timedelta(minutes=1)) as opened, pytest.raises(Died):
            worker.Worker(opened, step=die_at(sweeper_dies_at)).sweep()
        assert world.task(task_uuid)["status"] == "RUNNING"
    with world.opened(late=dt.timedelta(minutes=5)) as opened:
        worker.Worker(opened).sweep()
    world.ended(task_uuid, "FAILED")
    assert "Uploads" not in customer.client().list_multipart_uploads(Bucket=customer.bucket)
    assert not [n for n in ceph_service.held_in(customer.client(), customer.bucket) if n.startswith("dead/")]
    assert sealed(world, task_uuid) == [None, None]


def test_an_export_whose_bucket_cannot_be_reached_any_more_ends_within_seconds_and_names_what_is_left(
    world: ceph_service.World, customer: ceph_service.Customer, jobs: dict[str, str]
) -> None:
    with ceph_service.Wire(world.ceph.port) as wire:
        s3 = customer.s3(prefix="cut-off", endpoint_url=f"https://127.0.0.1:{wire.port}")
        task_uuid = left_by_its_workers(world, jobs[ceph_service.LARGE_DAY], s3)
    began = time.monotonic()
    with world.opened(late=dt.timedelta(minutes=1)) as opened, structlog.testing.capture_logs() as logs:
        worker.Worker(opened).sweep()
    assert time.monotonic() - began < 5 * abort_uploads.PATIENCE_SECONDS
    world.ended(task_uuid, "FAILED")
    assert sealed(world, task_uuid) == [None, None]
    (left,) = [entry for entry in logs if entry["event"] == "customers_upload_left"]
    (upload,) = customer.client().list_multipart_uploads(Bucket=customer.bucket)["Uploads"]
    assert (left["log_level"], left["object_key"], left["upload_id"]) == ("warning", upload["Key"], upload["UploadId"])
    assert customer.bucket in left["destination"]
    assert customer.secret_access_key not in str(logs)
    customer.client().abort_multipart_upload(Bucket=customer.bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def test_a_bucket_that_goes_away_fails_the_export_by_name_and_erases_the_credentials(
    world: ceph_service.World, customer: ceph_service.Customer, small_job: str
) -> None:
    client, gone = customer.client(), f"gone-{customer.bucket}"[:60]
    client.create_bucket(Bucket=gone)
    started = world.start(small_job, s3=customer.s3(bucket_name=gone))
    client.delete_bucket(Bucket=gone)
    work(world)
    task = world.ended(started["task_uuid"], "FAILED")
    assert gone in task["message"]
    assert "Create it" in task["message"]
    assert sealed(world, started["task_uuid"]) == [None, None]
    assert customer.secret_access_key not in json.dumps(task)


NOT_WRITABLE, NOT_ALLOWED, INCOMPLETE = "destination_not_writable", "endpoint_not_allowed", "incomplete_s3_settings"
TOO_SHORT = base64.b64encode(b"short").decode()
REFUSALS: list[tuple[dict[str, str], str, str | None, str]] = [
    ({"bucket_name": "no-such-bucket-of-ours"}, NOT_WRITABLE, "no_such_bucket", "no-such-bucket-of-ours"),
    ({"bucket_name": "{service}"}, NOT_WRITABLE, "access_denied", "s3:PutObject"),  # somebody else's
    ({"secret_access_key": "not the secret"}, NOT_WRITABLE, "wrong_secret_key", "secret access key"),
    ({"access_key_id": "AKNOBODY"}, NOT_WRITABLE, "unknown_access_key", "access key id"),
    ({"endpoint_url": "{api}"}, NOT_WRITABLE, "tls_untrusted", "ertificate"),
    ({"endpoint_url": "http://127.0.0.1:7443"}, NOT_ALLOWED, None, "https"),
    ({"endpoint_url": "https://10.1.2.3"}, NOT_ALLOWED, None, "10.1.2.3"),
    ({"endpoint_url": "https://169.254.169.254"}, NOT_ALLOWED, None, "169.254.169.254"),
    ({"endpoint_url": "https://[::1]:7443"}, NOT_ALLOWED, None, "::1"),
    ({"endpoint_url": "https://2130706433:7443"}, NOT_ALLOWED, None, "2130706433"),
    ({"endpoint_url": "https://u:p@127.0.0.1:7443"}, NOT_ALLOWED, None, "user"),
    ({"bucket_name": ""}, INCOMPLETE, None, "bucket_name"),
    ({"access_key_id": ""}, INCOMPLETE, None, "access_key_id"),
    ({"secret_access_key": ""}, INCOMPLETE, None, "secret_access_key"),
    ({"prefix": "../other"}, "invalid_prefix", None, ".."),
    ({"sse_customer_key": TOO_SHORT}, "invalid_customer_key", None, "32"),
    ({"sse_customer_key": OWN_KEY.base64, "sse_customer_key_md5": "AAAA"}, "customer_key_md5_mismatch", None, "MD5"),
]


@pytest.mark.parametrize(("changed", "code", "reason", "words"), REFUSALS)
def test_a_destination_that_cannot_be_used_is_refused_before_anything_starts(
    world: ceph_service.World,
    customer: ceph_service.Customer,
    small_job: str,
    changed: dict[str, str],
    code: str,
    reason: str | None,
    words: str,
) -> None:
    changed = {name: value.format(service=world.bucket, api=world.url) for name, value in changed.items()}
    before = world.http.get("/v1/tasks").json()["total"], ceph_service.held_in(customer.client(), customer.bucket)
    problem = world.refused(small_job, 422, s3=customer.s3(**changed))
    assert (problem["code"], problem.get("reason")) == (code, reason)
    assert words in problem["detail"]
    assert problem["hint"]
    assert customer.secret_access_key not in json.dumps(problem)
    assert "not the secret" not in json.dumps(problem)
    after = world.http.get("/v1/tasks").json()["total"], ceph_service.held_in(customer.client(), customer.bucket)
    assert after == before
