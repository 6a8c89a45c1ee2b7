"""Slow and many connections: given up in time, and not felt by others."""

from __future__ import annotations

import contextlib
import gzip
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from penstock import settings
from penstock.control import apikeys, communities, secrets, states
from penstock.process import server

LINE = b'{"message":"x"}\n'


@contextlib.contextmanager
def serving(home: pathlib.Path, **values: float) -> Iterator[tuple[server.Listening, list[tuple[str, str]]]]:
    """The service without a worker, and (community, token) of two tenants."""
    secrets.MasterKeys.create(home)
    found = settings.load(home=home, port=0, request_head_seconds=0.5, **values)
    with server.running(found, worker=False) as listening:
        tenants = []
        with listening.services.database.begin() as tx:
            for name in ("a", "b"):
                community = communities.create(tx, name=name, now=listening.services.clock.now())
                _, token = apikeys.create(
                    tx,
                    communities=[community.uuid],
                    permissions=[states.Permission.SIC_WRITE_EVENTS],
                    name=name,
                    now=listening.services.clock.now(),
                )
                tenants.append((community.uuid, token))
        yield listening, tenants


@pytest.fixture
def opened() -> Iterator[Callable[[server.Listening, bytes], socket.socket]]:
    """Opens connections and sends a text on each; closed at the end, whatever became of the test."""
    with contextlib.ExitStack() as connections:

        def one(listening: server.Listening, text: bytes) -> socket.socket:
            made = socket.create_connection(("127.0.0.1", listening.port), timeout=20)
            connections.callback(made.close)
            made.sendall(text)
            return made

        yield one


Opened = Callable[[server.Listening, bytes], socket.socket]


def ends(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            found += piece
    return found


def head_of(community: str, token: str, length: int, *more: str) -> bytes:
    lines = (
        f"POST /v1/communities/{community}/events HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        f"Content-Length: {length}",
        *more,
    )
    return "\r\n".join((*lines, "", "")).encode()


@pytest.mark.parametrize("text", [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n"])
def test_a_head_that_does_not_end_is_given_up(tmp_path: pathlib.Path, opened: Opened, text: bytes) -> None:
    with serving(tmp_path) as (listening, _):
        assert ends(opened(listening, text)) == b""


def test_the_next_head_on_a_connection_has_a_deadline_too(tmp_path: pathlib.Path, opened: Opened) -> None:
    with serving(tmp_path) as (listening, _):
        connection = opened(listening, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
        assert ends(connection).startswith(b"HTTP/1.1 200")


def test_a_head_in_drops_does_not_move_its_deadline(tmp_path: pathlib.Path, opened: Opened) -> None:
    with serving(tmp_path) as (listening, _):
        connection = opened(listening, b"GET /healthz HTTP/1.1\r\nX: ")
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    connection.send(b"a")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert ends(connection) == b""
        finally:
            stop.set()
            dripping.join()


def test_one_address_cannot_take_all_connections(tmp_path: pathlib.Path, opened: Opened) -> None:
    with serving(tmp_path, connections_per_address=8) as (listening, _):
        held = [opened(listening, b"") for _ in range(8)]
        assert ends(opened(listening, b"")) == b""
        for connection in held:
            connection.close()
        for _ in range(200):  # until the server has seen them go
            with contextlib.suppress(httpx.TransportError):
                assert httpx.get(f"{listening.url}/healthz", timeout=20).status_code == 200
                return
            time.sleep(0.05)
        pytest.fail("connections that are gone still count")


def test_a_slow_body_is_given_up_with_its_reason(
    tmp_path: pathlib.Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.api.around.middleware.GRACE_SECONDS", 0.3)
    with serving(tmp_path) as (listening, [(community, token), _]):
        answer = ends(opened(listening, head_of(community, token, 1000) + b"{"))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"request_too_slow" in answer


def test_slow_senders_of_one_tenant_do_not_keep_another_from_ingesting(tmp_path: pathlib.Path, opened: Opened) -> None:
    """Four senders of a byte every five seconds stopped all intake: each held one of four threads."""
    with serving(tmp_path) as (listening, [slow, (community, token)]):
        held = [opened(listening, head_of(*slow, 1000) + b"{") for _ in range(12)]
        url = f"{listening.url}/v1/communities/{community}/events"
        answer = httpx.post(
            url,
            content=gzip.compress(LINE),
            headers={"Authorization": f"Bearer {token}", "Content-Encoding": "gzip"},
            timeout=8,  # less than the slow ones are given
        )
        assert answer.json()["accepted"] == 1
        for connection in held:
            connection.close()


def test_a_key_has_a_bounded_number_of_ingest_requests(tmp_path: pathlib.Path, opened: Opened) -> None:
    with serving(tmp_path, ingest_requests_per_key=2) as (listening, [(community, token), (other, other_token)]):
        held = [opened(listening, head_of(community, token, 1000, "Expect: 100-continue")) for _ in range(2)]
        for connection in held:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 100")  # it is counted: its body is asked for
        refused = _ingest(listening, community, token)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert _ingest(listening, other, other_token).status_code == 200
        for connection in held:
            connection.close()
        for _ in range(200):
            if _ingest(listening, community, token).status_code == 200:
                return
            time.sleep(0.05)
        pytest.fail("requests that are gone still count")


def _ingest(listening: server.Listening, community: str, token: str) -> httpx.Response:
    url = f"{listening.url}/v1/communities/{community}/events"
    return httpx.post(url, content=LINE, headers={"Authorization": f"Bearer {token}"}, timeout=20)
