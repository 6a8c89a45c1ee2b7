"""Claims about API keys: who may do what, and that another tenant's objects do not exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_world import JOBS, World, events, problem

from penstock.api import auth
from penstock.control import apikeys, states

UNKNOWN = "00000000-0000-4000-8000-000000000000"
OPEN = {"/healthz", "/readyz", "/metrics", "/v1/manifest-key", "/storage/{key}"}
"""Paths that want no API key."""

BODIES: dict[str, Any] = {
    f"{JOBS}": {"earliest_time": "-1d", "latest_time": "now"},
    "/v1/communities": {"name": "new"},
}


def routes(world: World) -> list[tuple[str, str]]:
    """Every documented (method, path)."""
    document = world.get("/openapi.json").json()
    return [(method.upper(), path) for path, item in document["paths"].items() for method in item]


def call(world: World, method: str, path: str, token: str | None, **options: Any) -> Any:
    filled = re.sub(r"\{\w+\}", UNKNOWN, path)
    return world.http(method, filled, token=token, json=BODIES.get(path), **options)


def test_every_route_wants_a_key_but_the_open_ones(world: World) -> None:
    for method, path in routes(world):
        answer = call(world, method, path, None)
        if path in OPEN:
            assert answer.status_code not in (401, 500), (method, path)
        elif path.endswith("/_bulk"):  # in Elasticsearch's shape: test_elastic
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "api_key_missing")
        else:
            problem(answer, 401, "api_key_missing")
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer pst_nothing", "Bearer ", "Basic cHN0Og==", "pst_nothing"])
def test_what_is_no_key_is_401(world: World, header: str) -> None:
    answer = world.http("GET", "/v1/tasks", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["code"] in ("api_key_unknown", "api_key_missing")


def test_the_scheme_is_read_in_any_case(world: World) -> None:
    answer = world.http("GET", "/v1/tasks", headers={"Authorization": f"bearer {world.acme.token}"})
    assert answer.status_code == 200


def test_a_revoked_key_is_401_a_second_later(world: World) -> None:
    assert world.get("/v1/tasks").status_code == 200
    with world.services.database.begin() as tx:
        apikeys.revoke(tx, world.acme.key.uuid, world.clock.now())
    world.clock.advance(auth.TRUST_SECONDS)
    problem(world.get("/v1/tasks"), 401, "api_key_revoked")


NEEDED = {
    "SIC_READ_INTAKES": [
        ("POST", JOBS), ("GET", JOBS), ("GET", f"{JOBS}/{{u}}"), ("GET", f"{JOBS}/{{u}}/events"),
        ("GET", f"{JOBS}/{{u}}/histogram"), ("GET", f"{JOBS}/{{u}}/fields"),
        ("POST", f"{JOBS}/{{u}}/cancel"), ("DELETE", f"{JOBS}/{{u}}"),
        ("GET", "/v1/communities/{u}/fields"), ("GET", "/v1/communities/{u}/field-values"),
        ("GET", "/v1/field-presets"),
    ],
    "SIC_MASSIVE_EXPORT_EVENTS": [
        ("POST", f"{JOBS}/{{u}}/export"), ("POST", f"{JOBS}/{{u}}/export/estimate"),
        ("GET", f"{JOBS}/{{u}}/export-jobs"),
        ("GET", "/v1/tasks"), ("GET", "/v1/tasks/{u}"), ("POST", "/v1/tasks/{u}/cancel"),
        ("POST", "/v1/destinations/try"),
    ],
    "SIC_WRITE_EVENTS": [("POST", "/v1/communities/{u}/events"), ("POST", "/_bulk"), ("POST", "/{u}/_bulk")],
    "ADMIN": [("POST", "/v1/communities"), ("GET", "/v1/audit"), ("GET", "/v1/health")],
}  # fmt: skip


@pytest.mark.parametrize("permission", NEEDED)
def test_each_permission_opens_its_routes_and_no_other_does(world: World, permission: str) -> None:
    others = [each for each in states.Permission if each != permission]
    lacking, holding = world.key(*others), world.key(states.Permission(permission))
    for method, path in NEEDED[permission]:
        refused = call(world, method, path, lacking)
        if path.endswith("/_bulk"):
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_missing")
        else:
            document = problem(refused, 403, "permission_missing")
            assert document["permission"] == permission
            assert permission in document["detail"]
        assert call(world, method, path, holding).status_code != 403


def test_every_route_with_a_key_is_in_the_permission_table(world: World) -> None:
    any_key = {
        ("GET", path)
        for path in (
            "/v1/communities",
            "/v1/communities/{u}/quota",
            "/v1/communities/{u}/quota/days",
            "/v1/auth/validate",
            "/v1/me",
        )
    }
    listed = any_key | {route for found in NEEDED.values() for route in found}
    documented = {(method, re.sub(r"\{\w+\}", "{u}", path)) for method, path in routes(world) if path not in OPEN}
    assert documented == listed


def test_nothing_of_another_tenant_exists(world: World) -> None:
    world.ingest(events(5))
    job = world.done_search()
    task = world.export(job).json()["task_uuid"]
    other = world.other.token
    missing = [
        ("GET", f"{JOBS}/{job}", "search_job_not_found"),
        ("GET", f"{JOBS}/{job}/events", "search_job_not_found"),
        ("GET", f"{JOBS}/{job}/histogram", "search_job_not_found"),
        ("GET", f"{JOBS}/{job}/fields", "search_job_not_found"),
        ("POST", f"{JOBS}/{job}/cancel", "search_job_not_found"),
        ("DELETE", f"{JOBS}/{job}", "search_job_not_found"),
        ("POST", f"{JOBS}/{job}/export", "search_job_not_found"),
        ("POST", f"{JOBS}/{job}/export/estimate", "search_job_not_found"),
        ("GET", f"{JOBS}/{job}/export-jobs", "search_job_not_found"),
        ("GET", f"/v1/tasks/{task}", "task_not_found"),
        ("POST", f"/v1/tasks/{task}/cancel", "task_not_found"),
        ("GET", f"/v1/communities/{world.acme.uuid}/quota", "community_not_found"),
        ("GET", f"/v1/communities/{world.acme.uuid}/fields", "community_not_found"),
        ("POST", f"/v1/communities/{world.acme.uuid}/events", "community_not_found"),
    ]
    for method, path, code in missing:
        problem(world.http(method, path, token=other), 404, code)
    for path in (JOBS, "/v1/tasks"):
        assert world.get(path, other).json() == {"items": [], "total": 0}
        assert world.get(path).json()["total"] == 1
    assert world.get(f"/v1/tasks/{task}").json()["status"] == "PENDING"
    assert [one["uuid"] for one in world.get("/v1/communities", other).json()["items"]] == [world.other.uuid]


def test_a_search_in_another_community_is_refused(world: World) -> None:
    body = {"earliest_time": "-1d", "latest_time": "now", "community_uuids": [world.acme.uuid, world.other.uuid]}
    assert world.other.uuid in problem(world.post(JOBS, json=body), 404, "community_not_found")["detail"]


def test_a_job_over_two_communities_is_seen_only_by_keys_of_both(world: World) -> None:
    both = world.key(*states.Permission, communities=[world.acme.uuid, world.other.uuid])
    job = world.search(token=both)
    assert world.get(f"{JOBS}/{job}", both).json()["community_uuids"] == sorted([world.acme.uuid, world.other.uuid])
    problem(world.get(f"{JOBS}/{job}"), 404, "search_job_not_found")
