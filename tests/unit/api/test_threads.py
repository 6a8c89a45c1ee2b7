"""Claims about who waits for whom: one caller, or one silent bucket, keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import pytest
from api_world import Http, World, events, problem
from support import waiting

from penstock import worker
from penstock.api import app, context, threads
from penstock.process import services


def test_a_caller_has_a_share_and_leaves_nothing_behind() -> None:
    async def scenario() -> list[str]:
        pool, may_end = threads.Threads(3, 2), threading.Event()
        begun: list[str] = []

        def work(name: str) -> None:
            begun.append(name)
            assert may_end.wait(60)

        greedy = [asyncio.create_task(pool.run("greedy", work, "greedy")) for _ in range(5)]
        while len(begun) < 2:
            await asyncio.sleep(0.01)
        other = asyncio.create_task(pool.run("other", work, "other"))
        while len(begun) < 3:
            await asyncio.sleep(0.01)
        so_far = sorted(begun)
        may_end.set()
        await asyncio.gather(other, *greedy)
        assert len(begun) == 6
        assert pool._of_one == {}
        return so_far

    assert asyncio.run(scenario()) == ["greedy", "greedy", "other"]


def test_what_is_raised_comes_back_and_gives_the_thread_back() -> None:
    async def scenario() -> int:
        pool = threads.Threads(2, 1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run("one", divmod, 1, 0)
        return await pool.run("one", max, 1, 2)

    assert asyncio.run(scenario()) == 2


class SilentBucket:
    """An endpoint that takes connections and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        # `close` alone does not wake an `accept`.
        with contextlib.suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self.taken:
            one.close()


@pytest.fixture
def bucket() -> Iterator[SilentBucket]:
    made = SilentBucket()
    yield made
    made.close()


@pytest.fixture
def allowing(world: World) -> Iterator[World]:
    """The same service, whose operator allows endpoints on loopback."""
    values = dataclasses.replace(world.services.settings, endpoint_allow_list=("127.0.0.0/8",))
    with (
        services.opened(values, clock=world.clock) as opened,
        anyio.from_thread.start_blocking_portal() as portal,
    ):
        yield dataclasses.replace(
            world, services=opened, http=Http(app.create_app(opened), portal), worker=worker.Worker(opened)
        )


def test_a_tenants_silent_bucket_keeps_no_other_waiting(allowing: World, bucket: SilentBucket) -> None:
    world, silent = allowing, bucket
    for tenant in (world.acme, world.other):
        world.ingest(events(3), tenant)
    mine = world.done_search(token=world.acme.token, community_uuids=[world.acme.uuid])
    others = world.done_search(token=world.other.token, community_uuids=[world.other.uuid])
    s3: dict[str, Any] = {
        "bucket_name": "mine",
        "access_key_id": "AKIA",
        "secret_access_key": "hunter2",
        "endpoint_url": f"https://127.0.0.1:{silent.port}",
    }
    export = f"/v1/sic/conf/events/search/jobs/{mine}/export"
    # More than there are heavy threads.
    tries = [("/v1/destinations/try", s3)] * 4 + [(export, {"s3": s3, "generate_customer_key": True})]
    with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
        held = [pool.submit(world.post, path, json=body) for path, body in tries]
        try:
            waiting.until(lambda: len(silent.taken) >= context.FAR_THREADS // 4, what="the share of one caller")
            # All of that while the first caller's requests hang.
            token = world.other.token
            assert world.get(f"/v1/sic/conf/events/search/jobs/{others}/events", token).json()["total"] == 3
            assert world.post(f"/v1/sic/conf/events/search/jobs/{others}/export/estimate", token).status_code == 200
            assert world.export(others, token=token).status_code == 200
            assert not any(one.done() for one in held)
        finally:
            silent.close()
    for one in held:
        problem(one.result(), 422, "destination_not_writable")
