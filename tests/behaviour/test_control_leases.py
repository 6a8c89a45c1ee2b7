"""Leases, fences and checkpoints: who may write, what a successor finds, how exports end; on SQLite and PostgreSQL."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import audit, exports, states

LEASE = 15

ZOMBIE_WRITES: dict[str, Callable[[sa.Connection, exports.Claim, Any], object]] = {
    "renew": lambda tx, claim, plane: exports.renew(tx, claim, plane.clock.now()),
    "release": lambda tx, claim, plane: exports.release(tx, claim, plane.clock.now()),
    "plan": lambda tx, claim, plane: exports.record_plan(
        tx,
        claim,
        snapshot_version=8,
        plan_json="other",
        object_key="other",
        part_bytes=1,
        total_events=1,
        now=plane.clock.now(),
    ),
    "upload": lambda tx, claim, plane: exports.record_upload(tx, claim, "other", plane.clock.now()),
    "part": lambda tx, claim, plane: exports.record_part(tx, claim, plane.part(1, etag="zombie"), plane.clock.now()),
    "progress": lambda tx, claim, plane: exports.record_progress(tx, claim, 999, plane.clock.now()),
    "finish": lambda tx, claim, plane: exports.finish(
        tx,
        claim,
        compressed_bytes=1,
        raw_bytes=1,
        events=1,
        download_url=None,
        manifest_url=None,
        expire_at=None,
        now=plane.clock.now(),
    ),
    "fail": lambda tx, claim, plane: exports.fail(tx, claim, "code", "message", plane.clock.now()),
    "canceled": lambda tx, claim, plane: exports.canceled(tx, claim, plane.clock.now()),
}


def everything(plane: Any) -> list[list[tuple[Any, ...]]]:
    """All rows of all tables that a worker writes."""
    with plane.db.read() as tx:
        names = ("exports", "export_parts", "quota_charges", "audit_entries")
        return [[tuple(row) for row in tx.execute(sa.text(f"SELECT * FROM {name} ORDER BY 1, 2"))] for name in names]


def take_over(plane: Any) -> exports.Claim:
    plane.clock.advance(LEASE)
    claim: exports.Claim = plane.claim("worker-2")
    return claim


@pytest.mark.parametrize("name", ZOMBIE_WRITES)
def test_zombie_cannot_write_after_a_takeover(plane: Any, name: str) -> None:
    zombie = plane.running()
    plane.write_part(zombie, 1)
    assert take_over(plane).task_uuid == zombie.task_uuid
    before = everything(plane)
    with pytest.raises(errors.LeaseLost), plane.db.begin() as tx:
        ZOMBIE_WRITES[name](tx, zombie, plane)
    assert everything(plane) == before


@pytest.mark.parametrize("name", ZOMBIE_WRITES)
def test_nobody_writes_to_an_export_that_has_ended(plane: Any, name: str) -> None:
    claim = plane.running()
    plane.finish(claim)
    before = everything(plane)
    with pytest.raises(errors.LeaseLost), plane.db.begin() as tx:
        ZOMBIE_WRITES[name](tx, claim, plane)
    assert everything(plane) == before


def test_claim_takes_the_oldest_export_and_starts_its_clocks(plane: Any) -> None:
    export = plane.start()
    plane.clock.advance(100)
    claim = plane.claim()
    assert claim.task_uuid == export.task_uuid
    assert claim.sealed_customer_key == b"sealed customer key"
    assert claim.sealed_destination is None
    assert "sealed customer key" not in repr(claim)
    assert claim.export.status is states.ExportStatus.RUNNING
    assert claim.export.started_at == plane.clock.now()
    assert (claim.export.deadline_at - plane.clock.now()).total_seconds() == plane.limits.export_deadline_seconds
    assert claim.export.attempts == 1


def test_nothing_to_claim_while_the_lease_holds_and_there_is_once_it_runs_out(plane: Any) -> None:
    assert plane.claim() is None
    claim = plane.running()
    plane.clock.advance(LEASE - 0.001)
    assert plane.claim("worker-2") is None
    with plane.db.read() as tx:
        assert not exports.has_work(tx, plane.clock.now())
    plane.clock.advance(0.001)
    with plane.db.read() as tx:
        assert exports.has_work(tx, plane.clock.now())
    assert plane.claim("worker-2").fence == claim.fence + 1


def test_every_write_renews_the_lease(plane: Any) -> None:
    claim = plane.running()
    for number in range(1, 6):
        plane.clock.advance(LEASE - 1)
        plane.write_part(claim, number)
    assert plane.claim("worker-2") is None
    with plane.db.begin() as tx:
        renewal = exports.renew(tx, claim, plane.clock.now(), lease_seconds=40)
    assert (renewal.lease_until - plane.clock.now()).total_seconds() == 40
    plane.clock.advance(39)
    assert plane.claim("worker-2") is None


def test_late_worker_goes_on_if_nobody_took_over(plane: Any) -> None:
    claim = plane.running()
    plane.clock.advance(10 * LEASE)
    plane.write_part(claim, 1)
    assert plane.claim("worker-2") is None


def test_same_worker_that_reclaims_shuts_out_its_own_former_claim(plane: Any) -> None:
    former = plane.running("worker-1")
    plane.clock.advance(LEASE)
    assert plane.claim("worker-1").fence == former.fence + 1
    with pytest.raises(errors.LeaseLost):
        plane.write_part(former, 1)


def test_successor_finds_plan_upload_and_parts(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 2)
    plane.write_part(claim, 1)
    successor = take_over(plane)
    assert successor.parts == (plane.part(1), plane.part(2))
    export = successor.export
    assert (export.plan_json, export.upload_id) == ('{"slices":[]}', f"upload-of-{claim.task_uuid}")
    assert (export.snapshot_version, export.part_bytes) == (7, 100)
    assert (export.progress_events, export.written_bytes, export.compressed_bytes) == (20, 2000, 200)


def test_part_written_down_twice_counts_once(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    plane.write_part(claim, 1)
    plane.write_part(claim, 1, etag="again", size=150)
    assert plane.get(claim.task_uuid).compressed_bytes == 150
    assert [part.etag for part in take_over(plane).parts] == ["again"]


def test_other_upload_forgets_the_parts_of_the_former(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    with plane.db.begin() as tx:
        exports.record_upload(tx, claim, f"upload-of-{claim.task_uuid}", plane.clock.now())
    assert plane.get(claim.task_uuid).compressed_bytes == 100
    with plane.db.begin() as tx:
        exports.record_upload(tx, claim, "fresh", plane.clock.now())
    export = plane.get(claim.task_uuid)
    assert (export.upload_id, export.compressed_bytes, export.written_bytes, export.progress_events) == (
        "fresh",
        0,
        0,
        0,
    )
    assert take_over(plane).parts == ()


def test_plan_cannot_change_once_its_upload_has_begun(plane: Any) -> None:
    claim = plane.running()
    before = everything(plane)
    with pytest.raises(errors.Conflict) as refused, plane.db.begin() as tx:
        ZOMBIE_WRITES["plan"](tx, claim, plane)
    assert refused.value.code == "plan_is_fixed"
    assert everything(plane) == before


def test_progress_never_falls(plane: Any) -> None:
    claim = plane.running()
    for events, shown in ((500, 500), (400, 500), (600, 600)):
        with plane.db.begin() as tx:
            exports.record_progress(tx, claim, events, plane.clock.now())
        assert plane.get(claim.task_uuid).progress_events == shown
    plane.write_part(claim, 1)
    assert plane.get(claim.task_uuid).progress_events == 600


def test_released_export_stays_running_and_is_taken_at_once_without_costing_an_attempt(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    with plane.db.begin() as tx:
        exports.release(tx, claim, plane.clock.now())
    export = plane.get(claim.task_uuid)
    assert (export.status, export.worker_id, export.attempts) == (states.ExportStatus.RUNNING, None, 0)
    successor = plane.claim("worker-2")
    assert (successor.export.attempts, successor.parts) == (1, (plane.part(1),))
    with pytest.raises(errors.LeaseLost):
        plane.write_part(claim, 2)


def test_workers_that_die_over_an_export_use_up_its_attempts(plane: Any) -> None:
    claim = plane.running()
    for number in range(2, plane.limits.export_max_attempts + 1):
        plane.clock.advance(LEASE)
        assert plane.claim(f"worker-{number}").export.attempts == number
    plane.clock.advance(LEASE)
    assert plane.claim("worker-6") is None
    export = plane.get(claim.task_uuid)
    assert (export.status, export.error_code) == (states.ExportStatus.FAILED, "export_attempts_exhausted")
    assert "5 workers" in export.error_message
    assert claim.task_uuid in export.error_message
    assert plane.secrets_of(claim.task_uuid) == (None, None)


def test_dead_export_does_not_hide_the_next_one_from_the_claiming_worker(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=2, export_max_attempts=1)
    dead = plane.running()
    plane.clock.advance(1)
    alive = plane.start()
    plane.clock.advance(LEASE)
    assert plane.claim("worker-2").task_uuid == alive.task_uuid
    assert plane.get(dead.task_uuid).status is states.ExportStatus.FAILED


def test_export_past_its_deadline_fails_and_says_what_to_do(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    with plane.db.begin() as tx:
        assert not exports.renew(tx, claim, plane.clock.now()).deadline_passed
    plane.clock.advance(plane.limits.export_deadline_seconds)
    with plane.db.begin() as tx:
        assert exports.renew(tx, claim, plane.clock.now()).deadline_passed
    plane.clock.advance(LEASE)
    assert plane.claim("worker-2") is None
    export = plane.get(claim.task_uuid)
    assert (export.status, export.error_code) == (states.ExportStatus.FAILED, "export_deadline_exceeded")
    assert export.error_message == (
        "The export ran for its limit of 6 hours and had written 10 of 1,000 events. Export a shorter time range or "
        "fewer fields, or ask the operator to raise export_deadline_seconds."
    )


def test_finish_charges_once_erases_secrets_and_frees_the_slot(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    plane.finish(claim, compressed_bytes=123)
    export = plane.get(claim.task_uuid)
    assert export.status is states.ExportStatus.FINISHED
    assert (export.compressed_bytes, export.written_bytes, export.progress_events) == (123, 3000, 30)
    assert export.ended_at == plane.clock.now()
    assert export.is_downloadable(plane.clock.now())
    assert not export.is_downloadable(export.expire_at)
    assert plane.secrets_of(claim.task_uuid) == (None, None)
    with pytest.raises(errors.LeaseLost):
        plane.finish(claim, compressed_bytes=123)
    with plane.db.read() as tx:
        charges = tx.execute(sa.text("SELECT task_uuid, month, compressed_bytes FROM quota_charges")).all()
    assert [tuple(row) for row in charges] == [(claim.task_uuid, "2026-01", 123)]
    assert plane.start().status is states.ExportStatus.PENDING


def test_failed_export_says_why_charges_nothing_and_erases_secrets(plane: Any) -> None:
    claim = plane.running(sealed_destination=b"sealed bucket")
    with plane.db.begin() as tx:
        exports.fail(tx, claim, "destination_gone", "The bucket b does not exist.", plane.clock.now())
    export = plane.get(claim.task_uuid)
    assert (export.status, export.error_code) == (states.ExportStatus.FAILED, "destination_gone")
    assert export.error_message == "The bucket b does not exist."
    assert plane.secrets_of(claim.task_uuid) == (None, None)
    assert plane.count("quota_charges") == 0


def test_canceling_a_pending_export_ends_it_at_once(plane: Any) -> None:
    export = plane.start()
    with plane.db.begin() as tx:
        canceled = exports.request_cancel(tx, export.task_uuid, [plane.community.uuid], "somebody", plane.clock.now())
    assert canceled.status is states.ExportStatus.CANCELED
    assert plane.secrets_of(export.task_uuid) == (None, None)
    assert plane.claim() is None
    assert plane.count("quota_charges") == 0


def test_canceling_a_running_export_reaches_its_worker_at_the_next_renewal(plane: Any) -> None:
    claim = plane.running()
    for _ in range(2):  # idempotent
        with plane.db.begin() as tx:
            asked = exports.request_cancel(tx, claim.task_uuid, None, "somebody", plane.clock.now())
        assert asked.status is states.ExportStatus.RUNNING
    with plane.db.begin() as tx:
        assert exports.renew(tx, claim, plane.clock.now()).cancel_requested
        exports.canceled(tx, claim, plane.clock.now())
    assert plane.get(claim.task_uuid).status is states.ExportStatus.CANCELED
    assert plane.secrets_of(claim.task_uuid) == (None, None)
    with plane.db.read() as tx:
        entries, _ = audit.list_entries(tx, audit.Filters(object_uuid=claim.task_uuid))
    assert [entry.action for entry in entries] == ["export.canceled", "export.cancel_requested", "export.started"]


def test_cancel_of_a_dead_workers_export_reaches_the_next_worker(plane: Any) -> None:
    claim = plane.running()
    with plane.db.begin() as tx:
        exports.request_cancel(tx, claim.task_uuid, None, "somebody", plane.clock.now())
    assert take_over(plane).export.cancel_requested_at is not None


def test_canceled_export_without_attempts_left_ends_canceled_not_failed(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, export_max_attempts=1)
    claim = plane.running()
    with plane.db.begin() as tx:
        exports.request_cancel(tx, claim.task_uuid, None, "somebody", plane.clock.now())
    assert take_over(plane) is None
    export = plane.get(claim.task_uuid)
    assert (export.status, export.error_code) == (states.ExportStatus.CANCELED, None)


def test_ended_export_cannot_be_canceled(plane: Any) -> None:
    claim = plane.running()
    plane.finish(claim)
    with pytest.raises(errors.Conflict) as refused, plane.db.begin() as tx:
        exports.request_cancel(tx, claim.task_uuid, None, "somebody", plane.clock.now())
    assert refused.value.code == "task_already_ended"
    assert refused.value.extra["status"] == "FINISHED"


def test_other_communities_neither_see_nor_cancel_an_export(plane: Any) -> None:
    export = plane.start()
    strangers = ["22222222-2222-2222-2222-222222222222"]
    with plane.db.begin() as tx:
        with pytest.raises(errors.NotFound):
            exports.get(tx, export.task_uuid, strangers)
        with pytest.raises(errors.NotFound):
            exports.request_cancel(tx, export.task_uuid, strangers, "stranger", plane.clock.now())
        assert exports.list_tasks(tx, strangers) == ([], 0)
        assert exports.list_for_job(tx, export.job_uuid, strangers) == ([], 0)
        with pytest.raises(errors.NotFound):
            exports.get(tx, export.task_uuid, [])
    assert plane.get(export.task_uuid).cancel_requested_at is None


def test_tasks_are_listed_newest_first_by_status_and_in_pages(plane: Any) -> None:
    made = []
    for _ in range(3):
        made.append(plane.running().task_uuid)
        plane.finish(take_over(plane))
        plane.clock.advance(1)
    made.append(plane.start().task_uuid)
    with plane.db.read() as tx:
        items, total = exports.list_tasks(tx, [plane.community.uuid], None, 2, 1)
        assert ([item.task_uuid for item in items], total) == (made[::-1][1:3], 4)
        assert items[0].plan_json is None
        items, total = exports.list_tasks(tx, None, states.ExportStatus.PENDING)
        assert ([item.task_uuid for item in items], total) == (made[3:], 1)
        items, total = exports.list_for_job(tx, plane.job.uuid, None, limit=1)
        assert ([item.task_uuid for item in items], total) == (made[3:], 4)
        assert exports.count_active(tx) == {states.ExportStatus.PENDING: 1, states.ExportStatus.RUNNING: 0}


def test_racing_workers_share_the_exports_out_without_overlap(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=10)
    started = {plane.start().task_uuid for _ in range(10)}
    claims: list[exports.Claim] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        while (claim := plane.claim(f"worker-{number}")) is not None:
            claims.append(claim)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 10
    assert {claim.task_uuid for claim in claims} == started


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time anyway
def test_claim_does_not_wait_for_a_row_that_another_worker_is_claiming(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, active_exports=2)
    first, second = plane.start(), plane.start()
    found = []

    def other_worker() -> None:
        found.append(plane.claim("worker-2"))

    with plane.db.begin() as tx:
        claim = exports.claim(tx, "worker-1", plane.clock.now(), LEASE)
        thread = threading.Thread(target=other_worker)
        thread.start()
        thread.join(timeout=20)
        assert found, "the other worker waits"
    assert {claim.task_uuid, found[0].task_uuid} == {first.task_uuid, second.task_uuid}


def test_a_worker_that_was_cut_off_and_says_that_it_lives_costs_no_attempt(plane: Any) -> None:
    claim = plane.running()
    plane.clock.advance(LEASE)
    with plane.db.begin() as tx:
        exports.forgive(tx, claim)
    with plane.db.begin() as tx:
        exports.forgive(tx, claim)  # the answer to the first was lost
    assert plane.get(claim.task_uuid).attempts == 0
    later = plane.claim("worker-2")
    assert later is not None
    assert plane.get(claim.task_uuid).attempts == 1
    plane.clock.advance(LEASE)
    assert plane.claim("worker-3") is not None
    assert plane.get(claim.task_uuid).attempts == 2
    with plane.db.begin() as tx:
        exports.forgive(tx, later)
    assert plane.get(claim.task_uuid).attempts == 1
