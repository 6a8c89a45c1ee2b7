"""Thirty days of searches, exports and files that expire, by a clock turned by hand: nothing grows without a bound."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import os
import pathlib
import threading

import pytest
import sqlalchemy as sa
from support import house

from penstock import worker
from penstock.base import clock as clocks
from penstock.control import searches
from penstock.control.schema import tables
from penstock.process import services

DAY = dt.timedelta(days=1)
KEPT_FOR_EVER = {"quota_charges"}


class TurnedClock(clocks.SystemClock):
    """The system's clock, as far ahead as it was turned: a wait is a wait, since leases are held while work goes on."""

    ahead = dt.timedelta(0)

    def now(self) -> dt.datetime:
        return super().now() + self.ahead


def rows(made: house.House) -> dict[str, int]:
    with made.opened.database.read() as tx:
        return {
            table.name: int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
            for table in tables.metadata.sorted_tables
            if table.name not in KEPT_FOR_EVER
        }


def resident_bytes() -> int:
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(made: house.House) -> dict[str, int]:
    gc.collect()
    outside_of_the_lake = [path for path in made.home.rglob("*") if path.is_file() and "lake" not in path.parts]
    return {
        **rows(made),
        "files": len(outside_of_the_lake),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "log of the database": (made.home / "penstock.db-wal").stat().st_size,
    }


def search(made: house.House) -> searches.SearchJob:
    now = made.opened.clock.now()
    with made.opened.database.begin() as tx:
        return searches.create(
            tx, term="", earliest_time="-1d", latest_time="now", earliest=house.EARLIEST, latest=house.LATEST,
            community_uuids=[made.community_uuid], created_by=made.api_key_uuid, now=now,
            ttl_seconds=made.opened.settings.search_job_ttl_seconds,
        )  # fmt: skip


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_thirty_days_leave_no_more_than_fifteen(tmp_path: pathlib.Path) -> None:
    more = {"PENSTOCK_AUDIT_KEEP_DAYS": "8", "PENSTOCK_SEARCH_JOB_TTL_SECONDS": str(3 * 86_400)}
    sizes = {"events": 300, "slice_rows": 150, "part_bytes": 4_000}
    with house.opened_house(tmp_path / "home", "", sizes, more) as first:
        clock = TurnedClock()
        with services.opened(first.opened.settings, clock=clock) as opened:
            made = dataclasses.replace(first, opened=opened, late=opened)
            working = worker.Worker(opened)
            seen = {}
            for day in range(1, 31):
                made = dataclasses.replace(made, job=search(made))
                working.run_pending()
                with opened.database.read() as tx:
                    made = dataclasses.replace(made, job=searches.get(tx, made.job.uuid, None))
                task_uuid = made.start()
                working.run_pending()
                assert made.export(task_uuid).status == "FINISHED"
                clock.ahead += DAY
                working.sweep()
                if day in (15, 30):
                    seen[day] = measured(made)
                    seen[day]["memory, in 32 MiB"] = resident_bytes() >> 25
    assert seen[30].pop("memory, in 32 MiB") <= seen[15].pop("memory, in 32 MiB") + 1
    # Other tests of this process leave a few open, which come and go; one a day would be fifteen.
    assert seen[30].pop("descriptors") <= seen[15].pop("descriptors") + 5
    assert seen[30] == seen[15]
    assert seen[15]["log of the database"] == 0
    assert 0 < seen[15]["exports"] <= 10
    assert 0 < seen[15]["search_jobs"] <= 4


def test_the_databases_log_is_cut_when_no_reader_needs_it_and_holds_nobody_up(tmp_path: pathlib.Path) -> None:
    with house.opened_house(tmp_path / "home", "", {"events": 10, "slice_rows": 10, "part_bytes": 4_000}, {}) as made:
        database, log = made.opened.database, made.home / "penstock.db-wal"
        with database.read() as reader:
            before = reader.execute(sa.text("SELECT count(*) FROM search_jobs")).scalar_one()
            search(made)
            assert not database.truncate_log()
            search(made)
            assert reader.execute(sa.text("SELECT count(*) FROM search_jobs")).scalar_one() == before
        assert log.stat().st_size > 0
        assert database.truncate_log()
        assert log.stat().st_size == 0
        with database.read() as tx:
            assert tx.execute(sa.text("SELECT count(*) FROM search_jobs")).scalar_one() == before + 2
