"""A whole export into S3 against its two halves alone: encoding (`dump` to a file) and uploading the same bytes.

Usage: python benchmarks/export_to_s3.py [--events 2000000] [--rounds 5] [--line 40] [--json FILE]

Needs PENSTOCK_TEST_CEPH, _CA and _DIR (scripts/ceph.sh start). Three works alternate in one process:

- encode: lake to a local file, all cores;
- upload: that file's bytes through our S3 store, in parts of 16 MiB over two threads, SSE-C, https;
- export: a worker claims an export and drives it to FINISHED: plan, encode, upload, checkpoints, manifest, signed URLs.

Threshold: the export takes at most 1.15 times the slower half, since encoding and uploading overlap. To overlap, they
need free cores. Where the S3 server runs on the same cores, no pipeline can be faster than all CPU work, ours and the
server's, divided by the cores. That floor is printed; where it is above the slower half, it is what the pipeline can be
held to. So the comparison is made twice: as it is, and over a line of `--line` MiB/s (parts wait for their turn on it),
as to an S3 server far away, where cores are free and nothing but overlapping decides.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import functools
import json
import logging
import os
import pathlib
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.config
import structlog

from penstock import export as pipeline
from penstock import query, settings, storage, worker
from penstock.control import apikeys, communities, exports, limits, searches, secrets
from penstock.fields import presets
from penstock.lake import table
from penstock.lake.read import plan
from penstock.process import services
from penstock.samples import generate

THRESHOLD = 1.15
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
EVERYTHING = plan.TimeRange(earliest=START - dt.timedelta(days=1), latest=START + dt.timedelta(days=365))
KEY = storage.CustomerKey.generate()
CORES = os.cpu_count() or 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds of one work: on the clock, of this process's CPU, of the S3 server's CPU."""

    wall: float
    own_cpu: float
    server_cpu: float


def timed(work: Callable[[], object]) -> Took:
    wall, own, server = time.perf_counter(), time.process_time(), server_seconds()
    work()
    return Took(
        wall=time.perf_counter() - wall,
        own_cpu=time.process_time() - own,
        server_cpu=server_seconds() - server,
    )


def server_seconds() -> float:
    """CPU seconds that the daemons of scripts/ceph.sh have used; 0 if the server is not on this machine."""
    total = 0.0
    for pid_file in pathlib.Path(os.environ.get("PENSTOCK_TEST_CEPH_DIR", "/nonexistent")).glob("*.pid"):
        fields = pathlib.Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


@contextlib.contextmanager
def bucket() -> Iterator[dict[str, Any]]:
    """Settings of a fresh bucket on the Ceph."""
    url, ca_file = os.environ["PENSTOCK_TEST_CEPH"], os.environ["PENSTOCK_TEST_CEPH_CA"]
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="testtest",
        verify=ca_file,
        config=botocore.config.Config(signature_version="s3v4", request_checksum_calculation="when_required"),
    )
    name = f"bench-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    try:
        yield {
            "storage": "s3",
            "s3_bucket": name,
            "s3_endpoint_url": url,
            "s3_ca_file": ca_file,
            "s3_access_key_id": "test",
            "s3_secret_access_key": "testtest",
        }
    finally:
        for item in client.list_objects_v2(Bucket=name).get("Contents", ()):
            client.delete_object(Bucket=name, Key=item["Key"])
        client.delete_bucket(Bucket=name)


