"""Real HTTP servers that misbehave as asked: a store of one object, and a service of canned answers."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from penstock.client.http.retry import Retry
from penstock.evidence import manifest as manifests
from penstock.storage.keys import CustomerKey

KEY = CustomerKey(bytes(range(32)))
QUICK = Retry(attempts=4, sleep=lambda seconds: None)


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ObjectServer:
    """One object behind a URL, served as S3 does.

    Attributes:
        body: the object.
        etag: its ETag.
        cuts: bytes after which each next answer breaks off; empty: none breaks.
        flips: offsets whose byte is sent wrong; each used up by one answer if `lies_once`.
        refusals: (status, XML code, message) of the next answers.
        takes_ranges: answers 206.
        requests: headers of every request.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.etag = f'"{hashlib.md5(body).hexdigest()}"'
        self.cuts: list[int] = []
        self.flips: set[int] = set()
        self.lies_once = False
        self.refusals: list[tuple[int, str, str]] = []
        self.refuse_always: tuple[int, str, str] | None = None
        self.takes_ranges = True
        self.requests: list[Mapping[str, str]] = []
        self.after_cut: Callable[[], None] = lambda: None
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.requests.append(dict(handler.headers))
            refusal = self.refuse_always or (self.refusals.pop(0) if self.refusals else None)
            cut = self.cuts.pop(0) if self.cuts else None
            body = bytearray(self.body)
        if refusal:
            self.refuse(handler, *refusal)
            return
        start, end = 0, len(body)
        asked = handler.headers.get("Range")
        fits = handler.headers.get("If-Range") in (None, self.etag)
        partial = bool(asked) and self.takes_ranges and fits
        if partial:
            first, _, last = str(asked).removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(body)) if last else len(body)
            if start >= len(body):
                self.refuse(handler, 416, "InvalidRange", "The requested range is not satisfiable")
                return
        with self.lock:
            for offset in [at for at in self.flips if start <= at < end]:
                body[offset] ^= 1
                if self.lies_once:
                    self.flips.discard(offset)
        handler.send_response(206 if partial else 200)
        handler.send_header("Content-Length", str(end - start))
        handler.send_header("ETag", self.etag)
        if partial:
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        handler.end_headers()
        piece = bytes(body[start:end])
        handler.wfile.write(piece if cut is None else piece[:cut])
        handler.close_connection = True
        if cut is not None:
            self.after_cut()

    def refuse(self, handler: http.server.BaseHTTPRequestHandler, status: int, code: str, message: str) -> None:
        xml = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(xml)))
        handler.end_headers()
        handler.wfile.write(xml)


@pytest.fixture
def object_server() -> Iterator[Callable[[bytes], ObjectServer]]:
    """Starts stores of one object."""
    with contextlib.ExitStack() as stack:

        def start(body: bytes) -> ObjectServer:
            store = ObjectServer(body)

            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"

                def do_GET(self) -> None:
                    store.answer(self)

                def log_message(self, *args: Any) -> None:
                    """Quiet."""

            store.url = stack.enter_context(serving(Handler)) + "/export.jsonl.gz?signature=1"
            return store

        yield start


class Service:
    """A service of canned answers: `routes` maps "METHOD /path" to (status, body, headers), or to a list of them."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.queries: list[tuple[str, str, str]] = []
        self.url = ""

    def bodies(self, route: str) -> list[Any]:
        """JSON of the requests to a route."""
        return [json.loads(body) for method, path, _, body in self.requests if f"{method} {path}" == route]

    def headers(self, route: str) -> list[Mapping[str, str]]:
        return [headers for method, path, headers, _ in self.requests if f"{method} {path}" == route]

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        path, _, query = handler.path.partition("?")
        self.queries.append((handler.command, path, query))
        self.requests.append((handler.command, path, dict(handler.headers), body))
        found = self.routes.get(f"{handler.command} {path}", (404, {"code": "not_found", "detail": f"No {path}."}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if found == "hang up":
            handler.close_connection = True
            return
        status, content, *rest = found
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in (rest[0] if rest else {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


@pytest.fixture
def service() -> Iterator[Service]:
    """A running service of canned answers."""
    canned = Service()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            canned.answer(self)

        do_POST = do_DELETE = do_GET

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    with serving(Handler) as url:
        canned.url = url
        yield canned


def lines(count: int, seed: int = 1) -> bytes:
    """JSON Lines that do not compress well."""
    draw = random.Random(seed)
    return b"".join(
        json.dumps({"@timestamp": f"2026-01-01T00:00:{n % 60:02}Z", "n": n, "x": draw.randbytes(30).hex()}).encode()
        + b"\n"
        for n in range(count)
    )


def make_export_file(events: int, part_bytes: int, seed: int = 1) -> tuple[bytes, dict[str, Any]]:
    """A file as the service makes it, and its manifest."""
    body = gzip.compress(lines(events, seed), 1)
    return body, manifest_of(body, part_bytes, events)


@pytest.fixture
def export_file() -> Callable[..., tuple[bytes, dict[str, Any]]]:
    """Makes a file as the service makes it, and its manifest: export_file(events, part_bytes, seed)."""
    return make_export_file


def manifest_of(body: bytes, part_bytes: int, events: int, task_uuid: str = "task-1") -> dict[str, Any]:
    """A signed manifest in the service's own format."""
    pieces: Sequence[bytes] = [body[at : at + part_bytes] for at in range(0, len(body), part_bytes)]
    parts = [
        {
            "number": n + 1,
            "offset": n * part_bytes,
            "size": len(piece),
            "sha256": hashlib.sha256(piece).hexdigest(),
            "events": 0,
        }
        for n, piece in enumerate(pieces)
    ]
    return manifests.Signer(bytes(32)).sign(
        {
            "format": manifests.FORMAT,
            "task_uuid": task_uuid,
            "events": events,
            "size": len(body),
            "parts": parts,
            "root_sha256": manifests.root(part["sha256"] for part in parts),
        }
    )
