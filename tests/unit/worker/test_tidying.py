"""Tidying: small files are joined while searches that pinned the old ones go on reading them."""

from __future__ import annotations

import datetime as dt
import pathlib

import pytest

from penstock import settings, worker
from penstock.control import apikeys, communities, searches, secrets
from penstock.lake.read import plan, scan
from penstock.process import services
from penstock.query import compile as compile_query
from penstock.query import parse
from penstock.samples import generate
from penstock.worker import tidying

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


@pytest.fixture
def opened(tmp_path: pathlib.Path):
    secrets.MasterKeys.create(tmp_path)
    with services.opened(settings.load(home=tmp_path)) as made:
        yield made


def test_small_files_are_joined_and_a_pinned_snapshot_stays_readable(opened: services.Services) -> None:
    now = opened.clock.now()
    with opened.database.begin() as tx:
        community = communities.create(tx, name="tidy", now=now, limits=None)
        key, _ = apikeys.create(tx, communities=[community.uuid], permissions=["ADMIN"], name="k", now=now)
        job = searches.create(
            tx,
            term="",
            earliest_time="",
            latest_time="",
            earliest=START,
            latest=START + dt.timedelta(days=2),
            community_uuids=[community.uuid],
            created_by=key.uuid,
            now=now,
            ttl_seconds=3600,
        )
    events = opened.table(community.uuid)
    for seed in range(6):
        generate.generate(events, events=50, seed=seed, start=START, days=0.5)
    worker.Worker(opened).run_pending()
    before = events.snapshot()
    assert len(before.files) == 6
    tidying.Tidying(opened, should_stop=lambda: False).tidy()
    assert len(events.snapshot().files) == 1
    with opened.database.read() as tx:
        pinned = searches.get(tx, job.uuid, None).snapshots[community.uuid]
    assert pinned == before.version
    time_range = plan.TimeRange(earliest=job.earliest, latest=job.latest)
    for version in (pinned, None):
        snapshot = events.snapshot(version)
        assert scan.count(snapshot, time_range, compile_query(parse(""), snapshot.columns)) == 300


def test_a_table_that_cannot_be_tidied_does_not_keep_the_others_from_it(
    opened: services.Services, tmp_path: pathlib.Path
) -> None:
    now = opened.clock.now()
    with opened.database.begin() as tx:
        broken, whole = (communities.create(tx, name=name, now=now, limits=None) for name in ("a", "b"))
    for seed in range(6):
        for community in (broken, whole):
            generate.generate(opened.table(community.uuid), events=20, seed=seed, start=START, days=0.5)
    for file in opened.table(broken.uuid).snapshot().files:
        pathlib.Path(opened.table(broken.uuid).snapshot().location(file.path)).write_bytes(b"not Parquet")
    tidying.Tidying(opened, should_stop=lambda: False).tidy()
    assert len(opened.table(whole.uuid).snapshot().files) == 1
