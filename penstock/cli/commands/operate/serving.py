"""`penstock serve` and `worker`: the processes that work from a home."""

from __future__ import annotations

import os
from typing import Any

from penstock import worker as worker_module
from penstock.cli import home, output
from penstock.cli.commands import local, opening
from penstock.cli.options import operating
from penstock.process import logs, server
from penstock.worker import process as worker_process


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
    worker_process.leave_hanging_threads()


def worker(_: operating.Worker) -> None:
    """Runs a worker until SIGINT or SIGTERM."""
    with worker_process.stopped_by_signals() as stop:
        settings = local.settings()
        logs.configure(settings)
        with opening.services() as services:
            worker_process.run(services, stop, _announce)
    worker_process.leave_hanging_threads()


def _announce(working: worker_module.Worker) -> None:
    output.say(f"Worker {working.worker_id} looks for work. Ctrl-C stops it.")
