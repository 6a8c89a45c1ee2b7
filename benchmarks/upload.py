"""Uploads side by side: our S3 store against boto3's own transfer manager, and the embedded store against a plain copy.

Usage: python benchmarks/upload.py [--mebibytes 256] [--rounds 5] [--json FILE]

The S3 half needs PENSTOCK_TEST_CEPH and PENSTOCK_TEST_CEPH_CA (scripts/ceph.sh start). Both sides send the same bytes
in parts of 16 MiB over two threads, https, SSE-C, alternating in one run; the ratio is of the medians of wall time.
Threshold: ours takes at most 1.10 times boto3's, since a store that waits for its object store should cost nothing of
its own. Ours does more: every part is signed with its SHA-256, and checked by the server.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import json
import os
import pathlib
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import boto3.s3.transfer
import botocore.config

from penstock.base import clock
from penstock.storage import CustomerKey, Secret, Store
from penstock.storage.embedded import store as embedded
from penstock.storage.s3 import store as s3

PART_BYTES = 16 * 1024 * 1024
THREADS = 2
KEY = CustomerKey.generate()


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def through_store(store: Store, content: bytes, key: str) -> None:
    """As the pipeline does: parts cut from a buffer, two threads."""
    upload = store.begin(key, KEY, content_type="application/gzip", filename="bench.gz")
    parts = [memoryview(content)[offset : offset + PART_BYTES] for offset in range(0, len(content), PART_BYTES)]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        receipts = list(pool.map(lambda p: store.put_part(upload, p[0], p[1], KEY), enumerate(parts, start=1)))
    store.complete(upload, receipts, KEY)


def through_boto3(client: Any, bucket: str, content: bytes, key: str) -> None:
    """boto3's transfer manager with the same parts and threads."""
    config = boto3.s3.transfer.TransferConfig(
        multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=THREADS
    )
    extra = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY.base64, "SSECustomerKeyMD5": KEY.md5}
    client.upload_fileobj(io.BytesIO(content), bucket, key, ExtraArgs=extra, Config=config)


def through_copy(folder: pathlib.Path, content: bytes) -> None:
    """The floor of the embedded store: the same files, not encrypted, as durable."""
    for number in range(0, len(content), PART_BYTES):
        with (folder / f"{number}").open("wb", buffering=0) as file:
            file.write(memoryview(content)[number : number + PART_BYTES])
            os.fsync(file.fileno())


def compare(
    names: tuple[str, str], works: tuple[Callable[[], None], Callable[[], None]], rounds: int
) -> dict[str, Any]:
    """Alternates the two, who comes first as well; medians, and the ratio first / second with its spread."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(rounds + 1):
        both = list(zip(names, works, strict=True))
        for name, work in reversed(both) if number % 2 else both:
            took = timed(work)
            if number:  # the first round warms up
                times[name].append(took)
    wall = {name: statistics.median(took[0] for took in times[name]) for name in names}
    cpu = {name: statistics.median(took[1] for took in times[name]) for name in names}
    ratios = [ours[0] / theirs[0] for ours, theirs in zip(times[names[0]], times[names[1]], strict=True)]
    return {
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "wall_ratio": wall[names[0]] / wall[names[1]],
        "wall_ratio_of_rounds": (min(ratios), max(ratios)),
    }


def compare_s3(content: bytes, rounds: int) -> dict[str, Any]:
    url, ca_file = os.environ["PENSTOCK_TEST_CEPH"], os.environ["PENSTOCK_TEST_CEPH_CA"]
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="testtest",
        verify=ca_file,
        config=botocore.config.Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            s3={"addressing_style": "path"},
        ),
    )
    bucket = f"bench-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    settings = s3.S3Settings(
        bucket=bucket, endpoint_url=url, access_key_id="test", secret_access_key=Secret("testtest"), ca_file=ca_file
    )
    store = s3.S3Store(settings)
    try:
        ours, theirs = (
            lambda: through_store(store, content, "ours"),
            lambda: through_boto3(client, bucket, content, "boto3"),
        )
        return compare(("penstock", "boto3"), (ours, theirs), rounds)
    finally:
        for key in ("ours", "boto3"):
            client.delete_object(Bucket=bucket, Key=key)
        client.delete_bucket(Bucket=bucket)


def compare_embedded(content: bytes, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        store = embedded.EmbeddedStore(
            root / "store", signing_key=bytes(32), public_url="http://localhost", clock=clock.SystemClock()
        )
        (root / "copy").mkdir()
        works = (lambda: through_store(store, content, "ours"), lambda: through_copy(root / "copy", content))
        result = compare(("penstock", "plain files"), works, rounds)
        _, read_cpu = timed(lambda: [None for _ in store.read("ours", KEY)] and None)
        return {**result, "read_mib_per_cpu_second": len(content) / 2**20 / read_cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    content = os.urandom(arguments.mebibytes * 1024 * 1024)
    results = {"mebibytes": arguments.mebibytes, "embedded": compare_embedded(content, arguments.rounds)}
    if os.environ.get("PENSTOCK_TEST_CEPH"):
        results["s3"] = compare_s3(content, arguments.rounds)
    for name in ("embedded", "s3"):
        if isinstance(found := results.get(name), dict):
            for side, seconds in found["wall_seconds"].items():
                print(
                    f"{name:9} {side:12} {arguments.mebibytes / seconds:8.0f} MiB/s wall "
                    f"{arguments.mebibytes / found['cpu_seconds'][side]:8.0f} MiB/s of CPU"
                )
            least, most = found["wall_ratio_of_rounds"]
            print(f"{name:9} wall ratio   {found['wall_ratio']:8.2f}   ({least:.2f} to {most:.2f} by round)")
    print(f"load average {os.getloadavg()[0]:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
