"""`penstock dump`: from the lake to a file on this machine. Opens the database and one table; no keys, no store."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from penstock import errors, export, query
from penstock.cli import elapsed, output, progress
from penstock.cli.commands import field_choice, local, owning
from penstock.cli.options import lake, shared
from penstock.fields import presets, selection
from penstock.lake import table
from penstock.lake.read import names, plan
from penstock.process import tables


def dump(options: lake.Dump) -> None:
    """Writes the file, records it in the audit, and says what was written."""
    to_stdout = shared.is_stdout(options.target)
    if options.as_json and to_stdout:
        raise errors.UsageError(
            "json_and_stdout", "--json and -o - both want stdout.", "Write to a file, or leave --json out."
        )
    chosen = field_choice.chosen(options.choice)
    # Before the database and the table are opened: a mistyped query costs nothing.
    node = query.parse(options.query)
    settings = local.settings()
    owner = owning.community_uuid(settings, options.community)
    snapshot = tables.open_table(settings, owner).snapshot()
    fields = _all_fields(snapshot) if options.choice.all_fields else _checked(snapshot, chosen)
    with progress.progress("Writing", unit="events", total=None) as update:
        report = export.dump(
            snapshot,
            node=node,
            time_range=_time_range(options.earliest, options.latest),
            fields=fields,
            path=output.Stdout() if to_stdout else options.target,
            threads=settings.encoding_threads,
            slice_rows=settings.slice_rows,
            slice_bytes=settings.slice_bytes,
            part_bytes=settings.part_bytes,
            compression=settings.compression,
            progress=lambda done: update(done, None),
        )
    detail = {
        "query": options.query,
        "fields": list(fields),
        "events": report.events,
        "file": str(options.target),
    }
    # After the file is whole: the audit says what was written, not what was tried.
    owning.record(settings, "events.dumped", owner, detail)
    seconds = elapsed.seconds()
    if options.as_json:
        output.emit_json({**dataclasses.asdict(report), "file": str(options.target), "seconds": round(seconds, 3)})
        return
    tell = output.note if to_stdout else output.say
    target = "stdout" if to_stdout else options.target
    tell(f"{report.events:,} events written to {target}, {output.size(report.size)}, in {output.duration(seconds)}.")


def _checked(snapshot: table.Snapshot, chosen: Sequence[str] | None) -> Sequence[str]:
    wanted = chosen or presets.DEFAULT_FIELDS
    return selection.check(wanted, names.known([snapshot]))


def _all_fields(snapshot: table.Snapshot) -> Sequence[str]:
    """Every field of the table, said on stderr: it is what the file will hold."""
    found = field_choice.ordered(names.known([snapshot]) | {"@timestamp"})
    output.note(f"All {len(found):,} fields: {', '.join(found)}")
    return found


def _time_range(earliest: str | None, latest: str | None) -> plan.TimeRange:
    """The range asked for; without ends, all of time."""
    ever = plan.TimeRange.ever()
    if earliest is None and latest is None:
        return ever
    now = dt.datetime.now(dt.UTC)
    start, end = query.resolve_range(earliest or ever.earliest.isoformat(), latest or ever.latest.isoformat(), now)
    return plan.TimeRange(earliest=start, latest=end)
