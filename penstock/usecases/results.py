"""What a search job found, computed once: its newest events, and the most common values of their fields.

The worker that counts a job computes this and keeps it with the job. Requests read what is kept; where nothing is (a
job of an earlier version), the first request computes it, and those that come meanwhile wait for that one.
"""

from __future__ import annotations

import json
import threading

from penstock import query
from penstock.control import searches
from penstock.lake import table
from penstock.process import services as services_module
from penstock.search import question
from penstock.search import results as search_results

_LOCKS = [threading.Lock() for _ in range(64)]
"""Of jobs, by their UUIDs' hash: who comes while a job's results are computed waits, and finds them kept."""


def question_of(job: searches.SearchJob) -> question.Question:
    """What the job asks."""
    return question.Question(
        term=job.term,
        filters=job.filters,
        earliest=job.earliest,
        latest=job.latest,
        community_uuids=job.community_uuids,
        max_last_events=job.max_last_events,
    )


def snapshots_of(services: services_module.Services, job: searches.SearchJob) -> list[table.Snapshot]:
    """The snapshots that the job counted."""
    return [services.table(community).snapshot(version) for community, version in job.snapshots.items()]


def of(services: services_module.Services, job: searches.SearchJob) -> searches.Results:
    """The results of a job that is done."""
    found = _kept(services, job)
    if found is not None:
        return found
    # Sixty-four locks for all jobs: a dictionary of locks would grow, and two jobs that share one only wait a little.
    with _LOCKS[hash(job.uuid) % len(_LOCKS)]:
        found = _kept(services, job)
        # Asked again behind the lock: the one before us has just kept them.
        if found is None:
            asked = question_of(job)
            snapshots = snapshots_of(services, job) if job.total else []
            found = search_results.compute(
                asked, [(each, query.compile(asked.node, each.query_columns)) for each in snapshots]
            )
            with services.database.begin() as tx:
                searches.keep(tx, job.uuid, found, job.expires_at)
    return found


def _kept(services: services_module.Services, job: searches.SearchJob) -> searches.Results | None:
    with services.database.read() as tx:
        return searches.results_of(tx, job.uuid, services.clock.now())


def shown(text: str) -> str:
    """A value as people write it: a text without its quotes."""
    return str(json.loads(text)) if text.startswith('"') else text
