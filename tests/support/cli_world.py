"""A running service with sample events, and the command line beside it, as fixtures for several test modules."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import structlog

from penstock import cli
from penstock import settings as settings_module
from penstock.cli import home
from penstock.cli.commands import generating, local
from penstock.cli.commands.operate import initializing
from penstock.process import logs, server

QUERY = "event.category:authentication"
EVENTS = 20_000
OWN_KEY = base64.b64encode(bytes(range(32))).decode()
AMBIENT = ("API_KEY", "API_HOST", "EXPORT_FIELDS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "S3_SSE_C_KEY", "S3_BUCKET")


class World(NamedTuple):
    """A running service and the key of its first community."""

    url: str
    api_key: str
    home: pathlib.Path


class Ran(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


@contextlib.contextmanager
def logged_to(file: pathlib.Path, settings: settings_module.Settings) -> Iterator[None]:
    """The service's log away from the output that the tests look at."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    logs.configure(settings)
    with file.open("w") as stream:
        for handler in root.handlers:
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(stream)
        try:
            yield
        finally:
            root.handlers, root.level = before
            structlog.reset_defaults()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service with sample events, in this process."""
    folder = tmp_path_factory.mktemp("world") / "home"
    with pytest.MonkeyPatch.context() as patch:
        for name in AMBIENT:
            patch.delenv(name, raising=False)
        patch.setenv("PENSTOCK_HOME", str(folder))
        made = initializing.make_home("acme", if_missing=False)
        settings = local.settings(host="127.0.0.1", port=0, exports_per_search_job=1000)
        with logged_to(folder / "service.log", settings), server.running(settings) as listening:
            generating.fill(listening.services, made["community_uuid"], events=EVENTS, seed=1, start=None, days=2.0)
            announcement = home.Announcement()
            with announcement:
                announcement.make(home.RunningService(url=listening.url, ca_file=None, pid=os.getpid()))
                yield World(listening.url, made["api_key"], folder)


@pytest.fixture
def penstock(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> Any:
    """Runs a command line in a fresh working directory."""
    monkeypatch.chdir(tmp_path)
    for name in AMBIENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_HOME", str(world.home))

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = cli.run(arguments)
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def job(penstock: Any) -> str:
    """UUID of a search job that is done."""
    return str(penstock("search", QUERY, "--earliest", "-3d", "--limit", "0").out.splitlines()[0])


@pytest.fixture
def total(penstock: Any, job: str) -> int:
    """How many events the search job counted."""
    return int(json.loads(penstock("search", QUERY, "--earliest", "-3d", "--json").out)["job"]["total"])


def lines_of(file: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
