"""The table of search jobs as a table of work."""

from __future__ import annotations

from penstock.control import leases, states
from penstock.control.schema import tables

WORK = leases.Work(
    noun="search job",
    table=tables.search_jobs,
    key=tables.search_jobs.c.uuid,
    waiting=states.SearchStatus.PENDING,
    running=states.SearchStatus.RUNNING,
)
