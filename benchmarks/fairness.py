"""Small exports beside a huge one on one Ray cluster: how long they take, by how many shards the huge one may have.

Usage: python benchmarks/fairness.py [--events 2000000] [--bucket NAME]

Needs what benchmarks/engines.py needs. Two nodes of one CPU. Small exports (one slice) are run one after another, first
alone, then while the huge one runs with 2, 4 and all of its shards given out. In Ray, who asked first is served first,
so a small export waits for the shards that were given out before it, and for no others.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import threading
import time
from typing import Any

import engines as bench

from penstock import settings
from penstock.base import clock
from penstock.export.engines.on_ray import engine as on_ray
from penstock.lake import table
from penstock.samples import generate
from penstock.storage import opening

ALONE = 8


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--bucket", default="")
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder, bench.bucket(given.bucket) as name:
        generate.generate(table.EventTable(folder, bench.COMMUNITY), events=given.events, seed=3, start=bench.START)
        os.environ |= bench.environment(folder, name)
        configured = settings.load(engine="ray", home=folder)
        store = opening.open_service_bucket(configured, clock=clock.SystemClock())
        huge = bench.work_of(folder, configured, 1)
        measure(store, configured, huge, dataclasses.replace(huge, slices=huge.slices[:1]))


def measure(store: Any, configured: settings.Settings, huge: Any, small: Any) -> None:
    import ray
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 200 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **memory)
    at = dataclasses.replace(configured, ray_address=cluster.address)
    of_small = on_ray.OnRay(at)
    bench.exported(store, of_small, huge)  # processes have started
    print("| shards of the huge export at once | small ones | median s | p95 s | the huge one, s |")
    print("|---|---|---|---|---|")
    alone = [bench.exported(store, of_small, small)[1] for _ in range(ALONE)]
    print(f"| (alone) | {row(alone)} | |", flush=True)
    for most in (2, 4, len(huge.slices)):
        of_huge = on_ray.OnRay(dataclasses.replace(at, shards_in_flight=most))
        took: list[float] = []
        running = threading.Thread(target=lambda e=of_huge, t=took: t.append(bench.exported(store, e, huge)[1]))
        running.start()
        time.sleep(0.5)  # it has given its first shards out
        beside = []
        while running.is_alive():
            beside.append(bench.exported(store, of_small, small)[1])
        running.join()
        # The last one ended when the huge one had.
        print(f"| {most} | {row(beside[:-1] or beside)} | {took[0]:.1f} |", flush=True)
    ray.shutdown()
    cluster.shutdown()


def row(seconds: list[float]) -> str:
    ranked = sorted(seconds)
    return f"{len(ranked)} | {statistics.median(ranked):.2f} | {ranked[int(0.95 * (len(ranked) - 1))]:.2f}"


if __name__ == "__main__":
    main()
