"""Claims about the read that clients poll: it is answered without the framework, and nobody can tell."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import anyio
import pytest
import structlog
from api_world import World, events

from penstock import errors
from penstock.api import auth
from penstock.api.around import polled
from penstock.control import states
from penstock.control.schema import tables

MADE_ANEW = {"x-request-id", "date"}


@pytest.fixture
def task(world: World) -> str:
    """A finished one."""
    world.ingest(events(5))
    return str(world.finished_export(world.done_search())["uuid"])


def seen(answer: Any) -> tuple[int, dict[str, str], bytes]:
    """All of an answer that does not differ from one request to the next."""
    body = answer.content.replace(answer.headers["x-request-id"].encode(), b"")
    return answer.status_code, {name: value for name, value in answer.headers.items() if name not in MADE_ANEW}, body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize(
    "caller",
    ["its own", "another tenant", "without the permission", "unknown", "none", "another scheme"],
)
def test_it_is_answered_as_the_route_answers_it(
    world: World, task: str, caller: str, prefix: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {
        "its own": world.acme.token,
        "another tenant": world.other.token,
        "without the permission": world.key(states.Permission.SIC_READ_INTAKES),
        "unknown": "pst_unknown",
    }
    scheme = "Basic" if caller == "another scheme" else "bearer"
    headers = {} if caller == "none" else {"Authorization": f"{scheme} {tokens.get(caller, world.acme.token)}"}
    taken: list[bytes | None] = []
    read = polled._read

    async def watched(*arguments: Any) -> bytes | None:
        taken.append(await read(*arguments))
        return taken[-1]

    monkeypatch.setattr(polled, "_read", watched)
    path = f"{prefix}/tasks/{task}"
    quick = world.http(method, path, headers=headers)
    assert [each is not None for each in taken] == [caller == "its own"]
    by_route = world.http(method, f"{path}?", params={"any": "1"}, headers=headers)
    assert len(taken) == 1
    assert seen(quick) == seen(by_route)
    assert (quick.status_code == 200) is (caller == "its own")
    assert (quick.status_code == 200) is (caller == "its own")


def test_log_and_metrics_name_it_as_the_route(world: World, task: str) -> None:
    with structlog.testing.capture_logs() as logs:
        world.get(f"/v1/tasks/{task}")
        world.get(f"/v1/tasks/{task}", params={"any": "1"})
    quick, by_route = ({**line, "request_id": "", "duration_ms": 0} for line in logs if line["event"] == "request")
    assert quick == by_route
    assert quick["route"] == "/v1/tasks/{task_uuid}"
    assert quick["task_uuid"] == task
    assert quick["api_key_uuid"] == world.acme.key.uuid


def test_who_waits_for_a_key_waits_for_one_look_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    really = auth.KnownKeys._look_up

    def counted(known: auth.KnownKeys, token: str | None) -> Any:
        asked.append(token)
        return really(known, token)

    monkeypatch.setattr(auth.KnownKeys, "_look_up", counted)

    async def together() -> list[Any]:
        known = auth.KnownKeys(world.services, anyio.CapacityLimiter(4))
        good = [asyncio.ensure_future(known.find(world.acme.token)) for _ in range(20)]
        bad = [asyncio.ensure_future(known.find("pst_unknown")) for _ in range(3)]
        await asyncio.sleep(0)
        good[0].cancel()  # who hangs up takes it from nobody else
        return await asyncio.gather(*good[1:], *bad, return_exceptions=True)

    found = asyncio.run(together())
    assert [each.uuid for each in found[:19]] == [world.acme.key.uuid] * 19
    assert all(isinstance(each, errors.NotAuthenticated) for each in found[19:])
    assert sorted(asked, key=str) == sorted([world.acme.token, "pst_unknown"])


def test_who_comes_while_the_database_is_asked_waits_for_one_next_look(
    world: World, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty together; none gets what was true before it asked; who hangs up takes it from nobody else."""
    looked: list[int] = []
    has_begun, may_end = threading.Event(), threading.Event()
    really = polled._bodies

    def slow(services: Any, asked: Any) -> Any:
        found = really(services, asked)
        looked.append(len(asked))
        has_begun.set()
        may_end.wait(10)
        return found

    monkeypatch.setattr(polled, "_bodies", slow)
    mine, others = (world.acme.uuid,), (world.other.uuid,)

    async def together() -> list[bytes | None]:
        looks = polled.Looks(world.services, anyio.CapacityLimiter(4))
        first = asyncio.ensure_future(looks.body(task, mine))
        await asyncio.to_thread(has_begun.wait, 10)
        with world.services.database.begin() as tx:
            tx.execute(tables.exports.update().where(tables.exports.c.task_uuid == task).values(progress_events=4))
        late = [asyncio.ensure_future(looks.body(task, mine)) for _ in range(20)]
        strangers = asyncio.ensure_future(looks.body(task, others))
        await asyncio.sleep(0)
        late.pop().cancel()
        may_end.set()
        return list(await asyncio.gather(first, strangers, *late))

    first, stranger, *late = asyncio.run(together())
    assert first is not None
    assert json.loads(first)["progress"] == 5
    assert stranger is None
    assert [json.loads(each or b"null")["progress"] for each in late] == [4] * 19
    assert looked == [1, 2]


@pytest.mark.parametrize("fault", [errors.StorageError("database_unavailable", "Away.", "Wait."), ValueError("a bug")])
def test_a_look_that_fails_is_over_for_all_who_waited_and_for_nobody_else(
    world: World, task: str, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = (world.acme.uuid,)

    def failing(*_: Any) -> Any:
        raise fault

    async def one_after_the_other() -> tuple[list[Any], bytes | None]:
        looks = polled.Looks(world.services, anyio.CapacityLimiter(4))
        with monkeypatch.context() as patch:
            patch.setattr(polled, "_bodies", failing)
            failed = await asyncio.gather(*(looks.body(task, mine) for _ in range(3)), return_exceptions=True)
        return failed, await looks.body(task, mine)

    failed, found = asyncio.run(one_after_the_other())
    # What the operator can see to is told by the route, which each of them goes on to.
    assert failed == ([None] * 3 if isinstance(fault, errors.PenstockError) else [fault] * 3)
    assert found is not None
