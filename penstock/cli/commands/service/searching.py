"""`penstock search`: what matches, and when it happened."""

from __future__ import annotations

from typing import Any

from penstock.base import exact_json
from penstock.cli import output
from penstock.cli.commands.service import connecting
from penstock.cli.options import searching
from penstock.client import Histogram, SearchJob, communities

_SPARKS = "▁▂▃▄▅▆▇█"


def search(options: searching.Search) -> None:
    """Starts a search job, waits for it, shows its total and its newest events."""
    with connecting.connect(options.connection) as penstock:
        uuids = None
        if options.community:
            uuids = [communities.pick(penstock.communities(), name) for name in options.community]
        job = penstock.search(
            options.query, earliest=options.earliest, latest=options.latest, communities=uuids, wait=False
        )
        if not options.as_json:
            output.say(job.uuid)
        job.wait()
        events = list(job.events(options.limit)) if options.limit else []
        if options.as_json:
            output.emit_json({"job": job.facts, "events": events})
            return
        output.say(f"{job.total:,} events match.")
        if output.is_terminal():
            _draw(job, events)
        else:
            for event in events:
                output.say(exact_json.dumps(event))


def _draw(job: SearchJob, events: list[dict[str, Any]]) -> None:
    if job.total:
        output.say(_sparkline(job.histogram()))
    width = output.width()
    for event in events:
        stamp = str(event.get("@timestamp", ""))
        text = event.get("message") or exact_json.dumps(
            {name: value for name, value in event.items() if name != "@timestamp"}
        )
        output.say(f"{stamp}  {' '.join(str(text).split())}"[: width - 1])
    output.say(f"Export all of it: penstock export {job.uuid}")


def _sparkline(histogram: Histogram) -> str:
    counts = [count for _, count in histogram.buckets]
    most = max(counts, default=0) or 1
    bars = "".join(" " if count == 0 else _SPARKS[min(7, count * 8 // most)] for count in counts)
    first, last = histogram.buckets[0][0], histogram.buckets[-1][0]
    return f"{first[:16]} {bars} {last[:16]}"
