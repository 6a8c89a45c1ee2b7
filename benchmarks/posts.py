"""Posts of one event each: how many a second are taken in, gathered into groups and each alone.

    python benchmarks/posts.py [--connections 16] [--seconds 8] [--json]

The service is a process of its own (`penstock serve`, worker included, plain http on loopback) with the settings of
every day. Each connection posts an event, waits for the answer, and posts the next (a closed loop), all with one API
key into one community. By turns the service gathers (the setting's default) and does not
(`ingest_group_milliseconds = 0`: what every version before did), twice each, so that a busy machine is busy for both; a
lone connection comes last. CPU seconds are the service's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from penstock import settings
from penstock.control import apikeys, communities, secrets, states
from penstock.process import services

EVENT = (
    '{"@timestamp":"2026-03-01T10:00:00Z","event":{"category":["network"],"action":"connection"},"source":{"ip":"10.0.0.1",'
    '"port":%d},"destination":{"ip":"192.0.2.7","port":443},"host":{"name":"gateway"},"message":"event %d"}\n'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    default = settings.Settings().ingest_group_milliseconds
    rounds = [(0, options.connections), (default, options.connections)] * 2 + [(0, 1), (default, 1)]
    found = [measure(window, connections, options.seconds) for window, connections in rounds]
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'window':>8}{'connections':>13}{'posts/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'CPU ms/post':>13}{'commits':>9}")
    for one in found:
        print(
            f"{one['window_ms']:>5} ms{one['connections']:>13}{one['posts_per_second']:>9.0f}{one['p50_ms']:>8.0f}"
            f"{one['p99_ms']:>8.0f}{one['cpu_ms_per_post']:>13.1f}{one['commits']:>9}"
        )
    alone, gathered = (statistics.mean(found[n + k]["posts_per_second"] for n in (0, 2)) for k in (0, 1))
    print(f"gathered : alone = {gathered / alone:.1f}")


def measure(window_ms: int, connections: int, seconds: float) -> dict[str, Any]:
    """Posts for some seconds against a fresh service; what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        community, token = _prepare(pathlib.Path(folder))
        command = [sys.executable, "-m", "penstock", "serve", "--port", "0"]
        own = {
            "PENSTOCK_HOME": folder,
            "PYTHONUNBUFFERED": "1",
            "PENSTOCK_INGEST_GROUP_MILLISECONDS": str(window_ms),
            "PENSTOCK_LOG_LEVEL": "error",
        }
        with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                port = next(
                    int(f[1]) for line in process.stdout if (f := re.search(r"listens on http://\S+:(\d+)", line))
                )
                path = f"/v1/communities/{community}/events"
                asyncio.run(_post(port, path, token, 1, 1.0))  # the table is there, and the code is warm
                before = _cpu_seconds(process.pid)
                taken = asyncio.run(_post(port, path, token, connections, seconds))
                cpu = _cpu_seconds(process.pid) - before
            finally:
                process.terminate()
        log = pathlib.Path(folder, "lake", community, "_delta_log")
        newest = max(int(file.stem) for file in log.glob("*.json") if file.stem.isdigit())
    return {
        "window_ms": window_ms,
        "connections": connections,
        "posts_per_second": len(taken) / seconds,
        "p50_ms": statistics.median(taken) * 1000,
        "p99_ms": sorted(taken)[int(len(taken) * 0.99)] * 1000,
        "cpu_ms_per_post": cpu * 1000 / len(taken),
        "commits": newest,
    }


def _prepare(home: pathlib.Path) -> tuple[str, str]:
    secrets.MasterKeys.create(home)
    with services.opened(settings.Settings(home=home)) as opened, opened.database.begin() as tx:
        now = opened.clock.now()
        community = communities.create(tx, name="acme", now=now)
        permissions = [states.Permission.SIC_WRITE_EVENTS]
        _, token = apikeys.create(tx, communities=[community.uuid], permissions=permissions, name="posts", now=now)
    return community.uuid, token


def _cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _post(port: int, path: str, token: str, connections: int, seconds: float) -> list[float]:
    until = time.perf_counter() + seconds
    rounds = await asyncio.gather(*(_connection(port, path, token, number, until) for number in range(connections)))
    return [each for one in rounds for each in one]


async def _connection(port: int, path: str, token: str, number: int, until: float) -> list[float]:
    """Seconds of each post. Bare streams: a client library would take more CPU than the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: "
    took = []
    while (began := time.perf_counter()) < until:
        body = EVENT % (number, len(took))
        writer.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        size = int(re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)[1])  # type: ignore[index]
        text = await reader.readexactly(size)
        assert b'"accepted":1' in text, (answer, text)
        took.append(time.perf_counter() - began)
    writer.close()
    return took


if __name__ == "__main__":
    main()
