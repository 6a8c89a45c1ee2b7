"""The processes of `penstock ingest --jobs`: one thread here drives each, and starts it again when it dies."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import threading
from collections.abc import Callable

from penstock import errors
from penstock import settings as settings_module
from penstock.cli.commands import ingest_child
from penstock.intake import ingest
from penstock.intake.shards import taking
from penstock.process import child_processes

TRIES = 3
"""How often a shard whose process dies is given out."""


class Children:
    """A pool for `shards.coordinator`.

    Args:
        most: processes.
        progress: called from several threads, one at a time.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        community_uuid: str,
        *,
        most: int,
        progress: Callable[[ingest.Progress], None],
    ) -> None:
        self.most = most
        begin: ingest_child.Begin = (settings.without_secrets(), settings.reading_secrets(), community_uuid)
        self._begin = pickle.dumps(begin)
        # As many threads for Polars as cores, in each of them, would be too many.
        threads = max(1, len(os.sched_getaffinity(0)) // most)
        self._environment = {**os.environ, "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", str(threads))}
        self._progress = progress
        self._shards: queue.SimpleQueue[taking.Shard] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, taking.Taken | errors.PenstockError]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_over = False
        self._threads: list[threading.Thread] = []

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        with self._lock:
            return [process.pid for process in self._processes]

    def submit(self, shard: taking.Shard) -> None:
        """See `coordinator.Pool`."""
        self._shards.put(shard)
        if len(self._threads) < self.most:
            self._threads.append(threading.Thread(target=self._drive, name="penstock-ingest", daemon=True))
            self._threads[-1].start()

    def next(self, timeout_seconds: float) -> tuple[int, taking.Taken | errors.PenstockError] | None:
        """See `coordinator.Pool`."""
        with contextlib.suppress(queue.Empty):
            return self._done.get(timeout=timeout_seconds)
        return None

    def stop(self) -> None:
        """See `coordinator.Pool`. Nothing is lost: what they have not answered is nowhere."""
        with self._lock:
            self._is_over = True
            for process in self._processes:
                process.kill()
        for thread in self._threads:
            thread.join()

    # In the threads

    def _drive(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        try:
            while not self._is_over:
                # Short, so that a pool that is stopped ends.
                with contextlib.suppress(queue.Empty):
                    shard = self._shards.get(timeout=0.1)
                    process, came = self._taken(process, shard)
                    self._done.put((shard.number, came))
        finally:
            if process is not None:
                self._end(process)

    def _taken(
        self, process: subprocess.Popen[bytes] | None, shard: taking.Shard
    ) -> tuple[subprocess.Popen[bytes] | None, taking.Taken | errors.PenstockError]:
        for _ in range(TRIES):
            if process is None:
                process = self._started()
            answer = None if process is None else self._asked(process, shard)
            if isinstance(answer, taking.Taken):
                return process, answer
            if answer is not None:
                return process, child_processes.rebuilt(answer)
            if process is not None:
                self._end(process)
                process = None
            if self._is_over:
                break
        return None, errors.NotReady(
            "shard_lost",
            f"The process that took in {shard.sources[0]!r} was ended {TRIES} times, most likely for want of memory.",
            "Run it again with fewer --jobs.",
        )

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._is_over:
                return None
            process = subprocess.Popen(
                child_processes.command(ingest_child.__name__, os.getpid()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
            )
            self._processes.append(process)
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # one that is dead already does not answer either
            child_processes.write(process.stdin, self._begin)
        return process

    def _asked(self, process: subprocess.Popen[bytes], shard: taking.Shard) -> ingest_child.Answer | None:
        """What it answers; None if it dies."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            child_processes.write(process.stdin, pickle.dumps(shard))
        except OSError:
            return None
        while (body := child_processes.read(process.stdout)) is not None:
            message: ingest_child.Answer | ingest.Progress = pickle.loads(body)  # noqa: S301 - of our own child
            if not isinstance(message, ingest.Progress):
                return message
            with self._lock:
                self._progress(message)
        return None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        child_processes.end(process)
        with self._lock:
            self._processes.remove(process)
