"""`penstock search`, `fields`, `quota`: what is there, and what of it matches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import output
from penstock.cli.options import connection

if TYPE_CHECKING:
    from penstock.client import Histogram, SearchJob

_SPARKS = "▁▂▃▄▅▆▇█"
Community = Annotated[
    str | None, typer.Option("--community", metavar="C", help="Name or UUID. Default: the only one of the API key.")
]


def search(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="Events query, e.g. 'source.ip:10.0.0.0/8 AND NOT user.name:root'.")
    ],
    earliest: Annotated[str, typer.Option(metavar="T", help="Inclusive: -7d, -2h, or RFC 3339.")] = "-24h",
    latest: Annotated[str, typer.Option(metavar="T", help="Exclusive: now, -1h, or RFC 3339.")] = "now",
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Newest events to show.")] = 10,
    community: Annotated[
        list[str] | None,
        typer.Option("--community", metavar="C", help="Name or UUID; may be repeated. Default: all of the API key."),
    ] = None,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Search events: print the search job's UUID, how many events match, and the newest of them."""
    with connection.connect(api_host, ca_file) as penstock:
        uuids = None
        if community:
            from penstock.client import communities

            uuids = [communities.pick(penstock.communities(), name) for name in community]
        job = penstock.search(query, earliest=earliest, latest=latest, communities=uuids, wait=False)
        if not as_json:
            output.say(job.uuid)
        job.wait()
        events = list(job.events(limit)) if limit else []
        if as_json:
            output.emit_json({"job": job.facts, "events": events})
            return
        output.say(f"{job.total:,} events match.")
        if output.is_terminal():
            _draw(job, events)
        else:
            for event in events:
                output.say(json.dumps(event, ensure_ascii=False, separators=(",", ":")))


def _draw(job: SearchJob, events: list[dict[str, Any]]) -> None:
    import shutil

    if job.total:
        output.say(_sparkline(job.histogram()))
    width = shutil.get_terminal_size().columns
    for event in events:
        stamp = str(event.get("@timestamp", ""))
        text = event.get("message") or json.dumps(
            {name: value for name, value in event.items() if name != "@timestamp"}, ensure_ascii=False
        )
        output.say(f"{stamp}  {' '.join(str(text).split())}"[: width - 1])
    output.say(f"Export all of it: penstock export {job.uuid}")


def _sparkline(histogram: Histogram) -> str:
    counts = [count for _, count in histogram.buckets]
    most = max(counts, default=0) or 1
    bars = "".join(" " if count == 0 else _SPARKS[min(7, count * 8 // most)] for count in counts)
    first, last = histogram.buckets[0][0], histogram.buckets[-1][0]
    return f"{first[:16]} {bars} {last[:16]}"


def fields(
    match: Annotated[str, typer.Argument(help="Part of the name or of the description.")] = "",
    community: Community = None,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """List the fields that can be searched and exported; those that events here have come first."""
    with connection.connect(api_host, ca_file) as penstock:
        found = penstock.fields(match, community=community)
    if as_json:
        output.emit_json(
            [{"name": f.name, "type": f.type, "description": f.description, "files": f.files} for f in found]
        )
        return
    output.table(
        ["FIELD", "TYPE", "FILES", "DESCRIPTION"],
        [[f.name, f.type, f.files, f.description or ""] for f in sorted(found, key=lambda f: (not f.files, f.name))],
        numbers=["FILES"],
    )


def quota(
    community: Community = None,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Show what the community may still export this month (UTC)."""
    with connection.connect(api_host, ca_file) as penstock:
        found = penstock.quota(community)
    if as_json:
        output.emit_json(found.raw)
        return
    output.facts(
        [
            ("Limit", output.size(found.limit_bytes)),
            ("Used", output.size(found.used_bytes)),
            ("Reserved by running exports", output.size(found.reserved_bytes)),
            ("Left", output.size(found.left_bytes)),
            ("Resets at", found.resets_at),
            ("Active export", found.active_task_uuid),
        ]
    )
