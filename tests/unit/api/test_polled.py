"""Claims about the read that clients poll: it is answered without the framework, and nobody can tell."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
import structlog
from api_world import World, events

from penstock import errors
from penstock.api import auth, polled
from penstock.control import states

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
