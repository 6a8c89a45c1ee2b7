"""`penstock dump`: from the lake to a file on this machine. Opens the database and one table; no keys, no store."""

from __future__ import annotations

import dataclasses
import datetime as dt

from penstock import export, query
from penstock.cli import elapsed, output, progress
from penstock.cli.commands import field_choice, operator
from penstock.cli.options import lake
from penstock.control import database
from penstock.fields import presets, selection
from penstock.lake import table
from penstock.lake.read import names, plan


def dump(options: lake.Dump) -> None:
    """Writes the file, records it in the audit, and says what was written."""
    chosen = field_choice.chosen(options.choice)
    node = query.parse(options.query)
    settings = operator.settings()
    with operator.database() as opened:
        owner = operator.community_of(opened, options.community)
        snapshot = table.EventTable(settings.resolved_lake_path, owner.uuid).snapshot()
        wanted = chosen or presets.DEFAULT_FIELDS
        fields = selection.check(wanted, names.known([snapshot]))
        with progress.progress("Writing", unit="events", total=None) as update:
            report = export.dump(
                snapshot,
                node=node,
                time_range=_time_range(options.earliest, options.latest),
                fields=fields,
                path=options.target,
                threads=settings.encoding_threads,
                slice_rows=settings.slice_rows,
                slice_bytes=settings.slice_bytes,
                part_bytes=settings.part_bytes,
                compression=settings.compression,
                progress=lambda done: update(done, None),
            )
        _record(opened, owner.uuid, options, fields, report)
    seconds = elapsed.seconds()
    if options.as_json:
        output.emit_json({**dataclasses.asdict(report), "file": str(options.target), "seconds": round(seconds, 3)})
    else:
        output.say(
            f"{report.events:,} events written to {options.target}, {output.size(report.size)}, "
            f"in {output.duration(seconds)}."
        )


def _time_range(earliest: str | None, latest: str | None) -> plan.TimeRange:
    now = dt.datetime.now(dt.UTC)
    start, end = query.resolve_range(earliest or "0001-01-01", latest or "9999-12-31T23:59:59.999999Z", now)
    return plan.TimeRange(earliest=start, latest=end)


def _record(
    opened: database.Database,
    community_uuid: str,
    options: lake.Dump,
    fields: tuple[str, ...],
    report: export.DumpReport,
) -> None:
    with opened.begin() as tx:
        operator.record(
            tx,
            "events.dumped",
            community_uuid=community_uuid,
            detail={
                "query": options.query,
                "fields": list(fields),
                "events": report.events,
                "file": str(options.target),
            },
        )
