"""Claims about a community over somebody else's table: all of the service works on it, and nothing writes to it."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import pathlib
from collections.abc import Iterator

import polars as pl
import pytest
from api_world import JOBS, KEY, NOON, World, problem

from penstock import errors, storage
from penstock.cli.commands.operate import attaching
from penstock.cli.options import administering
from penstock.control import audit, communities, exports
from penstock.evidence import manifest
from penstock.lake.attached import definition
from penstock.process import attached_tables
from penstock.worker import tidying

HEADERS = storage.CustomerKey.parse(KEY).headers()


def fetch(world: World, url: str) -> bytes:
    """A download, whole."""
    answer = world.http("GET", url, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.fixture
def files(world: World, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder of Parquet attached as acme's events."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    at = [NOON - dt.timedelta(minutes=(n * 7) % 50 + 1) for n in range(100)]
    frame = pl.DataFrame({"time": at, "n": range(100), "src": [{"ip": f"10.0.0.{n}"} for n in range(100)]})
    frame.write_parquet(folder / "a.parquet", row_group_size=30)
    defined = definition.Definition(table=str(folder), type=definition.TableType.PARQUET, names={"src.ip": "source.ip"})
    settings = world.services.settings
    looked_at = attached_tables.open_attached(settings, world.acme.uuid, defined)
    looked_at.check()
    attached_tables.attach(settings, world.acme.uuid, looked_at)
    return folder


def test_search_export_and_manifest_are_those_of_any_community(world: World, files: pathlib.Path) -> None:
    job = world.done_search("source.ip:10.0.0.0/26", earliest_time="-1h")
    found = world.get(f"{JOBS}/{job}").json()
    assert (found["status"], found["total"]) == (2, 64)
    (files / "b.parquet").write_bytes((files / "a.parquet").read_bytes())  # late arrivals come along
    body = {"s3": {"sse_customer_key": KEY}, "fields": ["@timestamp", "n", "source.ip"]}
    task = world.finished_export(job, body)
    packed = fetch(world, task["attributes"]["download_url"])
    events = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert len(events) == 128
    assert [event["@timestamp"] for event in events] == sorted(event["@timestamp"] for event in events)
    assert {event["source.ip"] for event in events} == {f"10.0.0.{n}" for n in range(64)}
    facts = manifest.loads(fetch(world, task["attributes"]["manifest_url"]))
    assert (facts["events"], facts["snapshot_version"]) == (
        128,
        world.services.table(world.acme.uuid).snapshot().version,
    )


def test_nothing_is_taken_in_by_any_way(world: World, files: pathlib.Path) -> None:
    before = {file: file.read_bytes() for file in files.iterdir()}
    line = b'{"n": 1}\n'
    path = f"/v1/communities/{world.acme.uuid}/events"
    problem(world.post(path, content=line), 403, "community_attached")
    problem(world.post(f"{path}?batch_id=b", content=line), 403, "community_attached")
    for body in (line, line * 200_000):  # in a group, and alone
        bulk = b"".join(b'{"create": {}}\n' + each + b"\n" for each in body.splitlines()[:50_000])
        answer = world.post(f"/{world.acme.uuid}/_bulk", content=bulk)
        assert answer.status_code == 403, answer.text
        assert answer.json()["error"]["code"] == "community_attached"
    assert {file: file.read_bytes() for file in files.iterdir()} == before


def test_upkeep_leaves_the_files_alone_and_forgets_lists_that_nobody_needs(
    world: World, files: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files.iterdir()}
    monkeypatch.setattr(tidying, "KEEP_SECONDS", -1)
    world.done_search("", earliest_time="-1h")
    folder = pathlib.Path(world.services.settings.resolved_lake_path, world.acme.uuid)
    tidying.Tidying(world.services, should_stop=lambda: False).tidy()
    assert [place.name for place in (folder / "_snapshots").iterdir()]  # a search job pins it
    world.clock.advance(world.services.settings.search_job_ttl_seconds + 1)
    tidying.Tidying(world.services, should_stop=lambda: False).tidy()
    assert not list((folder / "_snapshots").iterdir())
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files.iterdir()} == before


@pytest.fixture
def operator(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The terminal of acme's home, whose clock is the service's; acme's name."""
    monkeypatch.setenv("PENSTOCK_HOME", str(world.services.settings.home))
    world.clock.advance((dt.datetime.now(dt.UTC) - world.clock.now()).total_seconds())
    with world.services.database.read() as tx:
        return communities.get(tx, world.acme.uuid).name


