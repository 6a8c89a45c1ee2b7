"""Tenants of a service under chaos: quiet ones, whose every export is known, and a hostile one."""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import gzip
import json
import pathlib
import random
import secrets
import threading
import time
from typing import Any

import httpx
import sqlalchemy as sa

from penstock.control.schema import tables
from penstock.lake import upkeep
from penstock.process import services
from penstock.samples import generate
from support import house, tenants
from support.chaos import disk

JOBS = "/v1/sic/conf/events/search/jobs"
TIMES = {"earliest_time": house.EARLIEST.isoformat(), "latest_time": house.LATEST.isoformat()}
PATIENCE_SECONDS = 30.0
"""For one search."""

REFUSALS = frozenset({404, 409, 422, 429, 502, 503, 507})
"""What the API may answer meanwhile; never a 500."""


@dataclasses.dataclass(kw_only=True)
class Tenant:
    """One community, what it has asked for, and what it was answered.

    Attributes:
        started: the customer keys of exports by task; only those that the API said it has started.
        sealed: what of their secrets lay in the database meanwhile, by task.
        asked_to_cancel, canceled: tasks; of the second the API has said that they will be.
        refused: how often the API has answered which status.
    """

    opened: services.Services
    http: httpx.Client
    community_uuid: str
    job: str = ""
    started: dict[str, bytes] = dataclasses.field(default_factory=dict)
    sealed: dict[str, bytes] = dataclasses.field(default_factory=dict)
    asked_to_cancel: set[str] = dataclasses.field(default_factory=set)
    canceled: set[str] = dataclasses.field(default_factory=set)
    refused: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)

    def post(self, path: str, **what: Any) -> httpx.Response | None:
        """None if it was refused for the time being."""
        answer = self.http.post(path, **what)
        if answer.is_success:
            return answer
        assert answer.status_code in REFUSALS, answer.text
        self.refused[answer.status_code] += 1
        return None

    def search(self, term: str = "", over: threading.Event | None = None) -> str | None:
        """A search job that is done; None if it was refused, or too late, or all is over."""
        answer = self.post(JOBS, json={"term": term, **TIMES})
        if answer is None:
            return None
        job, deadline = str(answer.json()["uuid"]), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not (over and over.is_set()):
            found = self.http.get(f"{JOBS}/{job}")
            if found.is_success and found.json()["status"] >= 2:
                assert found.json()["status"] == 2, found.text
                return job
            time.sleep(0.02)
        return None

    def start(self) -> str | None:
        """Starts an export of `job` under a key of its own."""
        key = secrets.token_bytes(32)
        body = {"fields": house.FIELDS, "s3": {"sse_customer_key": base64.b64encode(key).decode()}}
        answer = self.post(f"{JOBS}/{self.job}/export", json=body)
        if answer is None:
            return None
        task = str(answer.json()["task_uuid"])
        self.started[task] = key
        with contextlib.suppress(Exception), self.opened.database.read() as tx:  # a full disk may keep us from reading
            query = sa.select(tables.exports.c.sealed_customer_key).where(tables.exports.c.task_uuid == task)
            if sealed := tx.execute(query).scalar_one_or_none():
                self.sealed[task] = bytes(sealed)
        return task

    def cancel(self, task: str) -> None:
        self.asked_to_cancel.add(task)
        if self.post(f"/v1/tasks/{task}/cancel") is not None:
            self.canceled.add(task)


def move_in(opened: services.Services, url: str, name: str, events: int) -> Tenant:
    """A new community with events."""
    ((community,), token) = tenants.tenants(opened, name)
    events_table = opened.table(community)
    generate.generate(events_table, events=events, seed=len(name), start=house.START)
    # Else a worker joins the files some time later: the lines of an export stay the same, but not where they are cut.
    upkeep.compact(events_table)
    http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    return Tenant(opened=opened, http=http, community_uuid=community)


class Hostile(threading.Thread):
    """A tenant's flood, until told to quit: giant searches, bombs, rubbish, and other tenants' uuids."""

    def __init__(self, tenant: Tenant, seed: int, home: pathlib.Path, others: list[Tenant]) -> None:
        super().__init__(name="hostile")
        self.tenant = tenant
        self.did: collections.Counter[str] = collections.Counter()
        self.failure: BaseException | None = None
        self._draw = random.Random(seed)
        self._home = home
        self._others = others
        self._over = threading.Event()

    def run(self) -> None:
        acts = (self.giant_search, self.giant_search, self.bomb, self.wide, self.rubbish, self.trespass)
        try:
            while not self._over.is_set():
                act = self._draw.choice(acts)
                act()
                self.did[act.__name__] += 1
        except BaseException as error:
            self.failure = error

    def quit(self) -> None:
        self._over.set()
        self.join()
        if self.failure is not None:
            raise self.failure
        for job in self.tenant.http.get(JOBS, params={"limit": 1000}).json()["items"]:
            self.tenant.http.post(f"{JOBS}/{job['uuid']}/cancel")

    def giant_search(self) -> None:
        words = [f"*{self._draw.randrange(1 << 40):x}*" for _ in range(self._draw.choice((50, 400)))]
        self.tenant.post(JOBS, json={"term": " OR ".join(words), **TIMES})

    def bomb(self) -> None:
        self._take_in(gzip.compress(b"\n" * (2 << 20), 1), gzipped=True)

    def wide(self) -> None:
        if self._home.exists() and not disk.is_half_full(self._home):
            lines = (json.dumps({f"f{self._draw.randrange(3000)}": n for n in range(20)}) for _ in range(100))
            self._take_in("\n".join(lines).encode())

    def rubbish(self) -> None:
        self._take_in(self._draw.randbytes(5000), gzipped=self._draw.random() < 0.5)

    def trespass(self) -> None:
        other = self._draw.choice(self._others)
        tasks = [f"/v1/tasks/{task}" for task in list(other.started)]
        for path in [f"{JOBS}/{other.job}", *tasks[-3:]]:
            assert self.tenant.http.get(path).status_code in {404, 429, 502, 503, 507}

    def _take_in(self, body: bytes, *, gzipped: bool = False) -> None:
        headers = {"Content-Encoding": "gzip"} if gzipped else {}
        path = f"/v1/communities/{self.tenant.community_uuid}/events"
        answer = self.tenant.http.post(path, content=body, headers=headers)
        assert answer.status_code in REFUSALS | {200, 400, 413, 415}, answer.text
