"""The lake in a bucket against the lake on a disk: ingest and export of the same events, in one run.

    PENSTOCK_TEST_CEPH=https://… PENSTOCK_TEST_CEPH_CA=… python benchmarks/lake_in_s3.py --events 500000

Every step runs in a process of its own, so that its CPU and its peak RSS are its own: generate and ingest; an export
with an empty cache; the same with a full one. `rare` looks for a value that is nowhere. CPU is that of our own process.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from typing import Any

FIELDS = ["@timestamp", "message"]


def lake_of(place: str, folder: str) -> Any:
    """The lake on the disk, or in the bucket that the environment names."""
    from penstock.lake import location

    if place == "disk":
        return location.DiskLake(os.path.join(folder, "lake"))
    from penstock.lake.location import bucket, s3
    from penstock.storage import Secret

    address = bucket.Address(
        bucket=os.environ["BENCH_BUCKET"],
        endpoint_url=os.environ["PENSTOCK_TEST_CEPH"],
        access_key_id="test",
        secret_access_key=Secret("testtest"),
        ca_file=os.environ["PENSTOCK_TEST_CEPH_CA"],
    )
    return s3.S3Lake(
        address=address, prefix="lake", cache_folder=pathlib.Path(folder, "cache"), cache_bytes=10_000_000_000
    )


def step(name: str, place: str, folder: str, events: int) -> None:
    """One step, measured; prints JSON."""
    from penstock import export, query
    from penstock.lake import table
    from penstock.lake.read import plan, scan
    from penstock.samples import generate

    made = table.EventTable(lake_of(place, folder), "bench")
    begun, cpu = time.perf_counter(), time.process_time()
    if name == "ingest":
        generate.generate(made, events=events, seed=5, start=dt.datetime(2026, 1, 5, tzinfo=dt.UTC))
    elif name == "rare":
        snapshot = made.snapshot()
        predicate = query.compile(query.parse("nowhere-to-be-found"), snapshot.query_columns)
        assert scan.count(snapshot, plan.TimeRange.ever(), predicate) == 0
    else:
        report = export.dump(
            made.snapshot(),
            node=query.parse(""),
            time_range=plan.TimeRange.ever(),
            fields=FIELDS,
            path=pathlib.Path(folder, "out.jsonl.gz"),
            threads=os.cpu_count() or 1,
            slice_rows=131_072,
            slice_bytes=128 << 20,
            part_bytes=16 << 20,
        )
        assert report.events == events
    print(
        json.dumps(
            {
                "wall": time.perf_counter() - begun,
                "cpu": time.process_time() - cpu,
                "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def main() -> None:
    """Runs the steps on both places and prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--step", nargs=3)
    given = parser.parse_args()
    if given.step:
        step(*given.step, given.events)
        return
    from penstock.lake.location import bucket
    from penstock.process import environment

    environment.prepare()
    os.environ["BENCH_BUCKET"] = f"bench-{uuid.uuid4().hex[:12]}"
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        address = lake_of("s3", folder).address
        client = bucket.opened(address)
        client._client.create_bucket(Bucket=address.bucket)
        try:
            print(f"{'step':22} {'wall s3/disk':>16} {'CPU s3/disk':>16} {'RSS MB s3/disk':>18}")
            for name, fresh in (("ingest", False), ("rare", True), ("export", True), ("export again", False)):
                found = {}
                for place in ("disk", "s3"):
                    if fresh:
                        subprocess.run(["rm", "-rf", os.path.join(folder, "cache")], check=True)
                    command = [sys.executable, __file__, "--events", str(given.events)]
                    command += ["--step", name.split()[0], place, folder]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                    found[place] = json.loads(done.stdout)
                disk, s3 = found["disk"], found["s3"]
                print(
                    f"{name:22} {s3['wall']:6.2f} {s3['wall'] / disk['wall']:8.2f}x {s3['cpu']:6.2f} "
                    f"{s3['cpu'] / disk['cpu']:8.2f}x {s3['rss']:8.0f} {disk['rss']:8.0f}",
                    flush=True,
                )
        finally:
            client.delete([one.key for one in client.objects("")])
            client._client.delete_bucket(Bucket=address.bucket)


if __name__ == "__main__":
    main()
