"""Claims about exports over HTTP: started, listed, estimated, and every refusal by its code."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import json
from typing import Any

import pytest
from api_world import EVERYTHING, JOBS, KEY, NOON, World, events, problem

from penstock import errors, storage, testing
from penstock.control import quota
from penstock.control.schema import tables
from penstock.lake.read import costs
from penstock.process import services as services_module

MAKE_KEY = {"generate_customer_key": True}
KEY_MD5 = base64.b64encode(hashlib.md5(bytes(range(32))).digest()).decode()
BUCKET = {"bucket_name": "mine", "access_key_id": "AKIA", "secret_access_key": "hunter2"}


@pytest.fixture
def job(world: World) -> str:
    """A done search job with ten events."""
    world.ingest(events(10))
    return world.done_search()


def started(world: World) -> int:
    """How many exports acme has started."""
    total: int = world.get("/v1/tasks").json()["total"]
    return total


@pytest.mark.parametrize(
    "body", [None, {}, {"s3": {}}, {"s3": {"sse_customer_key": ""}}, {"generate_customer_key": None}]
)
def test_a_key_that_nobody_would_keep_is_not_made(world: World, job: str, body: Any) -> None:
    """The reference's client with --no-sse-c, and those before 0.4, drop a key that the answer holds."""
    assert (
        "generate_customer_key"
        in problem(world.export(job, body, make_key=False), 422, "customer_key_required")["hint"]
    )
    assert started(world) == 0


def test_the_service_makes_a_key_when_asked_and_shows_it_once(world: World, job: str) -> None:
    answer = world.export(job, {"generate_customer_key": True})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"task_uuid", "status", "sse_customer_key", "sse_customer_key_md5", "sse_customer_algorithm"}
    assert (body["status"], body["sse_customer_algorithm"]) == ("PENDING", "AES256")
    key = storage.CustomerKey.parse(body["sse_customer_key"], md5=body["sse_customer_key_md5"])
    task = world.get(f"/v1/tasks/{body['task_uuid']}")
    assert task.json()["attributes"]["fields"] == ["@timestamp", "message"]
    assert key.base64 not in task.text + world.get(f"{JOBS}/{job}/export-jobs").text


def test_a_given_key_is_used_and_never_shown(world: World, job: str) -> None:
    answer = world.export(
        job,
        {
            "fields": ["message", "source.ip"],
            "s3": {"sse_customer_key": KEY, "sse_customer_algorithm": "AES256", "sse_customer_key_md5": KEY_MD5},
        },
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "task_uuid": answer.json()["task_uuid"],
        "status": "PENDING",
        "sse_customer_key_md5": KEY_MD5,
        "sse_customer_algorithm": "AES256",
    }


@pytest.mark.parametrize(
    "body", [{}, {"s3": {}}, {"s3": None, "fields": None}, {"s3": {"_generated_key": "x"}, "more": 1}]
)
def test_everything_may_be_left_out_and_more_may_be_sent(world: World, job: str, body: Any) -> None:
    assert world.export(job, body).json()["sse_customer_key"]


def test_both_prefixes_start_exports(world: World, job: str) -> None:
    assert world.post(f"/api{JOBS}/{job}/export", json={"generate_customer_key": True}).status_code == 200


def test_field_names_may_have_blanks_around_them(world: World, job: str) -> None:
    task = world.export(job, {"fields": [" source.ip", "message "]}).json()["task_uuid"]
    assert world.get(f"/v1/tasks/{task}").json()["attributes"]["fields"] == ["source.ip", "message"]


# Refusals, in the order of docs/api.md


def test_a_search_job_that_is_not_done_is_refused(world: World) -> None:
    uuid = world.search()
    assert problem(world.export(uuid), 409, "search_job_not_done")["search_job_status"] == 0
    world.post(f"{JOBS}/{uuid}/cancel")
    assert problem(world.export(uuid), 409, "search_job_not_done")["search_job_status"] == 3
    assert started(world) == 0


def test_one_export_at_a_time_and_the_refusal_names_it(world: World, job: str) -> None:
    task = world.export(job).json()["task_uuid"]
    document = problem(world.export(job), 409, "export_in_progress")
    assert document["task_uuid"] == task
    assert task in document["detail"]
    world.post(f"/v1/tasks/{task}/cancel")
    assert world.export(job).status_code == 200


