"""Reads tasks at a steady rate beside full searches, exports and intake on one machine: how long the answers take.

    python benchmarks/task_reads.py [--rate 200] [--seconds 20] [--events 4000000] [--beside exports,searches,intake]

The service is `penstock serve`, its worker included, over TLS, with the settings of every day. Requests are sent at
their due time whether or not earlier ones have been answered (an open loop), and latency counts from the due time: a
stalled service cannot hide behind a client that waits for it. First the reads have the service to themselves; then, for
as long as the reads go on, exports follow one another, every thread for searches is busy with one that reads all
columns of all events, and a shipper posts events. The requirement: p99 < 100 ms at 200 requests a second beside all of
that on two otherwise idle cores; client, service and work share them, so the client speaks HTTP over bare asyncio
streams: httpx takes 3.5 ms of CPU for a request, more than the service.

Prints p50, p90, p99 and the longest of both phases, p99 as a share of the limit, what was done beside, and how many
cores something else kept busy: figures of a machine that is not quiet say nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import dataclasses
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

from penstock import settings
from penstock.control import apikeys, communities, secrets, states
from penstock.process import services
from penstock.samples import generate

JOBS = "/v1/sic/conf/events/search/jobs"
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CONNECTIONS = 32
LIMIT_MS = 100.0
MOST_BEHIND_SECONDS = 5.0
"""Of reads that wait: a service, or a machine, that is so far behind does not catch up."""

BESIDE = ("exports", "searches", "intake")
DEAR = "*connexion*"
"""A search that reads every value: a pattern without a field, which no index answers."""

POSTS_A_SECOND = 10
EVENTS_A_POST = 100
WITH_KEY = {"generate_customer_key": True}
TIMES = {"earliest_time": "2026-03-01T00:00:00Z", "latest_time": "2026-03-08T00:00:00Z"}
LOAD_BEFORE = round(os.getloadavg()[0], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--beside", default=",".join(BESIDE), help="what goes on meanwhile: exports,searches,intake")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        token, communities = _prepare(home, options.events)
        command = [sys.executable, "-m", "penstock", "serve", "--tls", "--port", "0"]
        environment = os.environ | {
            "PENSTOCK_HOME": folder,
            "PENSTOCK_EXPORTS_PER_SEARCH_JOB": "100000",  # of a long run
            "PYTHONUNBUFFERED": "1",
        }
        with (
            (home / "log").open("w") as log,
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            assert process.stdout is not None
            url = next(found[1] for line in process.stdout if (found := re.search(r"listens on (\S+)", line)))
            try:
                found = asyncio.run(_measure(url, home / "tls" / "ca.pem", token, communities, process.pid, options))
            finally:
                process.terminate()
                process.stdout.read()
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>24}  {value}")


def _prepare(home: pathlib.Path, events: int) -> tuple[str, list[str]]:
    """A key's token, and its communities: the first has the events, the others search in copies of its first part."""
    secrets.MasterKeys.create(home)
    with services.opened(settings.Settings(home=home)) as opened:
        with opened.database.begin() as tx:
            now = opened.clock.now()
            made = [communities.create(tx, name=name, now=now).uuid for name in ("bench", "other")]
            _, token = apikeys.create(tx, communities=made, permissions=list(states.Permission), name="bench", now=now)
        generate.generate(opened.table(made[0]), events=events, start=START, days=7)
        generate.generate(opened.table(made[1]), events=events // 4, start=START, days=7)
    return token, made


class Reader:
    """Reads one path over a connection of its own."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], token: str) -> None:
        self._reader, self._writer = streams
        self._token = token

    async def get(self, path: str) -> bytes:
        """The body of the answer, which must be 200."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return await self._reader.readexactly(int(length.partition(b":")[2]))

    def close(self) -> None:
        self._writer.close()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of reads.

    Attributes:
        seconds: latencies, ascending.
        cpu_ms: CPU that the service took for a read, all its work counted; None where it cannot be told.
        others_cores: cores that neither the service nor this client kept busy; None where it cannot be told.
    """

    seconds: list[float]
    cpu_ms: float | None
    others_cores: float | None

    def quantile_ms(self, share: float) -> float:
        return round(1000 * self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))], 1)


async def _measure(
    url: str, ca_file: pathlib.Path, token: str, communities: list[str], pid: int, options: argparse.Namespace
) -> dict[str, object]:
    verify = ssl.create_default_context(cafile=str(ca_file))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=verify, timeout=60) as http:
        job = (await http.post(JOBS, json={**TIMES, "community_uuids": communities[:1]})).json()["uuid"]
        while (await http.get(f"{JOBS}/{job}")).json()["status"] < 2:
            await asyncio.sleep(0.1)
        task = (await http.post(f"{JOBS}/{job}/export", json=WITH_KEY)).json()["task_uuid"]
        while (await http.get(f"/v1/tasks/{task}")).json()["status"] != "FINISHED":
            await asyncio.sleep(0.1)
        host, port = url.removeprefix("https://").split(":")
        readers: asyncio.Queue[Reader] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            readers.put_nowait(Reader(await asyncio.open_connection(host, int(port), ssl=verify), token))
        alone = await _phase(readers, f"/v1/tasks/{task}", pid, options.rate, options.seconds / 2)
        posted: collections.Counter[str] = collections.Counter()
        work = {
            "exports": [_keep_exporting(http, job)],
            # As many as run at once: two of each community.
            "searches": [_keep_searching(http, community) for community in communities * 2],
            "intake": [_keep_posting(http, communities[1], posted)],
        }
        wanted = options.beside.split(",")
        chosen = [one for name, several in work.items() if name in wanted for one in several]
        for one in (one for name, several in work.items() if name not in wanted for one in several):
            one.close()
        running = [asyncio.create_task(one) for one in chosen]
        await asyncio.sleep(0.5)
        beside = await _phase(readers, f"/v1/tasks/{task}", pid, options.rate, options.seconds)
        failed = [one.exception() for one in running if one.done()]
        for one in running:
            one.cancel()
        assert not failed, failed
        exports = (await http.get("/v1/tasks")).json()["total"] - 1
        jobs = (await http.get(JOBS)).json()["items"]
        searches = [one for one in jobs if one["term"] == DEAR]
        while not readers.empty():
            readers.get_nowait().close()
    found: dict[str, object] = {
        "requests": len(beside.seconds),
        "rate": options.rate,
        "load average before": LOAD_BEFORE,
        "cores busy elsewhere": beside.others_cores,
        "service CPU ms a read": alone.cpu_ms,
        "exports beside": exports,
        "searches beside": len(searches),
        "posts beside": posted.total(),
    }
    for name, phase in (("alone", alone), ("beside", beside)):
        for share in (0.5, 0.9, 0.99):
            found[f"p{share * 100:.0f} ms {name}"] = phase.quantile_ms(share)
        found[f"max ms {name}"] = phase.quantile_ms(1)
    found["p99 beside / alone"] = round(beside.quantile_ms(0.99) / alone.quantile_ms(0.99), 1)
    found["p99 beside / limit"] = round(beside.quantile_ms(0.99) / LIMIT_MS, 2)
    return found


async def _phase(readers: asyncio.Queue[Reader], path: str, pid: int, rate: float, seconds: float) -> Phase:
    """Reads at a steady rate; waits for the last answer. Ends early if the service falls far behind."""
    latencies: list[float] = []

    async def read(due: float) -> None:
        reader = await readers.get()
        await reader.get(path)
        latencies.append(time.perf_counter() - due)
        readers.put_nowait(reader)

    running = []
    before, began = _cpu_seconds(pid), time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if len(running) - len(latencies) > rate * MOST_BEHIND_SECONDS:
            break
        running.append(asyncio.create_task(read(due)))
    await asyncio.gather(*running)
    after, took = _cpu_seconds(pid), time.perf_counter() - began
    cpu_ms = others_cores = None
    if before and after:
        service, others = after[0] - before[0], after[1] - before[1]
        cpu_ms = round(1000 * service / len(latencies), 2)
        others_cores = round(others / took, 2)
    return Phase(seconds=sorted(latencies), cpu_ms=cpu_ms, others_cores=others_cores)


def _cpu_seconds(pid: int) -> tuple[float, float] | None:
    """What the service has used so far, and what all but it and this process have; None where there is no /proc."""
    try:
        # In the service: its worker, and that one's searches, those that have ended too.
        found = {int(path.parent.name): _stat(path) for path in pathlib.Path("/proc").glob("[0-9]*/stat")}
        machine = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    ours, size = {pid}, 0
    while size < len(ours):
        size = len(ours)
        ours |= {one for one, (parent, _) in found.items() if parent in ours}
    service = sum(found[one][1] for one in ours if one in found) / ticks
    user, nice, system = (int(field) / ticks for field in machine[1:4])
    return service, user + nice + system - service - time.process_time()


def _stat(path: pathlib.Path) -> tuple[int, int]:
    """A process's parent, and the ticks that it and its children that have ended used; zeros if it is gone."""
    try:
        fields = path.read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15])


