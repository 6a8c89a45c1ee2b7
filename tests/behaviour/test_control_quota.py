"""The monthly quota: what counts, when, for which month; on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from penstock import errors
from penstock.control import exports, quota, states


def usage(plane: Any) -> quota.Quota:
    with plane.db.read() as tx:
        return quota.usage(tx, plane.community.uuid, plane.clock.now(), plane.limits)


def would_exceed(plane: Any, claim: exports.Claim, additional_bytes: int) -> bool:
    with plane.db.read() as tx:
        return quota.would_exceed(
            tx, claim.export.community_uuid, additional_bytes, limits=plane.limits, now=plane.clock.now()
        )


def move_to(plane: Any, instant: dt.datetime) -> None:
    plane.clock.advance((instant - plane.clock.now()).total_seconds())


def test_unused_quota(plane: Any) -> None:
    assert usage(plane) == quota.Quota(
        limit_bytes=10_000_000_000,
        used_bytes=0,
        reserved_bytes=0,
        resets_at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC),
        active_task_uuid=None,
    )


def test_running_export_reserves_what_it_has_written_until_it_is_charged(plane: Any) -> None:
    claim = plane.running()
    plane.write_part(claim, 1, size=60)
    plane.write_part(claim, 2, size=40)
    now = usage(plane)
    assert (now.used_bytes, now.reserved_bytes, now.active_task_uuid) == (0, 100, claim.task_uuid)
    plane.finish(claim, compressed_bytes=123)
    now = usage(plane)
    assert (now.used_bytes, now.reserved_bytes, now.active_task_uuid) == (123, 0, None)


@pytest.mark.parametrize("end", ["failed", "canceled"])
def test_what_failed_and_canceled_exports_wrote_is_given_back(plane: Any, end: str) -> None:
    claim = plane.running()
    plane.write_part(claim, 1)
    with plane.db.begin() as tx:
        if end == "failed":
            exports.fail(tx, claim, "code", "message", plane.clock.now())
        else:
            exports.canceled(tx, claim, plane.clock.now())
    now = usage(plane)
    assert (now.used_bytes, now.reserved_bytes) == (0, 0)


def test_export_that_would_cross_the_limit_is_stopped_to_the_byte(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=1000)
    plane.finish(plane.running(), compressed_bytes=500)
    claim = plane.running()
    plane.write_part(claim, 1, size=300)
    assert not would_exceed(plane, claim, 200)
    assert would_exceed(plane, claim, 201)
    error = quota.exceeded(plane.limits, plane.clock.now())
    with plane.db.begin() as tx:
        exports.fail(tx, claim, error.code, str(error), plane.clock.now())
    export = plane.get(claim.task_uuid)
    assert (export.status, export.error_code) == (states.ExportStatus.FAILED, "monthly_quota_exceeded")
    assert "2026-02-01" in export.error_message
    assert usage(plane).used_bytes == 500
    with plane.db.read() as tx:
        assert [each.task_uuid for each in exports.expired_objects(tx, plane.clock.now())] == [claim.task_uuid]


def test_export_over_the_turn_of_the_month_is_charged_to_the_month_in_which_it_finishes(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=1000)
    plane.finish(plane.running(), compressed_bytes=900)
    move_to(plane, dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.UTC))
    claim = plane.running()
    plane.write_part(claim, 1, size=100)
    assert usage(plane).left_bytes == 0
    assert would_exceed(plane, claim, 1)

    plane.clock.advance(1)
    now = usage(plane)
    assert (now.used_bytes, now.reserved_bytes) == (0, 100)  # the reservation moves along, the charge does not
    assert now.resets_at == dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assert not would_exceed(plane, claim, 900)
    assert would_exceed(plane, claim, 901)

    plane.finish(claim, compressed_bytes=950)
    assert usage(plane).used_bytes == 950
    with plane.db.read() as tx:
        january = quota.usage(tx, plane.community.uuid, dt.datetime(2026, 1, 31, tzinfo=dt.UTC), plane.limits)
    assert january.used_bytes == 900


def test_export_that_finishes_in_the_last_microsecond_belongs_to_the_old_month(plane: Any) -> None:
    move_to(plane, dt.datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC))
    plane.finish(plane.running(), compressed_bytes=5)
    assert usage(plane).used_bytes == 5
    plane.clock.advance(0.000_001)
    assert usage(plane).used_bytes == 0


def test_communities_do_not_share_a_quota(plane: Any) -> None:
    plane.finish(plane.running(), compressed_bytes=5)
    with plane.db.read() as tx:
        other = quota.usage(tx, "22222222-2222-2222-2222-222222222222", plane.clock.now(), plane.limits)
    assert other.used_bytes == 0


def test_raised_quota_holds_at_once(plane: Any) -> None:
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=0)
    with pytest.raises(errors.QuotaExhausted) as refused:
        plane.start()
    assert "0 of its 0 bytes" in refused.value.detail
    plane.limits = dataclasses.replace(plane.limits, quota_bytes_per_month=1)
    assert plane.start()
