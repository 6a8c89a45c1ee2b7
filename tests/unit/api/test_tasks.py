"""Claims about tasks over HTTP, and about downloading what they made."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import json
import re
import urllib.parse
from typing import Any

import httpx
import pytest
from api_world import JOBS, KEY, World, events, problem

from penstock import storage
from penstock import worker as worker_module
from penstock.control import exports, states
from penstock.evidence import manifest
from penstock.process import services as services_module

HEADERS = storage.CustomerKey.parse(KEY).headers()
WITH_KEY = {"fields": ["message", "source.ip"], "s3": {"sse_customer_key": KEY}}


@pytest.fixture
def job(world: World) -> str:
    world.ingest(events(50))
    return world.done_search()


@pytest.fixture
def task(world: World, job: str) -> dict[str, Any]:
    """A finished task whose customer key is KEY."""
    return world.finished_export(job, WITH_KEY)


def test_a_waiting_task_has_every_member(world: World, job: str) -> None:
    started = world.export(job, WITH_KEY).json()
    task = world.get(f"/v1/tasks/{started['task_uuid']}").json()
    assert task == {
        "uuid": started["task_uuid"], "type": "massive_export", "status": "PENDING", "progress": 0, "total": 50,
        "message": None, "created_at": "2026-03-01T12:00:00Z", "started_at": None, "ended_at": None,
        "eta_seconds": None,
        "attributes": {
            "job_uuid": job, "community_uuid": world.acme.uuid, "term": "", "filters": [],
                "earliest_time": "2026-02-28T12:00:00Z", "latest_time": "2026-03-01T12:00:00Z",
                "created_by": world.acme.key.uuid, "created_by_name": "everything", "fields": ["message", "source.ip"],
            "download_url": None, "manifest_url": None, "export_size": 0, "export_size_compressed": 0,
            "encryption": "sse-c",
            "sse_customer_key_md5": started["sse_customer_key_md5"], "destination": "service", "expire_at": None,
            "error": None, "error_code": None,
        },
    }  # fmt: skip


def test_a_task_that_a_fault_holds_up_says_why_until_it_goes_on(world: World, job: str) -> None:
    path = f"/v1/tasks/{world.export(job, WITH_KEY).json()['task_uuid']}"
    with world.services.database.begin() as tx:
        claim = exports.claim(tx, "a worker", world.clock.now(), 15)
        assert claim is not None
        exports.wait(tx, claim, "The disk of the service's storage is full.", world.clock.now(), pause_seconds=2)
    held_up = world.get(path).json()
    assert (held_up["status"], held_up["message"]) == ("RUNNING", "The disk of the service's storage is full.")
    assert held_up["attributes"]["error"] is None  # nothing has failed
    world.clock.advance(3)
    world.worker.run_pending()
    assert (world.get(path).json()["status"], world.get(path).json()["message"]) == ("FINISHED", None)


def test_a_finished_task_has_its_urls_until_they_expire(world: World, task: dict[str, Any]) -> None:
    assert (task["progress"], task["total"], task["eta_seconds"]) == (50, 50, 0)
    attributes = task["attributes"]
    expires = dt.datetime.fromisoformat(attributes["expire_at"])
    assert expires - world.clock.now() == dt.timedelta(days=1)
    world.clock.advance(86_399)
    assert world.get(f"/v1/tasks/{task['uuid']}").json()["attributes"]["download_url"] == attributes["download_url"]
    world.clock.advance(1)
    for url in (f"/v1/tasks/{task['uuid']}", f"{JOBS}/{attributes['job_uuid']}/export-jobs"):
        assert '"download_url":null,"manifest_url":null' in world.get(url).text


def test_tasks_are_filtered_and_paged(world: World, job: str) -> None:
    done = [world.finished_export(job, WITH_KEY)["uuid"] for _ in range(3) if not world.clock.advance(1)][::-1]
    world.clock.advance(1)
    waiting = world.export(job).json()["task_uuid"]
    assert [one["uuid"] for one in world.get("/v1/tasks").json()["items"]] == [waiting, *done]
    page = world.get("/v1/tasks?status=FINISHED&limit=2&offset=1").json()
    assert (page["total"], [one["uuid"] for one in page["items"]]) == (3, done[1:])
    assert world.get("/v1/tasks?status=FAILED").json() == {"items": [], "total": 0}
    problem(world.get("/v1/tasks?status=DONE"), 422, "invalid_request")


def test_a_waiting_task_is_canceled_at_once_and_again(world: World, job: str) -> None:
    task = world.export(job).json()["task_uuid"]
    for _ in range(2):
        answer = world.post(f"/v1/tasks/{task}/cancel")
        assert answer.status_code == 202
        assert answer.json()["status"] == "CANCELED"
        assert answer.json()["message"]


def test_a_finished_task_cannot_be_canceled(world: World, task: dict[str, Any]) -> None:
    document = problem(world.post(f"/v1/tasks/{task['uuid']}/cancel"), 409, "task_already_ended")
    assert "FINISHED" in document["detail"]


@pytest.mark.parametrize("uuid", ["00000000-0000-4000-8000-000000000000", "nonsense"])
def test_a_task_that_does_not_exist_is_404(world: World, uuid: str) -> None:
    problem(world.get(f"/v1/tasks/{uuid}"), 404, "task_not_found")
    problem(world.post(f"/v1/tasks/{uuid}/cancel"), 404, "task_not_found")


# Downloads


def fetch(world: World, url: str, method: str = "GET", **headers: str) -> httpx.Response:
    return world.http(method, url, headers=headers)


def test_the_download_is_the_export(world: World, task: dict[str, Any]) -> None:
    answer = fetch(world, task["attributes"]["download_url"], **HEADERS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/gzip"
    assert f"export_{task['uuid']}.jsonl.gz" in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in gzip.decompress(answer.content).splitlines()]
    assert lines == [{"message": one["message"], "source.ip": one["source.ip"]} for one in events(50)]
    assert len(answer.content) == task["attributes"]["export_size_compressed"]


def test_the_manifest_is_signed_with_the_key_that_the_service_names(world: World, task: dict[str, Any]) -> None:
    answer = fetch(world, task["attributes"]["manifest_url"], **HEADERS)
    found = manifest.loads(answer.content)
    named = world.http("GET", "/v1/manifest-key").json()
    assert named["algorithm"] == "Ed25519"
    manifest.check_signature(found, public_key=named["public_key"])
    assert (found["events"], found["task_uuid"]) == (50, task["uuid"])


def test_ranges_and_head_work(world: World, task: dict[str, Any]) -> None:
    url = task["attributes"]["download_url"]
    whole = fetch(world, url, **HEADERS).content
    part = fetch(world, url, **HEADERS, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    head = fetch(world, url, "HEAD", **HEADERS)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole)))
    beyond = fetch(world, url, **HEADERS, Range=f"bytes={len(whole)}-")
    assert (beyond.status_code, code_of(beyond)) == (416, "InvalidRange")


def code_of(answer: httpx.Response) -> str:
    """The code of S3's error XML."""
    assert answer.headers["content-type"] == "application/xml"
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    assert found, answer.text
    return found[1]