async def _keep_exporting(http: httpx.AsyncClient, job: str) -> None:
    """An export is running for as long as the reads go on: when one has ended the next is started."""
    task = None
    while True:
        if task is None or (await http.get(f"/v1/tasks/{task}")).json()["status"] not in ("PENDING", "RUNNING"):
            task = (await http.post(f"{JOBS}/{job}/export", json=WITH_KEY)).json().get("task_uuid", task)
        await asyncio.sleep(0.1)


async def _keep_searching(http: httpx.AsyncClient, community: str) -> None:
    """A search that reads every value is running for as long as the reads go on."""
    while True:
        answer = await http.post(JOBS, json={**TIMES, "term": DEAR, "community_uuids": [community]})
        job = answer.raise_for_status().json()["uuid"]
        while (await http.get(f"{JOBS}/{job}")).json()["status"] < 2:
            await asyncio.sleep(0.5)


async def _keep_posting(http: httpx.AsyncClient, community: str, posted: collections.Counter[str]) -> None:
    """A shipper: small batches at a steady rate."""
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in generate.sample_events(EVENTS_A_POST, start=START))
    while True:
        due = time.perf_counter() + 1 / POSTS_A_SECOND
        (await http.post(f"/v1/communities/{community}/events", content=lines)).raise_for_status()
        posted[community] += 1
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    main()
