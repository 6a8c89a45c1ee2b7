"""`penstock generate`, `ingest`, `dump`, `lake`: the operator's way into and out of the event tables of this home."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock import errors
from penstock.cli import home, output
from penstock.cli.options import connection, field_list

if TYPE_CHECKING:
    from penstock.control import communities as communities_module
    from penstock.process import services as services_module

lake_app = typer.Typer(help="Upkeep of the event tables.", no_args_is_help=True)
Community = Annotated[
    str | None,
    typer.Option("--community", metavar="C", help="Name or UUID. Default: the community that `penstock init` made."),
]


def generate(
    community: Community = None,
    events: Annotated[int, typer.Option("--events", min=1, help="How many.")] = 1_000_000,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same events.")] = 1,
    start: Annotated[
        str | None, typer.Option("--start", metavar="T", help="First instant; -7d or RFC 3339. Default: `days` ago.")
    ] = None,
    days: Annotated[float, typer.Option("--days", min=0.001, help="Days that the events are spread over.")] = 7.0,
    as_json: connection.Json = False,
) -> None:
    """Fill a community with realistic sample events of several kinds."""
    with home.services() as services:
        owner = community_of(services, community)
        report = fill(services, owner.uuid, events=events, seed=seed, start=start, days=days)
    if as_json:
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
    from penstock.query import times
    from penstock.samples import generate as generator

    now = dt.datetime.now(dt.UTC)
    first = times.parse_time(start, now) if start else now - dt.timedelta(days=days)
    began = time.monotonic()
    with output.progress("Generating", unit="events", total=events) as update:
        report = generator.generate(
            services.table(community_uuid),
            events=events,
            seed=seed,
            start=first,
            days=days,
            progress=lambda done: update(done, events),
        )
    return {**dataclasses.asdict(report), "seconds": round(time.monotonic() - began, 3)}


def dump(
    target: Annotated[pathlib.Path, typer.Option("--output", "-o", metavar="FILE", help="The .jsonl.gz to write.")],
    community: Community = None,
    query: Annotated[str, typer.Option("--query", metavar="Q", help="Events query; empty: everything.")] = "",
    earliest: Annotated[
        str | None, typer.Option(metavar="T", help="Inclusive: -7d or RFC 3339. Default: the first event.")
    ] = None,
    latest: Annotated[
        str | None, typer.Option(metavar="T", help="Exclusive: now or RFC 3339. Default: after the last event.")
    ] = None,
    fields: field_list.Fields = None,
    fields_file: field_list.FieldsFile = None,
    preset: field_list.Preset = None,
    as_json: connection.Json = False,
) -> None:
    """Write events straight from the lake to a file: no server, no task, no quota, no encryption."""
    from penstock import export
    from penstock import query as query_module
    from penstock.control import audit
    from penstock.fields import presets, selection
    from penstock.lake.read import names

    chosen = field_list.chosen(fields, fields_file, preset)
    node = query_module.parse(query)
    with home.services() as services:
        owner = community_of(services, community)
        snapshot = services.table(owner.uuid).snapshot()
        if preset is not None:
            chosen = list(_preset(preset))
        wanted = chosen or presets.DEFAULT_FIELDS
        checked = selection.check(wanted, names.brought([snapshot], wanted))
        time_range = _time_range(earliest, latest)
        began = time.monotonic()
        with output.progress("Writing", unit="events", total=None) as update:
            report = export.dump(
                snapshot,
                node=node,
                time_range=time_range,
                fields=checked,
                path=target,
                threads=services.settings.encoding_threads,
                slice_rows=services.settings.slice_rows,
                slice_bytes=services.settings.slice_bytes,
                part_bytes=services.settings.part_bytes,
                compression=services.settings.compression,
                progress=lambda done: update(done, None),
            )
        with services.database.begin() as tx:
            audit.record(
                tx,
                now=services.clock.now(),
                actor=home.operator(),
                actor_type="operator",
                action="events.dumped",
                community_uuid=owner.uuid,
                detail={"query": query, "fields": list(checked), "events": report.events, "file": str(target)},
            )
    seconds = time.monotonic() - began
    if as_json:
        output.emit_json({**dataclasses.asdict(report), "file": str(target), "seconds": round(seconds, 3)})
    else:
        output.say(
            f"{report.events:,} events written to {target}, {output.size(report.size)}, in {output.duration(seconds)}."
        )


def _preset(name: str) -> tuple[str, ...]:
    from penstock.fields import presets

    if name not in presets.PRESETS:
        raise errors.InvalidRequest(
            "unknown_preset", f"There is no preset {name!r}.", f"Choose one of {', '.join(presets.PRESETS)}."
        )
    return presets.PRESETS[name].fields


def _time_range(earliest: str | None, latest: str | None) -> Any:
    from penstock.lake.read import plan
    from penstock.query import times

    now = dt.datetime.now(dt.UTC)
    start, end = times.resolve_range(earliest or "0001-01-01", latest or "9999-12-31T23:59:59.999999Z", now)
    return plan.TimeRange(earliest=start, latest=end)


@lake_app.command("compact")
def compact(community: Community = None, as_json: connection.Json = False) -> None:
    """Join small files of each day, so that searches read fewer."""
    from penstock.lake import upkeep

    with home.services() as services:
        owner = community_of(services, community)
        report = upkeep.compact(services.table(owner.uuid))
    if as_json:
        output.emit_json({"community_uuid": owner.uuid, **dataclasses.asdict(report)})
    else:
        output.say(
            f"{owner.name}: {report.files_removed:,} files became {report.files_added:,} ({report.rows:,} events)."
        )


@lake_app.command("vacuum")
def vacuum(
    community: Community = None,
    keep_hours: Annotated[float, typer.Option("--keep-hours", min=0, help="Leave younger files alone.")] = 168.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: connection.Json = False,
) -> None:
    """Delete files that no search job, no export and no newest snapshot needs any more."""
    from penstock.control import searches
    from penstock.lake import upkeep

    with home.services() as services:
        owner = community_of(services, community)
        with services.database.read() as tx:
            now = services.clock.now()
            pinned = searches.pinned_versions(tx, owner.uuid, now)
        report = upkeep.vacuum(
            services.table(owner.uuid), pinned_versions=pinned, keep_seconds=keep_hours * 3600, dry_run=dry_run
        )
    if as_json:
        output.emit_json({"community_uuid": owner.uuid, "dry_run": dry_run, **dataclasses.asdict(report)})
    else:
        would = "would be deleted" if dry_run else "deleted"
        output.say(f"{owner.name}: {len(report.files):,} files {would}, {output.size(report.bytes)}.")


def community_of(services: services_module.Services, wanted: str | None) -> communities_module.Community:
    """The community that is meant; without a name the one of `penstock init`, or the only one there is."""
    from penstock.control import communities

    stored = home.stored_client()
    with services.database.read() as tx:
        if wanted is None and stored is not None:
            wanted = stored.community_uuid
        if wanted is not None:
            return communities.by_name_or_uuid(tx, wanted)
        known = communities.list_all(tx)
    if len(known) == 1:
        return known[0]
    raise errors.UsageError(
        "community_needed",
        f"There are {len(known)} communities.",
        f"Name one with --community: {', '.join(each.name for each in known) or 'create one first'}.",
    )
