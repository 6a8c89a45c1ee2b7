"""Claims about what is around search jobs and exports: ingest, fields, communities, quota, audit, health, metrics."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import httpx
import pytest
import zstandard
from api_world import JOBS, World, events, problem

from penstock import errors
from penstock.control import audit, states

# Events in


def send(world: World, content: Any, **headers: str) -> httpx.Response:
    return world.post(f"/v1/communities/{world.acme.uuid}/events", content=content, headers=headers)


def lines(count: int) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events(count))


def stored(world: World) -> int:
    """How many events acme has."""
    total: int = world.get(f"{JOBS}/{world.done_search(earliest_time='1970-01-01T00:00:00Z')}").json()["total"]
    return total


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "zstd"])
def test_events_come_in_packed_or_not(world: World, encoding: str) -> None:
    body = {"gzip": gzip.compress, "zstd": zstandard.compress}.get(encoding, bytes)(lines(20))
    answer = send(world, body, **({"Content-Encoding": encoding} if encoding else {}))
    assert answer.status_code == 200
    assert answer.json() == {"accepted": 20, "rejected": [], "rejected_total": 0}
    assert stored(world) == 20


def test_bad_lines_are_named_and_the_others_taken(world: World) -> None:
    body = b'{"message":"one"}\n\nnot json\n{"message":"two"}\n[1]\n{"a":1,"a":2}\n{"message":"three"}'
    answer = send(world, body).json()
    assert answer["accepted"] == 3
    assert [one["line"] for one in answer["rejected"]] == [3, 5, 6]
    assert all(one["reason"] and one["code"] for one in answer["rejected"])
    assert answer["rejected_total"] == 3


def test_only_the_first_rejections_are_named_and_all_are_counted(world: World) -> None:
    answer = send(world, b"nonsense\n" * 300).json()
    assert (answer["accepted"], len(answer["rejected"]), answer["rejected_total"]) == (0, 100, 300)


def test_an_empty_body_holds_no_events(world: World) -> None:
    assert send(world, b"").json() == {"accepted": 0, "rejected": [], "rejected_total": 0}


def test_a_batch_is_taken_in_once(world: World) -> None:
    url = f"/v1/communities/{world.acme.uuid}/events?batch_id=b-1"
    assert world.post(url, content=lines(10)).json()["accepted"] == 10
    assert world.post(url, content=lines(10)).status_code == 200
    assert stored(world) == 10


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (lines(20_000), "", 413, "body_too_large"),
        (gzip.compress(lines(20_000)), "gzip", 413, "body_too_large"),
        (gzip.compress(lines(20))[:-9], "gzip", 422, "truncated_body"),
        (lines(20), "gzip", 422, "damaged_body"),
        (lines(20), "br", 415, "unsupported_content_encoding"),
    ],
    # Not made of the bodies, in which gzip writes the time: each process of the run would have tests of its own.
    ids=["too large", "too large unpacked", "cut off", "not gzip", "another encoding"],
)
def test_a_body_that_cannot_be_taken_whole_leaves_nothing(
    world: World, body: bytes, encoding: str, status: int, code: str
) -> None:
    problem(send(world, body, **({"Content-Encoding": encoding} if encoding else {})), status, code)
    assert stored(world) == 0


def test_an_ingest_may_be_larger_than_other_bodies(world: World) -> None:
    body = lines(10_000)
    assert len(body) > 1024 * 1024
    assert send(world, body).json()["accepted"] == 10_000


# Fields


def test_fields_are_those_of_ecs_and_those_the_events_brought(world: World) -> None:
    world.ingest([{"@timestamp": "2026-03-01T10:00:00Z", "acme.badge": "7", "source.ip": "10.0.0.1"}])
    world.ingest([{"@timestamp": "2026-03-01T10:00:00Z", "source.ip": "10.0.0.1"}])
    page = world.get(f"/v1/communities/{world.acme.uuid}/fields").json()
    found = {one["name"]: one for one in page["items"]}
    assert page["total"] == len(found) > 1000
    assert list(found) == sorted(found)
    assert found["acme.badge"] == {"name": "acme.badge", "type": "keyword", "description": "", "files": 1}
    assert (found["source.ip"]["type"], found["source.ip"]["files"]) == ("ip", 2)
    assert found["destination.ip"]["files"] == 0
    assert found["source.ip"]["description"]


def test_fields_are_matched_by_name_and_description(world: World) -> None:
    url = f"/v1/communities/{world.acme.uuid}/fields"
    by_name = world.get(f"{url}?match=Source.IP").json()["items"]
    assert "source.ip" in [one["name"] for one in by_name]
    assert all("source.ip" in f"{one['name']} {one['description']}".lower() for one in by_name)
    assert world.get(f"{url}?match=no-such-thing").json() == {"items": [], "total": 0}


def test_there_are_three_presets_and_all_their_fields_can_be_exported(world: World) -> None:
    page = world.get("/v1/field-presets").json()
    assert [one["name"] for one in page["items"]] == ["network", "identity", "endpoint"]
    job = world.done_search()
    for preset in page["items"]:
        assert preset["title"]
        answer = world.post(
            f"{JOBS}/{job}/export/estimate", json={"fields": preset["fields"], "generate_customer_key": True}
        )
        assert answer.json()["allowed"], answer.json()


# Communities and quota


def test_a_key_sees_its_communities_and_an_admin_all(world: World) -> None:
    mine = world.get("/v1/communities").json()
    assert mine["total"] == 1
    assert (mine["items"][0]["uuid"], mine["items"][0]["reachable"]) == (world.acme.uuid, True)
    everyone = world.get("/v1/communities", world.key(states.Permission.ADMIN)).json()
    assert {world.acme.uuid, world.other.uuid} <= {one["uuid"] for one in everyone["items"]}
    assert [one["uuid"] for one in everyone["items"] if one["reachable"]] == [world.acme.uuid]


def test_an_admin_creates_communities_with_names_of_their_own(world: World) -> None:
    admin = world.key(states.Permission.ADMIN)
    name = f"new beside {world.acme.uuid}"
    answer = world.post("/v1/communities", admin, json={"name": name})
    assert answer.status_code == 201
    assert answer.json()["name"] == name
    problem(world.post("/v1/communities", admin, json={"name": name}), 409, "community_name_taken")
    problem(world.post("/v1/communities", admin, json={"name": ""}), 422, "invalid_community_name")
    problem(world.post("/v1/communities", admin, json={"name": "a\0b"}), 422, "invalid_request")
    (entry,) = world.get(f"/v1/audit?object_uuid={answer.json()['uuid']}", admin).json()["items"]
    assert (entry["action"], entry["detail"]) == ("community.created", {"name": name})


def test_the_quota_counts_what_finished(world: World) -> None:
    url = f"/v1/communities/{world.acme.uuid}/quota"
    assert world.get(url).json() == {
        "limit_bytes": 10_000_000_000, "used_bytes": 0, "reserved_bytes": 0, "resets_at": "2026-04-01T00:00:00Z",
        "active_task_uuid": None,
    }  # fmt: skip
    world.ingest(events(100))
    job = world.done_search()
    task = world.finished_export(job)
    assert world.get(url).json()["used_bytes"] == task["attributes"]["export_size_compressed"]
    waiting = world.export(job).json()["task_uuid"]
    assert world.get(url).json()["active_task_uuid"] == waiting


# Audit


def test_the_audit_says_who_did_what(world: World) -> None:
    world.ingest(events(10))
    job = world.done_search()
    task = world.export(job).json()["task_uuid"]
    world.post(f"/v1/tasks/{task}/cancel")
    world.http("DELETE", f"{JOBS}/{job}", token=world.acme.token)
    admin = world.key(states.Permission.ADMIN)
    page = world.get(f"/v1/audit?community_uuid={world.acme.uuid}&actor={world.acme.key.uuid}", admin).json()
    assert [one["action"] for one in page["items"]][::-1] == [
        "events.ingested", "search_job.created", "export.started", "export.cancel_requested", "search_job.deleted",
    ]  # fmt: skip
    assert page["total"] == 5
    assert {one["actor_type"] for one in page["items"]} == {"apikey"}
    assert page["items"][-1]["detail"]["accepted"] == 10
    assert page["items"][2]["object_uuid"] == task


def test_the_audit_is_filtered_and_paged(world: World) -> None:
    for _ in range(4):
        world.search()
        world.clock.advance(60)
    admin = world.key(states.Permission.ADMIN)
    mine = f"/v1/audit?community_uuid={world.acme.uuid}"
    assert world.get(f"{mine}&action=search_job.", admin).json()["total"] == 4
    assert world.get(f"{mine}&action=search_job", admin).json()["total"] == 0
    page = world.get(f"{mine}&limit=2&offset=1", admin).json()
    assert (page["total"], len(page["items"])) == (4, 2)
    late = world.get(f"{mine}&since=2026-03-01T12:01:00Z&until=2026-03-01T13:03:00%2B01:00", admin).json()
    assert [one["at"] for one in late["items"]] == ["2026-03-01T12:02:00Z", "2026-03-01T12:01:00Z"]
    problem(world.get(f"{mine}&since=2026-03-01T12:01:00", admin), 422, "invalid_request")


# Health and metrics


def test_a_working_service_is_healthy_and_ready(world: World) -> None:
    assert world.http("GET", "/healthz").json() == {"status": "ok"}
    assert world.http("GET", "/readyz").json() == {"status": "ok"}


def test_without_its_database_it_lives_but_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise errors.StorageError("database_unavailable", "The database does not answer.", "Start it.")

    monkeypatch.setattr(world.services.database, "check", fail)
    document = problem(world.http("GET", "/readyz"), 503, "not_ready")
    assert "database_unavailable" in document["detail"]
    assert "does not answer" not in str(document)
    assert world.http("GET", "/healthz").status_code == 200


def test_metrics_count_by_route_and_not_by_path(world: World) -> None:
    world.get(f"/api{JOBS}/{world.search()}")
    world.get("/v1/tasks/some-task-of-mine")
    text = world.http("GET", "/metrics").text
    route = re.escape(f"{JOBS}/{{job_uuid}}")
    assert re.search(rf'penstock_http_requests_total{{method="GET",route="{route}",status="200"}} [1-9]', text)
    assert 'route="/v1/tasks/{task_uuid}",status="404"' in text
    assert "some-task-of-mine" not in text
    assert re.search(r'penstock_active_exports\{status="pending"\} \d', text)
    assert "penstock_ingested_events_total" in text


def test_events_that_are_in_are_reported_so_though_the_audit_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is told 502 sends them again, and has them twice."""

    def fail(*_: Any, **__: Any) -> None:
        raise errors.StorageError("database_unavailable", "The database does not answer.", "Start it.")

    monkeypatch.setattr(audit, "record", fail)
    answer = world.post(f"/v1/communities/{world.acme.uuid}/events", content=b'{"@timestamp":"2026-03-01T11:00:00Z"}\n')
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    monkeypatch.undo()
    assert world.get(f"{JOBS}/{world.done_search(earliest_time='-1d')}").json()["total"] == 1

    lost_at = world.clock.now()
    world.clock.advance(60)
    world.ingest(events(2))
    path = f"/v1/audit?action=events.ingested&community_uuid={world.acme.uuid}"
    entries = world.get(path, world.key(states.Permission.ADMIN)).json()["items"]
    found = [(entry["at"], entry["detail"]["accepted"]) for entry in entries]
    assert sorted(accepted for _, accepted in found) == [1, 2]  # the lost one is there, once, under its own time
    assert (lost_at.strftime("%Y-%m-%dT%H:%M:%SZ"), 1) in found


# The API key that asks


@pytest.mark.parametrize("path", ["/v1/auth/validate", "/v1/apiauth/auth/validate", "/api/v1/auth/validate"])
def test_a_good_key_is_valid_and_any_other_is_not(world: World, path: str) -> None:
    assert world.get(path).json() == {"valid": True, "uuid": world.acme.key.uuid, "name": "everything"}
    problem(world.get(path, "pst_wrong"), 401, "api_key_unknown")


def test_a_key_can_read_what_it_may_do(world: World) -> None:
    me = world.get("/v1/me").json()
    assert (me["uuid"], me["name"]) == (world.acme.key.uuid, "everything")
    assert [one["uuid"] for one in me["communities"]] == [world.acme.uuid]
    assert "SIC_READ_INTAKES" in me["permissions"]
    assert me["unencrypted_exports"] is False


# HEAD


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/tasks", "/v1/me"])
def test_head_answers_as_get_does_without_a_body(world: World, path: str) -> None:
    got, head = world.get(path), world.http("HEAD", path, token=world.acme.token)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_head_is_refused_where_get_is(world: World) -> None:
    assert world.http("HEAD", "/v1/tasks").status_code == 401
    assert world.http("HEAD", "/v1/nothing").status_code == 404
