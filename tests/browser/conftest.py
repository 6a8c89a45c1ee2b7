"""Fixtures: one service, one Chromium, tabs in browser contexts of their own.

The fixtures end with this package, not with the session: Playwright's loop stays bound to the thread while it runs, and
no later test of the same process could use asyncio.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock import settings, worker
from penstock.control import secrets
from penstock.process import services

HERE = pathlib.Path(__file__).parent
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or "/usr/bin/chromium"
"""The shell is the same browser without its windows: a tab of it takes a fifth of the CPU seconds to open."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

POLL_SECONDS = 0.15

IN_CI = bool(os.environ.get("CI"))
collect_ignore_glob = [] if IN_CI or importlib.util.find_spec("playwright") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.xdist_group("browser"))
        if not IN_CI and not pathlib.Path(CHROMIUM).exists():
            item.add_marker(pytest.mark.skip(reason="no Chromium; scripts/browser.sh installs it"))


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from support import browser

    home = tmp_path_factory.mktemp("console") / "home"
    home.mkdir()
    secrets.MasterKeys.create(home)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    values = settings.Settings(home=home, public_url=f"http://127.0.0.1:{port}")
    with services.opened(values) as opened:
        made = browser.Service(home=home, port=port, opened=opened)
        over = threading.Event()
        here = worker.Worker(opened, worker_id="tests", step=made.step)

        def run_search() -> bool:
            return not made.searches_wait and here.run_search()

        threads = [threading.Thread(target=_work, args=(run, over)) for run in (run_search, here.run_export)]
        made.start()
        for thread in threads:
            thread.start()
        try:
            yield made
        finally:
            over.set()
            made.go_on.set()
            for thread in threads:
                thread.join()
            made.stop()


def _work(run: Callable[[], bool], over: threading.Event) -> None:
    while not over.is_set():
        if not run():
            over.wait(POLL_SECONDS)


@pytest.fixture(scope="package")
def bank(service: Any) -> Any:
    """A community that tests look at and leave as it is."""
    return service.community()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def new_tab(chromium: Any, service: Any) -> Iterator[Callable[..., Any]]:
    """Makes tabs, each in a browser context of its own; a fault on any of them fails the test."""
    from support import browser

    contexts: list[Any] = []
    tabs: list[browser.Tab] = []

    def make(**options: Any) -> Any:
        context = chromium.new_context(
            **{"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        tabs.append(browser.Tab(context.new_page(), service))
        return tabs[-1]

    yield make
    faults = [fault for tab in tabs for fault in tab.faults]
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def tab(new_tab: Callable[..., Any]) -> Any:
    return new_tab()
