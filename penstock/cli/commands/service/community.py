"""`penstock fields` and `quota`: what a community's events hold, and what it may still export."""

from __future__ import annotations

from penstock.cli import output, tables
from penstock.cli.commands.service import connecting
from penstock.cli.options import searching


def fields(options: searching.Fields) -> None:
    """Lists fields; those that events here have come first."""
    with connecting.connect(options.connection) as penstock:
        found = penstock.fields(options.match, community=options.community)
    if options.as_json:
        output.emit_json(
            [{"name": f.name, "type": f.type, "description": f.description, "files": f.files} for f in found]
        )
        return
    tables.table(
        ["FIELD", "TYPE", "FILES", "DESCRIPTION"],
        [[f.name, f.type, f.files, f.description or ""] for f in sorted(found, key=lambda f: (not f.files, f.name))],
        numbers=["FILES"],
    )


def quota(options: searching.Quota) -> None:
    """Shows the quota."""
    with connecting.connect(options.connection) as penstock:
        found = penstock.quota(options.community)
    if options.as_json:
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
