"""A server that answers as it is told, for what no real S3 server can be made to do."""

from __future__ import annotations

import collections
import dataclasses
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import testing
from penstock.storage import Secret
from penstock.storage.s3 import store as s3


@dataclasses.dataclass(frozen=True)
class Request:
    """What came.

    Attributes:
        line: method and path with query.
        headers: names in lower case.
        body: all of it.
    """

    line: str
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass
class ScriptedServer:
    """An http server on loopback that gives its answers in order, the last one for ever.

    Attributes:
        url: where it listens.
        requests: what came, in order.
        answers: (status, headers, body), or None: the connection is broken without an answer.
    """

    url: str = ""
    requests: list[Request] = dataclasses.field(default_factory=list)
    answers: collections.deque[Any] = dataclasses.field(default_factory=collections.deque)

    def will_answer(self, *answers: Any) -> None:
        self.answers = collections.deque(answers)

    def next_answer(self) -> Any:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    script = ScriptedServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.requests.append(Request(f"{self.command} {self.path}", headers, body))
            answer = script.next_answer()
            if answer is None:
                self.close_connection = True
                return
            status, more, content = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_DELETE = do_POST = do_PUT

        def log_message(self, *_: Any) -> None:
            """Silence."""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{made.server_address[1]}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield script
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def clock() -> testing.ManualClock:
    return testing.ManualClock()


@pytest.fixture
def store(server: ScriptedServer, clock: testing.ManualClock) -> s3.S3Store:
    """An S3 store that speaks to the scripted server; its pauses pass at once."""
    settings = s3.S3Settings(
        bucket="bucket",
        endpoint_url=server.url,
        access_key_id="AKIDEXAMPLE",
        secret_access_key=Secret("the secret"),
        allow_http=True,
        retry_seconds=60,
    )
    return s3.S3Store(settings, clock=clock)
