"""What a process and the children it starts for its work agree on: start, messages on pipes, errors, secrets, end.

A message is a length and its bytes. Children read them from standard input and write them to what `answers` gives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import subprocess
import sys
import threading
import time
from typing import IO, Any

from penstock import errors
from penstock.base.secret import Secret
from penstock.settings import Settings

LENGTH = struct.Struct(">Q")

Told = tuple[str, dict[str, object]]
"""An error on its way: the name of its class and its attributes."""


def read(stream: IO[bytes]) -> bytes | None:
    """The next message; None where they end, in the middle of one if the other process was killed there."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    body = stream.read(size)
    return body if len(body) == size else None


def write(stream: IO[bytes], body: bytes) -> None:
    """Sends a message. Raises OSError where nobody reads any more."""
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def answers() -> IO[bytes]:
    """In a child: where its messages go. Whatever prints goes to standard error from then on, not in between."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def end_with(parent: int) -> None:
    """In a child: ends it when its parent dies, whatever it does then.

    Args:
        parent: the pid, as the parent told it: one that dies while its child still starts cannot be asked for any more.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    # A child whose parent died belongs to another process from then on. A read of standard input would not tell while
    # it works.
    while os.getppid() == parent:
        time.sleep(0.5)
    # Not sys.exit, which would end this thread only.
    os._exit(1)


def with_secrets(settings: Settings, told: dict[str, str]) -> Settings:
    """In a child: settings with what `Settings.reading_secrets` gave the parent."""
    secrets: dict[str, Any] = {name: Secret(text) for name, text in told.items()}
    return dataclasses.replace(settings, **secrets)


def told(error: errors.PenstockError) -> Told:
    """In a child: an error to send.

    Not the exception itself: pickle calls its class with what `args` holds, which is not what ours are made of.
    """
    return type(error).__name__, error.__dict__


def rebuilt(error: Told) -> errors.PenstockError:
    """In the parent: the error that was sent."""
    name, attributes = error
    kind: type[errors.PenstockError] = getattr(errors, name)
    made = kind.__new__(kind, attributes["detail"])
    made.__dict__.update(attributes)
    return made


def command(module: str, parent: int, niceness: int = 0) -> list[str]:
    """In the parent: what starts a child.

    Args:
        module: whose `main` the child runs. Not by `-m`: its package may import it, and it would be there twice.
        parent: told, since one that dies while its child still starts cannot be asked for any more.
        niceness: added to the parent's.
    """
    program = f"""
import os
os.nice({niceness})  # before there are threads
from penstock.process import environment
environment.prepare()
environment.loading()
from {module} import main
main({parent})
"""
    return [sys.executable, "-c", program]


def end(process: subprocess.Popen[bytes]) -> None:
    """In the parent: kills a child, if it lives, and closes its pipes."""
    process.kill()
    # Reaps it; a killed child stays as a zombie until somebody does.
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what could not be sent any more
                stream.close()
