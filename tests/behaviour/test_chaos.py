"""A service under chaos: kills, freezes, wrong clocks, full disks, cut stores, cancels, a hostile tenant; by a seed.

`make test` runs some seconds of it, `make chaos` minutes, on every pair of servers that is named.
"""

from __future__ import annotations

import os
import pathlib
import time

import pytest
from support import databases, house
from support.chaos import run

SEED = 7
SECONDS = float(os.environ.get("PENSTOCK_CHAOS_SECONDS", "300"))


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a setting of the service, which would refuse it."""
    for name in ("PENSTOCK_CHAOS_SECONDS", "PENSTOCK_CHAOS_SEED"):
        monkeypatch.delenv(name, raising=False)


def test_after_chaos_every_file_is_exact_and_nothing_is_left(tmp_path: pathlib.Path) -> None:
    report = run.run(tmp_path, database_url="", sizes=house.SMALL, more={}, seed=SEED, seconds=5, floods=1)
    print("\n".join(report.lines()))
    assert report.ends["FINISHED"] > 2
    assert report.befell["worker killed"] > 0


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.parametrize("pair", ["sqlite and embedded", pytest.param("postgresql and ceph", marks=pytest.mark.ceph)])
def test_chaos_for_a_long_time(tmp_path: pathlib.Path, pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    seed = CHOSEN_SEED
    with capsys.disabled():
        print(f"\n{pair}: PENSTOCK_CHAOS_SEED={seed}", flush=True)
    if pair == "sqlite and embedded":
        report = run.run(tmp_path, database_url="", sizes=house.SMALL, more={}, seed=seed, seconds=SECONDS)
    else:
        more = house.ceph_settings()
        with databases.postgresql_schema(databases.postgresql_server()) as url:
            report = run.run(tmp_path, database_url=url, sizes=house.LARGE, more=more, seed=seed, seconds=SECONDS)
    with capsys.disabled():
        print("\n".join(report.lines()), flush=True)
    assert report.ends["FINISHED"] > SECONDS / 10


CHOSEN_SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED") or time.time_ns() % 1_000_000)
