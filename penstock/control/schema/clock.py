"""The database's time: what all processes of a service go by, however far their machines' clocks are apart.

Leases, deadlines and windows are instants that one machine writes and another compares with its own. So `now` is the
database's: asked now and then in a transaction that is open anyway, and carried on from there by a clock that nobody
sets. A machine whose clock is minutes off, or is put right meanwhile, holds a lease as long as others do.
"""

from __future__ import annotations

import datetime as dt
import time

import sqlalchemy as sa

from penstock.base import clock

ASK_SECONDS = 30.0
"""How old the database's answer may be before a transaction asks again: no quartz is a millisecond off by then."""

MOST_SECONDS = 1.0
"""An answer that took longer says too little; the one before it holds."""

# clock_timestamp: `now()` is when the transaction began, which may have waited since.
_QUERIES = {
    "postgresql": "SELECT clock_timestamp()",
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
}

# Goes on while the machine sleeps, where there is such a clock.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class DatabaseTime:
    """What the database said last, and when. Safe from several threads."""

    def __init__(self) -> None:
        self._said: tuple[dt.datetime, float] | None = None
        self._asked = -ASK_SECONDS

    def keep(self, tx: sa.Connection) -> None:
        """Asks the database if its last answer is old. Raises what the driver raises."""
        before = _elapsed()
        if self._said is not None and before - self._asked < ASK_SECONDS:
            return
        said = tx.exec_driver_sql(_QUERIES[tx.dialect.name]).scalar_one()
        after = _elapsed()
        instant = said if isinstance(said, dt.datetime) else dt.datetime.fromisoformat(said)
        self._asked = after
        if self._said is None or after - before <= MOST_SECONDS:
            # It looked at its clock somewhere in between.
            self._said = instant.astimezone(dt.UTC), (before + after) / 2

    def now(self) -> dt.datetime | None:
        """The database's time; None before it was asked."""
        if self._said is None:
            return None
        instant, at = self._said
        return instant + dt.timedelta(seconds=_elapsed() - at)


class DatabaseClock(clock.SystemClock):
    """A clock that shows the database's time; the machine's own until the database has answered once."""

    def __init__(self, database_time: DatabaseTime) -> None:
        self._time = database_time

    def now(self) -> dt.datetime:
        return self._time.now() or super().now()

    def ahead_seconds(self) -> float:
        """How far the machine's own clock is ahead of the database's."""
        return (super().now() - self.now()).total_seconds()


def _elapsed() -> float:
    return time.clock_gettime(_BOOT_CLOCK)
