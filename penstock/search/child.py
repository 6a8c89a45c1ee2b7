"""The process that runs searches, one at a time, for a `children.Children` that may kill it at any moment.
Requests come on standard input, answers go to standard output, each as a length and a pickle; before an answer may come
any number of `SoFar`. Nothing in it is worth saving: it holds no lease and no transaction, and it ends when its parent
does.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import sys
import time
from collections.abc import Callable

from penstock import errors
from penstock.base import findings
from penstock.lake import table
from penstock.process import child_processes, environment
from penstock.process import tables as table_opening
from penstock.search import found, question
from penstock.settings import Settings

TELL_SECONDS = 0.5
"""How long a search runs before it says how far it is, and how often it says so."""

_OUT_OF_MEMORY_FIRST = "500"
"""When memory runs out, the kernel ends a search rather than the service."""

Request = tuple[Settings, question.Question, dict[str, str], int]
"""Settings without secrets, what to search, the secrets that reading events needs, and above how many rows the search
is only cut (0: never)."""

Answer = found.Found | found.Wide | child_processes.Told
"""What was found, or a search that was cut, or an error: the name of its class and its attributes."""


def main(parent: int) -> None:
    """Answers requests until standard input ends, or the process that started this one."""
    environment.loaded()
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_FIRST)
    child_processes.end_with(parent)
    answers = child_processes.answers()
    tables: dict[tuple[str, str], table.EventTable] = {}

    def send(message: Answer | findings.SoFar) -> None:
        child_processes.write(answers, pickle.dumps(message))

    try:
        while (body := child_processes.read(sys.stdin.buffer)) is not None:
            send(_answer(pickle.loads(body), tables, _now_and_then(send)))  # noqa: S301 - from our own parent
    except BrokenPipeError:  # nobody waits for the answer any more
        # Not by the ordinary way out, which would flush the rest of the answer into the same pipe.
        os._exit(1)


def _now_and_then(send: Callable[[findings.SoFar], None]) -> Callable[[findings.SoFar], None]:
    told_at = time.monotonic()

    def tell(so_far: findings.SoFar) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_SECONDS:
            send(so_far)
            told_at = time.monotonic()

    return tell


def _answer(
    request: Request, tables: dict[tuple[str, str], table.EventTable], tell: Callable[[findings.SoFar], None]
) -> Answer:
    settings, asked, told, shard_rows = request
    settings = child_processes.with_secrets(settings, told)

    def table_of(community_uuid: str) -> table.EventTable:
        return table_opening.kept(tables, (settings.resolved_lake_path, community_uuid), settings, community_uuid)

    try:
        return found.find_or_cut(asked, table_of, tell, shard_rows=shard_rows)
    except errors.PenstockError as error:
        return child_processes.told(error)
