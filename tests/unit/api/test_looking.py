"""What people look at around exports: who asked, quota by day, common values, health, a bucket that is tried."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import Any

import pytest
from api_world import KEY, NOON, World, events, problem

from penstock.control import states


def export(world: World, term: str = "") -> dict[str, Any]:
    """A finished export's task."""
    body = {"s3": {"sse_customer_key": KEY}}
    answer = world.export(world.done_search(term), body)
    assert answer.status_code in (200, 201), answer.text
    world.worker.run_export()
    task: dict[str, Any] = world.get(f"/v1/tasks/{answer.json()['task_uuid']}").json()
    assert task["status"] == "FINISHED", task
    return task


def test_a_task_says_what_was_asked_and_by_whom(world: World) -> None:
    world.ingest(events(10))
    task = export(world, "message:*")
    about = task["attributes"]
    assert about["term"] == "message:*"
    assert about["filters"] == []
    assert dt.datetime.fromisoformat(about["latest_time"]) == NOON
    assert dt.datetime.fromisoformat(about["earliest_time"]) == NOON - dt.timedelta(days=1)
    assert (about["created_by"], about["created_by_name"]) == (world.acme.key.uuid, "everything")
    (listed,) = world.get("/v1/tasks").json()["items"]
    assert listed == task


def test_tasks_of_one_community(world: World) -> None:
    both = world.key(*states.Permission, communities=[world.acme.uuid, world.other.uuid])
    world.ingest(events(3))
    export(world)
    for community, expected in ((world.acme.uuid, 1), (world.other.uuid, 0)):
        assert world.get(f"/v1/tasks?community_uuid={community}", both).json()["total"] == expected
    problem(world.get(f"/v1/tasks?community_uuid={world.other.uuid}"), 404, "community_not_found")


def test_quota_by_day_has_every_day_of_the_month(world: World) -> None:
    world.ingest(events(10))
    size = export(world)["attributes"]["export_size_compressed"]
    found = world.get(f"/v1/communities/{world.acme.uuid}/quota/days").json()
    assert found["month"] == "2026-03"
    assert [one["day"] for one in found["items"]] == [f"2026-03-{day:02d}" for day in range(1, 32)]
    charged = {one["day"]: one for one in found["items"] if one["bytes"]}
    assert charged == {"2026-03-01": {"day": "2026-03-01", "bytes": size, "exports": 1}}
    earlier = world.get(f"/v1/communities/{world.acme.uuid}/quota/days?month=2024-02").json()
    assert (len(earlier["items"]), sum(one["bytes"] for one in earlier["items"])) == (29, 0)


@pytest.mark.parametrize("month", ["2026-13", "0000-01", "2026-1", "now"])
def test_month_that_is_none_is_refused(world: World, month: str) -> None:
    problem(world.get(f"/v1/communities/{world.acme.uuid}/quota/days?month={month}"), 422, "invalid_request")


def values(world: World, **query: Any) -> Any:
    answer = world.get(f"/v1/communities/{world.acme.uuid}/field-values", params=query)
    assert answer.status_code == 200, answer.text
    return [(one["name"], one["value"]) for one in answer.json()["items"]]


def test_common_values_come_with_their_shares(world: World) -> None:
    at = {"@timestamp": "2026-03-01T11:00:00Z"}
    world.ingest(
        [{**at, "user.name": name} for name in ["ada", "ada", "ada", "alan", "bo", None]]
        + [
            {**at, "event.category": ["web", "network"]},
            {**at, "event.category": "web"},
            {**at, "destination.port": 443},
        ]
        + [{**at, "__proto__": "<b>"}]
    )
    assert values(world, field="user.name")[0] == ("ada", 60.0)
    assert {name for name, _ in values(world, field="user.name")} == {"ada", "alan", "bo"}
    assert [name for name, _ in values(world, field="user.name", prefix="a")] == ["ada", "alan"]
    assert values(world, field="event.category") == [("web", 100.0), ("network", 50.0)]
    assert values(world, field="destination.port", prefix="44") == [("443", 100.0)]
    assert values(world, field="__proto__") == [("<b>", 100.0)]
    assert values(world, field="no.such.field") == []
    assert len(values(world, field="user.name", limit=1)) == 1


def test_common_values_are_of_one_tenant(world: World) -> None:
    path = f"/v1/communities/{world.other.uuid}/field-values?field=user.name"
    problem(world.get(path), 404, "community_not_found")
    writer = world.key(states.Permission.SIC_WRITE_EVENTS)
    path = f"/v1/communities/{world.acme.uuid}/field-values?field=user.name"
    problem(world.get(path, writer), 403, "permission_missing")


def test_audit_names_the_keys(world: World) -> None:
    world.done_search()
    admin = world.key(states.Permission.ADMIN)
    found = world.get(f"/v1/audit?community_uuid={world.acme.uuid}", admin).json()["items"]
    assert {one["actor_name"] for one in found if one["actor_type"] == "apikey"} == {"everything"}


def health(world: World) -> dict[str, Any]:
    answer = world.get("/v1/health", world.key(states.Permission.ADMIN))
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["status"] for one in answer.json()["parts"]} | {"": answer.json()["status"]}


def test_health_in_parts(world: World) -> None:
    found = health(world)
    assert found.keys() == {"", "database", "lake", "storage", "workers"}
    assert found["database"] == "ok"
    assert found["workers"] == "ok"


def test_health_tells_of_work_that_nobody_takes(world: World) -> None:
    job = world.search()
    world.clock.advance(10)
    assert health(world)["workers"] == "ok"
    world.clock.advance(60)
    assert health(world)["workers"] == "warning"
    assert health(world)[""] == "warning"
    world.post(f"/v1/sic/conf/events/search/jobs/{job}/cancel")
    assert health(world)["workers"] == "ok"


def test_health_tells_of_a_folder_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = pathlib.Path(world.services.settings.resolved_lake_path)
    monkeypatch.setattr("os.access", lambda path, mode: pathlib.Path(path) != lake)
    assert health(world)["lake"] == "failed"
    assert health(world)[""] == "failed"


def test_health_wants_admin(world: World) -> None:
    problem(world.get("/v1/health"), 403, "permission_missing")


def test_a_bucket_that_is_tried_is_named_and_reachable(world: World) -> None:
    def refused(**s3: str) -> str:
        answer = world.post("/v1/destinations/try", json=s3)
        assert answer.status_code == 422, answer.text
        return str(answer.json()["code"])

    assert refused() == "incomplete_s3_settings"
    assert refused(bucket_name="bucket") == "incomplete_s3_settings"
    own = {"bucket_name": "bucket", "access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret"}
    assert refused(**own, endpoint_url="https://127.0.0.1:9") == "endpoint_not_allowed"
    reader = world.key(states.Permission.SIC_READ_INTAKES)
    problem(world.post("/v1/destinations/try", reader, json=own), 403, "permission_missing")
