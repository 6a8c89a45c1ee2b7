"""Real shippers, as docs/shippers.md configures them, and the service that they ship to: one that can be killed."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from penstock import settings
from penstock.control import apikeys, communities, secrets, states
from penstock.lake import table
from penstock.process import services

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "shippers.md").read_text()


def programs() -> pathlib.Path:
    """The folder that PENSTOCK_TEST_SHIPPERS names; without one: skip, but fail where CI=true."""
    folder = os.environ.get("PENSTOCK_TEST_SHIPPERS", "")
    if not folder and os.environ.get("CI") == "true":
        pytest.fail("CI must set PENSTOCK_TEST_SHIPPERS (scripts/shippers.sh)")
    if not folder:
        pytest.skip("no shippers: scripts/shippers.sh, then set PENSTOCK_TEST_SHIPPERS")
    return pathlib.Path(folder)


class Service:
    """`penstock serve --tls` on one port, started again as often as wished; a community and a key for each name."""

    def __init__(self, home: pathlib.Path, *names: str) -> None:
        self.home = home
        home.mkdir()
        secrets.MasterKeys.create(home)
        self.keys: dict[str, str] = {}
        self.tables: dict[str, table.EventTable] = {}
        values = settings.Settings(home=home)
        with services.opened(values) as opened, opened.database.begin() as tx:
            for name in names:
                now = opened.clock.now()
                uuid = communities.create(tx, name=name, now=now).uuid
                permissions = [states.Permission.SIC_WRITE_EVENTS]
                _, self.keys[name] = apikeys.create(tx, communities=[uuid], permissions=permissions, name=name, now=now)
                self.tables[name] = table.EventTable(values.resolved_lake_path, uuid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.ca_file = home / "tls" / "ca.pem"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Answers when this returns."""
        command = [sys.executable, "-m", "penstock", "serve", "--tls", "--no-worker", "--port", str(self.port)]
        environment = os.environ | {"PENSTOCK_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        with (self.home / "log").open("a") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.match(r"CA file: (.+)", line):
                self.ca_file = pathlib.Path(found[1])
            if "listens on" in line:
                break
        until(60, self._is_answering, "the service answers")

    def _is_answering(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def rows(self) -> int:
        """Events of all communities."""
        return sum(one.snapshot().rows for one in self.tables.values())

    def messages(self, name: str) -> collections.Counter[str]:
        """How often each message is there."""
        snapshot = self.tables[name].snapshot()
        files = [pl.read_parquet(snapshot.location(file.path), columns=["message"]) for file in snapshot.files]
        return collections.Counter(pl.concat(files)["message"].to_list())


def until(seconds: float, is_so: Callable[[], bool], what: str, *, pause_seconds: float = 0.01) -> None:
    """Waits until something is so; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(pause_seconds)


def configuration(heading: str, service: Service, name: str, folder: pathlib.Path, batch_lines: int) -> str:
    """The block below a heading of docs/shippers.md, for this service and requests of so many lines."""
    block = PAGE.partition(f"### {heading}")[2].split("```")[1].partition("\n")[2]
    for example, own in (
        ("https://penstock.example:8080", service.url),
        ("/etc/ssl/penstock-ca.pem", str(service.ca_file)),
        ("/var/log/", f"{folder}/"),
        ("KEY", service.keys[name]),
        ("acme", name),
    ):
        assert example in block or example == "/var/log/", example
        block = block.replace(example, own)
    # Smaller and sooner than in production: many requests are under way when the service is killed, and a test is in a
    # hurry.
    block = re.sub(r'(batch-lines\(|dequeueBatchSize=")1000', rf"\g<1>{batch_lines}", block)
    return block.replace('resumeInterval="5"', 'resumeInterval="1"').replace("time-reopen(5)", "time-reopen(1)")


@contextlib.contextmanager
def rsyslog(root: pathlib.Path, service: Service, name: str, source: pathlib.Path, batch_lines: int) -> Iterator[None]:
    """Ships the lines of a file, so many a request, while the block lasts."""
    folder = source.parent
    block = configuration("rsyslog (omelasticsearch)", service, name, folder, batch_lines)
    text = f"""global(workDirectory="{folder}")
module(load="imfile" mode="polling" pollingInterval="1")
input(type="imfile" file="{source}" tag="lines" ruleset="penstock")
{block}
"""
    (folder / "rsyslog.conf").write_text(text)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    with _running(
        folder,
        [
            root / "usr/sbin/rsyslogd",
            "-n",
            "-M",
            libraries / "rsyslog",
            "-f",
            folder / "rsyslog.conf",
            "-i",
            folder / "pid",
        ],
        [libraries, root / "lib/x86_64-linux-gnu"],
    ):
        yield


@contextlib.contextmanager
def syslog_ng(
    root: pathlib.Path, service: Service, name: str, source: pathlib.Path, batch_lines: int
) -> Iterator[None]:
    """As `rsyslog`."""
    folder = source.parent
    block = configuration("syslog-ng (elasticsearch-http)", service, name, folder, batch_lines)
    block = block.replace("disk-buffer(", f'disk-buffer(dir("{folder}") ')
    scl = root / "usr/share/syslog-ng/include/scl"
    text = f"""@version: 3.38
@define scl-root "{scl}"
@include "{scl}/elasticsearch/elastic-http.conf"
source s_lines {{ file("{source}" flags(no-parse) follow-freq(1) log-iw-size(10000) log-fetch-limit(1000)); }};
{block}
log {{ source(s_lines); destination(d_penstock); flags(flow-control); }};
"""
    (folder / "syslog-ng.conf").write_text(text)
    libraries = root / "usr/lib"
    command = [root / "usr/sbin/syslog-ng", "-F", "--no-caps", "-f", folder / "syslog-ng.conf"]
    command += ["--module-path", libraries / "syslog-ng/3.38", "-R", folder / "persist", "-p", folder / "pid"]
    command += ["-c", folder / "control"]
    with _running(
        folder, command, [libraries / "x86_64-linux-gnu", root / "lib/x86_64-linux-gnu", libraries / "syslog-ng"]
    ):
        yield


@contextlib.contextmanager
def _running(folder: pathlib.Path, command: list[object], libraries: list[pathlib.Path]) -> Iterator[None]:
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(list(map(str, command)), env=environment, stdout=output, stderr=output)
    try:
        yield
        assert process.poll() is None, (folder / "output").read_text()
    finally:
        process.terminate()
        process.wait(timeout=120)