def test_a_search_job_starts_a_limited_number_of_exports(world: World, job: str) -> None:
    world.limit(exports_per_search_job=2)
    for _ in range(2):
        world.post(f"/v1/tasks/{world.export(job).json()['task_uuid']}/cancel")
    assert problem(world.export(job), 409, "search_job_export_limit")["limit"] == 2
    assert started(world) == 2


def test_an_unknown_field_is_refused_with_close_matches(world: World, job: str) -> None:
    document = problem(world.export(job, {"fields": ["mesage", "source.ip"]}), 422, "unknown_field")
    assert document["fields"] == ["mesage"]
    assert "message" in document["suggestions"]["mesage"]
    assert "message" in document["hint"]
    assert started(world) == 0


def test_timestamp_means_the_events_time_under_the_name_asked(world: World, job: str) -> None:
    """`message,timestamp` is what an older published client asks for by default."""
    task = world.finished_export(job, {"fields": ["message", "timestamp"], "s3": {"sse_customer_key": KEY}})
    lines = gzip.decompress(downloaded(world, task)).splitlines()
    assert json.loads(lines[0]) == {"message": "event 0", "timestamp": "2026-03-01T10:00:00Z"}
    assert [list(json.loads(line)) for line in lines] == [["message", "timestamp"]] * 10
    csv = world.get(f"{JOBS}/{job}/events?format=csv&fields=timestamp,message&limit=1").text
    assert csv.splitlines() == ["timestamp,message", "2026-03-01T10:00:09Z,event 9"]


def test_a_timestamp_of_the_events_own_is_exported_as_it_is(world: World) -> None:
    world.ingest([{"@timestamp": "2026-03-01T10:00:00Z", "timestamp": "its own"}])
    body = {"fields": ["timestamp"], "s3": {"sse_customer_key": KEY}}
    task = world.finished_export(world.done_search(), body)
    assert gzip.decompress(downloaded(world, task)) == b'{"timestamp":"its own"}\n'


def downloaded(world: World, task: dict[str, Any]) -> bytes:
    url = task["attributes"]["download_url"].removeprefix("http://penstock.test")
    return world.http("GET", url, headers=storage.CustomerKey.parse(KEY).headers()).content


def test_a_field_that_only_the_events_brought_is_known(world: World) -> None:
    world.ingest([{"@timestamp": "2026-03-01T10:00:00Z", "acme.badge": "7"}])
    assert world.export(world.done_search(), {"fields": ["acme.badge"]}).status_code == 200


@pytest.mark.parametrize("name", ["Acme.Badge", "always.null", 'a "quoted" name', "only in \u00e9tat"])
def test_a_field_without_a_column_of_its_own_is_known_all_the_same(world: World, name: str) -> None:
    """`Acme.Badge` differs from a column only in case, the others cannot be columns: all live in the overflow."""
    first = {"@timestamp": "2026-03-01T10:00:00Z", "acme.badge": "7"}
    value = None if name == "always.null" else 'a text that looks like a member: {"decoy":1}'
    world.ingest([first, {"@timestamp": "2026-03-01T10:00:01Z", name: value}])
    job = world.done_search()
    assert world.export(job, {"fields": ["acme.badge", name]}).status_code == 200
    problem(world.export(job, {"fields": ["decoy"]}), 422, "unknown_field")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["source.*"], "wildcard_not_supported"),
        (["*"], "wildcard_not_supported"),
        (["message", "message"], "duplicate_field"),
        ([], "empty_selection"),
        (["source"], "unknown_field"),
        ([""], "unknown_field"),
    ],
)
def test_fields_that_cannot_be_exported_are_refused(world: World, job: str, fields: list[str], code: str) -> None:
    assert "fields" in problem(world.export(job, {"fields": fields}), 422, code)
    assert started(world) == 0


def test_an_export_holds_one_community(world: World) -> None:
    both = world.key(*EVERYTHING, communities=[world.acme.uuid, world.other.uuid])
    document = problem(world.export(world.done_search(token=both), token=both), 422, "multi_community_not_supported")
    assert document["community_uuids"] == sorted([world.acme.uuid, world.other.uuid])


