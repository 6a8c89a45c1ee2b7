"""Dead exports whose upload lies in a customer's bucket: it can be aborted only while the credentials are still sealed.

    take_dead (a claim of its own: the fence rises) ─▶ the sweeper aborts the upload ─▶ end_taken (erases the secrets)

A sweeper that dies on this way is followed by another when its lease has run out; the upload is then aborted again.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from penstock.control import states
from penstock.control.exports import ending, fencing, leasing, reading, records


def take_dead(tx: sa.Connection, sweeper_id: str, now: dt.datetime, lease_seconds: float) -> records.Claim | None:
    """Takes the oldest export that nobody will finish and whose upload lies in a customer's bucket; None: none.

    From then on its last worker, should it wake, changes nothing any more. The claim counts as an attempt beyond
    `max_attempts`: `clearings` says which. Several sweepers may call at once; each export is one's.
    """
    export = leasing.oldest(tx, ending.is_dead(now), ending.NEEDS_CLEARING)
    if export is None:
        return None
    # Above `max_attempts` even if workers left some over, so that the number alone tells a sweeper's claim from a
    # worker's.
    attempts = max(export.attempts, export.max_attempts) + 1
    return leasing.take(tx, export, sweeper_id, now, lease_seconds, attempts=attempts)


def clearings(claim: records.Claim) -> int:
    """How many sweepers have taken the export, this claim's included."""
    return claim.export.attempts - claim.export.max_attempts


def end_taken(tx: sa.Connection, claim: records.Claim, now: dt.datetime) -> states.ExportStatus:
    """Ends an export of `take_dead` as `end_dead` would have. Raises LeaseLost."""
    fencing.write(tx, claim, now)
    export = reading.get(tx, claim.task_uuid, None)
    verdict = ending.verdict(export, now)
    assert verdict is not None, "attempts and deadline only ever come nearer to the end"
    ending.end_as(tx, export, verdict, now)
    return verdict.status