EVER = {"earliest_time": "2020-01-01T00:00:00Z"}


def test_a_detached_table_is_gone_for_all_but_finished_exports(
    world: World, operator: str, files: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files.iterdir()}
    job = world.done_search("", **EVER)
    kept = world.finished_export(job, {"s3": {"sse_customer_key": KEY}})
    waiting, running = world.export(job).json()["task_uuid"], world.search("", **EVER)
    with pytest.raises(errors.Conflict, match=waiting) as raised:
        attaching.community_detach(administering.CommunityDetach(community=operator))
    assert raised.value.code == "community_exports_active"
    assert world.export(job).status_code == 409  # active still: nothing has changed
    attaching.community_detach(administering.CommunityDetach(community=operator, cancel=True))
    assert f"{operator} is detached; 2 search jobs ended, 1 exports are canceled" in capsys.readouterr().out
    assert world.get(f"/v1/tasks/{waiting}").json()["status"] == "CANCELED"
    assert world.get(f"{JOBS}/{running}").json()["status"] == 3
    problem(world.post(JOBS, json={"term": "", **EVER, "latest_time": "now"}), 409, "community_detached")
    problem(world.get(f"/v1/communities/{world.acme.uuid}/fields"), 409, "community_detached")
    problem(world.post(f"/v1/communities/{world.acme.uuid}/events", content=b"{}"), 409, "community_detached")
    assert gzip.decompress(fetch(world, kept["attributes"]["download_url"])).count(b"\n") == 100
    folder = pathlib.Path(world.services.settings.resolved_lake_path, world.acme.uuid)
    assert [place.name for place in folder.rglob("*") if place.is_file()] == [definition.NAME]
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files.iterdir()} == before
    tidying.Tidying(world.services, should_stop=lambda: False).tidy()
    attaching.community_detach(administering.CommunityDetach(community=operator))  # once more does no harm
    with world.services.database.read() as tx:
        filters = audit.Filters(communities=[world.acme.uuid], action="community.")
        found = [entry.detail["exports_canceled"] for entry in audit.list_entries(tx, filters, 10, 0)[0]]
    assert found == [0, 1]


def test_another_table_is_attached_under_the_name_of_a_detached_one(
    world: World, operator: str, files: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    job = world.done_search("", **EVER)
    late = world.export(job).json()["task_uuid"]
    attached_tables.detach(world.services.settings, world.acme.uuid)  # as if it had started while the command ran
    world.worker.run_pending()
    with world.services.database.read() as tx:
        assert exports.get(tx, late, None).error_code == "community_detached"
    attaching.community_detach(administering.CommunityDetach(community=operator))
    world.clock.advance(5)  # which has stood still meanwhile
    other = tmp_path / "other"
    other.mkdir()
    pl.DataFrame({"time": [NOON], "who": ["jo"]}).write_parquet(other / "x.parquet")
    wanted = administering.CommunityAttach(name=operator, table=str(other), type="parquet")
    attaching.community_attach(wanted)
    problem(world.export(job), 409, "search_job_expired")
    again = world.done_search("", **EVER)
    assert world.get(f"{JOBS}/{again}").json()["total"] == 1  # by the same key, and the same child process
    task = world.finished_export(again, {"s3": {"sse_customer_key": KEY}, "fields": ["who"]})
    assert gzip.decompress(fetch(world, task["attributes"]["download_url"])) == b'{"who":"jo"}\n'
    with pytest.raises(errors.Conflict) as raised:
        attaching.community_attach(wanted)
    assert raised.value.code == "community_name_taken"


def test_events_of_our_own_are_not_detached(world: World, operator: str) -> None:
    world.ingest([{"n": 1}])
    with pytest.raises(errors.UsageError) as raised:
        attaching.community_detach(administering.CommunityDetach(community=operator))
    assert raised.value.code == "community_not_attached"
    assert world.get(f"/v1/communities/{world.acme.uuid}/fields").status_code == 200


def test_a_file_that_vanished_is_said_and_no_place_is_named(world: World, files: pathlib.Path) -> None:
    job = world.done_search("", earliest_time="-1h")
    (files / "a.parquet").rename(files / "b.parquet")
    counts = world.get(f"{JOBS}/{job}/histogram?buckets=7")
    told = problem(counts, 409, "attached_file_changed")
    assert "a.parquet" in told["detail"]
    assert str(files) not in counts.text
    # A new export reads the table as it is now.
    assert world.finished_export(job)["total"] == 100
