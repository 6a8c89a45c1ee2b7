"""How young data files in a bucket are: an object's own time cannot be put forward, so uses are noted beside.

An empty object `_touched/FIRST~LAST` says: the data files from FIRST to LAST in file order were in use when it was put.
A few files more than were meant may lie between the two: they stay a little longer.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable

from penstock.lake.location.contract import Entry

FOLDER = "_touched"
"""In the table's folder. Readers of Delta tables leave names with `_` alone."""


class Touches:
    """What `touch` noted. Asked in file order."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        spans = []
        for entry in entries:
            first, _, last = entry.name.removeprefix(f"{FOLDER}/").partition("~")
            spans.append((first, last, entry.modified))
        self._waiting = sorted(spans, reverse=True)
        self._begun: list[tuple[float, str]] = []  # a heap: the latest first, and where each ends

    def latest(self, name: str) -> float:
        """When a data file was last in use, seconds since 1970; 0 if nothing is noted."""
        order = os.path.basename(name)
        while self._waiting and self._waiting[-1][0] <= order:
            _, last, modified = self._waiting.pop()
            heapq.heappush(self._begun, (-modified, last))
        while self._begun and self._begun[0][1] < order:
            heapq.heappop(self._begun)
        return -self._begun[0][0] if self._begun else 0.0
