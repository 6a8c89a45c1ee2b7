"""`penstock lake compact` and `vacuum`: upkeep of the event tables by hand."""

from __future__ import annotations

import dataclasses

from penstock.cli import output
from penstock.cli.commands import opening, operator
from penstock.cli.options import lake
from penstock.control import searches
from penstock.lake import upkeep


def lake_compact(options: lake.LakeCompact) -> None:
    """Joins small files."""
    with opening.services() as services:
        owner = operator.community_of(services.database, options.community)
        report = upkeep.compact(services.table(owner.uuid))
    if options.as_json:
        output.emit_json({"community_uuid": owner.uuid, **dataclasses.asdict(report)})
    else:
        output.say(
            f"{owner.name}: {report.files_removed:,} files became {report.files_added:,} ({report.rows:,} events)."
        )


def lake_vacuum(options: lake.LakeVacuum) -> None:
    """Deletes files that nothing needs."""
    with opening.services() as services:
        owner = operator.community_of(services.database, options.community)
        with services.database.read() as tx:
            pinned = searches.pinned_versions(tx, owner.uuid, services.clock.now())
        report = upkeep.vacuum(
            services.table(owner.uuid),
            pinned_versions=pinned,
            keep_seconds=max(options.keep_hours * 3600, upkeep.SAFE_SECONDS),
            dry_run=options.dry_run,
        )
    if options.as_json:
        output.emit_json({"community_uuid": owner.uuid, "dry_run": options.dry_run, **dataclasses.asdict(report)})
    else:
        would = "would be deleted" if options.dry_run else "deleted"
        output.say(f"{owner.name}: {len(report.files):,} files {would}, {output.size(report.bytes)}.")
