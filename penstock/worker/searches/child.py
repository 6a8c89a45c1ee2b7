"""The process that runs searches, one at a time, for a `children.Children` that may kill it at any moment.
Requests come on standard input, answers go to standard output, each as a length and a pickle. Nothing in it is worth
saving: it holds no lease and no transaction, and it ends when its parent does.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import struct
import sys
import threading
import time
from typing import BinaryIO

from penstock import errors
from penstock.control import searches
from penstock.lake import table
from penstock.process import services
from penstock.settings import Settings
from penstock.worker.searches import found

LENGTH = struct.Struct(">Q")
NICENESS = 5
"""A search lets the API's answers go first."""

_OUT_OF_MEMORY_FIRST = "500"
"""When memory runs out, the kernel ends a search rather than the service."""

Request = tuple[Settings, searches.SearchJob]
Answer = found.Found | tuple[str, dict[str, object]]
"""What was found, or an error: the name of its class and its attributes."""


def main() -> None:
    """Answers requests until standard input ends."""
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        pathlib.Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_FIRST)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get in between
    tables: dict[tuple[str, str], table.EventTable] = {}
    while (body := _read(sys.stdin.buffer)) is not None:
        answer = pickle.dumps(_answer(pickle.loads(body), tables))  # noqa: S301 - from our own parent
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _answer(request: Request, tables: dict[tuple[str, str], table.EventTable]) -> Answer:
    settings, job = request

    def table_of(community_uuid: str) -> table.EventTable:
        place = (settings.resolved_lake_path, community_uuid)
        return tables.setdefault(place, services.open_table(settings, community_uuid))

    try:
        return found.find(job, table_of)
    except errors.PenstockError as error:
        # Not the exception itself: pickle calls its class with what `args` holds, which is not what ours are made of.
        return type(error).__name__, error.__dict__


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _end_with(parent: int) -> None:
    # A child whose parent died belongs to another process from then on. A read of standard input would not tell while a
    # search runs.
    while os.getppid() == parent:
        time.sleep(0.5)
    # Not sys.exit, which would end this thread only.
    os._exit(1)