@pytest.mark.parametrize(
    ("s3", "code"),
    [
        ({"sse_customer_key": "not base64!"}, "invalid_customer_key"),
        ({"sse_customer_key": base64.b64encode(bytes(16)).decode()}, "invalid_customer_key"),
        ({"sse_customer_key": KEY, "sse_customer_algorithm": "AES128"}, "invalid_customer_key"),
        ({"sse_customer_key_md5": KEY_MD5}, "invalid_customer_key"),
        ({"sse_customer_key": KEY, "sse_customer_key_md5": "AAAA"}, "customer_key_md5_mismatch"),
        ({"bucket_name": "mine"}, "incomplete_s3_settings"),
        ({"prefix": "case-17"}, "incomplete_s3_settings"),
        ({"access_key_id": "A", "secret_access_key": "hunter2"}, "incomplete_s3_settings"),
        ({**BUCKET, "bucket_name": "a/b"}, "invalid_s3_settings"),
        ({**BUCKET, "prefix": "../up"}, "invalid_prefix"),
        ({**BUCKET, "endpoint_url": "http://s3.example"}, "endpoint_not_allowed"),
        ({**BUCKET, "endpoint_url": "https://127.0.0.1:9000"}, "endpoint_not_allowed"),
        ({**BUCKET, "endpoint_url": "https://169.254.169.254"}, "endpoint_not_allowed"),
    ],
)
def test_a_destination_that_cannot_be_used_is_refused(world: World, job: str, s3: dict[str, str], code: str) -> None:
    answer = world.export(job, {"s3": s3})
    problem(answer, 422, code)
    assert "hunter2" not in answer.text
    assert started(world) == 0


class LockedStore(testing.MemoryStore):
    """A bucket that refuses to be written to."""

    probes = 0

    def probe(self, customer_key: storage.CustomerKey) -> None:
        LockedStore.probes += 1
        raise errors.DestinationError("destination_not_writable", "The bucket refuses PutObject.", "Allow PutObject.")


@pytest.fixture
def locked_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers' buckets answer, and refuse. (Real buckets are in the behaviour suite of `storage`.)"""
    monkeypatch.setattr(services_module.Services, "customer_store", lambda self, bucket: LockedStore())


def test_a_bucket_that_cannot_be_written_is_refused(world: World, job: str, locked_bucket: None) -> None:
    problem(world.export(job, {"s3": BUCKET}), 422, "destination_not_writable")
    assert started(world) == 0


def test_a_bucket_is_not_tried_for_an_export_that_is_refused_anyway(
    world: World, job: str, locked_bucket: None
) -> None:
    world.export(job)
    before = LockedStore.probes
    problem(world.export(job, {"s3": BUCKET}), 409, "export_in_progress")
    assert LockedStore.probes == before


def test_a_working_bucket_is_the_destination(world: World, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_module.Services, "customer_store", lambda self, bucket: testing.MemoryStore())
    body = {"s3": {**BUCKET, "prefix": "case-17", "endpoint_url": "https://s3.example"}}
    task = world.get(f"/v1/tasks/{world.export(job, body).json()['task_uuid']}")
    assert task.json()["attributes"]["destination"] == "s3://mine/case-17 at https://s3.example"
    assert "hunter2" not in task.text


def test_too_many_events_are_refused_with_ranges_that_fit(world: World) -> None:
    world.ingest(events(500, step_seconds=7))
    job = world.done_search()
    world.limit(export_max_events=120)
    document = problem(world.export(job), 422, "too_many_events")
    assert (document["events"], document["limit"]) == (500, 120)
    ranges = document["suggested_ranges"]
    assert sum(one["events"] for one in ranges) == 500
    assert started(world) == 0
    for one in ranges:
        narrower = world.done_search(earliest_time=one["earliest_time"], latest_time=one["latest_time"])
        assert world.get(f"{JOBS}/{narrower}").json()["total"] == one["events"] <= 120
        task = world.export(narrower).json()["task_uuid"]
        world.post(f"/v1/tasks/{task}/cancel")


def test_late_arrivals_count_towards_the_limit(world: World) -> None:
    world.ingest(events(100))
    job = world.done_search()
    world.limit(export_max_events=100)
    assert world.get(f"{JOBS}/{job}").json()["total"] == 100
    world.ingest(events(1, start=NOON - dt.timedelta(hours=1)))
    assert problem(world.export(job), 422, "too_many_events")["events"] == 101


def test_the_limit_itself_is_allowed(world: World) -> None:
    world.ingest(events(100))
    job = world.done_search()
    world.limit(export_max_events=100)
    assert world.export(job).status_code == 200


