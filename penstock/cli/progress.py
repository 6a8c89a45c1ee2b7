"""How far a long command is, on stderr: a bar on a terminal, else a line each tenth."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from penstock.cli import output

Update = Callable[[int, int | None], None]
"""Called with (done, total); total None while unknown."""

_BAR = 24
_EVERY_SECONDS = 0.1


@contextlib.contextmanager
def progress(title: str, *, unit: str, total: int | None = None) -> Iterator[Update]:
    """A bar with rate and time left; where stderr is no terminal, a line at most every 10 % and every second.

    Args:
        unit: `events` or `bytes`.
    """
    if not sys.stderr.isatty():
        yield _Lines(title, unit)
        return
    bar = _Bar(title, unit)
    bar(0, total)
    try:
        yield bar
    finally:
        bar.clear()


class _Bar:
    """One line that is written over and over: title, bar, percent, count, rate, time left; as much as fits."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._began = time.monotonic()
        self._drawn = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._drawn < _EVERY_SECONDS:
            return
        self._drawn = now
        line = " ".join(self._parts(done, total, now - self._began))
        sys.stderr.write(f"\r\x1b[K{line[: output.width() - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Takes the line away."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _parts(self, done: int, total: int | None, seconds: float) -> Iterator[str]:
        # In the first half second a rate says more about the start than about the work.
        rate = done / seconds if seconds > 0.5 else 0.0
        yield self._title
        if total:
            filled = min(_BAR, done * _BAR // total)
            yield f"{'█' * filled}{'░' * (_BAR - filled)} {min(100, done * 100 // total):3} %"
        yield _count(done, total, self._unit)
        if rate:
            yield f"{output.size(rate)}/s" if self._unit == "bytes" else f"{rate:,.0f}/s"
        if rate and total and done < total:
            yield f"{output.duration((total - done) / rate)} left"


class _Lines:
    """Progress where nobody can see a bar move: a line each tenth, and not more than one a second."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._tenth = 0
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        tenth = done * 10 // total if total else 0
        if tenth > self._tenth and time.monotonic() - self._last >= 1.0:
            self._tenth, self._last = tenth, time.monotonic()
            output.note(f"{self._title}: {tenth * 10} % ({_count(done, total, self._unit)})")


def _count(done: int, total: int | None, unit: str) -> str:
    if unit == "bytes":
        return f"{output.size(done)} of {output.size(total)}" if total else output.size(done)
    return f"{done:,} of {total:,} events" if total else f"{done:,} events"
