"""Starting exports: every limit, every refusal, and the races between starts; on SQLite and on PostgreSQL."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import apikeys, audit, communities, exports, limits, quota, states

RACERS = 64


def race(plane: Any, attempt: Callable[[int], Any]) -> list[Any]:
    """Runs `attempt` in RACERS threads that set off together; results and refusals in the order of the threads."""
    outcomes: list[Any] = [None] * RACERS
    barrier = threading.Barrier(RACERS)

    def run(number: int) -> None:
        barrier.wait()
        try:
            outcomes[number] = attempt(number)
        except errors.PenstockError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def start(plane: Any, **values: Any) -> exports.StartedExport:
    with plane.db.begin() as tx:
        return exports.start(tx, plane.new_export(**values), limits=plane.limits, now=plane.clock.now())


def test_started_export_is_pending_and_remembers_what_was_asked(plane: Any) -> None:
    asked = plane.new_export(
        filters=({"field": "event.outcome", "operator": "is", "value": "failure"},),
        destination="s3://bucket/prefix",
        in_customer_bucket=True,
        sealed_destination=b"sealed bucket",
        compression="small",
    )
    with plane.db.begin() as tx:
        started = exports.start(tx, asked, limits=plane.limits, now=plane.clock.now())
    export = plane.get(asked.task_uuid)
    assert started.export == export
    assert not started.replayed
    assert export.status is states.ExportStatus.PENDING
    for name in (field.name for field in dataclasses.fields(asked)):
        if hasattr(export, name):
            assert getattr(export, name) == getattr(asked, name), name
    assert export.created_at == plane.clock.now()
    assert (export.progress_events, export.compressed_bytes, export.attempts) == (0, 0, 0)
    assert plane.secrets_of(export.task_uuid) == (b"sealed customer key", b"sealed bucket")


def test_start_in_unknown_community_is_refused(plane: Any) -> None:
    with pytest.raises(errors.NotFound) as refused:
        start(plane, community_uuid="00000000-0000-0000-0000-000000000000")
    assert refused.value.code == "community_not_found"


def test_second_active_export_is_refused_and_names_the_first(plane: Any) -> None:
    first = plane.start()
    with pytest.raises(errors.Conflict) as refused:
        plane.start()
    assert refused.value.code == "export_in_progress"
    assert refused.value.extra["task_uuid"] == first.task_uuid
    assert first.task_uuid in refused.value.hint
    assert plane.count("exports") == 1


def test_ended_export_makes_room_for_the_next(plane: Any) -> None:
    plane.finish(plane.running())
    claim = plane.running()
    with plane.db.begin() as tx:
        exports.fail(tx, claim, "x", "y", plane.clock.now())
    second = plane.start()
    with plane.db.begin() as tx:
        exports.request_cancel(tx, second.task_uuid, None, "somebody", plane.clock.now())
    assert plane.start().status is states.ExportStatus.PENDING


def test_other_communities_have_slots_of_their_own(plane: Any) -> None:
    plane.start()
    with plane.db.begin() as tx:
        other = communities.create(tx, name="other", now=plane.clock.now())
    assert plane.start(community_uuid=other.uuid).community_uuid == other.uuid


def test_community_with_three_slots_fills_and_reuses_them(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=3)
    three = [plane.start() for _ in range(3)]
    with pytest.raises(errors.Conflict):
        plane.start()
    with plane.db.begin() as tx:
        exports.request_cancel(tx, three[1].task_uuid, None, "somebody", plane.clock.now())
    plane.start()
    with plane.db.read() as tx:
        slots = tx.execute(sa.text("SELECT active_slot FROM exports WHERE active_slot IS NOT NULL")).scalars()
        assert sorted(slots) == [0, 1, 2]


def test_lowered_slots_wait_until_enough_exports_have_ended(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=2)
    both = [plane.start(), plane.start()]
    plane.limits = dataclasses.replace(plane.limits, active_exports=1)
    with plane.db.begin() as tx:
        exports.request_cancel(tx, both[0].task_uuid, None, "somebody", plane.clock.now())
    with pytest.raises(errors.Conflict) as refused:
        plane.start()
    assert refused.value.extra["task_uuid"] == both[1].task_uuid


def test_search_job_starts_ten_exports_whatever_became_of_them(plane: Any) -> None:
    for number in range(10):
        task = plane.start().task_uuid
        if number % 2:
            plane.finish(plane.claim())
        else:
            with plane.db.begin() as tx:
                exports.request_cancel(tx, task, None, "somebody", plane.clock.now())
    with pytest.raises(errors.Conflict) as refused:
        plane.start()
    assert refused.value.code == "search_job_export_limit"
    assert refused.value.extra["limit"] == 10
    assert plane.start(job_uuid="11111111-1111-1111-1111-111111111111").status is states.ExportStatus.PENDING


def test_more_events_than_the_cap_are_refused(plane: Any) -> None:
    assert plane.start(expected_events=100_000_000)
    with pytest.raises(errors.InvalidRequest) as refused:
        plane.start(expected_events=100_000_001)
    assert refused.value.code == "too_many_events"


def test_start_is_refused_once_the_month_is_used_up(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=300)
    plane.finish(plane.running(), compressed_bytes=300)
    with pytest.raises(errors.QuotaExhausted) as refused:
        plane.start()
    assert refused.value.code == "monthly_quota_exhausted"
    assert refused.value.extra["resets_at"] == "2026-02-01T00:00:00Z"
    plane.clock.advance(17 * 86_400)
    assert plane.start().status is states.ExportStatus.PENDING


def test_what_running_exports_have_written_counts_when_another_starts(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=300, active_exports=2)
    claim = plane.running()
    plane.write_part(claim, 1, size=300)
    with pytest.raises(errors.QuotaExhausted) as refused:
        plane.start()
    assert refused.value.extra["reserved_bytes"] == 300


def test_same_key_and_body_give_the_same_task_again_with_its_sealed_key(plane: Any) -> None:
    first = start(plane, idempotency_key="once", idempotency_fingerprint="f1", sealed_customer_key=b"first")
    again = start(plane, idempotency_key="once", idempotency_fingerprint="f1", sealed_customer_key=b"second")
    assert again.replayed
    assert again.export == first.export
    assert again.sealed_customer_key == b"first"
    assert plane.count("exports") == 1


def test_replay_comes_before_every_other_limit(plane: Any) -> None:
    first = start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=0, export_max_events=1)
    assert start(plane, idempotency_key="once", idempotency_fingerprint="f1").export == first.export


def test_replay_after_the_end_answers_without_the_erased_key(plane: Any) -> None:
    start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    plane.finish(plane.claim())
    again = start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    assert again.export.status is states.ExportStatus.FINISHED
    assert again.sealed_customer_key is None


def test_same_key_with_another_body_is_refused(plane: Any) -> None:
    first = start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    with pytest.raises(errors.Conflict) as refused:
        start(plane, idempotency_key="once", idempotency_fingerprint="f2")
    assert refused.value.code == "idempotency_key_reused"
    assert refused.value.extra["task_uuid"] == first.export.task_uuid


def test_idempotency_keys_of_two_api_keys_are_apart(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=2)
    with plane.db.begin() as tx:
        other, _ = apikeys.create(
            tx, communities=[plane.community.uuid], permissions=["ADMIN"], name="other", now=plane.clock.now()
        )
    first = start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    second = start(plane, idempotency_key="once", idempotency_fingerprint="f1", created_by=other.uuid)
    assert first.export.task_uuid != second.export.task_uuid


def test_forgotten_idempotency_key_starts_anew(plane: Any) -> None:
    first = start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    plane.finish(plane.claim())
    plane.clock.advance(86_400)
    second = start(plane, idempotency_key="once", idempotency_fingerprint="f2")
    assert not second.replayed
    assert second.export.task_uuid != first.export.task_uuid


def test_key_used_for_another_community_is_refused_even_by_the_index_alone(plane: Any, monkeypatch: Any) -> None:
    with plane.db.begin() as tx:
        other = communities.create(tx, name="other", now=plane.clock.now())
    start(plane, idempotency_key="once", idempotency_fingerprint="f1")
    # The look-up ran before the other transaction committed: only the primary key can tell.
    real = exports.replay
    calls = iter([lambda *_: None])
    monkeypatch.setattr("penstock.control.exports.starting.replay", lambda *args: next(calls, real)(*args))
    with pytest.raises(errors.Conflict) as refused:
        start(plane, idempotency_key="once", idempotency_fingerprint="f2", community_uuid=other.uuid)
    assert refused.value.code == "idempotency_key_reused"
    assert plane.count("exports") == 1


def test_the_index_refuses_a_second_active_export_even_if_the_look_up_missed_it(plane: Any, monkeypatch: Any) -> None:
    first = plane.start()
    monkeypatch.setattr("penstock.control.exports.starting._free_slot", lambda *_: 0)
    with pytest.raises(errors.Conflict) as refused:
        plane.start()
    assert refused.value.code == "export_in_progress"
    assert refused.value.extra["task_uuid"] == first.task_uuid


def test_sixty_four_racing_starts_give_one_task_and_sixty_three_conflicts(plane: Any) -> None:
    outcomes = race(plane, lambda _: plane.start())
    counts = collections.Counter(getattr(each, "code", "started") for each in outcomes)
    assert counts == {"started": 1, "export_in_progress": 63}
    winner = next(each for each in outcomes if isinstance(each, exports.Export))
    assert {each.extra["task_uuid"] for each in outcomes if isinstance(each, errors.Conflict)} == {winner.task_uuid}
    assert plane.count("exports") == 1


def test_sixty_four_racing_starts_with_one_key_give_the_same_answer(plane: Any) -> None:
    outcomes = race(
        plane,
        lambda number: start(
            plane, idempotency_key="once", idempotency_fingerprint="f", sealed_customer_key=b"key %d" % number
        ),
    )
    assert len({each.export.task_uuid for each in outcomes}) == 1
    assert len({each.sealed_customer_key for each in outcomes}) == 1
    assert sum(not each.replayed for each in outcomes) == 1
    assert plane.count("exports") == 1


def test_racing_starts_never_pass_the_search_jobs_limit(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=RACERS)
    outcomes = race(plane, lambda _: plane.start())
    counts = collections.Counter(getattr(each, "code", "started") for each in outcomes)
    assert counts == {"started": 10, "search_job_export_limit": 54}


def test_start_is_in_the_audit_and_a_refused_one_is_not(plane: Any) -> None:
    export = plane.start()
    with pytest.raises(errors.Conflict):
        plane.start()
    with plane.db.read() as tx:
        entries, total = audit.list_entries(tx, audit.Filters(action="export."))
    assert total == 1
    assert (entries[0].action, entries[0].actor, entries[0].object_uuid) == (
        "export.started",
        plane.key.uuid,
        export.task_uuid,
    )


def test_community_overrides_win_over_settings(plane: Any) -> None:
    with plane.db.begin() as tx:
        limits.set_for_community(tx, plane.community.uuid, limits.Overrides(active_exports=2, quota_bytes_per_month=5))
        in_force = limits.for_community(tx, plane.community.uuid, plane.settings)
        assert quota.usage(tx, plane.community.uuid, plane.clock.now(), in_force).limit_bytes == 5
    assert in_force == dataclasses.replace(plane.limits, active_exports=2, quota_bytes_per_month=5)
    with plane.db.begin() as tx:
        limits.set_for_community(tx, plane.community.uuid, limits.Overrides())
        assert limits.for_community(tx, plane.community.uuid, plane.settings) == plane.limits


def test_absurd_override_is_refused(plane: Any) -> None:
    with pytest.raises(errors.InvalidRequest, match="active_exports is 0"), plane.db.begin() as tx:
        limits.set_for_community(tx, plane.community.uuid, limits.Overrides(active_exports=0))


def test_check_refuses_what_a_start_would_refuse_and_writes_nothing(plane: Any) -> None:
    def check(**values: Any) -> exports.StartedExport | None:
        with plane.db.read() as tx:  # a write would be refused here
            return exports.check(tx, plane.new_export(**values), limits=plane.limits, now=plane.clock.now())

    key = {"idempotency_key": "once", "idempotency_fingerprint": "a"}
    assert check(**key) is None
    first = start(plane, **key)
    repeated = check(**key)
    assert repeated is not None
    assert (repeated.replayed, repeated.export) == (True, first.export)
    for values in ({}, key | {"idempotency_fingerprint": "b"}):
        with pytest.raises(errors.Conflict) as by_start:
            start(plane, **values)
        with pytest.raises(errors.Conflict) as by_check:
            check(**values)
        assert (by_check.value.code, by_check.value.extra) == (by_start.value.code, by_start.value.extra)
