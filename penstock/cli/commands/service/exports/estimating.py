"""`penstock estimate`: what an export would be."""

from __future__ import annotations

from penstock.cli import output
from penstock.cli.commands import field_choice
from penstock.cli.commands.service import connecting
from penstock.cli.commands.service.exports import all_fields
from penstock.cli.options import exporting


def estimate(options: exporting.Estimate) -> None:
    """Shows events, bytes, seconds, and every reason why the export would be refused."""
    chosen = field_choice.chosen(options.choice)
    with connecting.connect(options.connection) as penstock:
        job = penstock.search_job(options.job_uuid)
        found = job.estimate(all_fields.of(penstock, job) if options.choice.all_fields else chosen)
    if options.as_json:
        output.emit_json(found.raw)
        return
    size, seconds = found.estimated_size_compressed, found.estimated_seconds
    output.facts(
        [
            ("Events", found.events),
            ("Size, compressed, about", output.size(size) if size is not None else None),
            ("Time, about", output.duration(seconds) if seconds is not None else None),
            ("Quota left", output.size(found.quota.left_bytes) if found.quota else None),
            ("Would be accepted", found.allowed),
        ]
    )
    for problem in found.problems:
        output.say(f"Problem [{problem.get('code')}]: {problem.get('detail', '')} {problem.get('hint', '')}".rstrip())
