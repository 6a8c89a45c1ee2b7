"""Exports and searches on a real Ray cluster of two nodes, of a lake in Ceph and of attached tables; exports into Ceph.

They are what `threads` makes, whatever dies, and leave no secret. (`test_ray_hosts` has a lake in a folder.)
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import gzip
import json
import os
import pathlib
import threading
import time
import uuid
from collections.abc import Iterator

import deltalake
import polars as pl
import pytest
import structlog
from support import house, ray_cluster

from penstock import worker
from penstock.control import communities, exports, searches
from penstock.export import engines
from penstock.export.engines import threads
from penstock.export.engines.on_ray import node
from penstock.intake import ingest
from penstock.intake.shards import coordinator
from penstock.lake import table
from penstock.process import attached_tables, services, tables
from penstock.samples import generate
from penstock.worker.searches import children

pytestmark = [pytest.mark.ray, pytest.mark.ceph]


SLOW = "event.category:network OR " + " OR ".join(f"nowhere{number}" for number in range(30))
"""Some words that are nowhere, so that a shard takes long enough to be killed."""


class Died(BaseException):
    """What happens to a process that dies."""


@pytest.fixture(scope="module")
def ray_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[house.House]:
    ray_cluster.needed()
    home = tmp_path_factory.mktemp("ray") / "home"
    more = house.ceph_settings()
    more |= {
        "PENSTOCK_ENGINE": "ray",
        "PENSTOCK_ENGINE_SECRET": base64.b64encode(os.urandom(32)).decode(),
        "PENSTOCK_SHARD_SLICES": "2",
        "PENSTOCK_LAKE_PATH": f"s3://{more['PENSTOCK_S3_BUCKET']}/lake",
        "PENSTOCK_ATTACH_S3_ENDPOINT_URL": more["PENSTOCK_S3_ENDPOINT_URL"],
        "PENSTOCK_ATTACH_S3_REGION": "us-east-1",
        "PENSTOCK_ATTACH_S3_ACCESS_KEY_ID": more["PENSTOCK_S3_ACCESS_KEY_ID"],
        "PENSTOCK_ATTACH_S3_SECRET_ACCESS_KEY": more["PENSTOCK_S3_SECRET_ACCESS_KEY"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", more["PENSTOCK_S3_CA_FILE"])  # of attached tables, here and on the nodes
        children.shared().close()  # those of tests before have another environment
        with house.opened_house(home, "", house.LARGE, more) as made:
            yield made


@pytest.fixture(scope="module")
def cluster(ray_house: house.House) -> Iterator[ray_cluster.Cluster]:
    # One cache for both nodes, as for nodes of one machine; the worker has another.
    own = {"PENSTOCK_LAKE_CACHE_PATH": str(ray_house.home / "cache-of-nodes")}
    with ray_cluster.started(ray_house.environment | own) as made:
        made.add()
        made.add()
        yield made


@pytest.fixture(scope="module")
def engine(ray_house: house.House, cluster: ray_cluster.Cluster) -> Iterator[engines.Engine]:
    opened = engines.open_engine(dataclasses.replace(ray_house.opened.settings, ray_address=cluster.address))
    yield opened
    opened.close()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searching:
    """A community whose searches go on the cluster: four data files, each of more events than a shard may have."""

    opened: services.Services
    community_uuid: str
    planted: str

    def create(self, term: str) -> str:
        with self.opened.database.begin() as tx:
            return searches.create(
                tx,
                term=term,
                earliest_time="",
                latest_time="",
                earliest=house.EARLIEST,
                latest=house.LATEST,
                community_uuids=[self.community_uuid],
                created_by="tests",
                now=self.opened.clock.now(),
                ttl_seconds=86_400,
            ).uuid

    def run(self, term: str, engine: engines.Engine) -> tuple[searches.SearchJob, searches.Results | None]:
        uuid = self.create(term)
        worker.Worker(self.opened, engine=engine).run_search()
        with self.opened.database.read() as tx:
            return searches.get(tx, uuid, None), searches.results_of(tx, uuid, self.opened.clock.now())


def _wide(opened: services.Services, community_uuid: str, planted: str = "") -> Searching:
    own = dataclasses.replace(opened.settings, search_shard_rows=5_000)
    return Searching(opened=dataclasses.replace(opened, settings=own), community_uuid=community_uuid, planted=planted)


@pytest.fixture(scope="module")
def searching(ray_house: house.House) -> Searching:
    opened = ray_house.opened
    with opened.database.begin() as tx:
        community = communities.create(tx, name="wide", now=opened.clock.now()).uuid
    planted = f"planted{os.urandom(8).hex()}"
    events = tables.open_table(opened.settings, community)
    for day in range(4):
        start = house.START + dt.timedelta(days=day)
        generate.generate(events, events=8_000, seed=day, start=start)
    line = json.dumps({"@timestamp": house.START.isoformat(), "note": planted}).encode()
    ingest.ingest_stream(events, [line], clock=opened.clock)
    return _wide(opened, community, planted)


@pytest.fixture(scope="module")
def expected(ray_house: house.House) -> bytes:
    """What `threads` writes."""
    task_uuid = ray_house.start()
    worker.Worker(ray_house.opened, engine=threads.Threads(threads=2, upload_threads=2)).run_export()
    return ray_house.content(task_uuid)


def test_a_cluster_writes_the_bytes_of_threads(ray_house: house.House, engine: engines.Engine, expected: bytes) -> None:
    task_uuid, used_before = ray_house.start(), ray_house.used_bytes()
    worker.Worker(ray_house.opened, engine=engine).run_export()
    ray_house.assert_exact(task_uuid, expected, used_before)
    with ray_house.opened.database.read() as tx:
        assert len(exports.list_parts(tx, task_uuid)) > 3


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_cluster_reads_an_attached_table_as_threads_do(
    ray_house: house.House, engine: engines.Engine, tmp_path: pathlib.Path, kind: str
) -> None:
    """Every row group covers all of the time, and some values live in the overflow: what costs and tells most."""
    frame = _theirs()
    table = str(tmp_path) if kind == "parquet" else f"s3://{ray_house.opened.settings.s3_bucket}/theirs"
    if kind == "parquet":
        frame[:30_000].write_parquet(tmp_path / "a.parquet", row_group_size=8_000)
        frame[30_000:].with_columns(late=pl.lit(7)).write_parquet(tmp_path / "b.parquet", row_group_size=8_000)
    else:
        access = attached_tables.access_of(ray_house.opened.settings)
        deltalake.write_deltalake(table, frame, storage_options={**access.options, "conditional_put": "etag"})
    theirs = house.attached(ray_house, kind, table, kind)
    assert theirs.job.total == len(frame)
    written = []
    for one in (threads.Threads(threads=2, upload_threads=2), engine):
        task_uuid = theirs.start()
        worker.Worker(theirs.opened, engine=one).run_export()
        assert theirs.export(task_uuid).status == "FINISHED"
        written.append(theirs.content(task_uuid))
    assert written[0] == written[1]
    assert len(gzip.decompress(written[1]).splitlines()) == len(frame)
    if kind == "parquet":  # of two files, and so in two shards
        both = _wide(theirs.opened, theirs.community_uuid)
        alone, together = (both.run("login", one) for one in (threads.Threads(threads=2, upload_threads=2), engine))
        assert together[0].total == len(frame)
        assert together[0].histogram == alone[0].histogram
        assert together[1] == alone[1]


def _theirs() -> pl.DataFrame:
    at = pl.int_range(50_000, eager=True) * 7_919 % 50_000
    return pl.DataFrame(
        {
            "time": int(house.START.timestamp()) + at * 9,
            "message": [f"login {n % 7} failed" for n in range(50_000)],
            "source.port": [float("nan") if n % 1_000 == 0 else n / 8 for n in range(50_000)],
        }
    )


def test_a_shard_whose_process_is_killed_is_computed_again_and_no_other(
    ray_house: house.House, engine: engines.Engine, cluster: ray_cluster.Cluster, expected: bytes
) -> None:
    task_uuid, used_before = ray_house.start(), ray_house.used_bytes()
    killer = threading.Thread(target=lambda: ray_cluster.kill(ray_cluster.until(cluster.shards)[0]))
    killer.start()
    with structlog.testing.capture_logs() as logs:
        worker.Worker(ray_house.opened, engine=engine).run_export()
    killer.join()
    ray_house.assert_exact(task_uuid, expected, used_before)
    assert [(entry["event"], entry["tries"]) for entry in logs if entry["event"] == "shard_lost"] == [("shard_lost", 1)]
    assert ray_house.export(task_uuid).attempts == 1


def test_another_worker_goes_on_from_finished_shards_when_the_coordinator_has_died(
    ray_house: house.House, engine: engines.Engine, expected: bytes
) -> None:
    task_uuid, used_before = ray_house.start(), ray_house.used_bytes()
    recorded = 0

    def step(name: str) -> None:
        nonlocal recorded
        recorded += name.startswith("record") and name.endswith("done")
        if recorded == 2:
            raise Died

    with pytest.raises(Died):
        worker.Worker(ray_house.opened, engine=engine, step=step).run_export()
    with ray_house.opened.database.read() as tx:
        before = {part.etag for part in exports.list_parts(tx, task_uuid)}
    assert len(before) == 2
    worker.Worker(ray_house.late, engine=engine).run_export()
    ray_house.assert_exact(task_uuid, expected, used_before)
    with ray_house.opened.database.read() as tx:
        assert before <= {part.etag for part in exports.list_parts(tx, task_uuid)}


def test_a_cancel_ends_the_shards_within_two_seconds(
    ray_house: house.House, engine: engines.Engine, cluster: ray_cluster.Cluster
) -> None:
    task_uuid = ray_house.start()
    working = threading.Thread(target=worker.Worker(ray_house.opened, engine=engine).run_export)
    working.start()
    ray_cluster.until(cluster.shards)
    with ray_house.opened.database.begin() as tx:
        exports.request_cancel(tx, task_uuid, None, by="a test", now=ray_house.opened.clock.now())
    asked_at = time.monotonic()
    ray_cluster.until(lambda: ray_house.export(task_uuid).status == "CANCELED" and not cluster.shards())
    assert time.monotonic() - asked_at < 10  # 1 s and a commit; more where the machine is busy
    working.join()
    assert list(ray_house.opened.store.list_unfinished()) == []


def test_a_wide_search_finds_on_the_cluster_what_the_worker_finds_though_a_process_is_killed(
    searching: Searching, engine: engines.Engine, cluster: ray_cluster.Cluster
) -> None:
    """It goes before exports: these have run on the nodes, in processes that let all others go first for good."""
    alone, kept_alone = searching.run(SLOW, threads.Threads(threads=1, upload_threads=1))
    niceness: list[int] = []

    def kill() -> None:
        victim = ray_cluster.until(cluster.search_shards)[0]
        niceness.append(os.getpriority(os.PRIO_PROCESS, victim))
        ray_cluster.kill(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    with structlog.testing.capture_logs() as logs:
        together, kept_together = searching.run(SLOW, engine)
    killer.join()
    events = [entry["event"] for entry in logs]
    assert niceness == [node.SEARCH_NICENESS]
    assert events.count("search_shard_lost") == 1
    assert (events.count("search_in_shards"), events.count("search_back_on_worker")) == (1, 0)
    assert together.total
    assert (together.totals, together.histogram) == (alone.totals, alone.histogram)
    assert kept_together == kept_alone


def test_a_canceled_search_leaves_the_cluster_within_a_second(
    searching: Searching, engine: engines.Engine, cluster: ray_cluster.Cluster
) -> None:
    uuid = searching.create(" OR ".join(f"nowhere{number}" for number in range(400)))
    working = threading.Thread(target=worker.Worker(searching.opened, engine=engine).run_search)
    working.start()
    ray_cluster.until(cluster.search_shards)
    with searching.opened.database.begin() as tx:
        searches.cancel(tx, uuid, None, "tests", searching.opened.clock.now())
    asked_at = time.monotonic()
    ray_cluster.until(lambda: not cluster.search_shards())
    assert time.monotonic() - asked_at < 10  # 1 s; more where the machine is busy
    working.join()


def test_nodes_take_in_files_as_one_process_does_though_one_is_killed(
    ray_house: house.House, engine: engines.Engine, cluster: ray_cluster.Cluster, tmp_path: pathlib.Path
) -> None:
    sources = [str(tmp_path / f"{place}.jsonl") for place in range(4)]
    for place, source in enumerate(sources):
        lines = [f'{{"@timestamp":{1_700_000_000 + n},"n":{n},"f{place}":"x"}}' for n in range(20_000)]
        pathlib.Path(source).write_text("\n".join([*lines, f"no event {place}"]))
    first, second = (tables.open_table(ray_house.opened.settings, str(uuid.uuid4())) for _ in range(2))
    alone, together = (tmp_path / name for name in ("alone", "together"))
    expected = ingest.ingest(first, sources, clock=ray_house.opened.clock, rejects_path=alone)
    killer = threading.Thread(target=lambda: ray_cluster.kill(ray_cluster.until(cluster.ingest_shards)[0]))
    killer.start()
    with structlog.testing.capture_logs() as logs:
        found = _taken_in(ray_house, engine, second, sources, together)
    killer.join()
    assert [entry["event"] for entry in logs].count("ingest_shard_lost") == 1
    for name in ("accepted", "rejected", "rejects", "untimed", "bytes", "formats", "skipped"):
        assert getattr(found, name) == getattr(expected, name), name
    assert together.read_bytes() == alone.read_bytes()
    assert second.snapshot().rows == first.snapshot().rows == 80_000
    assert second.snapshot().columns == first.snapshot().columns


def _taken_in(
    ray_house: house.House, engine: engines.Engine, events: table.EventTable, sources: list[str], rejects: pathlib.Path
) -> ingest.IngestReport:
    heard: set[str] = set()
    pool = engine.ingest_pool(
        events.community_uuid, ingest.Limits(), pytest.fail, lambda progress: heard.add(progress.source)
    )
    assert pool is not None
    report = coordinator.take(events, sources, pool, clock=ray_house.opened.clock, rejects_path=rejects)
    assert heard == set(sources)
    return report


def test_no_customer_key_is_in_rays_memory_object_store_or_logs_and_nothing_of_a_search(
    ray_house: house.House,
    engine: engines.Engine,
    cluster: ray_cluster.Cluster,
    searching: Searching,
    tmp_path: pathlib.Path,
) -> None:
    import ray

    planted = f"planted-{os.urandom(8).hex()}".encode()
    kept = ray.put(planted * 20_000), ray.remote(lambda value: None).remote(planted)
    ray_house.start()
    worker.Worker(ray_house.opened, engine=engine).run_export()
    job, kept_of_it = searching.run(f"note:{searching.planted}", engine)
    assert job.total == 1
    assert kept_of_it is not None
    assert searching.planted in kept_of_it.events[0]
    bad = tmp_path / f"{searching.planted}.jsonl"
    bad.write_text(f"{{}}\nno event {searching.planted}\n")
    events = tables.open_table(searching.opened.settings, searching.community_uuid)
    report = _taken_in(ray_house, engine, events, [str(bad)], tmp_path / "rejects")
    assert (report.accepted, report.rejected) == (1, 1)
    key, secret = house.MARK.encode(), ray_house.opened.settings.engine_secret.reveal().encode()
    forbidden = [key, base64.b64encode(key), base64.b64decode(secret), searching.planted.encode()]
    found: set[bytes] = set()
    for pid in cluster.servers():
        for piece in ray_cluster.memory_of(pid):
            found |= {text for text in (planted, *forbidden) if text in piece}
    logs = b"".join(path.read_bytes() for path in cluster.logs().rglob("*") if path.is_file())
    assert len(cluster.servers()) >= 3
    assert found == {planted}  # what passes in clear is found there, so that the search can fail
    assert not [text for text in (*forbidden, secret) if text in logs]
    del kept


def test_a_node_that_is_lost_costs_its_shards_only(
    ray_house: house.House, engine: engines.Engine, cluster: ray_cluster.Cluster, expected: bytes
) -> None:
    task_uuid, used_before = ray_house.start(), ray_house.used_bytes()

    def lose() -> None:
        cluster.remove(ray_cluster.until(lambda: next((node for node in cluster.nodes if cluster.shards(node)), None)))

    losing = threading.Thread(target=lose)
    losing.start()
    with structlog.testing.capture_logs() as logs:
        worker.Worker(ray_house.opened, engine=engine).run_export()
    losing.join()
    ray_house.assert_exact(task_uuid, expected, used_before)
    lost = [entry["shard"] for entry in logs if entry["event"] == "shard_lost"]
    assert len(lost) == 1  # a node of one CPU has one
    assert ray_house.export(task_uuid).attempts == 1
