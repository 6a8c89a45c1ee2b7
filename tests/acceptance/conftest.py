"""A whole service in this process, used as its customers use it: over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import httpx
import pytest

from penstock import settings as settings_module
from penstock.client import Downloaded, Export, Penstock
from penstock.control import apikeys, communities, secrets, states
from penstock.process import server

EVER = {"earliest": "0001-01-01T00:00:00Z", "latest": "9999-12-31T23:59:59.999999Z"}


@dataclasses.dataclass(frozen=True)
class Customer:
    """A community of its own, and a client that may do everything in it.

    Attributes:
        community: its UUID.
        http: the service's API with the customer's key.
        penstock: the Python client with the same key.
    """

    community: str
    http: httpx.Client
    penstock: Penstock

    def send(self, lines: Iterable[bytes] | bytes, **headers: str) -> httpx.Response:
        """Takes events in over HTTP."""
        body = lines if isinstance(lines, bytes) else b"\n".join(lines)
        return self.http.post(f"/v1/communities/{self.community}/events", content=body, headers=headers)

    def export(self, term: str = "", fields: Sequence[str] | None = None, **times: str) -> Export:
        """A finished export of what a query finds."""
        export = self.penstock.search(term, **{**EVER, **times}).export(fields)
        export.wait(interval_seconds=0.05)
        return export

    def downloaded(self, term: str, fields: Sequence[str], file: pathlib.Path) -> Downloaded:
        """The export of a query as a verified file."""
        return self.export(term, fields).download(file)


@pytest.fixture(scope="session")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Listening]:
    with served(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def hasty_customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    """A customer of another service, whose download window is two seconds."""
    with (
        served(tmp_path_factory.mktemp("home"), download_window_seconds=2) as listening,
        customer_of(listening) as found,
    ):
        yield found


@contextlib.contextmanager
def served(home: pathlib.Path, **more: int) -> Iterator[server.Listening]:
    """A service in a fresh home."""
    secrets.MasterKeys.create(home)
    with server.running(settings_module.Settings(home=home, port=0, poll_seconds=0.02, **more)) as found:
        yield found


@pytest.fixture
def customer(listening: server.Listening) -> Iterator[Customer]:
    with customer_of(listening) as found:
        yield found


@contextlib.contextmanager
def customer_of(listening: server.Listening) -> Iterator[Customer]:
    """A new customer of a service."""
    opened = listening.services
    with opened.database.begin() as tx:
        now = opened.clock.now()
        community = communities.create(tx, name=f"customer {len(communities.list_all(tx))}", now=now)
        _, token = apikeys.create(
            tx, communities=[community.uuid], permissions=list(states.Permission), name="all", now=now
        )
    headers = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=listening.url, headers=headers, timeout=60) as http,
        Penstock(listening.url, token) as penstock,
    ):
        yield Customer(community.uuid, http, penstock)
