"""Claims about search jobs over HTTP: create, read, list, cancel, delete, and what they found."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
from typing import Any

import pytest
from api_world import EVERYTHING, JOBS, NOON, World, events, problem

from penstock.control import searches
from penstock.control.schema import tables
from penstock.lake.read import newest

MEMBERS = {
    "uuid", "term", "understood", "term_lang", "earliest_time", "latest_time", "filters", "community_uuids", "status",
    "total", "so_far",
    "expired", "results_ttl", "visible", "max_last_events", "view_uuid", "created_at", "created_by", "created_by_type",
    "started_at", "ended_at", "canceled_at", "canceled_by", "canceled_by_type", "error", "notes",
}  # fmt: skip


def body(**members: Any) -> dict[str, Any]:
    return {"earliest_time": "-1d", "latest_time": "now", **members}


def test_a_new_job_waits_and_has_every_member(world: World) -> None:
    answer = world.post(JOBS, json=body(term="source.ip:10.0.0.1", view_uuid="v", visible=False, max_last_events=7))
    assert answer.status_code == 200
    job = answer.json()
    assert set(job) == MEMBERS
    assert job["status"] == 0
    assert job["term"] == "source.ip:10.0.0.1"
    assert job["community_uuids"] == [world.acme.uuid]
    assert (job["view_uuid"], job["visible"], job["max_last_events"]) == ("v", False, 7)
    assert (job["total"], job["expired"], job["results_ttl"]) == (0, False, 600)
    assert (job["created_by"], job["created_by_type"]) == (world.acme.key.uuid, "apikey")
    assert job == world.get(f"{JOBS}/{job['uuid']}").json()


def test_a_job_that_runs_shows_what_it_has_counted_so_far(world: World) -> None:
    job = world.post(JOBS, json=body()).json()
    histogram = {"interval_seconds": 60.0, "counts": [[0, 0], [60_000_000, 7]]}
    so_far = {"total": 7, "share": 0.5, "histogram": histogram}
    with world.services.database.begin() as tx:
        mine = tables.search_jobs.c.uuid == job["uuid"]
        tx.execute(tables.search_jobs.update().where(mine).values(status=1, histogram=so_far))
    shown = world.get(f"{JOBS}/{job['uuid']}").json()
    buckets = [{"start": "1970-01-01T00:00:00Z", "count": 0}, {"start": "1970-01-01T00:01:00Z", "count": 7}]
    assert (shown["status"], shown["total"]) == (1, 0)
    assert shown["so_far"] == {"total": 7, "share": 0.5, "histogram": {"interval_seconds": 60.0, "buckets": buckets}}
    with world.services.database.begin() as tx:
        searches.delete(tx, job["uuid"], None)


@pytest.mark.parametrize(
    ("given", "seconds"), [("-45s", 45), ("-15m", 900), ("-2h", 7200), ("-30d", 2_592_000), ("-1w", 604_800)]
)
def test_relative_times_are_resolved_when_the_job_is_created(world: World, given: str, seconds: int) -> None:
    job = world.post(JOBS, json=body(earliest_time=given)).json()
    earliest, latest = (dt.datetime.fromisoformat(job[name]) for name in ("earliest_time", "latest_time"))
    assert latest == world.clock.now()
    assert latest - earliest == dt.timedelta(seconds=seconds)


def test_a_time_with_an_offset_is_answered_in_utc(world: World) -> None:
    job = world.post(JOBS, json=body(earliest_time="2026-02-01T02:00:00+02:00", latest_time="2026-02-01T00:00:00.5Z"))
    assert job.json()["earliest_time"] == "2026-02-01T00:00:00Z"


def test_a_job_says_what_its_query_probably_did_not_mean(world: World) -> None:
    job = world.post(JOBS, json=body(term="event.outcom:failure and message:x")).json()
    operator, unknown = (note for note in job["notes"] if note["code"] in ("looks_like_operator", "unknown_field"))
    assert operator["replacement"] == "event.outcom:failure AND message:x"
    assert (unknown["field"], unknown["suggestions"][0]) == ("event.outcom", "event.outcome")
    assert all(note["detail"] and note["hint"] for note in job["notes"])
    assert world.get(f"{JOBS}/{job['uuid']}").json()["notes"] == job["notes"]


OPTIONAL = ("term", "term_lang", "filters", "community_uuids", "max_last_events", "visible", "view_uuid")


@pytest.mark.parametrize("empty", [None, []])
def test_an_optional_member_that_is_null_or_empty_means_its_default(world: World, empty: Any) -> None:
    """Saved jobs of the reference platform hold such; `community_uuids: []` is how its modules say "all"."""
    plain = world.post(JOBS, json=body()).json()
    given = world.post(JOBS, json=body(**dict.fromkeys(OPTIONAL, empty)))
    assert given.status_code == 200, given.text
    assert {name: given.json()[name] for name in OPTIONAL} == {name: plain[name] for name in OPTIONAL}


def test_a_saved_job_can_be_sent_again(world: World) -> None:
    saved = world.post(JOBS, json=body(term="message:event", term_lang="es-query-string")).json()
    again = world.post(JOBS, json=saved)
    assert again.status_code == 200, again.text
    assert (again.json()["term"], again.json()["term_lang"]) == ("message:event", "es-query-string")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999"])
def test_a_number_that_json_does_not_have_is_refused(world: World, number: str) -> None:
    text = f'{{"earliest_time":"-1d","latest_time":"now","filters":[{{"field":"a","operator":"gt","value":{number}}}]}}'
    document = problem(world.post(JOBS, content=text), 400, "invalid_json")
    assert number in document["detail"]
    assert f"character {text.index(number)}" in document["detail"]
    assert world.get(JOBS).json()["total"] == 0


def test_members_that_nobody_knows_are_ignored(world: World) -> None:
    assert world.post(JOBS, json=body(only_total=True, _private=1)).status_code == 200


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"earliest_time": "some day"}, "invalid_time"),
        ({"earliest_time": "now", "latest_time": "-1h"}, "invalid_time_range"),
        ({"earliest_time": "now", "latest_time": "now"}, "invalid_time_range"),
        ({"term_lang": "sql"}, "unsupported_term_lang"),
        ({"filters": [{"field": "a", "operator": "like", "value": "b"}]}, "invalid_filter"),
        ({"earliest_time": None}, "invalid_request"),
        ({"max_last_events": -1}, "invalid_request"),
        ({"term": 7}, "invalid_request"),
        ({"term": "a\0b"}, "invalid_request"),
        ({"view_uuid": "x" * 37}, "invalid_request"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused(world: World, members: dict[str, Any], code: str) -> None:
    problem(world.post(JOBS, json=body(**members)), 422, code)
    assert world.get(JOBS).json()["total"] == 0


def test_a_broken_query_is_pointed_at(world: World) -> None:
    document = problem(world.post(JOBS, json=body(term="a:b AND (c:d")), 422, "query_syntax")
    assert document["position"] == 12
    assert document["expected"]
    assert document["caret"] == "a:b AND (c:d\n            ^"


def test_both_prefixes_serve_the_same(world: World) -> None:
    job = world.search()
    first, second = world.get(f"{JOBS}/{job}"), world.get(f"/api{JOBS}/{job}")
    assert first.json() == second.json()
    assert world.post(f"/api{JOBS}", json=body()).status_code == 200


def test_a_done_job_has_counted(world: World) -> None:
    world.ingest(events(100))
    job = world.get(f"{JOBS}/{world.done_search('event.outcome:failure')}").json()
    assert (job["status"], job["total"]) == (2, 50)
    assert job["started_at"]
    assert job["ended_at"]


def test_filters_narrow_and_disabled_ones_do_not(world: World) -> None:
    world.ingest(events(100))
    filters = [
        {"field": "event.outcome", "operator": "is", "value": "failure", "disabled": False, "excluded": True},
        {"field": "source.ip", "operator": "is", "value": "10.0.0.4", "disabled": True, "excluded": False},
    ]
    job = world.get(f"{JOBS}/{world.done_search(filters=filters)}").json()
    assert job["total"] == 50
    assert job["filters"] == filters


def test_jobs_are_listed_newest_first_in_pages(world: World) -> None:
    made = []
    for _ in range(3):
        made.insert(0, world.search())
        world.clock.advance(1)
    page = world.get(f"{JOBS}?limit=2&offset=1").json()
    assert page["total"] == 3
    assert [job["uuid"] for job in page["items"]] == made[1:]


def test_a_job_is_canceled_once_and_again(world: World) -> None:
    job = world.search()
    for _ in range(2):
        answer = world.post(f"{JOBS}/{job}/cancel")
        assert answer.status_code == 200
        assert answer.json()["status"] == 3
        assert answer.json()["canceled_by"] == world.acme.key.uuid
        world.clock.advance(1)
    problem(world.get(f"{JOBS}/{job}/events"), 409, "search_job_not_done")


def test_a_done_job_cannot_be_canceled(world: World) -> None:
    problem(world.post(f"{JOBS}/{world.done_search()}/cancel"), 409, "search_job_already_ended")


def test_a_deleted_job_is_gone_and_its_exports_stay(world: World) -> None:
    world.ingest(events(3))
    job = world.done_search()
    task = world.finished_export(job)
    answer = world.http("DELETE", f"{JOBS}/{job}", token=world.acme.token)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(world.get(f"{JOBS}/{job}"), 404, "search_job_not_found")
    assert world.get(f"/v1/tasks/{task['uuid']}").json()["status"] == "FINISHED"


@pytest.mark.parametrize("path", ["", "/events", "/histogram", "/export-jobs"])
@pytest.mark.parametrize("job", ["00000000-0000-4000-8000-000000000000", "nonsense", "é%20"])
def test_a_job_that_does_not_exist_is_404(world: World, job: str, path: str) -> None:
    problem(world.get(f"{JOBS}/{job}{path}"), 404, "search_job_not_found")


# What it found


def test_events_are_nested_on_request(world: World) -> None:
    world.ingest(events(5))
    page = world.get(f"{JOBS}/{world.done_search()}/events?limit=2&flat=false").json()
    assert page["total"] == 5
    assert page["items"][0] == {
        "@timestamp": "2026-03-01T10:00:04Z",
        "timestamp": "2026-03-01T10:00:04Z",
        "message": "event 4",
        "source": {"ip": "10.0.0.4"},
        "event": {"outcome": "success"},
    }
    assert [item["message"] for item in page["items"]] == ["event 4", "event 3"]


@pytest.mark.parametrize("query", ["", "?flat=true"])
def test_events_are_flat_newest_first_and_have_a_timestamp(world: World, query: str) -> None:
    """Published playbooks and connectors read `event["source.ip"]` and `event["timestamp"]`."""
    made = events(5)
    world.ingest(made)
    page = world.get(f"{JOBS}/{world.done_search()}/events{query}").json()
    assert page["items"] == [{**event, "timestamp": event["@timestamp"]} for event in made[::-1]]


def test_an_event_keeps_a_timestamp_of_its_own(world: World) -> None:
    world.ingest([{"@timestamp": "2026-03-01T10:00:00Z", "timestamp": "its own"}])
    (event,) = world.get(f"{JOBS}/{world.done_search()}/events").json()["items"]
    assert event["timestamp"] == "its own"


def test_values_come_back_to_the_letter(world: World) -> None:
    line = '{"@timestamp":"2026-03-01T11:00:00Z","a":1.0,"b":1e400,"c":[1,"x",null],"d":null,"e":12345678901234567890}'
    answer = world.post(f"/v1/communities/{world.acme.uuid}/events", content=line)
    assert answer.json()["accepted"] == 1
    text = world.get(f"{JOBS}/{world.done_search()}/events?flat=true").text
    for value in ('"a":1.0', '"b":1e400', '"c":[1,"x",null]', '"d":null', '"e":12345678901234567890'):
        assert value in text


def test_pages_join_without_gap_and_end_at_the_jobs_own_bound(world: World) -> None:
    world.ingest(events(30))
    job = world.done_search(max_last_events=25)
    seen = []
    for offset in range(0, 40, 10):
        seen += world.get(f"{JOBS}/{job}/events?limit=10&offset={offset}").json()["items"]
    assert [item["message"] for item in seen] == [f"event {n}" for n in range(29, 4, -1)]


def test_paging_until_a_page_is_empty_brings_the_newest_thousand(world: World) -> None:
    """As published clients page: with 100 an offset, until `items` is empty; any refusal loses all they have."""
    world.ingest(events(1_250))
    job = world.done_search()
    seen: list[Any] = []
    while items := world.get(f"{JOBS}/{job}/events?limit=100&offset={len(seen)}").json()["items"]:
        seen += items
    assert [item["message"] for item in seen] == [f"event {n}" for n in range(1249, 249, -1)]
    cut = world.get(f"{JOBS}/{job}/events?limit=100&offset=950").json()
    assert (len(cut["items"]), cut["total"]) == (50, 1_250)
    assert world.get(f"{JOBS}/{job}/events?limit=1000&offset=5000").json() == {"items": [], "total": 1_250}
    problem(world.get(f"{JOBS}/{job}/events?limit=1001"), 422, "invalid_request")


def test_a_job_that_is_not_done_shows_nothing_yet(world: World) -> None:
    job = world.search()
    for path in ("events", "histogram"):
        document = problem(world.get(f"{JOBS}/{job}/{path}"), 409, "search_job_not_done")
        assert document["search_job_status"] == 0


def test_a_done_job_keeps_its_snapshot(world: World) -> None:
    world.ingest(events(5))
    job = world.done_search()
    world.ingest(events(5, start=NOON - dt.timedelta(hours=1)))
    page = world.get(f"{JOBS}/{job}/events").json()
    assert (len(page["items"]), page["total"]) == (5, 5)


def test_an_expired_job_says_so(world: World) -> None:
    job = world.done_search()
    world.clock.advance(world.services.settings.search_job_ttl_seconds + 1)
    assert world.get(f"{JOBS}/{job}").json()["expired"] is True
    problem(world.get(f"{JOBS}/{job}/events"), 409, "search_job_expired")
    problem(world.export(job), 409, "search_job_expired")


def test_events_of_two_communities_are_merged_by_time(world: World) -> None:
    world.ingest(events(4, step_seconds=10))
    world.ingest(events(4, start=NOON - dt.timedelta(hours=2) + dt.timedelta(seconds=5), step_seconds=10), world.other)
    both = world.key(*EVERYTHING, communities=[world.acme.uuid, world.other.uuid])
    job = world.done_search(token=both)
    page = world.get(f"{JOBS}/{job}/events?limit=3&offset=1", both).json()
    assert page["total"] == 8
    assert [item["@timestamp"][-9:] for item in page["items"]] == ["10:00:30Z", "10:00:25Z", "10:00:20Z"]
    histogram = world.get(f"{JOBS}/{job}/histogram?buckets=24", both).json()
    assert sum(bucket["count"] for bucket in histogram["buckets"]) == 8


def test_csv_holds_the_fields_asked_for(world: World) -> None:
    world.ingest(
        [
            {"@timestamp": "2026-03-01T10:00:00Z", "message": 'a "quoted", line\nbroken', "event.category": ["x", "y"]},
            {"@timestamp": "2026-03-01T10:00:01Z", "source.port": 443, "event.outcome": "=1+1"},
        ]
    )
    job = world.done_search()
    answer = world.get(
        f"{JOBS}/{job}/events?format=csv&fields=@timestamp,message,event.category,source.port,event.outcome"
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="events_{job}.csv"'
    assert list(csv.reader(io.StringIO(answer.text, newline=""))) == [
        ["@timestamp", "message", "event.category", "source.port", "event.outcome"],
        ["2026-03-01T10:00:01Z", "", "", "443", "=1+1"],
        ["2026-03-01T10:00:00Z", 'a "quoted", line\nbroken', '["x","y"]', "", ""],
    ]


def test_csv_has_default_fields_and_checks_what_is_asked(world: World) -> None:
    world.ingest(events(2))
    job = world.done_search()
    assert world.get(f"{JOBS}/{job}/events?format=csv").text.splitlines()[0] == "@timestamp,message"
    document = problem(world.get(f"{JOBS}/{job}/events?format=csv&fields=mesage"), 422, "unknown_field")
    assert "message" in document["suggestions"]["mesage"]


@pytest.mark.parametrize("buckets", [1, 60, 100])
def test_a_histogram_covers_the_range_and_counts_every_event(world: World, buckets: int) -> None:
    world.ingest(events(500, step_seconds=10))
    job = world.done_search()
    found = world.get(f"{JOBS}/{job}/histogram?buckets={buckets}").json()
    assert sum(bucket["count"] for bucket in found["buckets"]) == 500
    assert len(found["buckets"]) <= buckets
    starts = [dt.datetime.fromisoformat(bucket["start"]) for bucket in found["buckets"]]
    gaps = {(after - before).total_seconds() for before, after in itertools.pairwise(starts)}
    assert gaps <= {found["interval_seconds"]}
    assert found["interval_seconds"] * len(starts) >= 86_400


def test_a_histogram_has_bounds(world: World) -> None:
    job = world.done_search()
    for buckets in (0, 1001):
        problem(world.get(f"{JOBS}/{job}/histogram?buckets={buckets}"), 422, "invalid_request")


# Fields of what it found


def test_fields_come_with_their_most_common_values(world: World) -> None:
    """What the reference platform's action "Get event field common values" reads."""
    world.ingest(
        {
            **event,
            "event.category": ["a", "b"] if n < 2 else ["a"],
            "n": n,
            "event.outcome": "failure" if n < 3 else "success",
        }
        for n, event in enumerate(events(8))
    )
    world.ingest([{"@timestamp": "2026-03-01T10:30:00Z", "message": "another"}])
    page = world.get(f"{JOBS}/{world.done_search()}/fields?limit=1000&offset=0").json()
    found = {item["name"]: item for item in page["items"]}
    assert page["total"] == len(page["items"])
    assert list(found) == sorted(found)
    assert found["event.outcome"]["most_common_values"] == [
        {"name": "success", "value": 62.5},
        {"name": "failure", "value": 37.5},
    ]
    assert found["event.outcome"]["value_type"] == "keyword"
    assert found["event.outcome"]["display_name"] == "event.outcome"
    assert found["event.outcome"]["description"]
    assert found["event.category"]["most_common_values"] == [
        {"name": "a", "value": 100.0},
        {"name": "b", "value": 25.0},
    ]
    assert (found["n"]["value_type"], len(found["n"]["most_common_values"])) == ("long", 8)


