"""`--all-fields`: the explicit list of what events of a search job's community have."""

from __future__ import annotations

from penstock.cli import output
from penstock.cli.commands import field_choice
from penstock.client import Penstock, SearchJob


def of(penstock: Penstock, job: SearchJob) -> list[str]:
    """The names, the time first; said on stderr, since they are what the file will hold."""
    reached = job.facts["community_uuids"]
    community = reached[0] if len(reached) == 1 else None
    names = field_choice.ordered(field.name for field in penstock.fields(community=community) if field.files)
    output.note(f"All {len(names):,} fields: {', '.join(names)}")
    return names
