"""One export of a whole community from a lake in S3 into S3, with a customer key: time, memory, and what it waits for.

    eval "$(scripts/ceph.sh start)"
    python benchmarks/through_s3.py [--events 2000000] [--preset network] [--download]
    python benchmarks/through_s3.py --home DIR    a home whose first community is in `--lake s3://bucket/prefix` already

The service is `penstock serve` as users run it, its lake and its exports in buckets of the Ceph that the environment
names (PENSTOCK_TEST_CEPH, _CA, _DIR). Every quarter of the events a line: seconds, and the worker's resident memory
now, of which its own (anonymous) is a part. At the end the CPU seconds of each process, the S3 server's included: where
their sum fills the cores, the machine is the bottleneck, and the largest of them what to look at first. `--download`
fetches the file, checks it against its manifest and counts its lines.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator, Mapping

import boto3
import neighbours

from penstock import settings
from penstock.client import Export, Penstock
from penstock.control import apikeys, communities, secrets, states
from penstock.process import services
from penstock.samples import generate

CREDENTIALS = {"access_key_id": "test", "secret_access_key": "testtest"}
EXPORTS = "exports"
TICKS = os.sysconf("SC_CLK_TCK")
STEP = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--home", type=pathlib.Path)
    parser.add_argument("--lake", default="s3://lake/through-s3")
    parser.add_argument("--preset")
    parser.add_argument("--download", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ.update(environment(options.lake))
        token, community = prepared(home, options)
        url, ca_file = stack.enter_context(neighbours.service(home))
        trusted = home / "trusted.pem"  # the API's and the store's
        trusted.write_text(ca_file.read_text() + pathlib.Path(os.environ["PENSTOCK_TEST_CEPH_CA"]).read_text())
        with Penstock(url, token, verify=str(trusted)) as penstock:
            began = time.monotonic()
            job = penstock.search(
                earliest="2020-01-01T00:00:00Z", latest="2035-01-01T00:00:00Z", communities=[community]
            )
            print(f"{job.total:,} events, counted in {time.monotonic() - began:.1f} s")
            exported = job.export(preset=options.preset) if options.preset else job.export()
            followed(exported, job.total)
            if options.download:
                checked(exported, job.total, home)


def environment(lake: str) -> dict[str, str]:
    """Settings of a service whose lake and exports are in the Ceph that the environment names."""
    place = {
        "endpoint_url": os.environ["PENSTOCK_TEST_CEPH"],
        "ca_file": os.environ["PENSTOCK_TEST_CEPH_CA"],
        **CREDENTIALS,
    }
    client = boto3.client(
        "s3",
        endpoint_url=place["endpoint_url"],
        aws_access_key_id=place["access_key_id"],
        aws_secret_access_key=place["secret_access_key"],
        verify=place["ca_file"],
        region_name="us-east-1",
    )
    for bucket in (EXPORTS, lake.removeprefix("s3://").partition("/")[0]):
        client.create_bucket(Bucket=bucket)
    wanted = {"storage": "s3", "s3_bucket": EXPORTS, "lake_path": lake} | {
        f"s3_{name}": value for name, value in place.items()
    }
    return {f"PENSTOCK_{name.upper()}": value for name, value in wanted.items()}


def prepared(home: pathlib.Path, options: argparse.Namespace) -> tuple[str, str]:
    """A key's token, and the community that is exported."""
    if options.home is None:
        secrets.MasterKeys.create(home)
    with services.opened(settings.load(home=home)) as opened:
        with opened.database.begin() as tx:
            now = opened.clock.now()
            found = communities.list_all(tx)
            community = found[0].uuid if found else communities.create(tx, name="large", now=now).uuid
            _, token = apikeys.create(
                tx, communities=[community], permissions=list(states.Permission), name="through", now=now
            )
        table = opened.table(community)
        if table.snapshot().rows == 0:
            generate.generate(table, events=options.events, start=dt.datetime(2026, 3, 1, tzinfo=dt.UTC), days=28)
    return token, community


def followed(exported: Export, total: int) -> None:
    """Waits for the export's end; prints how it went."""
    named = dict(processes())
    before = {pid: cpu_seconds(pid) for pid in named}
    began, largest, next_share = time.monotonic(), Memory(), STEP
    print("| events | s | RSS MiB | of it own MiB |", "|---|---|---|---|", sep="\n")
    while not exported.refresh().status.is_final:
        now = memory(next(pid for pid, name in named.items() if name == "worker"))
        largest = Memory(total=max(largest.total, now.total), own=max(largest.own, now.own))
        if (done := exported.task.progress) >= next_share * total:
            print(f"| {done:,} | {time.monotonic() - began:.1f} | {now.total:.0f} | {now.own:.0f} |", flush=True)
            next_share += STEP
        time.sleep(0.2)
    seconds = time.monotonic() - began
    task = exported.require_finished()
    print(f"| {task.progress:,} | {seconds:.1f} | most {largest.total:.0f} | most {largest.own:.0f} |")
    used = dict.fromkeys(named.values(), 0.0)
    for pid, name in named.items():
        used[name] += cpu_seconds(pid) - before[pid]
    busy = sum(used.values()) / seconds / (os.cpu_count() or 1)
    shares = ", ".join(f"{name} {each:.1f}" for name, each in sorted(used.items(), key=lambda item: -item[1]))
    print(f"{total / seconds / 1e6:.2f} M events/s; CPU s: {shares}; {busy:.0%} of the cores", flush=True)


def checked(exported: Export, total: int, home: pathlib.Path) -> None:
    """Downloads the file, checks it against the manifest, counts."""
    began, path = time.monotonic(), home / "through.jsonl.gz"
    exported.download(path)
    lines = int(os.popen(f"zcat {path} | wc -l").read())
    print(f"{path.stat().st_size:,} bytes downloaded, checked and counted in {time.monotonic() - began:.1f} s")
    assert lines == total, lines
    path.unlink()


def processes() -> Iterator[tuple[int, str]]:
    """PID and name of the service's processes and of the S3 server's."""
    folder = pathlib.Path(os.environ["PENSTOCK_TEST_CEPH_DIR"])
    for daemon in ("rgw", "osd", "mon"):
        yield int((folder / f"{daemon}.pid").read_text()), f"Ceph's {daemon}"
    yield os.getpid(), "this client"
    for api in _children(os.getpid(), b"serve"):
        yield api, "API"
        for worker in _children(api, b"worker.main()"):
            yield worker, "worker"


def _children(pid: int, word: bytes) -> Iterator[int]:
    """Processes that another one started whose command line has the word."""
    for each in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in each.read_text().split():
            if word in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                yield int(child)


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process until now."""
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """MiB of resident memory, and of that what is not mapped from files."""

    total: float = 0.0
    own: float = 0.0


def memory(pid: int) -> Memory:
    """Of a process now."""
    found: Mapping[str, str] = dict(
        line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return Memory(total=int(found["VmRSS"].split()[0]) / 1024, own=int(found["RssAnon"].split()[0]) / 1024)


if __name__ == "__main__":
    main()
