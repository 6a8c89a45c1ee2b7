"""Reads tasks at a steady rate while an export runs on the same machine, and prints how long the answers take.

    python benchmarks/task_reads.py [--rate 200] [--seconds 20] [--events 4000000] [--json]

The service is a process of its own, as in production (`penstock serve`, worker included), over TLS. Requests are sent
at their due time whether or not earlier ones have been answered (an open loop), and latency counts from the due time: a
stalled service cannot hide behind a client that waits for it. Exports follow one another for as long as the reads go
on. The requirement is p99 < 100 ms at 200 requests a second on two otherwise idle cores; client, service and export
share them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import time

import httpx

from penstock import services, settings
from penstock.control import apikeys, communities, secrets, states
from penstock.lake import generate

JOBS = "/v1/sic/conf/events/search/jobs"
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CONNECTIONS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        token = _prepare(home, options.events)
        command = [sys.executable, "-m", "penstock", "serve", "--tls", "--port", "0"]
        environment = os.environ | {"PENSTOCK_HOME": folder, "PYTHONUNBUFFERED": "1", "PENSTOCK_LOG_LEVEL": "warning"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = next(found[1] for line in process.stdout if (found := re.search(r"listens on (\S+)", line)))
            try:
                found = asyncio.run(_measure(url, home / "tls" / "ca.pem", token, options))
            finally:
                process.terminate()
                process.stdout.read()
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>24}  {value}")


def _prepare(home: pathlib.Path, events: int) -> str:
    secrets.MasterKeys.create(home)
    with services.opened(settings.Settings(home=home)) as opened:
        with opened.database.begin() as tx:
            now = opened.clock.now()
            community = communities.create(tx, name="bench", now=now)
            _, token = apikeys.create(
                tx, communities=[community.uuid], permissions=list(states.Permission), name="bench", now=now
            )
        generate.generate(opened.table(community.uuid), events=events, start=START, days=7)
    return token


async def _measure(url: str, ca_file: pathlib.Path, token: str, options: argparse.Namespace) -> dict[str, object]:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    verify = ssl.create_default_context(cafile=str(ca_file))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, verify=verify, timeout=60) as http:
        job = (
            await http.post(JOBS, json={"earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-08T00:00:00Z"})
        ).json()["uuid"]
        while (await http.get(f"{JOBS}/{job}")).json()["status"] < 2:
            await asyncio.sleep(0.1)
        task = (await http.post(f"{JOBS}/{job}/export")).json()["task_uuid"]
        while (await http.get(f"/v1/tasks/{task}")).json()["status"] == "PENDING":
            await asyncio.sleep(0.01)
        latencies: list[float] = []
        statuses: list[str] = []
        again = asyncio.create_task(_keep_exporting(http, job, task))
        began = time.perf_counter()

        async def read(due: float) -> None:
            answer = await http.get(f"/v1/tasks/{task}")
            latencies.append(time.perf_counter() - due)
            statuses.append(answer.json()["status"])

        running = []
        for number in range(int(options.rate * options.seconds)):
            due = began + number / options.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            running.append(asyncio.create_task(read(due)))
        await asyncio.gather(*running)
        again.cancel()
        exports = (await http.get("/v1/tasks")).json()["total"]
    ordered = sorted(latencies)
    return {
        "requests": len(ordered),
        "rate": options.rate,
        "exports beside": exports,
        "p50 ms": round(1000 * ordered[len(ordered) // 2], 1),
        "p90 ms": round(1000 * ordered[int(len(ordered) * 0.9)], 1),
        "p99 ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1),
        "max ms": round(1000 * ordered[-1], 1),
    }


async def _keep_exporting(http: httpx.AsyncClient, job: str, task: str) -> None:
    """An export is running for as long as the reads go on: when one has ended the next is started."""
    while True:
        if (await http.get(f"/v1/tasks/{task}")).json()["status"] not in ("PENDING", "RUNNING"):
            task = (await http.post(f"{JOBS}/{job}/export")).json().get("task_uuid", task)
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