def test_an_exhausted_quota_says_when_it_is_reset(world: World, job: str) -> None:
    world.limit(quota_bytes_per_month=100)
    with world.services.database.begin() as tx:
        tx.execute(
            tables.quota_charges.insert().values(
                task_uuid=f"charge-{world.acme.uuid[:20]}",
                community_uuid=world.acme.uuid,
                month=quota.month_of(world.clock.now()),
                compressed_bytes=100,
                charged_at=world.clock.now(),
            )
        )
    estimated = world.post(f"{JOBS}/{job}/export/estimate", json=MAKE_KEY).json()
    assert [one["code"] for one in estimated["problems"]] == ["monthly_quota_exhausted"]
    answer = world.export(job)
    document = problem(answer, 429, "monthly_quota_exhausted")
    assert document["resets_at"] == "2026-04-01T00:00:00Z"
    assert (document["limit_bytes"], document["used_bytes"]) == (100, 100)
    seconds = (dt.datetime(2026, 4, 1, tzinfo=dt.UTC) - world.clock.now()).total_seconds()
    assert int(answer.headers["retry-after"]) == int(seconds)
    assert started(world) == 0


def test_an_export_that_cannot_fit_what_is_left_is_refused_as_its_estimate_says(world: World, job: str) -> None:
    world.limit(quota_bytes_per_month=10)
    estimated = world.post(f"{JOBS}/{job}/export/estimate", json=MAKE_KEY).json()
    assert not estimated["allowed"]
    assert [one["code"] for one in estimated["problems"]] == ["monthly_quota_exhausted"]
    document = problem(world.export(job), 429, "monthly_quota_exhausted")
    assert document["estimated_bytes"] > document["limit_bytes"] == 10
    assert started(world) == 0


# Idempotency


def keyed(key: str) -> dict[str, Any]:
    return {"headers": {"Idempotency-Key": key}}


def test_the_same_key_and_body_bring_the_same_answer(world: World, job: str) -> None:
    first = world.export(job, {"fields": ["message"]}, **keyed("k1"))
    second = world.export(job, {"fields": ["message"]}, **keyed("k1"))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert first.json()["sse_customer_key"]
    assert started(world) == 1


def test_null_and_empty_members_are_the_same_request_as_none(world: World, job: str) -> None:
    first = world.export(job, {"s3": {"sse_customer_key": KEY}}, **keyed("k2"))
    body = {"s3": {"sse_customer_key": KEY, "prefix": "", "region_name": None}, "fields": None}
    assert world.export(job, body, **keyed("k2")).json() == first.json()


def test_the_generated_key_is_forgotten_once_the_export_has_ended(world: World, job: str) -> None:
    first = world.export(job, **keyed("k3"))
    world.worker.run_pending()
    again = world.export(job, **keyed("k3"))
    assert again.status_code == 200
    assert again.json()["status"] == "FINISHED"
    assert again.json()["task_uuid"] == first.json()["task_uuid"]
    assert "sse_customer_key" not in again.json()


@pytest.mark.parametrize(
    "other", [{"fields": ["@timestamp"]}, {}, {"fields": ["message"], "s3": {"sse_customer_key": KEY}}]
)
def test_the_same_key_with_another_body_is_refused(world: World, job: str, other: dict[str, Any]) -> None:
    task = world.export(job, {"fields": ["message"]}, **keyed("k4")).json()["task_uuid"]
    assert problem(world.export(job, other, **keyed("k4")), 409, "idempotency_key_reused")["task_uuid"] == task


def test_another_customer_key_is_another_body(world: World, job: str) -> None:
    world.export(job, {"s3": {"sse_customer_key": KEY}}, **keyed("k5"))
    other = base64.b64encode(bytes(32)).decode()
    problem(world.export(job, {"s3": {"sse_customer_key": other}}, **keyed("k5")), 409, "idempotency_key_reused")


def test_an_idempotency_key_is_forgotten_after_its_time(world: World, job: str) -> None:
    first = world.export(job, **keyed("k6")).json()["task_uuid"]
    world.post(f"/v1/tasks/{first}/cancel")
    world.clock.advance(world.services.settings.idempotency_ttl_seconds + 1)
    assert world.export(job, **keyed("k6")).json()["task_uuid"] != first


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_a_bound(world: World, job: str, key: str) -> None:
    problem(world.export(job, **keyed(key)), 422, "invalid_idempotency_key")