def test_without_the_key_it_is_invalid(world: World, task: dict[str, Any]) -> None:
    answer = fetch(world, task["attributes"]["download_url"])
    assert (answer.status_code, code_of(answer)) == (400, "InvalidRequest")


def test_with_another_key_it_is_denied(world: World, task: dict[str, Any]) -> None:
    other = storage.CustomerKey(bytes(32)).headers()
    answer = fetch(world, task["attributes"]["download_url"], **other)
    assert (answer.status_code, code_of(answer)) == (403, "AccessDenied")


def test_after_its_window_it_is_denied(world: World, task: dict[str, Any]) -> None:
    world.clock.advance(86_401)
    answer = fetch(world, task["attributes"]["download_url"], **HEADERS)
    assert (answer.status_code, code_of(answer)) == (403, "AccessDenied")
    assert "expired" in answer.text


def test_a_changed_url_is_denied(world: World, task: dict[str, Any]) -> None:
    url = urllib.parse.urlsplit(task["attributes"]["download_url"])
    names = urllib.parse.parse_qsl(url.query)
    assert names
    for position, (name, value) in enumerate(names):
        changed = [*names[:position], (name, value[:-1] + ("0" if value[-1] != "0" else "1")), *names[position + 1 :]]
        answer = fetch(world, url._replace(query=urllib.parse.urlencode(changed)).geturl(), **HEADERS)
        assert answer.status_code in (400, 403), name
        assert code_of(answer) != "NoSuchKey"
    other = url._replace(path=url.path.replace(task["uuid"], "0" * 36)).geturl()
    assert fetch(world, other, **HEADERS).status_code == 403
    assert fetch(world, f"{url.scheme}://{url.netloc}{url.path}", **HEADERS).status_code == 403


def test_another_method_is_refused(world: World, task: dict[str, Any]) -> None:
    answer = fetch(world, task["attributes"]["download_url"], "POST", **HEADERS)
    problem(answer, 405, "method_not_allowed")


def test_downloads_are_audited_and_refused_ones_are_not(world: World, task: dict[str, Any]) -> None:
    url = task["attributes"]["download_url"]
    fetch(world, url)
    fetch(world, url, "HEAD", **HEADERS)
    fetch(world, url, **HEADERS, Range="bytes=0-9")
    fetch(world, task["attributes"]["manifest_url"], **HEADERS)
    admin = world.key(states.Permission.ADMIN)
    entries = world.get(f"/v1/audit?object_uuid={task['uuid']}", admin).json()["items"]
    assert [one["action"] for one in entries][:2] == ["export.manifest_downloaded", "export.downloaded"]
    ranged = entries[1]
    assert ranged["community_uuid"] == world.acme.uuid
    assert (ranged["actor"], ranged["actor_type"]) == ("127.0.0.1", "download")
    assert (ranged["detail"]["range"], ranged["detail"]["bytes"]) == ("bytes=0-9", 10)
    assert len([one for one in entries if one["action"] == "export.downloaded"]) == 1


def test_a_worker_with_another_idea_of_the_address_makes_urls_that_clients_reach(world: World) -> None:
    """A worker of its own knows no port of `serve`, and a service that comes back may listen elsewhere."""
    world.ingest(events(3))
    job = world.done_search()
    task = world.export(job).json()["task_uuid"]
    values = dataclasses.replace(world.services.settings, public_url="https://127.0.0.1:9")
    with services_module.opened(values, clock=world.clock) as elsewhere:
        worker_module.Worker(elsewhere, worker_id="elsewhere").run_pending()
    attributes = world.get(f"/v1/tasks/{task}").json()["attributes"]
    (listed,) = world.get(f"{JOBS}/{job}/export-jobs").json()["items"]
    for urls in (attributes, listed):
        assert urls["download_url"].startswith("http://penstock.test/storage/")
        assert urls["manifest_url"].startswith("http://penstock.test/storage/")
    answer = world.http("GET", attributes["download_url"].removeprefix("http://penstock.test"))
    assert "InvalidRequest" in answer.text, "the signature still holds: only the customer key is missing"
