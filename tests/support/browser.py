"""What the browser tests work with: a real `penstock serve`, its worker in this process, and a tab with the console.

The worker runs here so that a test can hold an export at any step and look at the page meanwhile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from playwright import sync_api

from penstock.control import apikeys, communities, limits, searches, states
from penstock.process import services
from support.waiting import until

FAILED_LOGINS = 48
LOGINS = 120
PATIENCE_MS = 30_000
"""Long, since the machine may be busy; a test that passes waits for nothing but what it claims."""


def login(n: int) -> dict[str, Any]:
    """One of the events that every community of these tests has."""
    at = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(minutes=5 + n * 10)
    failed = n % 5 < 2
    return {
        "@timestamp": at.isoformat().replace("+00:00", "Z"),
        "event.action": "ssh_login" if n % 3 else "vpn_login",
        "event.outcome": "failure" if failed else "success",
        "event.category": ["authentication"],
        "user.name": ["root", "alice", "m.okafor", "svc-backup"][n % 4],
        "source.ip": f"203.0.113.{n % 20}",
        "source.port": 32_000 + n,
        "host.name": f"web-{n % 6}",
        "network.bytes": 1.50 if n % 2 else 12_345_678_901_234_567_890,
        "message": f"{'Failed' if failed else 'Accepted'} password for user {n} from 203.0.113.{n % 20}",
    }


@dataclasses.dataclass
class Community:
    """A tenant of the service under test, and a key that may do everything."""

    uuid: str
    name: str
    token: str


@dataclasses.dataclass
class Service:
    """`penstock serve` on a home of its own. The worker is here; `hold` stops it at a step of an export."""

    home: pathlib.Path
    port: int
    opened: services.Services
    process: subprocess.Popen[bytes] | None = None
    held_at: str = ""
    is_held: threading.Event = dataclasses.field(default_factory=threading.Event)
    go_on: threading.Event = dataclasses.field(default_factory=threading.Event)
    searches_wait: bool = False
    made: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "penstock", "serve", "--no-worker", "--port", str(self.port)]
        with (self.home / "log").open("ab") as log:
            environment = {**os.environ, "PENSTOCK_HOME": str(self.home)}
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=120)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "log").read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz").status_code == 200
        return False

    def step(self, name: str) -> None:
        """What the worker calls at each step."""
        if self.held_at and name == self.held_at:
            self.held_at = ""
            self.is_held.set()
            self.go_on.wait(timeout=120)

    @contextlib.contextmanager
    def hold(self, step: str) -> Iterator[None]:
        """Stops the next export at a step for the length of the block, or until `go_on` is set."""
        self.is_held.clear()
        self.go_on.clear()
        self.held_at = step
        try:
            yield
        finally:
            self.held_at = ""
            self.go_on.set()

    @contextlib.contextmanager
    def claimed_search(self) -> Iterator[Callable[[searches.SoFar], None]]:
        """Claims the next search in place of the worker; gives what tells how far it is. The worker takes it after."""
        claim: searches.SearchClaim | None = None

        def tell(so_far: searches.SoFar) -> None:
            nonlocal claim
            while claim is None:
                with self.opened.database.begin() as tx:
                    claim = searches.claim(tx, "tests", self.opened.clock.now(), 60)
                time.sleep(0.05)
            with self.opened.database.begin() as tx:
                searches.tell(tx, claim, so_far, self.opened.clock.now())

        self.searches_wait = True
        try:
            yield tell
        finally:
            if claim is not None:
                with self.opened.database.begin() as tx:
                    searches.release(tx, claim, self.opened.clock.now())
            self.searches_wait = False

    def community(self, events: list[dict[str, Any]] | None = None, **own_limits: int) -> Community:
        """A fresh community with the logins, or with other events."""
        self.made += 1
        name, now = f"Harbour Bank {self.made}", self.opened.clock.now()
        with self.opened.database.begin() as tx:
            made = communities.create(tx, name=name, now=now)
            limits.set_for_community(tx, made.uuid, limits.Overrides(**own_limits))
        found = Community(uuid=made.uuid, name=name, token="")
        found.token = self.key(found)
        self.send(found, [login(n) for n in range(LOGINS)] if events is None else events)
        return found

    def key(self, *within: Community, permissions: Any = tuple(states.Permission), name: str = "analyst-laptop") -> str:
        with self.opened.database.begin() as tx:
            _, token = apikeys.create(
                tx,
                communities=[one.uuid for one in within],
                permissions=permissions,
                name=name,
                now=self.opened.clock.now(),
            )
        return token

    def send(self, community: Community, events: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(event) + "\n" for event in events).encode()
        answer = httpx.post(
            f"{self.url}/v1/communities/{community.uuid}/events",
            content=lines,
            headers={"Authorization": f"Bearer {community.token}"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["rejected_total"] == 0, answer.text


class Tab:
    """One page of the browser, and what went wrong on it."""

    def __init__(self, page: Any, service: Service) -> None:
        self.page = page
        self.service = service
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._heard)
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def _heard(self, message: Any) -> None:
        # The browser itself notes every answer that is no success; those that a test causes are no fault of the page.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"{message.type}: {message.text}")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def query(self) -> Any:
        return self.page.get_by_role("textbox", name="Query")

    @property
    def total(self) -> Any:
        return self.page.get_by_role("status", name="Total")

    @property
    def events(self) -> Any:
        return self.page.get_by_role("table", name="Events")

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.service.url}/{path}")

    def sign_in(self, token: str, path: str = "", *, stay: bool = False) -> None:
        self.open(path)
        self.page.get_by_label("API key").fill(token)
        if stay:
            self.page.get_by_label("Stay signed in until I close this tab").check()
        self.button("Sign in").click()
        self.page.locator("#pages").wait_for(state="attached")  # on a phone it is behind a button

    def found(self, number: int) -> None:
        """Waits until the total is this number, counted to the end."""
        expect(self.total).to_contain_text(f"{number:,}", timeout=PATIENCE_MS)
        expect(self.total).to_contain_text("events in", timeout=PATIENCE_MS)

    def search(self, query: str, number: int) -> None:
        self.query.fill(query)
        self.button("Search").click()
        self.found(number)

    def start_export(self, preset: str = "Default fields") -> str:
        """Through the drawer and the key step; gives the key."""
        self.button("Export").click()
        self.page.get_by_role("radio", name=preset).check()
        self.button("Start export").click()
        box = self.page.get_by_role("textbox", name="Encryption key")
        box.wait_for()
        key = str(box.input_value())
        self.page.get_by_role("checkbox", name="I have saved the key").check()
        self.button("Continue").click()
        return key


sync_api.expect.set_options(timeout=PATIENCE_MS)


def expect(locator: Any) -> Any:
    return sync_api.expect(locator)
