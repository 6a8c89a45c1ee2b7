"""What a search job found, kept with it: computed once, by the worker that counted it, and read by every request.

The row holds events of the lake, compressed; it goes with its job, and earlier when `expires_at` has passed. A caller
that finds none computes the results again and may `keep` them.
"""

from __future__ import annotations

import datetime as dt
import json
import zlib
from collections.abc import Sequence

import sqlalchemy as sa

from penstock.base.findings import FieldValues, Results
from penstock.control.schema import inserting, tables

_RESULTS = tables.search_results


def keep(tx: sa.Connection, job_uuid: str, results: Results, expires_at: dt.datetime) -> None:
    """Keeps the results of a job until `expires_at`, in place of those there are; idempotent."""
    body = _packed(results)
    mine = _RESULTS.c.job_uuid == job_uuid
    if tx.execute(_RESULTS.update().where(mine).values(body=body, expires_at=expires_at)).rowcount:
        return
    # Two requests may have computed the same results at once; whichever comes second is as good.
    inserting.insert_if_absent(tx, _RESULTS, job_uuid=job_uuid, body=body, expires_at=expires_at)


def results_of(tx: sa.Connection, job_uuid: str, now: dt.datetime) -> Results | None:
    """What is kept of a job; None: nothing, or no more. The caller has checked that the job may be read."""
    query = sa.select(_RESULTS.c.body).where(_RESULTS.c.job_uuid == job_uuid, _RESULTS.c.expires_at > now)
    body = tx.execute(query).scalar_one_or_none()
    return None if body is None else _unpacked(body)


def delete_expired(tx: sa.Connection, now: dt.datetime) -> int:
    """Deletes what has expired; how many. For the sweeper; idempotent."""
    return tx.execute(_RESULTS.delete().where(_RESULTS.c.expires_at <= now)).rowcount


def _packed(results: Results) -> bytes:
    head = {
        "sampled_events": results.sampled_events,
        "fields": [[each.name, each.events, each.values] for each in results.fields],
    }
    # A line each: a JSON text has no line break.
    lines: Sequence[str] = (json.dumps(head, separators=(",", ":")), *results.events)
    # `surrogatepass`: text of an event may hold a lone surrogate, which strict UTF-8 refuses. Level 1: someone waits
    # for it.
    return zlib.compress("\n".join(lines).encode(errors="surrogatepass"), 1)


def _unpacked(body: bytes) -> Results:
    head, *events = zlib.decompress(body).decode(errors="surrogatepass").split("\n")
    members = json.loads(head)
    return Results(
        events=tuple(events),
        fields=tuple(
            FieldValues(name=name, events=count, values=tuple((text, number) for text, number in values))
            for name, count, values in members["fields"]
        ),
        sampled_events=members["sampled_events"],
    )
