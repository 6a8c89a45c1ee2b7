"""What the sweeper is told, and what it forgets: idempotent, safe with several; on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from penstock import errors
from penstock.control import audit, exports, states, sweep

LEASE = 15
WINDOW = 86_400


def left(plane: Any) -> list[exports.LeftObject]:
    with plane.db.read() as tx:
        return exports.expired_objects(tx, plane.clock.now())


def forget(plane: Any, task_uuid: str) -> bool:
    with plane.db.begin() as tx:
        return exports.forget_object(tx, task_uuid, plane.clock.now())


def rows(plane: Any) -> sweep.Swept:
    with plane.db.begin() as tx:
        return sweep.rows(tx, plane.clock.now(), plane.settings)


NOTHING = sweep.Swept(
    ended_exports=0, search_jobs=0, search_results=0, idempotency_keys=0, old_exports=0, audit_entries=0
)


def test_finished_object_is_left_until_its_window_closes_and_forgotten_once(plane: Any) -> None:
    claim = plane.running()
    plane.finish(claim)
    plane.clock.advance(WINDOW - 1)
    assert left(plane) == []
    plane.clock.advance(1)
    assert left(plane) == [
        exports.LeftObject(
            task_uuid=claim.task_uuid,
            community_uuid=plane.community.uuid,
            status=states.ExportStatus.FINISHED,
            object_key=f"exports/{claim.task_uuid}.jsonl.gz",
            upload_id=f"upload-of-{claim.task_uuid}",
        )
    ]
    assert forget(plane, claim.task_uuid)
    assert not forget(plane, claim.task_uuid)
    assert left(plane) == []
    export = plane.get(claim.task_uuid)
    assert (export.download_url, export.manifest_url) == (None, None)
    assert (export.status, export.object_deleted_at) == (states.ExportStatus.FINISHED, plane.clock.now())


def test_what_failed_and_canceled_exports_wrote_goes_at_once(plane: Any) -> None:
    failed = plane.running()
    with plane.db.begin() as tx:
        exports.fail(tx, failed, "code", "message", plane.clock.now())
    plane.clock.advance(1)
    canceled = plane.running()
    with plane.db.begin() as tx:
        exports.canceled(tx, canceled, plane.clock.now())
    assert [(each.task_uuid, each.status) for each in left(plane)] == [
        (failed.task_uuid, "FAILED"),
        (canceled.task_uuid, "CANCELED"),
    ]


def test_active_export_has_no_left_object_and_cannot_be_forgotten(plane: Any) -> None:
    claim = plane.running()
    plane.clock.advance(10 * WINDOW)
    assert left(plane) == []
    assert not forget(plane, claim.task_uuid)


def test_export_that_never_planned_leaves_nothing(plane: Any) -> None:
    plane.start()
    claim = plane.claim()
    with plane.db.begin() as tx:
        exports.fail(tx, claim, "code", "message", plane.clock.now())
    assert left(plane) == []


def test_objects_in_customers_buckets_are_never_ours_to_delete(plane: Any) -> None:
    plane.finish(plane.running(in_customer_bucket=True, destination="s3://theirs/p"))
    plane.clock.advance(10 * WINDOW)
    claim = plane.running(in_customer_bucket=True, destination="s3://theirs/p")
    with plane.db.begin() as tx:
        exports.fail(tx, claim, "code", "message", plane.clock.now())
    assert left(plane) == []


def test_upload_is_owned_exactly_while_an_active_export_needs_it(plane: Any) -> None:
    def owned(upload_id: str, object_key: str | None = None) -> bool:
        with plane.db.read() as tx:
            return exports.owns_upload(tx, upload_id, object_key)

    plane.start()
    claim = plane.claim()
    key = f"exports/{claim.task_uuid}.jsonl.gz"
    assert not owned("u1", key)
    with plane.db.begin() as tx:
        exports.record_plan(
            tx,
            claim,
            snapshot_version=1,
            plan_json="{}",
            object_key=key,
            part_bytes=1,
            total_events=1,
            now=plane.clock.now(),
        )
    assert owned("u1", key)  # begun in the store, not written down yet
    assert not owned("u1")
    assert not owned("u1", "another/key")
    with plane.db.begin() as tx:
        exports.record_upload(tx, claim, "u2", plane.clock.now())
    assert owned("u2")
    assert not owned("u1", key)
    plane.finish(claim)
    assert not owned("u2", key)


THEIRS: dict[str, Any] = {"in_customer_bucket": True, "destination": "s3://theirs/p", "sealed_destination": b"sealed"}


def take_dead(plane: Any, sweeper_id: str = "sweeper-1") -> exports.Claim | None:
    with plane.db.begin() as tx:
        taken: exports.Claim | None = exports.take_dead(tx, sweeper_id, plane.clock.now(), 60)
        return taken


def test_dead_export_with_an_upload_in_a_customers_bucket_is_the_sweepers_to_take(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, export_max_attempts=1)
    claim = plane.running(**THEIRS)
    assert take_dead(plane) is None
    plane.clock.advance(LEASE)
    with plane.db.read() as tx:
        assert not exports.has_work(tx, plane.clock.now())
    assert plane.claim("worker-2") is None
    with plane.db.begin() as tx:
        assert exports.end_dead(tx, plane.clock.now()) == []
    taken = take_dead(plane)
    assert taken is not None
    assert (taken.task_uuid, taken.sealed_destination, exports.clearings(taken)) == (claim.task_uuid, b"sealed", 1)
    with plane.db.begin() as tx, pytest.raises(errors.LeaseLost):
        exports.renew(tx, claim, plane.clock.now())
    assert take_dead(plane, "sweeper-2") is None
    plane.clock.advance(60)
    again = take_dead(plane, "sweeper-2")
    assert again is not None
    assert exports.clearings(again) == 2
    with plane.db.begin() as tx, pytest.raises(errors.LeaseLost):
        exports.end_taken(tx, taken, plane.clock.now())
    with plane.db.begin() as tx:
        assert exports.end_taken(tx, again, plane.clock.now()) == "FAILED"
    assert plane.secrets_of(claim.task_uuid) == (None, None)
    assert plane.get(claim.task_uuid).error_code == "export_attempts_exhausted"
    assert take_dead(plane) is None


def test_a_worker_that_forgives_its_attempt_takes_nothing_from_the_sweeper_that_clears_up(plane: Any) -> None:
    """It was cut off from the database; when it is back, the number of attempts says that a sweeper has the export."""
    plane.limits = dataclasses.replace(plane.limits, export_max_attempts=1)
    claim = plane.running(**THEIRS)
    plane.clock.advance(LEASE)
    taken = take_dead(plane)
    assert taken is not None
    for _ in range(2):
        with plane.db.begin() as tx:
            exports.forgive(tx, claim)
    assert plane.get(claim.task_uuid).attempts == taken.export.attempts
    with plane.db.begin() as tx:
        assert exports.end_taken(tx, taken, plane.clock.now()) == "FAILED"


def test_export_that_still_renews_past_its_deadline_is_taken_once_its_minute_is_over(plane: Any) -> None:
    claim = plane.running(**THEIRS)
    plane.clock.advance(plane.limits.export_deadline_seconds)
    with plane.db.begin() as tx:
        exports.renew(tx, claim, plane.clock.now(), lease_seconds=3600)
    assert take_dead(plane) is None
    plane.clock.advance(60)
    taken = take_dead(plane)
    assert taken is not None
    assert take_dead(plane, "sweeper-2") is None  # the first has its lease, though the minute is over
    with plane.db.begin() as tx:
        exports.end_taken(tx, taken, plane.clock.now())
    assert plane.get(claim.task_uuid).error_code == "export_deadline_exceeded"


def test_dead_export_in_a_customers_bucket_that_began_no_upload_just_ends(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, export_max_attempts=1)
    started = plane.start(**THEIRS)
    assert plane.claim() is not None
    plane.clock.advance(LEASE)
    assert take_dead(plane) is None
    with plane.db.begin() as tx:
        assert exports.end_dead(tx, plane.clock.now()) == [started.task_uuid]


def test_dead_exports_end_each_for_its_own_reason(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=9, export_max_attempts=1)
    exhausted = plane.running("worker-1")
    plane.limits = dataclasses.replace(plane.limits, export_max_attempts=5)
    late = plane.running("worker-2")
    stuck = plane.running("worker-3")
    fine = plane.running("worker-4")
    with plane.db.begin() as tx:
        assert exports.end_dead(tx, plane.clock.now()) == []
    plane.clock.advance(LEASE)
    with plane.db.begin() as tx:
        assert exports.end_dead(tx, plane.clock.now()) == [exhausted.task_uuid]
        assert exports.end_dead(tx, plane.clock.now()) == []

    plane.clock.advance(plane.limits.export_deadline_seconds - LEASE)
    never = plane.start()
    with plane.db.begin() as tx:
        # A worker that still renews gets a minute to end its export itself.
        assert exports.renew(tx, stuck, plane.clock.now(), lease_seconds=3600).deadline_passed
        assert exports.renew(tx, fine, plane.clock.now(), lease_seconds=3600).deadline_passed
        assert exports.end_dead(tx, plane.clock.now()) == [late.task_uuid]
        exports.fail(tx, fine, "export_deadline_exceeded", "…", plane.clock.now())
    plane.clock.advance(60)
    with plane.db.begin() as tx:
        assert exports.end_dead(tx, plane.clock.now()) == [stuck.task_uuid]
    plane.clock.advance(plane.limits.export_deadline_seconds)
    with plane.db.begin() as tx:
        assert exports.end_dead(tx, plane.clock.now()) == [never.task_uuid]
    codes = {
        name: plane.get(export.task_uuid).error_code
        for name, export in locals().items()
        if hasattr(export, "task_uuid")
    }
    assert codes == {
        "exhausted": "export_attempts_exhausted",
        "late": "export_deadline_exceeded",
        "stuck": "export_deadline_exceeded",
        "fine": "export_deadline_exceeded",
        "never": "export_never_started",
    }
    assert "penstock worker" in plane.get(never.task_uuid).error_message
    assert plane.count("quota_charges") == 0


def test_sweeping_twice_does_nothing_the_second_time(plane: Any) -> None:
    plane.start(idempotency_key="once", idempotency_fingerprint="f")
    assert rows(plane) == NOTHING
    plane.clock.advance(plane.settings.idempotency_ttl_seconds)
    assert rows(plane) == dataclasses.replace(NOTHING, ended_exports=1, idempotency_keys=1)
    plane.clock.advance(plane.settings.search_job_ttl_seconds)
    assert rows(plane) == dataclasses.replace(NOTHING, search_jobs=1)
    plane.clock.advance(plane.settings.audit_keep_days * 86_400 + 1)
    swept = rows(plane)
    assert (swept.old_exports, swept.audit_entries > 0) == (1, True)
    assert rows(plane) == NOTHING


def test_row_of_an_export_stays_while_its_object_does(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    plane.finish(claim)
    plane.clock.advance((plane.settings.audit_keep_days + 1) * 86_400)
    assert rows(plane).old_exports == 0
    forget(plane, claim.task_uuid)
    assert rows(plane).old_exports == 1
    assert (plane.count("exports"), plane.count("export_parts")) == (0, 0)
    assert plane.count("quota_charges") == 1


def test_racing_sweepers_end_each_export_once(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=10)
    started = {plane.start().task_uuid for _ in range(10)}
    plane.clock.advance(plane.limits.export_deadline_seconds + 1)
    ended: list[str] = []
    barrier = threading.Barrier(6)

    def sweeper() -> None:
        barrier.wait()
        with plane.db.begin() as tx:
            found = exports.end_dead(tx, plane.clock.now())
        ended.extend(found)

    threads = [threading.Thread(target=sweeper) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == sorted(started)
    with plane.db.read() as tx:
        _, recorded = audit.list_entries(tx, audit.Filters(action="export.failed"))
    assert recorded == 10
