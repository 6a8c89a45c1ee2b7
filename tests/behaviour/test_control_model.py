"""The life of exports against a model, with starts, crashes, takeovers, month turns and sweeps in any order.

The model is a few dictionaries that know nothing of SQL. Each rule predicts what the control plane must answer; the
invariants look at the database itself.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
from typing import Any

import hypothesis
import hypothesis.stateful
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st

from penstock import errors
from penstock import settings as settings_module
from penstock.control import exports, quota, sweep

QUOTA = 1000
LARGEST_PART = 300
LEASE = 15
ATTEMPTS = 2
DEADLINE = 25 * 86_400
WINDOW = 86_400
ACTIVE = ("PENDING", "RUNNING")


@dataclasses.dataclass
class Modelled:
    """What the model believes of one export."""

    created_at: dt.datetime
    status: str = "PENDING"
    fence: int = 0
    attempts: int = 0
    lease_until: dt.datetime | None = None
    deadline_at: dt.datetime | None = None
    cancel: bool = False
    parts: dict[int, int] = dataclasses.field(default_factory=dict)
    ended_at: dt.datetime | None = None
    expire_at: dt.datetime | None = None

    @property
    def written(self) -> int:
        return sum(self.parts.values())

    def end(self, status: str, now: dt.datetime) -> None:
        self.status, self.ended_at = status, now


def a_worker_acts(**arguments: Any) -> Any:
    """A rule of the worker that holds the export."""
    rule = hypothesis.stateful.rule(**arguments)
    precondition = hypothesis.stateful.precondition(lambda self: self.claims and self.holds(self.claims[-1]))
    return lambda act: precondition(rule(act))


class ExportLife(hypothesis.stateful.RuleBasedStateMachine):
    """One community, one export at a time, a quota of a few parts, and a store that is a set of names."""

    plane: Any

    def __init__(self) -> None:
        super().__init__()
        self.plane = type(self).new_plane()
        if self.plane.db.is_sqlite:
            sa.event.listen(self.plane.db._engine, "checkout", lambda c, *_: c.execute("PRAGMA synchronous=OFF"))
        self.plane.limits = dataclasses.replace(
            self.plane.limits,
            quota_bytes_per_month=QUOTA,
            export_max_attempts=ATTEMPTS,
            export_deadline_seconds=DEADLINE,
            exports_per_search_job=10_000,
            download_window_seconds=WINDOW,
        )
        self.plane.settings = settings_module.Settings(audit_keep_days=36_500)  # rows stay, to be compared
        self.known: dict[str, Modelled] = {}
        self.claims: list[exports.Claim] = []
        self.charged: dict[str, tuple[str, int]] = {}
        self.objects: set[str] = set()

    def teardown(self) -> None:
        self.plane.db.close()

    # What the model predicts

    @property
    def now(self) -> dt.datetime:
        now: dt.datetime = self.plane.clock.now()
        return now

    @property
    def active(self) -> list[str]:
        return [task for task, each in self.known.items() if each.status in ACTIVE]

    def used(self) -> int:
        month = f"{self.now:%Y-%m}"
        return sum(size for when, size in self.charged.values() if when == month)

    def reserved(self) -> int:
        return sum(self.known[task].written for task in self.active)

    def holds(self, claim: exports.Claim) -> bool:
        each = self.known[claim.task_uuid]
        return each.status == "RUNNING" and each.fence == claim.fence and each.lease_until is not None

    def renewed(self, claim: exports.Claim) -> None:
        self.known[claim.task_uuid].lease_until = self.now + dt.timedelta(seconds=LEASE)

    def fate(self, each: Modelled) -> str | None:
        """How an export that nobody holds must end, if it must."""
        if each.status == "PENDING":
            return "FAILED" if self.now - each.created_at > dt.timedelta(seconds=DEADLINE) else None
        assert each.deadline_at is not None
        if each.deadline_at > self.now and each.attempts < ATTEMPTS:
            return None
        return "CANCELED" if each.cancel else "FAILED"

    def is_free(self, each: Modelled) -> bool:
        return each.status == "PENDING" or each.lease_until is None or each.lease_until <= self.now

    def refused_or(self, claim: exports.Claim, write: Any) -> bool:
        """Runs a write of a worker; True if it stood. A zombie's must be refused."""
        if self.holds(claim):
            with self.plane.db.begin() as tx:
                write(tx)
            self.renewed(claim)
            return True
        with pytest.raises(errors.LeaseLost), self.plane.db.begin() as tx:
            write(tx)
        return False

    # What clients do

    @hypothesis.stateful.initialize(deaths=st.integers(0, ATTEMPTS))
    def first_export_has_already_killed_workers(self, deaths: int) -> None:
        self.start_one()
        self.take("w1")
        for _ in range(deaths):
            self.plane.clock.advance(LEASE)
            self.take("w2")

    @hypothesis.stateful.precondition(lambda self: not self.active)
    @hypothesis.stateful.rule(taken_at_once=st.booleans())
    def start(self, taken_at_once: bool) -> None:
        self.start_one()
        if taken_at_once and self.active:
            self.take("w1")

    def start_one(self) -> None:
        new = self.plane.new_export()
        exhausted = self.used() >= QUOTA
        with (
            pytest.raises(errors.QuotaExhausted) if exhausted else contextlib.nullcontext(),
            self.plane.db.begin() as tx,
        ):
            exports.start(tx, new, limits=self.plane.limits, now=self.now)
        if not exhausted:
            self.known[new.task_uuid] = Modelled(created_at=self.now)

    @hypothesis.stateful.precondition(lambda self: self.active)
    @hypothesis.stateful.rule()
    def second_start_is_refused(self) -> None:
        with pytest.raises(errors.Conflict), self.plane.db.begin() as tx:
            exports.start(tx, self.plane.new_export(), limits=self.plane.limits, now=self.now)

    @hypothesis.stateful.precondition(lambda self: self.known)
    @hypothesis.stateful.rule(data=st.data())
    def request_cancel(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.active or sorted(self.known)))
        each = self.known[task]
        with self.plane.db.begin() as tx:
            if each.status in ("FINISHED", "FAILED"):
                with pytest.raises(errors.Conflict):
                    exports.request_cancel(tx, task, None, "client", self.now)
                return
            exports.request_cancel(tx, task, None, "client", self.now)
        each.cancel = True
        if each.status == "PENDING" or each.lease_until is None:  # nobody holds it, so nobody need be waited for
            each.end("CANCELED", self.now)

    # What workers do

    @hypothesis.stateful.precondition(lambda self: any(self.is_free(self.known[task]) for task in self.active))
    @hypothesis.stateful.rule(worker=st.sampled_from(["w1", "w2"]))
    def claim(self, worker: str) -> None:
        self.take(worker)

    def take(self, worker: str) -> None:
        taken = self.plane.claim(worker, LEASE)
        expected = None
        for task in self.active:
            each = self.known[task]
            if self.is_free(each) and (fate := self.fate(each)):
                each.end(fate, self.now)
            elif self.is_free(each):
                expected = task
        assert (taken.task_uuid if taken else None) == expected
        if taken is None:
            return
        each = self.known[expected]
        each.status, each.fence, each.attempts = "RUNNING", taken.fence, each.attempts + 1
        each.deadline_at = each.deadline_at or self.now + dt.timedelta(seconds=DEADLINE)
        self.renewed(taken)
        assert [part.number for part in taken.parts] == sorted(each.parts)
        assert (taken.export.cancel_requested_at is not None) == each.cancel
        if taken.export.upload_id is None:
            with self.plane.db.begin() as tx:
                exports.record_plan(
                    tx,
                    taken,
                    snapshot_version=1,
                    plan_json="{}",
                    object_key=taken.task_uuid,
                    part_bytes=1,
                    total_events=1000,
                    now=self.now,
                )
                exports.record_upload(tx, taken, "upload", self.now)
        self.claims.append(taken)

    @a_worker_acts(number=st.integers(1, 6), size=st.integers(1, LARGEST_PART))
    def write_part(self, number: int, size: int) -> None:
        claim = self.claims[-1]
        each = self.known[claim.task_uuid]
        with self.plane.db.read() as tx:
            exceeds = quota.would_exceed(tx, claim.export.community_uuid, size, limits=self.plane.limits, now=self.now)
        assert exceeds == (self.used() + self.reserved() + size > QUOTA)
        if exceeds:
            self.end_failed(claim)
            return
        if self.refused_or(
            claim, lambda tx: exports.record_part(tx, claim, self.plane.part(number, size=size), self.now)
        ):
            each.parts[number] = size

    @a_worker_acts()
    def renew(self) -> None:
        claim = self.claims[-1]
        each = self.known[claim.task_uuid]
        seen: list[exports.Renewal] = []
        if not self.refused_or(claim, lambda tx: seen.append(exports.renew(tx, claim, self.now))):
            return
        assert each.deadline_at is not None
        assert (seen[0].cancel_requested, seen[0].deadline_passed) == (each.cancel, each.deadline_at <= self.now)
        if each.cancel and self.refused_or(claim, lambda tx: exports.canceled(tx, claim, self.now)):
            each.end("CANCELED", self.now)

    @a_worker_acts()
    def release(self) -> None:
        claim = self.claims[-1]
        if self.refused_or(claim, lambda tx: exports.release(tx, claim, self.now)):
            each = self.known[claim.task_uuid]
            each.lease_until, each.attempts = None, each.attempts - 1

    @a_worker_acts()
    def complete_and_die(self) -> None:
        """The object is there, the charge is not."""
        self.objects.add(self.claims[-1].task_uuid)

    @a_worker_acts()
    def finish(self) -> None:
        claim = self.claims[-1]
        each = self.known[claim.task_uuid]
        self.objects.add(claim.task_uuid)
        expire_at = self.now + dt.timedelta(seconds=WINDOW)

        def finish(tx: sa.Connection) -> None:
            exports.finish(
                tx,
                claim,
                compressed_bytes=each.written,
                raw_bytes=each.written * 10,
                events=1000,
                download_url="url",
                manifest_url="url",
                expire_at=expire_at,
                now=self.now,
            )

        if each.cancel:  # somebody was told so: the worker removes what it wrote, and nothing is charged
            with pytest.raises(exports.CancelRequested), self.plane.db.begin() as tx:
                finish(tx)
            self.objects.discard(claim.task_uuid)
            if self.refused_or(claim, lambda tx: exports.canceled(tx, claim, self.now)):
                each.end("CANCELED", self.now)
        elif self.refused_or(claim, finish):
            each.end("FINISHED", self.now)
            each.expire_at = expire_at
            self.charged[claim.task_uuid] = (f"{self.now:%Y-%m}", each.written)

    @a_worker_acts(is_completed=st.booleans())
    def fail(self, is_completed: bool) -> None:
        if is_completed:
            self.objects.add(self.claims[-1].task_uuid)
        self.end_failed(self.claims[-1])

    def end_failed(self, claim: exports.Claim) -> None:
        if self.refused_or(claim, lambda tx: exports.fail(tx, claim, "code", "message", self.now)):
            self.known[claim.task_uuid].end("FAILED", self.now)

    @hypothesis.stateful.precondition(lambda self: self.active and not self.is_free(self.known[self.active[0]]))
    @hypothesis.stateful.rule()
    def nothing_is_taken_twice(self) -> None:
        assert self.plane.claim("w3", LEASE) is None

    @hypothesis.stateful.precondition(lambda self: any(not self.holds(claim) for claim in self.claims))
    @hypothesis.stateful.rule(data=st.data())
    def zombie_writes(self, data: st.DataObject) -> None:
        zombies = [claim for claim in self.claims if not self.holds(claim)]
        claim = data.draw(st.sampled_from(zombies))
        writes = {
            "part": lambda tx: exports.record_part(tx, claim, self.plane.part(1), self.now),
            "renew": lambda tx: exports.renew(tx, claim, self.now),
            "release": lambda tx: exports.release(tx, claim, self.now),
            "fail": lambda tx: exports.fail(tx, claim, "code", "message", self.now),
            "canceled": lambda tx: exports.canceled(tx, claim, self.now),
        }
        self.refused_or(claim, writes[data.draw(st.sampled_from(sorted(writes)))])

    @a_worker_acts(is_replaced=st.booleans())
    def die(self, is_replaced: bool) -> None:
        self.plane.clock.advance(LEASE)
        if is_replaced:
            self.take("w2")

    # What time does

    @hypothesis.stateful.rule(seconds=st.sampled_from([1, LEASE, WINDOW, DEADLINE]))
    def time_passes(self, seconds: int) -> None:
        self.plane.clock.advance(seconds)

    @hypothesis.stateful.rule()
    def month_turns(self) -> None:
        self.plane.clock.advance((quota.resets_at(self.now) - self.now).total_seconds())

    @hypothesis.stateful.precondition(lambda self: self.objects or self.active)
    @hypothesis.stateful.rule()
    def sweep(self) -> None:
        with self.plane.db.begin() as tx:
            sweep.rows(tx, self.now, self.plane.settings)
        for task in self.active:
            each = self.known[task]
            grace = dt.timedelta(seconds=exports.ending.DEADLINE_GRACE_SECONDS)
            stuck = each.deadline_at is not None and each.deadline_at + grace <= self.now
            if (self.is_free(each) or stuck) and (fate := self.fate(each)):
                each.end(fate, self.now)
        with self.plane.db.read() as tx:
            left = exports.expired_objects(tx, self.now)
        for each_left in left:
            self.objects.discard(each_left.object_key)
            with self.plane.db.begin() as tx:
                assert exports.forget_object(tx, each_left.task_uuid, self.now)
        for task in self.objects:  # no object past its window, none of an export that did not finish
            each = self.known[task]
            assert each.status in ACTIVE or (each.expire_at is not None and self.now < each.expire_at)

    # What must always hold

    @hypothesis.stateful.invariant()
    def database_and_model_agree(self) -> None:
        with self.plane.db.read() as tx:
            rows = tx.execute(sa.text("SELECT task_uuid, status, compressed_bytes FROM exports")).all()
            quota_now = quota.usage(tx, self.plane.community.uuid, self.now, self.plane.limits)
        states = {row.task_uuid: row.status for row in rows}
        assert states == {task: each.status for task, each in self.known.items()}
        assert (quota_now.used_bytes, quota_now.reserved_bytes) == (self.used(), self.reserved())

    @hypothesis.stateful.invariant()
    def never_two_active(self) -> None:
        with self.plane.db.read() as tx:
            query = "SELECT count(*) FROM exports WHERE status IN ('PENDING', 'RUNNING')"
            assert tx.execute(sa.text(query)).scalar_one() <= 1

    @hypothesis.stateful.invariant()
    def never_over_quota_by_more_than_one_part(self) -> None:
        assert self.used() + self.reserved() <= QUOTA + LARGEST_PART

    @hypothesis.stateful.invariant()
    def charged_exactly_once_what_finished_and_nothing_else(self) -> None:
        with self.plane.db.read() as tx:
            charges = tx.execute(sa.text("SELECT task_uuid, month, compressed_bytes FROM quota_charges")).all()
        assert len(charges) == len({row.task_uuid for row in charges})
        assert {row.task_uuid: (row.month, row.compressed_bytes) for row in charges} == self.charged
        assert {row.task_uuid for row in charges} == {
            task for task, each in self.known.items() if each.status == "FINISHED"
        }

    @hypothesis.stateful.invariant()
    def no_secret_of_an_ended_export(self) -> None:
        for task, each in self.known.items():
            assert (self.plane.secrets_of(task)[0] is None) == (each.status not in ACTIVE)

    @hypothesis.stateful.invariant()
    def every_end_is_audited_once(self) -> None:
        with self.plane.db.read() as tx:
            actions = tx.execute(sa.text("SELECT object_uuid, action FROM audit_entries")).all()
        ends = collections.Counter(
            (row.object_uuid, row.action.removeprefix("export.").upper())
            for row in actions
            if row.action in ("export.finished", "export.failed", "export.canceled")
        )
        assert ends == collections.Counter(
            (task, each.status) for task, each in self.known.items() if each.status not in ACTIVE
        )


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        ("sqlite", 15),
        pytest.param("postgresql", 5, marks=pytest.mark.postgresql),
        pytest.param("sqlite", 200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_exports_live_as_the_model_says(request: pytest.FixtureRequest, kind: str, examples: int) -> None:
    """Fewer examples on PostgreSQL: an example takes more than twice as long."""

    class Life(ExportLife):
        new_plane = staticmethod(request.getfixturevalue(f"new_{kind}_plane"))

    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
    )
    hypothesis.stateful.run_state_machine_as_test(Life, settings=settings)
