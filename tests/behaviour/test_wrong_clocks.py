"""A worker whose machine's clock is minutes off holds a lease as long as others do: the database's time rules."""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import settings, testing
from penstock.base import clock as clocks
from penstock.control import database, exports, leases, searches, secrets
from penstock.control.exports import fencing as export_fencing
from penstock.control.schema import clock, tables
from penstock.control.searches import fencing as search_fencing
from penstock.process import services

LEASE = 15.0
NEAR = dt.timedelta(seconds=5)
"""How far two asked times may be apart on a busy machine; the clocks of these tests are minutes off."""


@pytest.fixture
def real_time(db: database.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control plane of these tests lives now."""
    with db.read():
        monkeypatch.setattr(testing, "ManualClock", lambda: clock.DatabaseClock(db.time))


@pytest.fixture
def plane(real_time: None, plane: Any) -> Any:
    return plane


@pytest.fixture(params=[300, -300], ids=["ahead", "behind"])
def wrong(
    request: pytest.FixtureRequest, plane: Any, database_url: str, tmp_path: pathlib.Path, monkeypatch: Any
) -> Iterator[services.Services]:
    """What a worker opens on a machine whose clock is five minutes off."""
    off = dt.timedelta(seconds=request.param)
    monkeypatch.setattr(clocks.SystemClock, "now", lambda self: dt.datetime.now(dt.UTC) + off)
    (tmp_path / "home").mkdir()
    secrets.MasterKeys.create(tmp_path / "home")
    with services.opened(settings.Settings(home=tmp_path / "home", database_url=database_url)) as opened:
        yield opened


def true_time(plane: Any) -> dt.datetime:
    with plane.db.read() as tx:
        if tx.dialect.name == "postgresql":
            return tx.exec_driver_sql("SELECT clock_timestamp()").scalar_one().astimezone(dt.UTC)  # type: ignore[no-any-return]
    return dt.datetime.now(dt.UTC)


def is_free(plane: Any, work: leases.Work, at: dt.datetime) -> bool:
    with plane.db.read() as tx:
        return leases.is_there(tx, work, leases.is_free(work, at))


@pytest.mark.parametrize("kind", ["export", "search"])
def test_its_row_is_free_when_its_lease_is_over_and_not_before(plane: Any, wrong: services.Services, kind: str) -> None:
    if kind == "export":
        plane.start()
        work, column = export_fencing.WORK, tables.exports.c.lease_until
    else:
        with plane.db.begin() as tx:
            tx.execute(tables.search_jobs.update().values(status=0))
        work, column = search_fencing.WORK, tables.search_jobs.c.lease_until
    claim: Any = exports.claim if kind == "export" else searches.claim
    with wrong.database.begin() as tx:
        assert claim(tx, "worker with a wrong clock", wrong.clock.now(), LEASE) is not None
    now = true_time(plane)
    with plane.db.read() as tx:
        lease_until = tx.execute(sa.select(column).where(column.is_not(None))).scalar_one()
    assert abs(lease_until - now - dt.timedelta(seconds=LEASE)) < NEAR
    assert not is_free(plane, work, now)
    assert is_free(plane, work, now + dt.timedelta(seconds=LEASE) + NEAR)


def test_it_takes_no_row_from_a_worker_that_lives(plane: Any, wrong: services.Services) -> None:
    plane.start()
    held = plane.claim("worker-1", LEASE)
    with wrong.database.begin() as tx:
        assert exports.claim(tx, "worker with a wrong clock", wrong.clock.now(), LEASE) is None
        assert not exports.has_work(tx, wrong.clock.now())
    with plane.db.begin() as tx:
        assert not exports.renew(tx, held, plane.clock.now()).deadline_passed


def test_a_machine_whose_clock_is_wrong_is_named(wrong: services.Services) -> None:
    assert isinstance(wrong.clock, clock.DatabaseClock)
    assert abs(abs(wrong.clock.ahead_seconds()) - 300) < NEAR.total_seconds()


def test_the_time_goes_on_between_two_answers_and_follows_the_next(
    db: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    elapsed = [1000.0]
    monkeypatch.setattr(clock, "_elapsed", lambda: elapsed[0])
    asked = []
    monkeypatch.setattr(clock, "_QUERIES", dict.fromkeys(clock._QUERIES, "SELECT '2026-01-01T00:00:00+00:00'"))
    sa.event.listen(db._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    first = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for seconds, expected, queries in ((0.0, 0.0, 1), (20.0, 20.0, 1), (9.0, 29.0, 1), (1.0, 0.0, 2)):
        elapsed[0] += seconds
        with db.begin():
            assert db.time.now() == first + dt.timedelta(seconds=expected)
        assert len([each for each in asked if "2026-01-01" in each]) == queries
