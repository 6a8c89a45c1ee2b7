"""Work that nobody waits for, done early on a few threads; what was not begun when the process ends is not done."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from penstock import errors

_THREADS = 4
_MOST_WAITING = 32


class Ahead:
    """Does tasks in order. Safe from several threads; starts its threads with the first task."""

    def __init__(self) -> None:
        self._tasks: queue.Queue[tuple[str, Callable[[], None]]] = queue.Queue()
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        self._threads = 0

    def do(self, key: str, task: Callable[[], None]) -> None:
        """Takes a task, unless one of this key is waiting or under way, or too many are. Its faults are swallowed:
        whoever needs what it makes meets them."""
        with self._lock:
            if key in self._keys or len(self._keys) >= _MOST_WAITING:
                return
            self._keys.add(key)
            if self._threads < _THREADS:
                self._threads += 1
                # Daemons: a process must not wait at its end for files that nobody will read.
                threading.Thread(target=self._work, name="penstock-ahead", daemon=True).start()
        self._tasks.put((key, task))

    def _work(self) -> None:
        while True:
            key, task = self._tasks.get()
            try:
                with contextlib.suppress(OSError, errors.PenstockError):
                    task()
            finally:
                with self._lock:
                    self._keys.discard(key)
