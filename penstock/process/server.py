"""Runs the API: a socket, a certificate, the worker beside it, and a shutdown that loses nothing.

`serve` is the command's body, with the worker in a process of its own; `running` has both in threads of this one, for
tests and for the demo. SIGTERM and SIGINT let
requests in flight finish (a bound applies), then stop the worker, which finishes its part and gives the lease back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gc
import pathlib
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator

import structlog
import uvicorn

from penstock import errors, query
from penstock import settings as settings_module
from penstock import worker as worker_module
from penstock.api import app as app_module
from penstock.base import later
from penstock.process import certificates as tls
from penstock.process import connections, logs
from penstock.process import services as services_module
from penstock.worker import process as worker_process

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 10
"""Requests still in flight this long after the signal are cut off; a download resumes with Range."""

SWITCH_SECONDS = 0.001
"""How long a thread that takes events in may keep the interpreter from a read of a task; Python's own is 5 ms."""

BACKLOG = 256
_ANY_ADDRESS = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 compared with, not bound to


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listening:
    """Where the service can be reached.

    Attributes:
        url: what clients use: the setting `public_url`, or scheme, host and the port really bound.
        port: the port really bound.
        ca_file: the CA that clients must trust; None without TLS.
        services: what the API and the worker work with.
        is_local_url: other machines may connect, but are given download URLs that lead to themselves.
    """

    url: str
    port: int
    ca_file: pathlib.Path | None
    services: services_module.Services
    is_local_url: bool

    def announcement(self) -> str:
        """What `serve` prints: where it listens, where its pages are, and how clients come to trust it."""
        lines = [f"Penstock listens on {self.url}", f"API documentation: {self.url}/docs"]
        if self.ca_file is not None:
            lines.append(f"CA file: {self.ca_file}")
            lines.append(f"Clients trust it with: export REQUESTS_CA_BUNDLE={self.ca_file}")
        if self.is_local_url:
            lines.append(f"Warning: download URLs begin with {self.url}, which leads nowhere from other machines.")
            lines.append("Set PENSTOCK_PUBLIC_URL to the address that clients use.")
        return "\n".join(lines)


def serve(
    settings: settings_module.Settings,
    *,
    tls: bool,
    worker: bool,
    announce: Callable[[Listening], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then returns. Must run in the main thread.

    Raises:
        ConfigurationError: `address_unavailable`, `server_not_started`, or whatever is wrong with home, master key,
            database or certificates.
    """
    logs.configure(settings)
    with _prepared(settings, with_tls=tls, worker_of=_beside if worker else None) as (server, sockets, listening):
        _settle()
        (announce or _print)(listening)
        # uvicorn raises a captured signal again once it has shut down; that must not end the process unclean.
        with (
            worker_process.stopped_by_signals(),
            contextlib.suppress(SystemExit),
        ):  # with which uvicorn says that it could not start
            server.run(sockets=sockets)
        if not server.started:
            raise _not_started("its parts could not be started")


@contextlib.contextmanager
def running(settings: settings_module.Settings, *, tls: bool = False, worker: bool = True) -> Iterator[Listening]:
    """The service in threads of this process, answering when the block begins, stopped when it ends."""
    with _prepared(settings, with_tls=tls, worker_of=worker_module.Worker if worker else None) as (
        server,
        sockets,
        listening,
    ):
        failure: list[BaseException] = []

        def run() -> None:
            try:
                server.run(sockets=sockets)
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=run, name="penstock-api", daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise _not_started("its parts could not be started") from (failure[0] if failure else None)
                time.sleep(0.005)
            yield listening
        finally:
            server.should_exit = True
            thread.join()


def _not_started(why: str) -> errors.ConfigurationError:
    return errors.ConfigurationError("server_not_started", f"The server did not start: {why}.", "The log says why.")


def _print(listening: Listening) -> None:
    print(listening.announcement(), flush=True)


@contextlib.contextmanager
def _prepared(
    settings: settings_module.Settings,
    *,
    with_tls: bool,
    worker_of: Callable[[services_module.Services], app_module.Companion] | None,
) -> Iterator[tuple[uvicorn.Server, list[socket.socket], Listening]]:
    """Everything that can fail, done before the first request is taken; and its undoing."""
    # Bound first: with port 0 only the socket knows the port, and URL and certificate need it.
    with contextlib.closing(_bind(settings)) as listener:
        port = listener.getsockname()[1]
        url = settings.public_url or f"{'https' if with_tls else 'http'}://{_reachable(settings.host)}:{port}"
        is_local_url = not settings.public_url and settings.storage == "embedded" and settings.host in _ANY_ADDRESS
        if is_local_url:
            log.warning("public_url_not_set", download_urls_begin_with=url)
        settings = dataclasses.replace(settings, port=port, public_url=url)
        files = tls.ensure(settings.home, _names_of(settings), dt.datetime.now(dt.UTC)) if with_tls else None
        services = services_module.Services.open(settings)
        switch_seconds = sys.getswitchinterval()
        try:
            worker = worker_of(services) if worker_of else None
            sys.setswitchinterval(SWITCH_SECONDS)
            config = uvicorn.Config(
                app_module.create_app(services, worker=worker),
                lifespan="on",
                # uvicorn would else install its own handlers over ours, with access lines that hold signed URLs.
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
                **connections.options(
                    most=settings.max_connections,
                    most_per_address=settings.connections_per_address,
                    head_seconds=settings.request_head_seconds,
                ),
                ssl_certfile=str(files.certificate_file) if files else None,
                ssl_keyfile=str(files.key_file) if files else None,
            )
            listening = Listening(
                url=url,
                port=port,
                ca_file=files.ca_file if files else None,
                services=services,
                is_local_url=is_local_url,
            )
            yield uvicorn.Server(config), [listener], listening
        finally:
            sys.setswitchinterval(switch_seconds)
            # Last: the worker has stopped with the app's lifespan, and wrote its end down through the database.
            services.close()


def _settle() -> None:
    """Before the first request: what the first of a kind would wait for, and everybody with it.

    Modules and tables are loaded; and what is there by then is left out of the garbage collector's rounds: each would
    stop all requests for 0.05 to 0.15 s, and find nothing.
    """
    later.load()
    query.parse("a:b")
    gc.collect()
    gc.freeze()


def _beside(services: services_module.Services) -> worker_process.Beside:
    return worker_process.Beside(services.settings)


def _names_of(settings: settings_module.Settings) -> list[str]:
    """What clients may call this machine: the host of `public_url` is what they are told to use."""
    public = urllib.parse.urlsplit(settings.public_url).hostname
    return [settings.host, socket.gethostname(), *([public] if public else [])]


def _bind(settings: settings_module.Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise errors.ConfigurationError(
            "address_unavailable",
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}.",
            "Choose another with --port (0 takes a free one) or --host, or stop what listens there.",
        ) from error
    # Accepted sockets inherit it; asyncio sets it only where a socket's protocol is spelt out. Head and body are two
    # writes: without it, the second waits 40 ms for a client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _reachable(host: str) -> str:
    """A host that clients on this machine can connect to, ready to be put into a URL."""
    if host in _ANY_ADDRESS:
        return "localhost"
    return f"[{host}]" if ":" in host else host
