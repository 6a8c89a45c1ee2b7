"""What tests of the API work with: a whole service in this process, and a client that speaks ASGI to its app."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import anyio.from_thread
import fastapi
import httpx

from penstock import testing, worker
from penstock.api import app as app_module
from penstock.control import apikeys, limits, states
from penstock.process import services

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
JOBS = "/v1/sic/conf/events/search/jobs"
EVERYTHING = [each for each in states.Permission if each is not states.Permission.ADMIN]
KEY = base64.b64encode(bytes(range(32))).decode()


class HeldClock(testing.ManualClock):
    """Stands still until moved; but waiting really waits: the thread that renews leases must not run it ahead."""

    def reset(self) -> None:
        """Back to NOON: each test begins there."""
        self._now = NOON

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        return event.wait(timeout_seconds)


class Http:
    """A client of an app, without sockets; blocking, as tests are."""

    def __init__(self, app: fastapi.FastAPI, portal: anyio.from_thread.BlockingPortal) -> None:
        self.app = app
        self._portal = portal

    def __call__(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://penstock.test") as client:
                return await client.request(method, path, headers=headers, **options)

        return self._portal.call(send)


@dataclasses.dataclass
class Tenant:
    """A community and a key that may do everything in it but administrate."""

    uuid: str
    token: str
    key: apikeys.ApiKey


@dataclasses.dataclass
class World:
    """Two tenants, and shortcuts to bring things into the state that a test is about."""

    services: services.Services
    clock: testing.ManualClock
    http: Http
    worker: worker.Worker
    acme: Tenant
    other: Tenant

    def under(self, **settings: Any) -> World:
        """The same service, by an operator who has set this."""
        own = dataclasses.replace(self.services, settings=dataclasses.replace(self.services.settings, **settings))
        return dataclasses.replace(
            self,
            services=own,
            http=Http(app_module.create_app(own), self.http._portal),
            worker=worker.Worker(own, worker_id="w"),
        )

    def get(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return self.http("GET", path, token=token or self.acme.token, **options)

    def post(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return self.http("POST", path, token=token or self.acme.token, **options)

    def key(self, *permissions: states.Permission, communities: Iterable[str] | None = None) -> str:
        """The token of a new key."""
        with self.services.database.begin() as tx:
            wanted = [self.acme.uuid] if communities is None else communities
            made = apikeys.create(
                tx, communities=wanted, permissions=permissions, name="made for a test", now=self.clock.now()
            )
        return made[1]

    def limit(self, **own: int) -> None:
        """Sets acme's own limits."""
        with self.services.database.begin() as tx:
            limits.set_for_community(tx, self.acme.uuid, limits.Overrides(**own))

    def ingest(self, events: Iterable[Mapping[str, Any]], tenant: Tenant | None = None) -> None:
        lines = "".join(json.dumps(event) + "\n" for event in events).encode()
        answer = self.post(
            f"/v1/communities/{(tenant or self.acme).uuid}/events", (tenant or self.acme).token, content=lines
        )
        assert answer.status_code == 200, answer.text

    def search(self, term: str = "", token: str | None = None, **members: Any) -> str:
        """A search job that nobody has counted yet."""
        body = {"term": term, "earliest_time": "-1d", "latest_time": "now", **members}
        answer = self.post(JOBS, token, json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["uuid"])

    def done_search(self, term: str = "", token: str | None = None, **members: Any) -> str:
        uuid = self.search(term, token, **members)
        while self.worker.run_search():
            pass
        return uuid

    def export(
        self, job: str, body: Any = None, token: str | None = None, *, make_key: bool = True, **options: Any
    ) -> httpx.Response:
        """Starts an export; without a key in `body`, the service is asked to make one (`make_key`)."""
        key_given = isinstance(body, dict) and "sse_customer_key" in (body.get("s3") or {})
        if make_key and not key_given and isinstance(body, dict | None):
            body = {"generate_customer_key": True, **(body or {})}
        if body is not None:
            options["json"] = body
        return self.post(f"{JOBS}/{job}/export", token, **options)

    def finished_export(self, job: str, body: Any = None) -> dict[str, Any]:
        """The task of a finished export."""
        started = self.export(job, body)
        assert started.status_code == 200, started.text
        self.worker.run_pending()
        task: dict[str, Any] = self.get(f"/v1/tasks/{started.json()['task_uuid']}").json()
        assert task["status"] == "FINISHED", task
        return task


def events(
    count: int, *, start: dt.datetime = NOON - dt.timedelta(hours=2), step_seconds: float = 1
) -> list[dict[str, Any]]:
    """Events in time order, one each `step_seconds`."""
    return [
        {
            "@timestamp": (start + dt.timedelta(seconds=n * step_seconds)).isoformat().replace("+00:00", "Z"),
            "message": f"event {n}",
            "source.ip": f"10.0.0.{n % 250}",
            "event.outcome": "failure" if n % 2 else "success",
        }
        for n in range(count)
    ]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["type"] == f"urn:penstock:problem:{code}"
    assert document["title"]
    assert document["detail"]
    assert isinstance(document["hint"], str)
    assert document["request_id"] == answer.headers["x-request-id"]
    return document
