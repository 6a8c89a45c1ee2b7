"""Forty communities export at once, one of them much more than all others: how long the small ones take.

    python benchmarks/neighbours.py [--communities 40] [--small 100000] [--large 5000000] [--rate 200]
    python benchmarks/neighbours.py --home DIR    a home whose first community is the large one; others are added to it

The service is `penstock serve` with its worker and the settings of every day (a community's own searches are done
before). First the small ones start at once; then the same beside the large one, which starts first, while its task is
read at a steady rate as benchmarks/task_reads.py does it. Prints, of the small ones, p50, p95 and the longest of the
wait (start to RUNNING), the run (RUNNING to the end) and both; of the reads p50 and p99; and how far the large one was
when the last small one ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime as dt
import os
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import httpx
import task_reads

from penstock import settings
from penstock.control import apikeys, communities, secrets, states
from penstock.process import services
from penstock.samples import generate

TIMES = {"earliest_time": "2025-01-01T00:00:00Z", "latest_time": "2027-01-01T00:00:00Z"}
NAME = "neighbour-{}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds of one export: from its start until it ran, and from then to its end."""

    wait: float
    run: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--communities", type=int, default=40)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=5_000_000)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--home", type=pathlib.Path)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        token, made = prepared(home, options)
        url, ca_file = stack.enter_context(service(home))
        asyncio.run(measured(url, ca_file, token, made, options))


def prepared(home: pathlib.Path, options: argparse.Namespace) -> tuple[str, list[str]]:
    """A key's token, and the communities, filled; the large one first."""
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    if options.home is None:
        secrets.MasterKeys.create(home)
    with services.opened(settings.Settings(home=home)) as opened:
        with opened.database.begin() as tx:
            now = opened.clock.now()
            found = {one.name: one.uuid for one in communities.list_all(tx)}
            large = next(iter(found.values())) if found else communities.create(tx, name="large", now=now).uuid
            names = [NAME.format(number) for number in range(options.communities - 1)]
            small = [found.get(name) or communities.create(tx, name=name, now=now).uuid for name in names]
            _, token = apikeys.create(
                tx, communities=[large, *small], permissions=list(states.Permission), name="neighbours", now=now
            )
        for uuid, events in ((large, options.large), *((uuid, options.small) for uuid in small)):
            table = opened.table(uuid)
            if table.snapshot().rows == 0:
                generate.generate(table, events=events, start=start, days=7)
    return token, [large, *small]


@contextlib.contextmanager
def service(home: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
    """`penstock serve`: its URL and its CA's file."""
    environment = os.environ | {"PENSTOCK_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "penstock", "serve", "--tls", "--port", "0"]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            url = next(found[1] for line in process.stdout if (found := re.search(r"listens on (\S+)", line)))
            yield url, home / "tls" / "ca.pem"
        finally:
            process.terminate()
            process.stdout.read()


async def measured(url: str, ca_file: pathlib.Path, token: str, made: list[str], options: argparse.Namespace) -> None:
    """Both rounds, printed."""
    verify = ssl.create_default_context(cafile=str(ca_file))
    headers = {"Authorization": f"Bearer {token}"}
    # As many connections as there are who wait: a client's own queue is not what is measured.
    limits = httpx.Limits(max_connections=options.communities + 4)
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=verify, timeout=120, limits=limits) as http:
        jobs = [await searched(http, community) for community in made]
        print("| | p50 s | p95 s | longest s |", "|---|---|---|---|", sep="\n")
        alone = await exported(http, jobs[1:])
        shown("small ones alone", alone)
        answer = await http.post(f"{task_reads.JOBS}/{jobs[0]}/export", json=task_reads.WITH_KEY)
        large: str = answer.raise_for_status().json()["task_uuid"]
        while (await http.get(f"/v1/tasks/{large}")).json()["status"] == "PENDING":
            await asyncio.sleep(0.1)
        reading = asyncio.create_task(read(url, verify, token, large, options.rate))
        began = time.monotonic()
        beside = await exported(http, jobs[1:])
        shown("beside the large one", beside)
        task = (await http.get(f"/v1/tasks/{large}")).json()
        after = time.monotonic() - began
        progress = f"{task['status']}, {task['progress']:,} of {task['total']:,} events after {after:.1f} s"
        print(f"\nThe large one when the last small one ended: {progress}.")
        reading.cancel()
        phase = await reading
        print(f"Reads of its task meanwhile, {options.rate:g} a second: p50 {phase[0]} ms, p99 {phase[1]} ms.")
        await http.post(f"/v1/tasks/{large}/cancel")


async def searched(http: httpx.AsyncClient, community: str) -> str:
    body = {**TIMES, "community_uuids": [community]}
    job: str = (await http.post(task_reads.JOBS, json=body)).raise_for_status().json()["uuid"]
    while (await http.get(f"{task_reads.JOBS}/{job}")).json()["status"] < 2:
        await asyncio.sleep(0.1)
    return job


async def exported(http: httpx.AsyncClient, jobs: list[str]) -> list[Took]:
    """Starts an export of each job at once and waits for all. One list tells of all: forty clients would be load."""

    async def start(job: str) -> tuple[str, float]:
        began = time.monotonic()
        answer = await http.post(f"{task_reads.JOBS}/{job}/export", json=task_reads.WITH_KEY)
        return str(answer.raise_for_status().json()["task_uuid"]), began

    began = dict(await asyncio.gather(*map(start, jobs)))
    ran: dict[str, float] = {}
    ended: dict[str, float] = {}
    while len(ended) < len(began):
        listed = (await http.get("/v1/tasks", params={"limit": 200})).raise_for_status().json()["items"]
        now = time.monotonic()
        for task in listed:
            if task["uuid"] in began and task["status"] != "PENDING":
                ran.setdefault(task["uuid"], now)
                if task["status"] != "RUNNING":
                    assert task["status"] == "FINISHED", task
                    ended.setdefault(task["uuid"], now)
        await asyncio.sleep(0.2)
    return [Took(wait=ran[uuid] - since, run=ended[uuid] - ran[uuid]) for uuid, since in began.items()]


async def read(url: str, verify: ssl.SSLContext, token: str, task: str, rate: float) -> tuple[float, float]:
    """p50 and p99 in milliseconds of reads at a steady rate, until it is cancelled."""
    host, port = url.removeprefix("https://").split(":")
    readers: asyncio.Queue[task_reads.Reader] = asyncio.Queue()
    for _ in range(task_reads.CONNECTIONS):
        streams = await asyncio.open_connection(host, int(port), ssl=verify)
        readers.put_nowait(task_reads.Reader(streams, token))
    latencies: list[float] = []
    began, number, running = time.perf_counter(), 0, set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        reader = await readers.get()
        await reader.get(f"/v1/tasks/{task}")
        latencies.append(1000 * (time.perf_counter() - due))
        readers.put_nowait(reader)

    with contextlib.suppress(asyncio.CancelledError):
        while True:
            number += 1
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            running.add(asyncio.create_task(one(due)))
    await asyncio.gather(*running)
    found = sorted(latencies)
    return round(found[len(found) // 2], 1), round(found[int(len(found) * 0.99)], 1)


def shown(what: str, found: list[Took]) -> None:
    """Three lines of the table."""
    parts: dict[str, list[float]] = {
        "wait": [one.wait for one in found],
        "run": [one.run for one in found],
        "both": [one.wait + one.run for one in found],
    }
    for name, several in parts.items():
        ordered: list[Any] = sorted(several)
        p50, p95 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        print(f"| {what}: {name} | {p50:.1f} | {p95:.1f} | {ordered[-1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
