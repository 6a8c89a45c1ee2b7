"""How fast events are taken into a table on one core, against the floor of only parsing their JSON.

    python benchmarks/ingest.py [--events 200000] [--runs 3]

Every figure is CPU time of one process on one thread (`time.process_time`, POLARS_MAX_THREADS=1), so that a busy
machine changes little; runs alternate and the median counts. Each way reads the same lines of nested events with 20
fields, 600 to 700 bytes, of six shapes. The goal is 40,000 events a second on one core.

- compact: JSON as shippers write it. Read fast where that can be proven to lose nothing (`lake.ingest_lines`).
- spaced: the same with spaces and escapes, as Python's `json.dumps` writes it: every line takes the exact way.
- floor: `json.loads` of every line, nothing kept.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is loaded

import argparse
import json
import pathlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from penstock.base import clock
from penstock.intake import ingest
from penstock.lake import table

COMMUNITY = "11111111-2222-3333-4444-555555555555"


def event(number: int, rng: random.Random) -> dict[str, Any]:
    """A nested event with 20 fields; one of six shapes."""
    client = f"10.{number % 7}.{rng.randrange(256)}.{rng.randrange(256)}"
    user = f"user{rng.randrange(500)}"
    clock_time = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{rng.randrange(1, 1000):03}"
    made: dict[str, Any] = {
        "@timestamp": f"2026-01-{1 + number % 3:02}T{clock_time}Z",
        "message": f"Accepted password for {user} from {client} port {rng.randrange(1024, 65536)} ssh2; session "
        f"{rng.getrandbits(96):024x} opened by pam_unix(sshd:session) on tty pts/{rng.randrange(40)}, last seen "
        f"{rng.randrange(90)} days ago",
        "event": {
            "action": rng.choice(["logon", "logoff", "refused"]),
            "category": ["authentication", "session"],
            "kind": "event",
            "outcome": rng.choice(["success", "failure"]),
            "code": str(4600 + rng.randrange(50)),
            "duration": rng.randrange(10**7),
        },
        "source": {"ip": client, "port": rng.randrange(1024, 65536), "geo": {"country_iso_code": "FR"}},
        "destination": {"ip": f"192.168.1.{rng.randrange(256)}", "port": 22},
        "user": {"name": user, "domain": "corp"},
        "host": {"name": f"host{rng.randrange(1000)}", "os": {"family": "linux"}},
        "related": {"ip": [client], "user": [user]},
    }
    shape = number % 6
    if shape == 1:
        made["vendor"] = {"score": rng.random() * 100}
    elif shape == 2:
        made["process"] = {"pid": rng.randrange(1, 32768), "name": "sshd"}
        del made["user"]
    elif shape > 2:
        made[f"vendor{shape}"] = {"id": number, "flag": bool(number & 1)}
        del made["host"]
    return made


def parse_only(file: pathlib.Path, folder: pathlib.Path) -> None:
    """The floor."""
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)


def take_in(file: pathlib.Path, folder: pathlib.Path) -> None:
    """The whole way: file to committed table."""
    events = table.EventTable(str(folder), COMMUNITY)
    report = ingest.ingest(events, [file], clock=clock.SystemClock())
    assert report.rejected == 0


def cpu_seconds(work: Callable[[pathlib.Path, pathlib.Path], None], file: pathlib.Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        work(file, pathlib.Path(folder))
        return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        compact, spaced = pathlib.Path(folder, "compact"), pathlib.Path(folder, "spaced")
        with compact.open("w") as plain, spaced.open("w") as wide:
            for number in range(asked.events):
                made = event(number, rng)
                plain.write(json.dumps(made, separators=(",", ":"), ensure_ascii=False) + "\n")
                wide.write(json.dumps(made) + "\n")
        ways = {"compact": (take_in, compact), "spaced": (take_in, spaced), "floor": (parse_only, compact)}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(asked.runs):
            for name, (work, file) in ways.items():
                seconds[name].append(cpu_seconds(work, file))
        floor = statistics.median(seconds["floor"])
        size = compact.stat().st_size / asked.events
        print(f"{asked.events} events, {size:.0f} bytes a line, {asked.runs} runs, one core")
        for name, found in seconds.items():
            median = statistics.median(found)
            rate = asked.events / median
            print(f"{name:8} {rate:9,.0f} events/s of CPU  {median / floor:5.2f} x floor")


if __name__ == "__main__":
    main()
