"""`penstock search`: what matches, and when it happened."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.base import exact_json
from penstock.cli import output
from penstock.cli.commands.service import connecting
from penstock.cli.options import searching, shared
from penstock.client import Histogram, Penstock, SearchJob, communities

_SPARKS = "▁▂▃▄▅▆▇█"
_EDGES = 2 * len("2026-11-27T05:55 ")
"""Columns of the two times beside the histogram."""


def search(options: searching.Search) -> None:
    """Starts a search job, waits for it, shows its total and its newest events."""
    with connecting.connect(options.connection) as penstock:
        job = run(penstock, options.query, options.period, options.community, as_json=options.as_json)
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


def run(
    penstock: Penstock,
    query: str,
    period: shared.Period,
    names: Sequence[str] | None,
    *,
    as_json: bool = True,
) -> SearchJob:
    """A search job that is done; what it covers and what the query probably did not mean is said on stderr.

    Args:
        as_json: False: its UUID is printed on stdout, before the wait.
    """
    uuids = [communities.pick(penstock.communities(), name) for name in names] if names else None
    job = penstock.search(query, earliest=period.earliest, latest=period.latest, communities=uuids, wait=False)
    if not as_json:
        output.say(job.uuid)
    _wait(job)
    facts = job.facts
    output.note(
        f"Searched {_query(facts)} from {_time(facts['earliest_time'])} to "
        f"{_time(facts['latest_time'])} ({period.earliest} to {period.latest})."
    )
    for remark in facts.get("notes") or ():
        output.note(
            f"Note [{remark.get('code')}]: {remark.get('detail', '')} {remark.get('hint', '')}".rstrip(), "yellow"
        )
    return job


def _query(facts: Mapping[str, Any]) -> str:
    """The query as typed, and how it was understood where that says more."""
    typed, understood = facts["term"], facts.get("understood")
    if not typed.strip():
        return "everything"
    if understood is None or understood.replace('"', "") == typed.strip().replace('"', ""):
        return str(typed)
    return f"{typed}, understood as {understood},"


def _wait(job: SearchJob) -> None:
    """Waits; Ctrl-C stops the search, which nobody would look at."""
    try:
        job.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(errors.PenstockError):
            job.cancel()
            output.note(f"\nSearch job {job.uuid} is canceled.")
        raise


def _time(text: Any) -> str:
    return str(text).replace("T", " ").replace("Z", " UTC").replace("+00:00", " UTC")


def _draw(job: SearchJob, events: list[dict[str, Any]]) -> None:
    width = output.width()
    if job.total:
        output.say(sparkline(job.histogram(buckets=max(10, min(120, width - _EDGES - 1)))))
    for event in events:
        stamp = str(event.get("@timestamp", ""))
        text = event.get("message") or exact_json.dumps(
            {name: value for name, value in event.items() if name not in ("@timestamp", "timestamp")}
        )
        output.say(f"{stamp}  {' '.join(str(text).split())}"[: width - 1])
    output.say(f"Export all of it: penstock export {job.uuid}")


def sparkline(histogram: Histogram) -> str:
    """One line: the first time, a bar for each bucket, the last time."""
    counts = [count for _, count in histogram.buckets]
    most = max(counts, default=0) or 1
    bars = "".join(" " if count == 0 else _SPARKS[min(7, count * 8 // most)] for count in counts)
    first, last = histogram.buckets[0][0], histogram.buckets[-1][0]
    return f"{first[:16]} {bars} {last[:16]}"
