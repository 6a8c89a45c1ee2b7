"""The same export on `threads` and on Ray with 1, 2 and 3 nodes: one SHA-256, work per node, what the cluster costs.

Usage: python benchmarks/engines.py [--events 2000000] [--nodes 1 2 3] [--bucket NAME] [--address ray] [--quota 0.3]

Needs PENSTOCK_TEST_CEPH and _CA (scripts/ceph.sh start) and the extra `ray`. A node has one CPU, and is bound to one
core as long as there are cores. Seconds of CPU are counted, of each node's processes, of the coordinator and of Ray's
servers: where nodes, coordinator and S3 server share a machine, the clock says little about machines of their own.
`ideal` is the work of all nodes over that of the busiest: how many times faster they would be than one, each on a
machine of its own, as long as coordinator and store keep up.

With `--quota 0.3` each node may use so much of a core, on whichever cores: a control group of the kernel's around its
raylet and all that it starts. Where the machine has room beside all of them, the nodes are the bottleneck, and the
clock tells what a second one is worth. `idle` is the share of the machine that nobody used meanwhile: near zero, the
machine and not the nodes was the bottleneck. Wants root, and a machine without other work.

With `--address ray` the coordinator speaks to the cluster as from outside (`ray://`).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import os
import pathlib
import tempfile
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config

from penstock import export as pipeline
from penstock import query, settings, storage
from penstock.base import clock
from penstock.evidence.facts import PartFacts
from penstock.export import engines
from penstock.export.engines import threads
from penstock.export.engines.on_ray import engine as on_ray
from penstock.fields import presets
from penstock.lake import table
from penstock.lake.read import plan
from penstock.samples import generate
from penstock.storage import opening

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
COMMUNITY = "c0000000-0000-4000-8000-000000000001"
KEY = storage.CustomerKey.generate()
CONTENT = {"content_type": storage.EXPORT_CONTENT_TYPE, "filename": "export.jsonl.gz"}
CORES = sorted(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


class Journal:
    """Nobody asks and nobody writes down."""

    def check(self) -> None: ...

    def before_part(self, facts: PartFacts) -> None: ...

    def after_part(self, facts: PartFacts, receipt: storage.Receipt) -> None: ...

    def progress(self, events: int) -> None: ...


def client() -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=os.environ["PENSTOCK_TEST_CEPH"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="testtest",
        verify=os.environ["PENSTOCK_TEST_CEPH_CA"],
        config=botocore.config.Config(signature_version="s3v4", request_checksum_calculation="when_required"),
    )


@contextlib.contextmanager
def bucket(name: str) -> Iterator[str]:
    if name:
        yield name
        return
    name = f"bench-{uuid.uuid4().hex}"
    client().create_bucket(Bucket=name)
    yield name
    for item in client().list_objects_v2(Bucket=name).get("Contents", ()):
        client().delete_object(Bucket=name, Key=item["Key"])
    client().delete_bucket(Bucket=name)


def environment(lake: str, name: str) -> dict[str, str]:
    """The settings of nodes, which workers share."""
    return {
        "PENSTOCK_LAKE_PATH": lake,
        "PENSTOCK_STORAGE": "s3",
        "PENSTOCK_S3_BUCKET": name,
        "PENSTOCK_S3_ENDPOINT_URL": os.environ["PENSTOCK_TEST_CEPH"],
        "PENSTOCK_S3_CA_FILE": os.environ["PENSTOCK_TEST_CEPH_CA"],
        "PENSTOCK_S3_ACCESS_KEY_ID": "test",
        "PENSTOCK_S3_SECRET_ACCESS_KEY": "testtest",
        "PENSTOCK_ENGINE_SECRET": base64.b64encode(os.urandom(32)).decode(),
    }


def work_of(lake: str, configured: settings.Settings, shard_slices: int) -> pipeline.Work:
    snapshot = table.EventTable(lake, COMMUNITY).snapshot()
    fields = presets.DEFAULT_FIELDS
    predicate = query.compile(query.parse(""), snapshot.query_columns)
    bounds = {"max_rows": configured.slice_rows, "max_bytes": configured.slice_bytes}
    slices = plan.plan_slices(snapshot, plan.TimeRange.ever(), **bounds, fields=predicate.columns.union(fields))
    return pipeline.Work(
        snapshot=snapshot,
        slices=slices,
        fields=fields,
        predicate=predicate,
        compression="fast",
        part_bytes=configured.part_bytes,
        shard_slices=shard_slices,
        recipe=pipeline.Recipe(community_uuid=COMMUNITY, term="", filters=()),
    )


def exported(store: Any, engine: engines.Engine, work: pipeline.Work) -> tuple[str, float, float]:
    """SHA-256 of the file, seconds on the clock, seconds of this process's CPU."""
    key = f"bench/{uuid.uuid4().hex}.jsonl.gz"
    began, cpu = time.perf_counter(), time.process_time()
    upload = store.begin(key, KEY, **CONTENT)
    target = engines.Target(
        put=lambda part: store.put_part(upload, part.facts.ordinal + 1, part.body, KEY),
        task_uuid=str(uuid.uuid4()),
        upload=upload,
        customer_key=KEY,
        bucket=None,
        wrapping_key=lambda: None,
    )
    outcome = engine.run(work, target, Journal())
    store.complete(upload, outcome.receipts, KEY, gaps=True)
    took = time.perf_counter() - began, time.process_time() - cpu
    digest = hashlib.sha256()
    for piece in store.read(key, KEY):
        digest.update(piece)
    store.delete(key)
    return digest.hexdigest(), *took


