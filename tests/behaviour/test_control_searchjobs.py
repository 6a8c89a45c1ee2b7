"""Search jobs: their life, their leases, who sees them, how they go; on SQLite and on PostgreSQL."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import communities, exports, searches, states

LEASE = 15


def create(plane: Any, **values: Any) -> searches.SearchJob:
    now = plane.clock.now()
    asked: dict[str, Any] = {
        "term": "event.action:login",
        "earliest_time": "-1d",
        "latest_time": "now",
        "earliest": now - dt.timedelta(days=1),
        "latest": now,
        "community_uuids": [plane.community.uuid],
        "created_by": plane.key.uuid,
        "now": now,
        "ttl_seconds": 1000,
    }
    with plane.db.begin() as tx:
        return searches.create(tx, **(asked | values))


def claim(plane: Any, worker_id: str = "worker-1") -> searches.SearchClaim | None:
    with plane.db.begin() as tx:
        return searches.claim(tx, worker_id, plane.clock.now(), LEASE)


def finish(plane: Any, held: searches.SearchClaim, totals: dict[str, int] | None = None) -> None:
    totals = totals if totals is not None else {plane.community.uuid: 42}
    with plane.db.begin() as tx:
        searches.finish(
            tx,
            held,
            totals=totals,
            snapshots=dict.fromkeys(totals, 9),
            histogram_json={"interval_seconds": 60, "buckets": [["2026-01-15T11:00:00Z", 42]]},
            now=plane.clock.now(),
        )


def get(plane: Any, job: searches.SearchJob) -> searches.SearchJob:
    with plane.db.read() as tx:
        return searches.get(tx, job.uuid, None)


def test_search_job_lives_from_pending_to_done(plane: Any) -> None:
    filters = [{"field": "event.outcome", "operator": "is", "value": "failure", "disabled": False}]
    job = create(plane, filters=filters, visible=False, view_uuid="33333333-3333-3333-3333-333333333333")
    assert (job.status, job.total, job.histogram, job.snapshots) == (states.SearchStatus.PENDING, None, None, {})
    assert job.filters == tuple(filters)
    assert (job.earliest_time, job.latest_time) == ("-1d", "now")
    assert (job.latest - job.earliest) == dt.timedelta(days=1)
    plane.clock.advance(1)
    held = claim(plane)
    assert held is not None
    assert held.job.status is states.SearchStatus.RUNNING
    plane.clock.advance(1)
    finish(plane, held)
    job = get(plane, job)
    assert (job.status, job.total, job.totals) == (states.SearchStatus.DONE, 42, {plane.community.uuid: 42})
    assert job.snapshots == {plane.community.uuid: 9}
    assert job.histogram == {"interval_seconds": 60, "buckets": [["2026-01-15T11:00:00Z", 42]]}
    assert job.started_at == job.created_at + dt.timedelta(seconds=1)
    assert job.ended_at == job.created_at + dt.timedelta(seconds=2)


def test_what_a_search_has_counted_so_far_is_seen_while_it_runs(plane: Any) -> None:
    job = create(plane)
    held = claim(plane)
    assert held is not None
    assert get(plane, job).so_far is None
    so_far = searches.SoFar(total=7, share=0.25, histogram={"interval_seconds": 60.0, "counts": [[1, 0], [2, 7]]})
    with plane.db.begin() as tx:
        searches.tell(tx, held, so_far, plane.clock.now())
    running = get(plane, job)
    assert (running.so_far, running.total, running.histogram) == (so_far, None, None)
    plane.clock.advance(LEASE + 1)
    later = claim(plane, "worker-2")
    assert later is not None
    assert get(plane, job).so_far is None  # the other one counts from 0
    with pytest.raises(errors.LeaseLost), plane.db.begin() as tx:
        searches.tell(tx, held, so_far, plane.clock.now())
    with plane.db.begin() as tx:
        searches.tell(tx, later, so_far, plane.clock.now())
        searches.cancel(tx, job.uuid, None, "tests", plane.clock.now())
    canceled = get(plane, job)
    assert (canceled.so_far, canceled.histogram) == (None, None)


ZOMBIE_WRITES: dict[str, Callable[[Any, Any, Any], object]] = {
    "renew": lambda tx, held, now: searches.renew(tx, held, now),
    "release": lambda tx, held, now: searches.release(tx, held, now),
    "fail": lambda tx, held, now: searches.fail(tx, held, "why", now),
    "finish": lambda tx, held, now: searches.finish(
        tx, held, totals={held.job.community_uuids[0]: 1}, snapshots={}, histogram_json=None, now=now
    ),
}


@pytest.mark.parametrize("name", ZOMBIE_WRITES)
@pytest.mark.parametrize("event", ["taken over", "canceled", "deleted", "done"])
def test_worker_that_lost_its_search_writes_nothing(plane: Any, name: str, event: str) -> None:
    create(plane)
    held = claim(plane)
    assert held is not None
    with plane.db.begin() as tx:
        assert not searches.is_cancel_requested(tx, held)
        if event == "canceled":
            searches.cancel(tx, held.job.uuid, None, "somebody", plane.clock.now())
        elif event == "deleted":
            searches.delete(tx, held.job.uuid, None)
    if event == "taken over":
        plane.clock.advance(LEASE)
        assert claim(plane, "worker-2") is not None
    elif event == "done":
        finish(plane, held)
    before = rows(plane)
    with pytest.raises(errors.LeaseLost), plane.db.begin() as tx:
        ZOMBIE_WRITES[name](tx, held, plane.clock.now())
    assert rows(plane) == before
    with plane.db.read() as tx:
        assert searches.is_cancel_requested(tx, held)


def rows(plane: Any) -> list[list[tuple[Any, ...]]]:
    with plane.db.read() as tx:
        return [
            [tuple(row) for row in tx.execute(sa.text(f"SELECT * FROM {name} ORDER BY 1, 2"))]
            for name in ("search_jobs", "search_job_communities")
        ]


def test_renewed_search_is_not_taken_and_a_released_one_is_at_once(plane: Any) -> None:
    create(plane)
    held = claim(plane)
    assert held is not None
    plane.clock.advance(LEASE - 1)
    with plane.db.begin() as tx:
        searches.renew(tx, held, plane.clock.now())
    plane.clock.advance(LEASE - 1)
    assert claim(plane, "worker-2") is None
    with plane.db.read() as tx:
        assert not searches.has_work(tx, plane.clock.now())
    with plane.db.begin() as tx:
        searches.release(tx, held, plane.clock.now())
    with plane.db.read() as tx:
        assert searches.has_work(tx, plane.clock.now())
    assert claim(plane, "worker-2") is not None


def test_search_that_kills_its_workers_ends_failed(plane: Any) -> None:
    job = create(plane)
    for number in range(searches.MAX_ATTEMPTS):
        assert claim(plane, f"worker-{number}") is not None
        plane.clock.advance(LEASE)
    assert claim(plane) is None
    job = get(plane, job)
    assert job.status is states.SearchStatus.FAILED
    assert job.error == "5 workers stopped over this search. Ask the operator to look into their logs."


def test_failed_search_says_why(plane: Any) -> None:
    create(plane)
    held = claim(plane)
    assert held is not None
    with plane.db.begin() as tx:
        searches.fail(tx, held, "The lake cannot be read.", plane.clock.now())
    assert get(plane, held.job).error == "The lake cannot be read."


def test_cancel_takes_effect_at_once_says_by_whom_and_is_idempotent(plane: Any) -> None:
    job = create(plane)
    for _ in range(2):
        with plane.db.begin() as tx:
            job = searches.cancel(tx, job.uuid, [plane.community.uuid], "somebody", plane.clock.now())
    assert (job.status, job.canceled_by, job.canceled_at) == (
        states.SearchStatus.CANCELED,
        "somebody",
        plane.clock.now(),
    )
    assert claim(plane) is None


def test_done_search_cannot_be_canceled(plane: Any) -> None:
    with pytest.raises(errors.Conflict) as refused, plane.db.begin() as tx:
        searches.cancel(tx, plane.job.uuid, None, "somebody", plane.clock.now())
    assert refused.value.code == "search_job_already_ended"


def test_jobs_are_listed_newest_first_without_hidden_and_expired_ones(plane: Any) -> None:
    made = []
    for _ in range(3):
        plane.clock.advance(1)
        made.append(create(plane).uuid)
    create(plane, visible=False)
    create(plane, ttl_seconds=0)
    with plane.db.read() as tx:
        items, total = searches.list_jobs(tx, [plane.community.uuid], 2, 1, now=plane.clock.now())
    assert ([item.uuid for item in items], total) == ([made[1], made[0]], 4)


def test_job_over_two_communities_is_seen_only_with_both(plane: Any) -> None:
    with plane.db.begin() as tx:
        other = communities.create(tx, name="other", now=plane.clock.now())
    both = [plane.community.uuid, other.uuid]
    job = create(plane, community_uuids=both)
    held = claim(plane)
    assert held is not None
    finish(plane, held, {plane.community.uuid: 1, other.uuid: 2})
    with plane.db.read() as tx:
        assert searches.get(tx, job.uuid, both).total == 3
        for too_few in ([plane.community.uuid], [other.uuid], []):
            with pytest.raises(errors.NotFound) as refused:
                searches.get(tx, job.uuid, too_few)
            assert refused.value.code == "search_job_not_found"
            assert job.uuid not in [each.uuid for each in searches.list_jobs(tx, too_few)[0]]


def test_job_is_expired_from_the_instant_on_that_it_names(plane: Any) -> None:
    assert not plane.job.is_expired(plane.job.expires_at - dt.timedelta(microseconds=1))
    assert plane.job.is_expired(plane.job.expires_at)


def test_deleted_job_leaves_its_exports(plane: Any) -> None:
    export = plane.start()
    with plane.db.begin() as tx:
        with pytest.raises(errors.NotFound):
            searches.delete(tx, plane.job.uuid, [])
        searches.delete(tx, plane.job.uuid, [plane.community.uuid])
    with pytest.raises(errors.NotFound):
        get(plane, plane.job)
    assert plane.get(export.task_uuid).term == plane.job.term
    assert plane.count("search_job_communities") == 0


def test_expired_jobs_are_deleted_a_day_later(plane: Any) -> None:
    create(plane, ttl_seconds=10)
    plane.clock.advance(10 + 86_400 - 1)
    with plane.db.begin() as tx:
        assert searches.delete_expired(tx, plane.clock.now()) == 0
    plane.clock.advance(1)
    with plane.db.begin() as tx:
        assert searches.delete_expired(tx, plane.clock.now()) == 1
        assert searches.delete_expired(tx, plane.clock.now()) == 0
    assert get(plane, plane.job) == plane.job


def test_snapshots_of_living_jobs_and_active_exports_stay_pinned(plane: Any) -> None:
    def pinned() -> frozenset[int]:
        with plane.db.read() as tx:
            return searches.pinned_versions(tx, plane.community.uuid, plane.clock.now())

    assert pinned() == {7}
    create(plane)
    held = claim(plane)
    assert held is not None
    finish(plane, held)
    assert pinned() == {7, 9}
    plane.clock.advance(1000)
    assert pinned() == {7}
    running = plane.running()
    plane.clock.advance(8 * 86_400)
    assert pinned() == {7}
    with plane.db.begin() as tx:
        exports.canceled(tx, running, plane.clock.now())
    assert pinned() == frozenset()


def test_racing_workers_share_the_searches_out_without_overlap(plane: Any) -> None:
    made = {create(plane).uuid for _ in range(10)}
    held: list[str] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        while (found := claim(plane, f"worker-{number}")) is not None:
            held.append(found.job.uuid)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 10
    assert set(held) == made


def results(*events: str) -> searches.Results:
    fields = (searches.FieldValues(name="event.outcome", events=2, values=(('"success"', 2), ('"\ud800"', 1))),)
    return searches.Results(events=events, fields=fields, sampled_events=len(events))


def test_what_a_search_found_is_kept_with_it_and_goes_with_its_time_or_its_job(plane: Any) -> None:
    kept = results('{"n":1.10}', '{"message":"a\\nb ü"}')
    for gone_by in ("time", "job"):
        job = create(plane)
        held = claim(plane)
        assert held is not None
        now = plane.clock.now()
        until = now + dt.timedelta(seconds=60)
        with plane.db.begin() as tx:
            searches.finish(
                tx, held, totals={}, snapshots={}, histogram_json=None, now=now, found=kept, found_until=until
            )
        with plane.db.begin() as tx:
            assert searches.results_of(tx, job.uuid, now) == kept
            searches.keep(tx, job.uuid, results("{}"), until)
            assert searches.results_of(tx, job.uuid, now) == results("{}")
            if gone_by == "job":
                searches.delete(tx, job.uuid, None)
            else:
                assert searches.results_of(tx, job.uuid, until) is None
                assert searches.delete_expired_results(tx, now) == 0
                assert searches.delete_expired_results(tx, until) == 1
        assert plane.count("search_results") == 0
