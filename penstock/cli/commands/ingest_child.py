"""A process of `penstock ingest --jobs`: takes shards in, one at a time, for the `Children` that started it.

Requests come on standard input, answers go to standard output, each as a length and a pickle; before an answer may come
any number of `Progress`. It commits nothing, and ends when its parent does.
"""

from __future__ import annotations

import pickle
import signal
import sys
import time
from collections.abc import Callable

from penstock import errors
from penstock.base import clock
from penstock.intake import ingest
from penstock.intake.shards import taking
from penstock.process import child_processes, environment, tables
from penstock.settings import Settings

TELL_SECONDS = 0.2
"""How often it says how far it is."""

Begin = tuple[Settings, dict[str, str], str]
"""The first message: settings without secrets, the secrets that the lake needs, the community."""

Answer = taking.Taken | child_processes.Told
"""What came of a shard, or an error: the name of its class and its attributes."""


def main(parent: int) -> None:
    """Answers requests until standard input ends, or the process that started this one."""
    environment.loaded()
    # Ctrl-C at the terminal is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child_processes.end_with(parent)
    answers = child_processes.answers()
    first = child_processes.read(sys.stdin.buffer)
    if first is None:
        return
    settings, told, community_uuid = pickle.loads(first)  # noqa: S301 - from our own parent
    settings = child_processes.with_secrets(settings, told)
    event_table = tables.open_table(settings, community_uuid)
    limits = ingest.Limits.of(settings)
    teller = _Teller(lambda progress: child_processes.write(answers, pickle.dumps(progress)))
    while (body := child_processes.read(sys.stdin.buffer)) is not None:
        shard: taking.Shard = pickle.loads(body)  # noqa: S301 - from our own parent
        answer: Answer
        try:
            answer = taking.take(event_table, shard, clock=clock.SystemClock(), limits=limits, progress=teller.tell)
        except errors.PenstockError as error:
            answer = child_processes.told(error)
        teller.flush()
        child_processes.write(answers, pickle.dumps(answer))


class _Teller:
    """Tells now and then, and at the end of each file, so that the bytes of all add up."""

    def __init__(self, send: Callable[[ingest.Progress], None]) -> None:
        self._send = send
        self._last: ingest.Progress | None = None
        self._told_at = 0.0

    def tell(self, progress: ingest.Progress) -> None:
        if self._last is not None and self._last.source != progress.source:
            self.flush()
        self._last = progress
        if time.monotonic() - self._told_at >= TELL_SECONDS:
            self.flush()
            self._told_at = time.monotonic()

    def flush(self) -> None:
        if self._last is not None:
            self._send(self._last)
            self._last = None
