"""Values that live in the overflow are found by search jobs, and exported, like any other."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import pathlib

import pytest

from penstock import export, query, settings, worker
from penstock.control import apikeys, communities, searches, secrets
from penstock.lake.read import plan
from penstock.process import services
from penstock.samples import generate

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
RANGE = plan.TimeRange(earliest=START, latest=START + dt.timedelta(days=2))


@pytest.mark.parametrize(
    ("term", "field", "value"),
    [("event.severity:high", "event.severity", "high"), ("source.port:any", "source.port", "any")],
)
def test_a_search_counts_and_a_dump_writes_values_of_the_overflow(
    tmp_path: pathlib.Path, term: str, field: str, value: str
) -> None:
    secrets.MasterKeys.create(tmp_path)
    with services.opened(settings.load(home=tmp_path)) as opened:
        now = opened.clock.now()
        with opened.database.begin() as tx:
            community = communities.create(tx, name="o", now=now, limits=None)
            key, _ = apikeys.create(tx, communities=[community.uuid], permissions=["ADMIN"], name="k", now=now)
            job = searches.create(
                tx,
                term=term,
                earliest_time="",
                latest_time="",
                earliest=RANGE.earliest,
                latest=RANGE.latest,
                community_uuids=[community.uuid],
                created_by=key.uuid,
                now=now,
                ttl_seconds=3600,
            )
        events = opened.table(community.uuid)
        generate.generate(events, events=20_000, seed=1, start=START, days=1.0)
        worker.Worker(opened).run_pending()
        with opened.database.read() as tx:
            total = searches.get(tx, job.uuid, None).total
        report = export.dump(
            events.snapshot(),
            node=query.parse(term),
            time_range=RANGE,
            fields=["@timestamp", field],
            path=tmp_path / "out.jsonl.gz",
            threads=2,
            slice_rows=5_000,
            slice_bytes=1 << 27,
            part_bytes=1 << 20,
        )
    with gzip.open(tmp_path / "out.jsonl.gz") as file:
        lines = [json.loads(line) for line in file]
    assert total == report.events == len(lines) > 0
    assert {line[field] for line in lines} == {value}
