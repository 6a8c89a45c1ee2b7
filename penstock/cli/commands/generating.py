"""`penstock generate`: sample events into the lake."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from penstock import errors
from penstock.base import instants
from penstock.cli import output, progress
from penstock.cli.commands import opening, operator
from penstock.cli.options import lake
from penstock.intake import ingest as ingester
from penstock.intake import streams
from penstock.process import services as services_module
from penstock.query import times
from penstock.samples import generate as generator
from penstock.samples import wide


def generate(options: lake.Generate) -> None:
    """Generates, and says how fast."""
    with opening.services() as services:
        owner = operator.community_of(services.database, options.community)
        report = fill(
            services,
            owner.uuid,
            events=options.events,
            seed=options.seed,
            start=options.start,
            days=options.days,
            stream=options.stream,
        )
    if options.as_json:
        output.emit_json({"community_uuid": owner.uuid, **report})
        return
    output.say(
        f"{report['events']:,} events generated into {owner.name} in {output.duration(report['seconds'])} "
        f"({report['events'] / max(report['seconds'], 0.001):,.0f} events/s), {output.size(report['bytes'])} on disk."
    )


NARROW = "narrow"
WIDE = "wide"


def fill(
    services: services_module.Services,
    community_uuid: str,
    *,
    events: int,
    seed: int,
    start: str | None,
    days: float,
    stream: str = NARROW,
) -> dict[str, Any]:
    """Generates with a progress bar; what came of it, and how long it took.

    Raises:
        UsageError: `unknown_stream`.
    """
    if stream not in (NARROW, WIDE):
        raise errors.UsageError(
            "unknown_stream", f"There is no stream {stream!r}.", f"Say --stream {NARROW} or --stream {WIDE}."
        )
    now = dt.datetime.now(dt.UTC)
    first = times.parse_time(start, now) if start else now - dt.timedelta(days=days)
    began = time.monotonic()
    with progress.progress("Generating", unit="events", total=events) as update:
        report = (_wide if stream == WIDE else _narrow)(
            services,
            community_uuid,
            events=events,
            seed=seed,
            start=first,
            days=days,
            progress=lambda done: update(done, events),
        )
    return {**dataclasses.asdict(report), "seconds": round(time.monotonic() - began, 3)}


def _narrow(services: services_module.Services, community_uuid: str, **asked: Any) -> generator.GenerateReport:
    return generator.generate(services.table(community_uuid), **asked)


def _wide(
    services: services_module.Services, community_uuid: str, *, progress: Callable[[int], None], **asked: Any
) -> generator.GenerateReport:
    """The wide stream goes the way of any other text: through an ingest."""
    events_table = services.table(community_uuid)
    before = {file.path for file in events_table.snapshot().files}
    kinds: collections.Counter[str] = collections.Counter()
    report = ingester.ingest(
        events_table,
        [streams.Body(wide.lines(**asked, kinds=kinds))],
        clock=services.clock,
        limits=ingester.Limits.of(services.settings),
        progress=lambda now: progress(now.accepted),
    )
    made = [file for file in events_table.snapshot().files if file.path not in before]
    return generator.GenerateReport(
        events=report.accepted,
        version=report.version,
        first=instants.from_microseconds(min(file.first_us for file in made)) if made else None,
        last=instants.from_microseconds(max(file.last_us for file in made)) if made else None,
        kinds=dict(kinds),
        bytes=sum(file.bytes for file in made),
    )
