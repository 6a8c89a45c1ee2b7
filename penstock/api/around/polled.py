"""The read that clients poll, `GET …/tasks/UUID`, answered without what the framework does for every request.

Routing, dependencies and checks of the answer cost three times what the answer itself does, and a service is asked for
little else while exports run. So the plain case is answered here, exactly as the route answers it; everything
else goes on to the route: a key that is unknown or may not, a task that is not there, a fault.

Who comes while the database is asked waits for the next look, which is one for all of them. So a read costs the less
the more there are, and none is answered with what was true before it was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence

import anyio
import anyio.to_thread
import pydantic
from starlette import datastructures, types

from penstock import errors
from penstock.api import auth, schemas
from penstock.api.routes import tasks
from penstock.control import states
from penstock.process import services as services_module

_BEARER = re.compile(rb"bearer (\S+)\Z", re.IGNORECASE)
_TASK = pydantic.TypeAdapter(schemas.Task)

_Asked = tuple[str, tuple[str, ...]]
"""A task's UUID, and the communities that the caller may see."""


class PolledTask:
    """The innermost layer: what is around it holds for these answers too.

    Args:
        prefixes: what the API's paths start with.
    """

    def __init__(self, app: types.ASGIApp, prefixes: Sequence[str]) -> None:
        self._app = app
        self._path = re.compile(f"(?:{'|'.join(map(re.escape, prefixes))})/tasks/([0-9a-f-]{{36}})\\Z")

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            asked = self._path.match(scope["path"])
            if asked is not None and (body := await _read(scope, asked[1])) is not None:
                await _answer(scope, asked[1], body, send)
                return
        await self._app(scope, receive, send)


async def _read(scope: types.Scope, task_uuid: str) -> bytes | None:
    """The answer's body; None where the route has to say something else."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    token = _BEARER.match(given[0]) if len(given) == 1 else None
    if token is None:
        return None
    state: datastructures.State = scope["app"].state
    known_keys: auth.KnownKeys = state.known_keys
    try:
        api_key = await known_keys.find(token[1].decode("latin-1"))
        api_key.require(states.Permission.SIC_MASSIVE_EXPORT_EVENTS)
        looks: Looks = state.looks
        body = await looks.body(task_uuid, api_key.community_uuids)
    except errors.PenstockError:
        return None
    if body is not None:
        scope["penstock.api_key_uuid"] = api_key.uuid
    return body


async def _answer(scope: types.Scope, task_uuid: str, body: bytes, send: types.Send) -> None:
    scope["route"] = tasks.POLLED  # for log and metrics
    scope["path_params"] = {"task_uuid": task_uuid}
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Looks:
    """Looks into the database, one after the other, each for all who have asked by then."""

    def __init__(self, services: services_module.Services, limiter: anyio.CapacityLimiter) -> None:
        self._services = services
        self._limiter = limiter
        self._waiting: dict[_Asked, asyncio.Future[bytes | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def body(self, task_uuid: str, communities: tuple[str, ...]) -> bytes | None:
        """The task as JSON; None if there is none for these communities, or the database could not be asked."""
        asked = (task_uuid, communities)
        if (found := self._waiting.get(asked)) is None:
            found = self._waiting[asked] = asyncio.get_running_loop().create_future()
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
        # Whoever hangs up takes it from nobody else.
        return await asyncio.shield(found)

    async def _look(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                try:
                    found = await anyio.to_thread.run_sync(
                        _bodies, self._services, list(waiting), limiter=self._limiter
                    )
                except errors.PenstockError:
                    found = {}  # the route says what it is
                except Exception as error:
                    for one in waiting.values():
                        one.set_exception(error)
                    continue
                for asked, one in waiting.items():
                    one.set_result(found.get(asked))
        finally:
            self._looking = None


def _bodies(services: services_module.Services, asked: Sequence[_Asked]) -> dict[_Asked, bytes]:
    found = {}
    with services.database.read() as tx:
        for task_uuid, communities in asked:
            with contextlib.suppress(errors.NotFound):
                found[task_uuid, communities] = _TASK.dump_json(tasks.read_in(tx, services, task_uuid, communities))
    return found
