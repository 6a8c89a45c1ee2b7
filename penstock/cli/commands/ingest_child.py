"""A process of `penstock ingest --jobs`: takes shards in, one at a time, for the `Children` that started it.

Requests come on standard input, answers go to standard output, each as a length and a pickle; before an answer may come
any number of `Progress`. It commits nothing, and ends when its parent does.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from penstock import errors
from penstock.base import clock
from penstock.base.secret import Secret
from penstock.intake import ingest
from penstock.intake.shards import taking
from penstock.process import tables
from penstock.settings import Settings

LENGTH = struct.Struct(">Q")
TELL_SECONDS = 0.2
"""How often it says how far it is."""

Begin = tuple[Settings, dict[str, str], str]
"""The first message: settings without secrets, the secrets that the lake needs, the community."""

Answer = taking.Taken | tuple[str, dict[str, object]]
"""What came of a shard, or an error: the name of its class and its attributes."""


def main() -> None:
    """Answers requests until standard input ends."""
    # Ctrl-C at the terminal is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get in between
    first = read(sys.stdin.buffer)
    if first is None:
        return
    settings, told, community_uuid = pickle.loads(first)  # noqa: S301 - from our own parent
    secrets: dict[str, Any] = {name: Secret(text) for name, text in told.items()}
    settings = dataclasses.replace(settings, **secrets)
    event_table = tables.open_table(settings, community_uuid)
    limits = ingest.Limits.of(settings)
    teller = _Teller(lambda progress: write(answers, pickle.dumps(progress)))
    while (body := read(sys.stdin.buffer)) is not None:
        shard: taking.Shard = pickle.loads(body)  # noqa: S301 - from our own parent
        answer: Answer
        try:
            answer = taking.take(event_table, shard, clock=clock.SystemClock(), limits=limits, progress=teller.tell)
        except errors.PenstockError as error:
            # Not the exception itself: pickle calls its class with what `args` holds, which is not what ours are of.
            answer = type(error).__name__, error.__dict__
        teller.flush()
        write(answers, pickle.dumps(answer))


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


def read(stream: IO[bytes]) -> bytes | None:
    """The next message; None where they end, in the middle of one if the other process was killed there."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    body = stream.read(size)
    return body if len(body) == size else None


def write(stream: IO[bytes], body: bytes) -> None:
    """Sends a message."""
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def _end_with(parent: int) -> None:
    # A child whose parent died belongs to another process from then on. A read of standard input would not tell while a
    # shard is taken in.
    while os.getppid() == parent:
        time.sleep(0.5)
    # Not sys.exit, which would end this thread only.
    os._exit(1)