# The list


def test_export_jobs_are_listed_newest_first(world: World, job: str) -> None:
    first = world.finished_export(job, {"fields": ["message"]})
    world.clock.advance(1)
    second = world.export(job).json()["task_uuid"]
    page = world.get(f"{JOBS}/{job}/export-jobs").json()
    assert page["total"] == 2
    assert [item["task_uuid"] for item in page["items"]] == [second, first["uuid"]]
    done = page["items"][1]
    assert set(done) == {
        "task_uuid", "status", "fields", "events", "export_size", "export_size_compressed", "download_url",
        "manifest_url", "expire_at", "encryption", "sse_customer_key_md5", "destination", "created_at", "ended_at",
        "error", "error_code",
    }  # fmt: skip
    assert (done["status"], done["events"], done["fields"]) == ("FINISHED", 10, ["message"])
    assert done["export_size"] == sum(len(f'{{"message":"event {n}"}}\n') for n in range(10))
    assert done["export_size_compressed"] > 0
    assert done["download_url"].startswith("http://penstock.test/storage/")
    assert page["items"][0]["download_url"] is None


# Estimates


def test_an_estimate_starts_nothing_and_allows(world: World, job: str) -> None:
    answer = world.post(f"{JOBS}/{job}/export/estimate", json={"fields": ["message"], **MAKE_KEY})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["events"], found["allowed"], found["problems"]) == (10, True, [])
    assert found["quota"]["limit_bytes"] == 10_000_000_000
    assert found["estimated_seconds"] > 0
    assert started(world) == 0


def test_an_estimate_is_near_the_truth(world: World) -> None:
    world.ingest(events(5000, step_seconds=1))
    job = world.done_search()
    found = world.post(f"{JOBS}/{job}/export/estimate", json=MAKE_KEY).json()
    task = world.finished_export(job)
    assert found["events"] == task["progress"] == 5000
    ratio = found["estimated_size_compressed"] / task["attributes"]["export_size_compressed"]
    assert 0.6 < ratio < 1.7


def test_an_estimate_lists_every_problem(world: World) -> None:
    world.ingest(events(30))
    job = world.done_search()
    world.export(job)
    world.limit(export_max_events=20)
    found = world.post(f"{JOBS}/{job}/export/estimate", json={"fields": ["mesage"], **MAKE_KEY}).json()
    assert found["allowed"] is False
    assert [one["code"] for one in found["problems"]] == ["unknown_field", "export_in_progress", "too_many_events"]
    assert found["quota"]["active_task_uuid"]
    assert all(one["detail"] and one["hint"] for one in found["problems"])


def test_an_estimate_of_nothing_is_nothing(world: World) -> None:
    found = world.post(f"{JOBS}/{world.done_search('source.ip:1.1.1.1')}/export/estimate", json=MAKE_KEY).json()
    assert (found["events"], found["estimated_size_compressed"], found["allowed"]) == (0, 0, True)


def test_an_estimate_needs_a_job_that_is_done(world: World) -> None:
    problem(world.post(f"{JOBS}/{world.search()}/export/estimate"), 409, "search_job_not_done")


def test_a_search_and_an_export_that_are_too_dear_are_refused_before_anything_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ingest(events(10))
    dear = world.done_search("message:user OR *b*")
    before = world.get(JOBS).json()["total"]
    monkeypatch.setattr(costs, "_ANYWHERE", {costs.ast.Like: 1e10})
    body = {"earliest_time": "-1d", "latest_time": "now", "term": "message:ok AND (a OR *b*)"}
    document = problem(world.post(JOBS, json=body), 422, "search_too_costly")
    assert (document["term"], document["position"], document["events"], document["terms"]) == ("*b*", 21, 10, 3)
    assert document["cost_seconds"] > document["limit_seconds"] == world.services.settings.search_max_cpu_seconds
    assert "Name the field" in document["hint"]
    assert world.get(JOBS).json()["total"] == before

    problem(world.export(dear), 422, "search_too_costly")
    assert started(world) == 0
    estimated = world.post(f"{JOBS}/{dear}/export/estimate", json=MAKE_KEY).json()
    assert [one["code"] for one in estimated["problems"]] == ["search_too_costly"]
