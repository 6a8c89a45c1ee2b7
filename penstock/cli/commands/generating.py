"""`penstock generate`: sample events into the lake."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from typing import Any

from penstock.cli import output, progress
from penstock.cli.commands import opening, operator
from penstock.cli.options import lake
from penstock.process import services as services_module
from penstock.query import times
from penstock.samples import generate as generator


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
        )
    if options.as_json:
        output.emit_json({"community_uuid": owner.uuid, **report})
        return
    output.say(
        f"{report['events']:,} events generated into {owner.name} in {output.duration(report['seconds'])} "
        f"({report['events'] / max(report['seconds'], 0.001):,.0f} events/s), {output.size(report['bytes'])} on disk."
    )


def fill(
    services: services_module.Services, community_uuid: str, *, events: int, seed: int, start: str | None, days: float
) -> dict[str, Any]:
    """Generates with a progress bar; what came of it, and how long it took."""
    now = dt.datetime.now(dt.UTC)
    first = times.parse_time(start, now) if start else now - dt.timedelta(days=days)
    began = time.monotonic()
    with progress.progress("Generating", unit="events", total=events) as update:
        report = generator.generate(
            services.table(community_uuid),
            events=events,
            seed=seed,
            start=first,
            days=days,
            progress=lambda done: update(done, events),
        )
    return {**dataclasses.asdict(report), "seconds": round(time.monotonic() - began, 3)}
