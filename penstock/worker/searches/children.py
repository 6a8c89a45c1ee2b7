"""Runs searches in processes of their own, so that a search can be ended wherever its scan is.

A scan is native code that looks at no flag while it decodes and filters, for seconds or minutes if the query says so. A
thread of it cannot be ended, a process can: within a moment, with all of its memory, and without the API noticing.
"""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import selectors
import subprocess
import threading
from collections.abc import Callable
from typing import IO

from penstock import errors
from penstock import settings as settings_module
from penstock.base import findings
from penstock.process import child_processes
from penstock.search import child, found, question

NICENESS = 3
"""A search lets the API's answers go first, and goes before exports (`loop.NICENESS`)."""

CHECK_SECONDS = 0.05
"""How often the caller's `check` is called while a search runs."""

KEPT = 2
"""Idle processes that are kept for the next search; further ones end after theirs. One starts in about a second."""


class Children:
    """A pool of processes; safe from several threads."""

    def __init__(self) -> None:
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def find(
        self,
        settings: settings_module.Settings,
        asked: question.Question,
        check: Callable[[], None],
        tell: Callable[[findings.SoFar], None] = lambda so_far: None,
    ) -> found.Found:
        """Runs a search to its end."""
        answer = self.find_or_cut(settings, asked, check, tell, shard_rows=0)
        assert isinstance(answer, found.Found), "nothing was to be cut"
        return answer

    def find_or_cut(
        self,
        settings: settings_module.Settings,
        asked: question.Question,
        check: Callable[[], None],
        tell: Callable[[findings.SoFar], None],
        *,
        shard_rows: int,
    ) -> found.Found | found.Wide:
        """As `find`; one that has to look at more than `shard_rows` rows is only cut. 0: none is.

        Args:
            check: called every CHECK_SECONDS; what it raises ends the search at once.
            tell: called with what is counted so far, every `child.TELL_SECONDS` of a longer search; what it raises
                ends the search too.

        Raises:
            InvalidRequest: `search_too_large`; its process was ended, as a rule for want of memory.
            StorageError: the lake cannot be read.
        """
        process = self._take()
        try:
            # In clear, on a pipe to a process of our own: who can read that can read our memory.
            answer = _ask(
                process, (settings.without_secrets(), asked, settings.reading_secrets(), shard_rows), check, tell
            )
        # Whatever was raised, the two no longer agree on what comes next on the pipes: such a process is not used
        # again.
        except BaseException:
            child_processes.end(process)
            raise
        self._put(process)
        if isinstance(answer, found.Found | found.Wide):
            return answer
        raise child_processes.rebuilt(answer)

    def warm(self) -> None:
        """Has one process ready."""
        self._put(self._take())

    def close(self) -> None:
        """Ends the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            child_processes.end(process)

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                # It may have died while it was idle, by the kernel's hand for instance, when memory ran out.
                if process.poll() is None:
                    return process
                child_processes.end(process)
        return subprocess.Popen(
            child_processes.command(child.__name__, os.getpid(), NICENESS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A Ctrl-C at the terminal is the service's to handle. Not a session of its own, whose share of the cores
            # would be as large as the API's (`process.SESSION_NICENESS`).
            process_group=0,
        )

    def _put(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append(process)
                return
        child_processes.end(process)


@functools.cache
def shared() -> Children:
    """The pool of this process; its children end with it."""
    children = Children()
    atexit.register(children.close)
    return children


def _ask(
    process: subprocess.Popen[bytes],
    request: child.Request,
    check: Callable[[], None],
    tell: Callable[[findings.SoFar], None],
) -> child.Answer:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        child_processes.write(process.stdin, pickle.dumps(request))
        while isinstance(message := _message(process.stdout, check), findings.SoFar):
            tell(message)
    except (OSError, EOFError) as error:
        raise errors.InvalidRequest(
            "search_too_large",
            "The process that ran the search was ended, most likely because it took too much memory.",
            "Narrow the time range or the query.",
        ) from error
    return message


def _message(stream: IO[bytes], check: Callable[[], None]) -> child.Answer | findings.SoFar:
    size = child_processes.LENGTH.unpack(_read(stream, child_processes.LENGTH.size, check))[0]
    message: child.Answer | findings.SoFar = pickle.loads(_read(stream, size, check))  # noqa: S301 - of our own child
    return message


def _read(stream: IO[bytes], size: int, check: Callable[[], None]) -> bytes:
    content = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(content) < size:
            check()
            if selector.select(CHECK_SECONDS):
                # Of the descriptor: `select` knows nothing of bytes that already lie in the buffer of a Python file.
                piece = os.read(stream.fileno(), size - len(content))
                if not piece:
                    raise EOFError
                content += piece
    return bytes(content)
