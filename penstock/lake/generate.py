"""Makes sample events: seeded, realistic, fast; the same arguments make the same events."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from penstock.lake import table


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GenerateReport:
    """What was generated.

    Attributes:
        events: number of events.
        version: the table's version afterwards.
        first, last: earliest and latest @timestamp made; None when there are no events.
        kinds: events by kind (`firewall`, `sshd`, ...).
        bytes: compressed bytes written.
    """

    events: int
    version: int
    first: dt.datetime | None
    last: dt.datetime | None
    kinds: dict[str, int]
    bytes: int


def generate(
    events_table: table.EventTable,
    *,
    events: int,
    seed: int = 1,
    start: dt.datetime,
    days: float = 7.0,
    progress: Callable[[int], None] | None = None,
) -> GenerateReport:
    """Fills the table with sample events over `days` from `start`. `progress(events so far)` after each commit."""
    raise NotImplementedError


def sample_events(n: int, seed: int = 1, *, start: dt.datetime | None = None) -> list[dict[str, Any]]:
    """`n` flat sample events as plain JSON values, the same for the same arguments."""
    raise NotImplementedError