def seconds_of(parents: list[int], *, themselves: bool) -> float:
    """CPU seconds of processes, or of their children that live."""
    total = 0.0
    for pid in parents if themselves else children_of(parents):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def raylet_of(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


class Quota:
    """A control group of processes, whose use of CPU can be bounded. A context manager; wants root."""

    PERIOD_US = 20_000

    def __init__(self) -> None:
        root = pathlib.Path("/sys/fs/cgroup")
        self._is_v2 = (root / "cgroup.controllers").exists()
        self._folder = (root if self._is_v2 else root / "cpu") / f"penstock-{uuid.uuid4().hex}"

    def __enter__(self) -> Quota:
        self._folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        # Its processes are gone by then; the kernel takes a moment to notice.
        deadline = time.monotonic() + 10
        while self._folder.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            time.sleep(0.1)

    def take(self, pid: int) -> None:
        """A process, with the children that it has and will have."""
        for one in (pid, *children_of([pid])):
            (self._folder / "cgroup.procs").write_text(str(one))

    def limit(self, cores: float) -> None:
        most = int(cores * self.PERIOD_US)
        if self._is_v2:
            (self._folder / "cpu.max").write_text(f"{most} {self.PERIOD_US}")
            return
        (self._folder / "cpu.cfs_period_us").write_text(str(self.PERIOD_US))
        (self._folder / "cpu.cfs_quota_us").write_text(str(most))


def children_of(parents: list[int]) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) in parents:
                    found.append(int(entry.name))
    return found