class Line:
    """A store at the end of a line that takes so many bytes a second; all else is the store's."""

    def __init__(self, store: storage.Store, bytes_per_second: float) -> None:
        self._store, self._bytes_per_second = store, bytes_per_second
        self._lock, self._free_at = threading.Lock(), 0.0

    def put_part(
        self, upload: storage.Upload, number: int, body: bytes | memoryview, customer_key: storage.CustomerKey
    ) -> storage.Receipt:
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + len(body) / self._bytes_per_second
            through_at = self._free_at
        receipt = self._store.put_part(upload, number, body, customer_key)
        time.sleep(max(0.0, through_at - time.monotonic()))
        return receipt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Bench:
    """A service in this process with one community, its events, and a search job over all of them."""

    def __init__(self, opened: services.Services, events: int) -> None:
        self.opened = opened
        now = opened.clock.now()
        with opened.database.begin() as tx:
            self.community = communities.create(tx, name="bench", now=now)
            api_key, _ = apikeys.create(
                tx, communities=[self.community.uuid], permissions=["ADMIN"], name="bench", now=now
            )
        self.lake = table.EventTable(opened.settings.resolved_lake_path, self.community.uuid)
        generate.generate(self.lake, events=events, seed=1, start=START)
        with opened.database.begin() as tx:
            job = searches.create(
                tx,
                term="",
                earliest_time="",
                latest_time="",
                earliest=EVERYTHING.earliest,
                latest=EVERYTHING.latest,
                community_uuids=[self.community.uuid],
                created_by=api_key.uuid,
                now=now,
                ttl_seconds=86_400,
            )
        worker.Worker(opened).run_pending()
        with opened.database.read() as tx:
            self.job = searches.get(tx, job.uuid, None)

    def over(self, bytes_per_second: float) -> None:
        """From now on, the store is at the end of a line."""
        self.opened = dataclasses.replace(self.opened, store=Line(self.opened.store, bytes_per_second))

    def encode(self, path: pathlib.Path) -> None:
        """What `penstock dump` does."""
        values = self.opened.settings
        pipeline.dump(
            self.lake.snapshot(),
            node=query.parse(""),
            time_range=EVERYTHING,
            fields=presets.DEFAULT_FIELDS,
            path=path,
            threads=values.encoding_threads,
            slice_rows=values.slice_rows,
            slice_bytes=values.slice_bytes,
            part_bytes=values.part_bytes,
        )

    def upload(self, content: bytes) -> None:
        """The bytes alone, in parts as the export's."""
        store, size = self.opened.store, self.opened.settings.part_bytes
        upload = store.begin("penstock/alone", KEY, content_type="application/gzip", filename="alone.gz")
        parts = [memoryview(content)[offset : offset + size] for offset in range(0, len(content), size)]
        with concurrent.futures.ThreadPoolExecutor(self.opened.settings.upload_threads) as pool:
            receipts = list(pool.map(lambda part: store.put_part(upload, part[0], part[1], KEY), enumerate(parts, 1)))
        store.complete(upload, receipts, KEY)

    def start(self) -> str:
        """An export that waits for its worker."""
        task_uuid, opened = exports.new_task_uuid(), self.opened
        with opened.database.begin() as tx:
            exports.start(
                tx,
                exports.NewExport(
                    task_uuid=task_uuid,
                    job_uuid=self.job.uuid,
                    community_uuid=self.community.uuid,
                    fields=presets.DEFAULT_FIELDS,
                    term="",
                    earliest=self.job.earliest,
                    latest=self.job.latest,
                    expected_events=self.job.total or 0,
                    sse_customer_key_md5=KEY.md5,
                    customer_key_generated=False,
                    sealed_customer_key=opened.master_keys.seal(KEY.raw, secrets.customer_key_context(task_uuid)),
                    created_by="bench",
                ),
                limits=limits.for_community(tx, self.community.uuid, opened.settings),
                now=opened.clock.now(),
            )
        return task_uuid

    def export(self) -> None:
        """From the claim to FINISHED."""
        assert worker.Worker(self.opened).run_export()

    def removed(self, task_uuid: str, size: int) -> None:
        """Checks that the export is what was encoded, and deletes it: a full store is a slow one."""
        with self.opened.database.read() as tx:
            found = exports.get(tx, task_uuid, None)
        assert (found.status, found.compressed_bytes) == ("FINISHED", size), found.error_message
        assert found.object_key is not None
        self.opened.store.delete(found.object_key)
        self.opened.store.delete(storage.manifest_key(found.object_key))


def measured(bench: Bench, path: pathlib.Path, rounds: int) -> dict[str, Any]:
    """Alternates the three; the first round warms up."""
    took: dict[str, list[Took]] = {"encode": [], "upload": [], "export": []}
    for number in range(rounds + 1):
        encode = timed(functools.partial(bench.encode, path))
        content = path.read_bytes()
        upload = timed(functools.partial(bench.upload, content))
        bench.opened.store.delete("penstock/alone")
        task_uuid = bench.start()
        export = timed(bench.export)
        bench.removed(task_uuid, len(content))
        if number:
            for name, each in (("encode", encode), ("upload", upload), ("export", export)):
                took[name].append(each)
    wall = {name: statistics.median(each.wall for each in found) for name, found in took.items()}
    cpu = {name: statistics.median(each.own_cpu for each in found) for name, found in took.items()}
    server = {name: statistics.median(each.server_cpu for each in found) for name, found in took.items()}
    slower = max(wall["encode"], wall["upload"])
    floor = (cpu["encode"] + cpu["upload"] + server["upload"]) / CORES
    return {
        "bytes": len(content),
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "server_cpu_seconds": server,
        "slower_half_seconds": slower,
        "shared_cores_floor_seconds": floor,
        "ratio_to_slower_half": wall["export"] / slower,
        "ratio_to_both_in_turn": wall["export"] / (wall["encode"] + wall["upload"]),
        "ratio_to_floor": wall["export"] / max(slower, floor),
        "load_average": os.getloadavg(),
    }


def shown(what: str, result: dict[str, Any]) -> None:
    mebibytes = result["bytes"] / 2**20
    print(f"{what}: {mebibytes:.0f} MiB, {CORES} cores, load {result['load_average'][0]:.1f}")
    for name, wall in result["wall_seconds"].items():
        own, server = result["cpu_seconds"][name], result["server_cpu_seconds"][name]
        speed = f"{wall:7.2f} s wall {mebibytes / wall:6.0f} MiB/s"
        print(f"{name:7} {speed}   CPU: {own:6.2f} s ours, {server:6.2f} s the server's")
    print(f"export / slower half      {result['ratio_to_slower_half']:5.2f}   at most {THRESHOLD}")
    floor = result["shared_cores_floor_seconds"]
    print(f"export / floor            {result['ratio_to_floor']:5.2f}   slower half, or CPU by cores: {floor:.2f} s")
    print(f"export / both in turn     {result['ratio_to_both_in_turn']:5.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--line", type=float, default=40.0, help="MiB/s of the line; 0: without that comparison")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder, bucket() as found:
        home = pathlib.Path(folder)
        secrets.MasterKeys.create(home)
        values = settings.load(home=home, exports_per_search_job=10_000, quota_bytes_per_month=10**13, **found)
        with services.opened(values) as opened:
            bench, path = Bench(opened, arguments.events), home / "dump.jsonl.gz"
            results = {"as it is": measured(bench, path, arguments.rounds)}
            shown("as it is", results["as it is"])
            if arguments.line:
                bench.over(arguments.line * 2**20)
                results["over a line"] = measured(bench, path, arguments.rounds)
                shown(f"over a line of {arguments.line:.0f} MiB/s", results["over a line"])
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
