"""Claims about small bodies that wait for one another: one commit, an answer for each, and nobody waits for others."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

import anyio
import httpx
import pytest
from api_world import World, problem

from penstock import errors
from penstock.api.intake import gathering
from penstock.control import states
from penstock.intake.requests import groups
from penstock.lake import table


@contextlib.contextmanager
def held(world: World, monkeypatch: pytest.MonkeyPatch, send: Callable[[], Any]) -> Iterator[list[int]]:
    """While the block lasts, the commit of what `send` sends is under way. Gives the sizes of acme's groups."""
    take, began, may_end = groups.take, threading.Event(), threading.Event()
    sizes: list[int] = []

    def slow(events: table.EventTable, bodies: Sequence[groups.Body], **options: Any) -> list[groups.Outcome]:
        if events.community_uuid == world.acme.uuid:
            sizes.append(len(bodies))
            began.set()
            assert may_end.wait(30)
        return take(events, bodies, **options)

    monkeypatch.setattr(groups, "take", slow)
    with futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(send)
        assert began.wait(30)
        try:
            yield sizes
        finally:
            may_end.set()
        first.result()


def post(world: World, text: bytes, batch_id: str = "", **options: Any) -> httpx.Response:
    query = f"?batch_id={batch_id}" if batch_id else ""
    return world.post(f"/v1/communities/{world.acme.uuid}/events{query}", content=text, **options)


def line(n: int) -> bytes:
    return b'{"@timestamp":"2026-03-01T10:00:00Z","n":%d}\n' % n


def waiting(world: World) -> int:
    """Bytes of the bodies that wait or are being taken in."""
    gatherer: gathering.Gatherer = world.http.app.state.context.intake._gatherer
    return gatherer._held_bytes


def all_at_once(world: World, sends: Sequence[Callable[[], httpx.Response]], size: int) -> list[Any]:
    """Sends all; returns once all wait, with what will be their answers."""
    pool = futures.ThreadPoolExecutor(len(sends))
    found = [pool.submit(send) for send in sends]
    pool.shutdown(wait=False)
    while waiting(world) < size and not all(one.done() for one in found):
        threading.Event().wait(0.005)
    return found


def test_what_comes_during_a_commit_shares_the_next_one_and_each_gets_its_own_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(world, line(0))
    events = world.services.table(world.acme.uuid)
    version = events.snapshot().version
    texts = [line(n) * n + b"bad\n" * (n % 2) for n in range(1, 7)]
    with held(world, monkeypatch, lambda: post(world, line(0))) as sizes:
        sends = [lambda text=text: post(world, text) for text in texts]
        sends.append(lambda: post(world, gzip.compress(line(9))[:-4], headers={"Content-Encoding": "gzip"}))
        size = len(line(0)) + sum(map(len, texts)) + gathering.MOST_BODY_BYTES
        answers = all_at_once(world, sends, size)
        assert waiting(world) == size
    *good, broken = [one.result() for one in answers]
    assert [one.json()["accepted"] for one in good] == [1, 2, 3, 4, 5, 6]
    assert [one.json()["rejected_total"] for one in good] == [1, 0, 1, 0, 1, 0]
    problem(broken, 422, "truncated_body")
    assert sizes == [1, 7]
    assert events.snapshot().version - version == 2
    assert events.snapshot().rows == 2 + 21
    assert waiting(world) == 0
    key = world.key(states.Permission.ADMIN)
    entries = world.get(f"/v1/audit?action=events.ingested&community_uuid={world.acme.uuid}", key).json()["items"]
    assert [entry["detail"]["requests"] for entry in entries] == [6, 1, 1]
    assert [entry["detail"]["accepted"] for entry in entries] == [21, 1, 1]


def test_a_batch_sent_twice_at_once_is_in_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(world, monkeypatch, lambda: post(world, line(0))):
        answers = all_at_once(world, [lambda: post(world, line(1), "again")] * 3, 4 * len(line(0)))
    assert sorted(one.result().json()["accepted"] for one in answers) == [0, 0, 1]
    assert world.services.table(world.acme.uuid).snapshot().rows == 2


def test_a_fault_of_the_commit_is_told_to_all_and_a_retry_brings_all_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise errors.NoRoom("no_room", "The disk is full.", "Make room.", free_bytes=1, kept_back_bytes=2)

    monkeypatch.setattr(table.EventTable, "append", fail)
    with held(world, monkeypatch, lambda: post(world, line(0), "0")):
        sends = [lambda n=n: post(world, line(n), str(n)) for n in (1, 2, 3)]
        answers = all_at_once(world, sends, 4 * len(line(0)))
    for one in answers:
        problem(one.result(), 507, "no_room")
    monkeypatch.undo()
    assert [post(world, line(n), str(n)).json()["accepted"] for n in range(4)] == [1] * 4


def test_a_community_does_not_wait_for_another_ones_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(world, monkeypatch, lambda: post(world, line(0))):
        world.ingest([{"n": 1}], world.other)


def test_more_bodies_than_the_service_holds_are_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MOST_WAITING_BYTES", 100)
    with held(world, monkeypatch, lambda: post(world, line(0))):
        answer = post(world, line(0) * 2)
        problem(answer, 429, "intake_full")
        assert answer.headers["Retry-After"] == "1"
    assert post(world, line(0) * 4).json()["accepted"] == 4  # one that comes alone is held, whatever its size


def test_a_group_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_GROUP_BODIES", 2)
    with held(world, monkeypatch, lambda: post(world, line(0))) as sizes:
        answers = all_at_once(world, [lambda: post(world, line(1))] * 5, 6 * len(line(0)))
    assert [one.result().status_code for one in answers] == [200] * 5
    assert sizes == [1, 2, 2, 1]


def test_large_bodies_have_a_commit_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "take", None)
    assert post(world, line(1) * 10_000).json()["accepted"] == 10_000


def test_what_comes_within_a_window_is_gathered_and_nothing_is_left_of_who_sends_no_more() -> None:
    sizes: list[int] = []

    def commit(_: str, posts: Sequence[gathering.Post]) -> list[groups.Outcome]:
        sizes.append(len(posts))
        return [groups.Taken(accepted=1, rejected=0, rejects=(), version=1, is_repeat=False) for _ in posts]

    async def main() -> None:
        gatherer = gathering.Gatherer(commit, window_seconds=0.5)
        post = gathering.Post(body=groups.Body(items=list), bytes=1, actor="key")
        await gatherer.take("acme", post)  # alone, and at once
        async with anyio.create_task_group() as both:
            both.start_soon(gatherer.take, "acme", post)
            await anyio.sleep(0.01)  # without a window, the first would be on its way by now
            both.start_soon(gatherer.take, "acme", post)
        with anyio.fail_after(30):
            while gatherer._queues:
                await anyio.sleep(0.01)

    asyncio.run(main())
    assert sizes == [1, 2]


def test_without_a_window_nothing_is_gathered() -> None:
    gatherer = gathering.Gatherer(lambda *_: [], window_seconds=0)
    assert not gatherer.takes(1)
    assert gathering.Gatherer(lambda *_: [], window_seconds=1).takes(gathering.MOST_BODY_BYTES)


def test_a_bug_in_the_commit_is_told_to_its_posts_and_the_next_group_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """What compiled code raises."""

    def fail(*_: Any, **__: Any) -> int:
        raise Panic

    take = groups.take
    monkeypatch.setattr(groups, "take", fail)
    problem(post(world, line(0)), 500, "internal_error")
    monkeypatch.setattr(groups, "take", take)
    assert post(world, line(0)).json()["accepted"] == 1
