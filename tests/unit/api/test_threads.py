"""Claims about who waits for whom: one caller, or one silent bucket, keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from api_world import World, events, problem
from support import waiting
from support.silent import SilentServer

from penstock.api import context, threads


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


@pytest.fixture
def bucket() -> Iterator[SilentServer]:
    """An endpoint that takes connections and says nothing."""
    made = SilentServer()
    yield made
    made.close()


def test_a_tenants_silent_bucket_keeps_no_other_waiting(world: World, bucket: SilentServer) -> None:
    world = world.under(endpoint_allow_list=("127.0.0.0/8",))
    for tenant in (world.acme, world.other):
        world.ingest(events(3), tenant)
    mine = world.done_search(token=world.acme.token, community_uuids=[world.acme.uuid])
    others = world.done_search(token=world.other.token, community_uuids=[world.other.uuid])
    s3: dict[str, Any] = {
        "bucket_name": "mine",
        "access_key_id": "AKIA",
        "secret_access_key": "hunter2",
        "endpoint_url": f"https://127.0.0.1:{bucket.port}",
    }
    export = f"/v1/sic/conf/events/search/jobs/{mine}/export"
    # More than there are heavy threads.
    tries = [("/v1/destinations/try", s3)] * 4 + [(export, {"s3": s3, "generate_customer_key": True})]
    with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
        held = [pool.submit(world.post, path, json=body) for path, body in tries]
        try:
            waiting.until(lambda: len(bucket.held) >= context.FAR_THREADS_PER_KEY, what="the share of one caller")
            # All of that while the first caller's requests hang.
            token = world.other.token
            assert world.get(f"/v1/sic/conf/events/search/jobs/{others}/events", token).json()["total"] == 3
            assert world.post(f"/v1/sic/conf/events/search/jobs/{others}/export/estimate", token).status_code == 200
            assert world.export(others, token=token).status_code == 200
            assert not any(one.done() for one in held)
        finally:
            bucket.close()
    for one in held:
        problem(one.result(), 422, "destination_not_writable")
