"""Made `lake-0.1.0.zip` with Penstock 0.1.0: `python make_lake.py FOLDER`, then zip FOLDER. Kept to show what is in it.

Two ingests of events over ten days, one with a batch id, ties among them; values in columns and in the overflow; a
third ingest that was compacted. `events.json` beside the lake holds what an export of all fields must give.
"""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import sys
from typing import Any

from penstock.clock import SystemClock  # type: ignore[import-not-found]

from penstock.lake import ingest, table, upkeep  # type: ignore[attr-defined]

COMMUNITY = "00000000-0000-4000-8000-000000000001"
START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def event(n: int, day: int) -> dict[str, Any]:
    """One event: its time ties with others of the day."""
    moment = START + dt.timedelta(days=day, seconds=n % 5)
    made: dict[str, Any] = {
        "@timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "user": {"name": f"user{n % 7}"},
        "message": f"session {n} opened for user{n % 7}",
        "n": n,
    }
    if n % 4 == 0:
        made["source"] = {"ip": f"10.0.0.{n % 250}", "port": "443" if n % 8 == 0 else 443}
    if n % 10 == 0:
        made["User"] = {"Name": "CASE"}
    return made


def main(folder: str) -> None:
    """Writes the lake and the events."""
    events = table.EventTable(folder, COMMUNITY)
    sources: list[Any] = [
        ([event(n, n % 10) for n in range(80)], "first"),
        ([event(n, n % 3) for n in range(80, 120)], None),
    ]
    sources += [([event(n, 20)], None) for n in range(120, 128)]
    for made, batch in sources:
        body = [json.dumps(one).encode() + b"\n" for one in made]
        ingest.ingest_stream(events, body, clock=SystemClock(), batch_id=batch)
    upkeep.compact(events)
    everything = [one for made, _ in sources for one in made]
    everything.sort(key=lambda one: one["@timestamp"])
    pathlib.Path(folder, "events.json").write_text(json.dumps(everything))


if __name__ == "__main__":
    main(sys.argv[1])
