"""`penstock serve` and `worker`: the processes that work from a home."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from penstock import worker as worker_module
from penstock.cli import home, output
from penstock.cli.commands import local, opening
from penstock.cli.options import operating
from penstock.process import logs, server


def serve(options: operating.Serve) -> None:
    """Runs the service until it is told to stop; other commands find it meanwhile."""
    given: dict[str, Any] = {"host": options.host, "port": options.port}
    settings = local.settings(**{name: value for name, value in given.items() if value is not None})
    announcement = home.Announcement()

    def announce(listening: server.Listening) -> None:
        announcement.make(
            home.RunningService(
                url=listening.url, ca_file=str(listening.ca_file) if listening.ca_file else None, pid=os.getpid()
            )
        )
        output.say(listening.announcement())

    with announcement:
        server.serve(settings, tls=options.tls, worker=not options.no_worker, announce=announce)
    _leave_hanging_threads()


def worker(_: operating.Worker) -> None:
    """Runs a worker until SIGINT or SIGTERM."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        settings = local.settings()
        logs.configure(settings)
        with opening.services() as services:
            working = worker_module.Worker(services)
            working.start()
            try:
                output.say(f"Worker {working.worker_id} looks for work. Ctrl-C stops it.")
                stop.wait()
            finally:
                working.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _leave_hanging_threads()


def _leave_hanging_threads() -> None:
    """Ends the process at once if a thread hangs in a call to a silent store: the interpreter would wait for it."""
    if any(thread.name.startswith("penstock-") and thread.is_alive() for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