def test_fields_can_be_matched_and_paged(world: World) -> None:
    world.ingest(events(2))
    job = world.done_search()
    assert [item["name"] for item in world.get(f"{JOBS}/{job}/fields?match=OUTCOME").json()["items"]] == [
        "event.outcome"
    ]
    page = world.get(f"{JOBS}/{job}/fields?limit=1&offset=1").json()
    assert ([item["name"] for item in page["items"]], page["total"]) == (["event.outcome"], 4)


def test_what_was_found_is_computed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that times out and asks again must not start a scan beside the first."""
    world.ingest(events(30))
    job = world.done_search()
    monkeypatch.setattr(newest, "events", lambda *_, **__: pytest.fail("scanned again"))
    for path in ("events", "events?format=csv", "fields", "events?limit=10&offset=20"):
        assert world.get(f"{JOBS}/{job}/{path}").status_code == 200


def test_results_that_are_not_kept_are_computed_and_kept(world: World) -> None:
    world.ingest(events(30))
    job = world.done_search(max_last_events=5)
    before = [world.get(f"{JOBS}/{job}/{path}").json() for path in ("events", "fields")]
    with world.services.database.begin() as tx:
        tx.execute(tables.search_results.delete())
    assert [world.get(f"{JOBS}/{job}/{path}").json() for path in ("events", "fields")] == before
    with world.services.database.read() as tx:
        assert searches.results_of(tx, job, world.clock.now()) is not None
