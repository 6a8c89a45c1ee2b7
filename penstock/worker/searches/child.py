"""The process that runs searches, one at a time, for a `children.Children` that may kill it at any moment.
Requests come on standard input, answers go to standard output, each as a length and a pickle; before an answer may come
any number of `SoFar`. Nothing in it is worth saving: it holds no lease and no transaction, and it ends when its parent
does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import pickle
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from penstock import errors
from penstock.base.secret import Secret
from penstock.control import searches
from penstock.lake import table
from penstock.process import tables as table_opening
from penstock.settings import Settings
from penstock.worker.searches import found

LENGTH = struct.Struct(">Q")
TELL_SECONDS = 0.5
"""How long a search runs before it says how far it is, and how often it says so."""

_OUT_OF_MEMORY_FIRST = "500"
"""When memory runs out, the kernel ends a search rather than the service."""

Request = tuple[Settings, searches.SearchJob, dict[str, str], int]
"""Settings without secrets, what to search, the secrets that reading events needs, and above how many rows the search
is only cut (0: never)."""

Answer = found.Found | found.Wide | tuple[str, dict[str, object]]
"""What was found, or a search that was cut, or an error: the name of its class and its attributes."""


def main(parent: int) -> None:
    """Answers requests until standard input ends, or the process that started this one."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_FIRST)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get in between
    tables: dict[tuple[str, str], table.EventTable] = {}

    def send(message: Answer | searches.SoFar) -> None:
        content = pickle.dumps(message)
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()

    try:
        while (body := _read(sys.stdin.buffer)) is not None:
            send(_answer(pickle.loads(body), tables, _now_and_then(send)))  # noqa: S301 - from our own parent
    except BrokenPipeError:  # nobody waits for the answer any more
        # Not by the ordinary way out, which would flush the rest of the answer into the same pipe.
        os._exit(1)


def _now_and_then(send: Callable[[searches.SoFar], None]) -> Callable[[searches.SoFar], None]:
    told_at = time.monotonic()

    def tell(so_far: searches.SoFar) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_SECONDS:
            send(so_far)
            told_at = time.monotonic()

    return tell


def _answer(
    request: Request, tables: dict[tuple[str, str], table.EventTable], tell: Callable[[searches.SoFar], None]
) -> Answer:
    settings, job, told, shard_rows = request
    secrets: dict[str, Any] = {name: Secret(text) for name, text in told.items()}
    settings = dataclasses.replace(settings, **secrets)

    def table_of(community_uuid: str) -> table.EventTable:
        return table_opening.kept(tables, (settings.resolved_lake_path, community_uuid), settings, community_uuid)

    try:
        return found.find_or_cut(job, table_of, tell, shard_rows=shard_rows)
    except errors.PenstockError as error:
        # Not the exception itself: pickle calls its class with what `args` holds, which is not what ours are made of.
        return type(error).__name__, error.__dict__


def _read(stream: BinaryIO) -> bytes | None:
    """The next request; None where they end, in the middle of one if the parent was killed there."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    body = stream.read(size)
    return body if len(body) == size else None


def _end_with(parent: int) -> None:
    # A child whose parent died belongs to another process from then on. A read of standard input would not tell while a
    # search runs.
    while os.getppid() == parent:
        time.sleep(0.5)
    # Not sys.exit, which would end this thread only.
    os._exit(1)