def idle_seconds() -> float:
    """CPU seconds that nobody used, over all cores, since the machine started."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS


def on_quotas(nodes: int, cores: float, store: Any, configured: settings.Settings, work: pipeline.Work) -> float:
    """Seconds of an export on nodes that may use so much of a core each."""
    import ray
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 150 << 20, "include_dashboard": False}
    with contextlib.ExitStack() as stack:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
        quotas = [stack.enter_context(Quota()) for _ in range(nodes)]
        raylets = []
        for quota in quotas:
            raylets.append(raylet_of(cluster.add_node(num_cpus=1, **memory)))
            quota.take(raylets[-1])
        engine = on_ray.OnRay(dataclasses.replace(configured, ray_address=cluster.address, shards_in_flight=2 * nodes))
        exported(store, engine, work)  # as fast as it goes: processes have started and have loaded what they need
        for quota, raylet in zip(quotas, raylets, strict=True):
            quota.take(raylet)
            quota.limit(cores)
        time.sleep(1)
        before = [seconds_of([one], themselves=False) + seconds_of([one], themselves=True) for one in raylets]
        idle = idle_seconds()
        digest, wall, own = exported(store, engine, work)
        idle = (idle_seconds() - idle) / wall / len(CORES)
        used = [
            seconds_of([one], themselves=False) + seconds_of([one], themselves=True) - was
            for one, was in zip(raylets, before, strict=True)
        ]
        shares = " + ".join(f"{one / wall / cores:.0%}" for one in used)
        of_nodes = " + ".join(f"{one:.1f}" for one in used)
        print(f"| {nodes} | {wall:.1f} | {of_nodes} | {shares} | {own:.1f} | {idle:.0%} | {digest[:16]} |", flush=True)
        engine.close()
        ray.shutdown()
        cluster.shutdown()
    return wall


def on_nodes(nodes: int, from_outside: bool, store: Any, configured: settings.Settings, work: pipeline.Work) -> str:
    import ray
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 150 << 20, "include_dashboard": False}
    client_port = {"ray_client_server_port": 23_456} if from_outside else {}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **client_port, **memory})
    added = []
    for place in range(nodes):
        os.sched_setaffinity(0, {CORES[place % len(CORES)]})
        added.append(cluster.add_node(num_cpus=1, **memory))
    os.sched_setaffinity(0, CORES)
    address = "ray://127.0.0.1:23456" if from_outside else cluster.address
    engine = on_ray.OnRay(dataclasses.replace(configured, ray_address=address, shards_in_flight=2 * nodes))
    raylets = [raylet_of(node) for node in added]
    servers = [*raylets, raylet_of(cluster.head_node), cluster.head_node.all_processes["gcs_server"][0].process.pid]
    exported(store, engine, work)  # processes have started and have loaded what they need
    before = [seconds_of([one], themselves=False) for one in raylets], seconds_of(servers, themselves=True)
    digest, wall, own = exported(store, engine, work)
    of_nodes = [seconds_of([one], themselves=False) - was for one, was in zip(raylets, before[0], strict=True)]
    of_ray = seconds_of(servers, themselves=True) - before[1]
    print(
        f"| ray, {nodes} | {wall:.1f} | {' + '.join(f'{one:.1f}' for one in of_nodes)} | {own:.1f} | {of_ray:.1f} "
        f"| {sum(of_nodes) / max(of_nodes):.2f} | {digest[:16]} |",
        flush=True,
    )
    engine.close()
    ray.shutdown()
    cluster.shutdown()
    return digest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--shard-slices", type=int, default=2)
    parser.add_argument("--bucket", default="")
    parser.add_argument("--quota", type=float, default=0)
    parser.add_argument("--address", choices=["head", "ray"], default="head")
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder, bucket(given.bucket) as name:
        generate.generate(table.EventTable(folder, COMMUNITY), events=given.events, seed=3, start=START)
        os.environ |= environment(folder, name)
        configured = settings.load(engine="ray", shard_slices=given.shard_slices, home=folder)
        store = opening.open_service_bucket(configured, clock=clock.SystemClock())
        if given.quota:
            work = work_of(folder, configured, given.shard_slices)
            print("| nodes | s | CPU s of nodes | of their quota | CPU s of coordinator | idle | SHA-256 |")
            print("|---|---|---|---|---|---|---|")
            took = {nodes: on_quotas(nodes, given.quota, store, configured, work) for nodes in given.nodes}
            for nodes in given.nodes[1:]:
                print(f"{nodes} nodes: {took[given.nodes[0]] / took[nodes]:.2f} times as fast as {given.nodes[0]}.")
            return
        print("| engine, nodes | s | CPU s of nodes | of coordinator | of Ray's servers | ideal | SHA-256 |")
        print("|---|---|---|---|---|---|---|")
        digests = set()
        for count in (1, 2):
            local = threads.Threads(threads=count, upload_threads=2)
            digest, wall, own = exported(store, local, work_of(folder, configured, 0))
            digests.add(digest)
            print(f"| threads, {count} | {wall:.1f} | | {own:.1f} | | | {digest[:16]} |", flush=True)
        work = work_of(folder, configured, given.shard_slices)
        for nodes in given.nodes:
            digests.add(on_nodes(nodes, given.address == "ray", store, configured, work))
    if len(digests) > 1:
        raise SystemExit("the files differ")
    print(f"{given.events:,} events, {len(work.slices)} slices in shards of {given.shard_slices}: one SHA-256.")


if __name__ == "__main__":
    main()
