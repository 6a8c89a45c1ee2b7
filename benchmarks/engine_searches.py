"""The same search in one process and on Ray with 1, 2 and 3 nodes, alone and beside an export that fills the cluster.

Usage: python benchmarks/engine_searches.py [--events 1000000] [--nodes 1 2 3]

As `benchmarks/engines.py`, whose nodes it uses: a node has one CPU, bound to one core; seconds of CPU are what to read.
`ideal` is the work of all nodes over that of the busiest. The last rows have one node, and tell when the search's first
shard was back.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator

import engines as bench

from penstock import settings
from penstock.base import clock
from penstock.export.engines.on_ray import engine as on_ray
from penstock.lake import table
from penstock.samples import generate
from penstock.search import found, question
from penstock.storage import opening
from penstock.worker.searches import wide

TERM = "message:*nowhere* OR login OR nothing OR event.category:network"
SHARD_ROWS = 131_072


def asked() -> question.Question:
    return question.Question(
        term=TERM,
        filters=(),
        earliest=bench.START - dt.timedelta(days=1),
        latest=bench.START + dt.timedelta(days=30),
        community_uuids=(bench.COMMUNITY,),
        max_last_events=1000,
    )


def searched(lake: str, engine: on_ray.OnRay) -> tuple[found.Found, float, float, float]:
    """What was found, seconds, seconds until the first shard was back, seconds of this process's CPU."""
    one, job_uuid, began, cpu = asked(), str(uuid.uuid4()), time.perf_counter(), time.process_time()
    cut = found.find_or_cut(one, lambda name: table.EventTable(lake, name), print, shard_rows=SHARD_ROWS)
    assert isinstance(cut, found.Wide)
    pool = engine.search_pool(job_uuid)
    assert pool is not None
    told: list[float] = []
    came = wide.find(
        one,
        cut,
        pool,
        lambda: None,
        lambda so_far: told.append(time.perf_counter() - began),
        job_uuid=job_uuid,
        patience_seconds=120,
    )
    return came, time.perf_counter() - began, told[0], time.process_time() - cpu


@contextlib.contextmanager
def cluster_of(nodes: int, configured: settings.Settings) -> Iterator[tuple[on_ray.OnRay, list[int], list[int]]]:
    """The engine, each node's raylet, and Ray's servers."""
    import ray
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 150 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    added = []
    for place in range(nodes):
        os.sched_setaffinity(0, {bench.CORES[place % len(bench.CORES)]})
        added.append(made.add_node(num_cpus=1, **memory))
    os.sched_setaffinity(0, bench.CORES)
    engine = on_ray.OnRay(dataclasses.replace(configured, ray_address=made.address, shards_in_flight=2 * nodes))
    raylets = [bench.raylet_of(node) for node in added]
    head = [bench.raylet_of(made.head_node), made.head_node.all_processes["gcs_server"][0].process.pid]
    yield engine, raylets, [*raylets, *head]
    engine.close()
    ray.shutdown()
    made.shutdown()


def alone(nodes: int, lake: str, configured: settings.Settings, expected: found.Found) -> None:
    with cluster_of(nodes, configured) as (engine, raylets, servers):
        searched(lake, engine)  # processes have started and have loaded what they need
        before = [bench.seconds_of([one], themselves=False) for one in raylets]
        of_ray = bench.seconds_of(servers, themselves=True)
        came, wall, _, own = searched(lake, engine)
        of_nodes = [bench.seconds_of([one], themselves=False) - was for one, was in zip(raylets, before, strict=True)]
        of_ray = bench.seconds_of(servers, themselves=True) - of_ray
    if came != expected:
        raise SystemExit("the results differ")
    print(
        f"| ray, {nodes} | {wall:.1f} | {' + '.join(f'{one:.1f}' for one in of_nodes)} | {own:.1f} | {of_ray:.1f} "
        f"| {sum(of_nodes) / max(of_nodes):.2f} |",
        flush=True,
    )


def beside_an_export(lake: str, configured: settings.Settings) -> None:
    """One node: the first shard of a search, alone and while an export's shards of two seconds of CPU are queued."""
    store = opening.open_service_bucket(configured, clock=clock.SystemClock())
    work = bench.work_of(lake, configured, 8)
    with cluster_of(1, configured) as (engine, _, _):
        searched(lake, engine)
        _, wall, first, _ = searched(lake, engine)
        print(f"alone: first shard back after {first:.1f} s, all after {wall:.1f} s", flush=True)
        exporting = threading.Thread(target=lambda: bench.exported(store, engine, work))
        began = time.perf_counter()
        exporting.start()
        time.sleep(1.0)  # its first shards have the node's CPU
        _, wall, first, _ = searched(lake, engine)
        print(f"beside an export: first shard back after {first:.1f} s, all after {wall:.1f} s", flush=True)
        exporting.join()
        print(f"the export took {time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder, bench.bucket("") as name:
        generate.generate(table.EventTable(folder, bench.COMMUNITY), events=given.events, seed=3, start=bench.START)
        os.environ |= bench.environment(folder, name)
        configured = settings.load(engine="ray", home=folder)
        print("| what, nodes | s | CPU s of nodes | of coordinator | of Ray's servers | ideal |")
        print("|---|---|---|---|---|---|")
        began, cpu = time.perf_counter(), time.process_time()
        expected = found.find(asked(), lambda one: table.EventTable(folder, one))
        print(
            f"| one process | {time.perf_counter() - began:.1f} | | {time.process_time() - cpu:.1f} | | |", flush=True
        )
        for nodes in given.nodes:
            alone(nodes, folder, configured, expected)
        beside_an_export(folder, configured)


if __name__ == "__main__":
    main()
