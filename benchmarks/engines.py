"""The same export on `threads` and on Ray with 1, 2 and 3 nodes: one SHA-256, work per node, what the cluster costs.

Usage: python benchmarks/engines.py [--events 2000000] [--nodes 1 2 3] [--bucket NAME] [--address ray]

Needs PENSTOCK_TEST_CEPH and _CA (scripts/ceph.sh start) and the extra `ray`. A node has one CPU, and is bound to one
core as long as there are cores. Seconds of CPU are counted, of each node's processes, of the coordinator and of Ray's
servers: where nodes, coordinator and S3 server share a machine, the clock says little about machines of their own.
`ideal` is the work of all nodes over that of the busiest: how many times faster they would be than one, each on a
machine of its own, as long as coordinator and store keep up.

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
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if (int(entry.name) if themselves else int(fields[1])) in parents:
                    total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def raylet_of(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


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
    parser.add_argument("--address", choices=["head", "ray"], default="head")
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder, bucket(given.bucket) as name:
        generate.generate(table.EventTable(folder, COMMUNITY), events=given.events, seed=3, start=START)
        os.environ |= environment(folder, name)
        configured = settings.load(engine="ray", shard_slices=given.shard_slices, home=folder)
        store = opening.open_service_bucket(configured, clock=clock.SystemClock())
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
