"""How many workers a soak run has killed, and where."""

from __future__ import annotations

PAIRS = 4
"""SQLite and PostgreSQL, each with the embedded store and with Ceph."""


class Counts:
    """Of one run."""

    def __init__(self) -> None:
        self._kills: list[int] = []
        self._lines: list[str] = []

    def add(self, pair: str, *, kills: int, steps: int, seconds: float) -> None:
        """A pair of database and store is done."""
        self._kills.append(kills)
        self._lines.append(f"{pair}: {kills} kills at {steps} steps in {seconds:.0f} s")

    @property
    def total(self) -> int:
        return sum(self._kills)

    @property
    def is_whole(self) -> bool:
        """Every pair is done."""
        return len(self._kills) == PAIRS

    def lines(self) -> list[str]:
        """For the end of the run; empty if nothing was killed."""
        if not self._kills:
            return []
        total = f"{self.total} kills in all, on {len(self._kills)} of {PAIRS} pairs of database and store"
        return [*self._lines, total, "After each of them: the export exact, charged once, nothing left behind."]
