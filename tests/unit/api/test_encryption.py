"""How exports are encrypted: with the customer's key, in the bucket's own way, or, where allowed, not at all."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from api_world import JOBS, KEY, World, events, problem

from penstock import testing
from penstock.process import services as services_module

BUCKET = {"bucket_name": "mine", "access_key_id": "AKIA", "secret_access_key": "hunter2"}


@pytest.fixture
def job(world: World) -> str:
    world.ingest(events(10))
    return world.done_search()


@pytest.fixture
def lenient(world: World, job: str) -> World:
    """The same service, by an operator who allows unencrypted exports."""
    return world.under(allow_unencrypted_exports=True)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> testing.MemoryStore:
    store = testing.MemoryStore()
    monkeypatch.setattr(services_module.Services, "customer_store", lambda *_, **__: store)
    return store


def path_of(url: str) -> str:
    return url.removeprefix("http://penstock.test")


def test_a_key_can_read_that_unencrypted_exports_are_allowed(lenient: World) -> None:
    assert lenient.get("/v1/me").json()["unencrypted_exports"] is True


def test_where_allowed_a_request_without_a_key_gives_a_file_that_needs_none(lenient: World, job: str) -> None:
    """What `--no-sse-c` of the reference's client sends."""
    started = lenient.export(job, {"fields": ["message"]}, make_key=False)
    assert started.status_code == 200, started.text
    assert set(started.json()) == {"task_uuid", "status"}
    lenient.worker.run_pending()
    task = lenient.get(f"/v1/tasks/{started.json()['task_uuid']}").json()
    facts = task["attributes"]
    assert (task["status"], facts["encryption"], facts["sse_customer_key_md5"]) == ("FINISHED", "none", None)
    file = lenient.http("GET", path_of(facts["download_url"]))
    assert file.status_code == 200
    assert gzip.decompress(file.content).count(b"\n") == 10
    manifest = lenient.http("GET", path_of(facts["manifest_url"])).json()
    assert manifest["encryption"] == "none"
    entry = lenient.get(f"/v1/audit?object_uuid={task['uuid']}&action=export.started", admin(lenient)).json()["items"][
        0
    ]
    assert entry["detail"]["encryption"] == "none"
    (listed,) = lenient.get(f"{JOBS}/{job}/export-jobs").json()["items"]
    assert (listed["encryption"], listed["sse_customer_key_md5"]) == ("none", None)


def test_where_allowed_a_key_still_encrypts(lenient: World, job: str) -> None:
    task = lenient.finished_export(job, {"s3": {"sse_customer_key": KEY}})
    assert task["attributes"]["encryption"] == "sse-c"
    assert lenient.http("GET", path_of(task["attributes"]["download_url"])).status_code == 400


@pytest.mark.parametrize(
    "own", [{"encryption": "sse-kms", "kms_key_id": "k1"}, {"encryption": "sse-kms"}, {"encryption": "bucket-default"}]
)
def test_a_bucket_that_encrypts_in_its_own_way_has_no_customer_key(
    world: World, job: str, bucket: testing.MemoryStore, own: dict[str, str]
) -> None:
    started = world.export(job, {"s3": {**BUCKET, **own}}, make_key=False)
    assert started.status_code == 200, started.text
    assert "sse_customer_key" not in started.json()
    task = world.get(f"/v1/tasks/{started.json()['task_uuid']}").json()
    assert (task["attributes"]["encryption"], task["attributes"]["sse_customer_key_md5"]) == (own["encryption"], None)


def test_where_allowed_a_bucket_without_a_key_is_as_it_is_set_to(
    lenient: World, job: str, bucket: testing.MemoryStore
) -> None:
    started = lenient.export(job, {"s3": BUCKET}, make_key=False)
    task = lenient.get(f"/v1/tasks/{started.json()['task_uuid']}").json()
    assert task["attributes"]["encryption"] == "bucket-default"


@pytest.mark.parametrize(
    ("s3", "code"),
    [
        ({"encryption": "sse-kms", "sse_customer_key": KEY}, "invalid_customer_key"),
        ({"encryption": "aes"}, "invalid_s3_settings"),
        ({"kms_key_id": "k1"}, "invalid_s3_settings"),
        ({"encryption": "sse-c"}, "customer_key_required"),
    ],
)
def test_an_encryption_that_cannot_be_is_refused(
    world: World, job: str, bucket: testing.MemoryStore, s3: dict[str, Any], code: str
) -> None:
    problem(world.export(job, {"s3": {**BUCKET, **s3}}, make_key=False), 422, code)


def test_a_service_whose_own_bucket_takes_no_customer_keys_says_es110(
    world: World, lenient: World, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference's client then asks again without a key; the operator's permission decides about that."""
    monkeypatch.setattr(type(world.services.store), "blocks_customer_keys", lambda self: True)
    problem(world.export(job, {"s3": {"sse_customer_key": KEY}}), 422, "ES110")
    problem(world.export(job, {}, make_key=False), 422, "customer_key_required")
    problem(lenient.export(job, {"s3": {"sse_customer_key": KEY}}), 422, "ES110")
    assert lenient.export(job, {}, make_key=False).status_code == 200


def admin(world: World) -> str:
    from penstock.control import states

    return world.key(states.Permission.ADMIN)
