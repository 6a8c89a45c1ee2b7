"""The worker processes that are there: started, killed, frozen and thawed."""

from __future__ import annotations

import collections
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).parents[2]
SKEWS = (0, 0, 300, -300)
"""Seconds that a worker's clock goes wrong."""

MOST_FROZEN_SECONDS = 6.0
"""Twice a lease, so that others take over what it held, and it comes back."""


class Fleet:
    """Workers of one service. Not safe from several threads, but for its own, which thaws what is frozen: whoever draws
    the next event may wait for a transaction that a frozen one holds.

    Attributes:
        befell: how often what happened.
    """

    def __init__(self, environment: dict[str, str], folder: pathlib.Path, draw: random.Random) -> None:
        self._environment = {**environment, "PYTHONPATH": str(TESTS)}
        self._log = folder / "workers.log"
        self.cut = folder / "cut"
        self._draw = draw
        self._seed = draw.randrange(1 << 32)
        self._there: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thawing = threading.Thread(target=self._thaw, daemon=True)
        self._thawing.start()
        self.befell: collections.Counter[str] = collections.Counter()

    def __len__(self) -> int:
        return len(self._there)

    def spawn(self, seed: int = 0, ahead_seconds: int = 0) -> None:
        """Starts one; a seed of 0: nothing befalls it but what `kill`, `freeze` and the cut file do."""
        arguments = [str(seed), str(ahead_seconds), str(self.cut)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.chaos.worker", *arguments],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        with self._lock:
            self._there.append(process)
        self.befell["clock skewed"] += ahead_seconds != 0

    def keep(self, count: int) -> None:
        """Looks after them: the dead are replaced by ones that luck is hard on."""
        self._look()
        while len(self._there) < count:
            self.spawn(self._draw.randrange(1, 1 << 32), self._draw.choice(SKEWS))

    def kill(self) -> None:
        """kill -9 of one of them, whatever it does just now."""
        if self._there:
            self._draw.choice(self._there).kill()

    def freeze(self) -> None:
        """SIGSTOP of one of them, whatever it does just now, even in a transaction."""
        if self._there:
            self._draw.choice(self._there).send_signal(signal.SIGSTOP)

    def quit(self) -> None:
        """Thaws all and lets them end; returns when they have."""
        self._is_over.set()
        self._thawing.join()
        for process in self._there:
            assert process.stdin is not None
            process.stdin.close()
        deadline = time.monotonic() + 120
        while self._there:
            for process in self._there:
                process.send_signal(signal.SIGCONT)
            self._look()
            assert time.monotonic() < deadline, f"workers do not end: {self.said()}"
            time.sleep(0.05)

    def said(self) -> str:
        """The end of their log."""
        return self._log.read_text(errors="replace")[-8000:] if self._log.exists() else ""

    def _look(self) -> None:
        for process in list(self._there):
            if process.poll() is not None:
                assert process.returncode in (0, -signal.SIGKILL), self.said()
                self.befell["worker killed"] += process.returncode != 0
                with self._lock:
                    self._there.remove(process)
                if process.stdin is not None:
                    process.stdin.close()

    def _thaw(self) -> None:
        """Thaws each after a while of its own, until all is over."""
        draw, thaw_at = random.Random(self._seed), dict[int, float]()
        while not self._is_over.wait(0.1):
            with self._lock:
                frozen = [process for process in self._there if _is_frozen(process.pid)]
            for process in frozen:
                if process.pid not in thaw_at:
                    self.befell["worker frozen"] += 1
                    thaw_at[process.pid] = time.monotonic() + draw.uniform(0, MOST_FROZEN_SECONDS)
                elif thaw_at[process.pid] <= time.monotonic():
                    del thaw_at[process.pid]
                    process.send_signal(signal.SIGCONT)


def _is_frozen(pid: int) -> bool:
    """False also for one that has just ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return False
