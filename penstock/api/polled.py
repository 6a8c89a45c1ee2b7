"""The read that clients poll, `GET …/tasks/UUID`, answered without what the framework does for every request.

Routing, dependencies and checks of the answer cost three times what the answer itself does, and a service is asked for
little else while exports run. So the plain case is answered here, exactly as the route answers it; everything
else goes on to the route: a key that is unknown or may not, a task that is not there, a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pydantic
from starlette import datastructures, types

from penstock import errors
from penstock.api import auth, context, schemas
from penstock.api.routes import tasks
from penstock.control import states

_BEARER = re.compile(rb"bearer (\S+)\Z", re.IGNORECASE)
_TASK = pydantic.TypeAdapter(schemas.Task)


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
    here: context.Context = state.context
    try:
        api_key = await known_keys.find(token[1].decode("latin-1"))
        api_key.require(states.Permission.SIC_MASSIVE_EXPORT_EVENTS)
        task = await here.run_light(tasks.read, here.services, task_uuid, api_key.community_uuids)
    except errors.PenstockError:
        return None
    scope["penstock.api_key_uuid"] = api_key.uuid
    return _TASK.dump_json(task)


async def _answer(scope: types.Scope, task_uuid: str, body: bytes, send: types.Send) -> None:
    scope["route"] = tasks.POLLED  # for log and metrics
    scope["path_params"] = {"task_uuid": task_uuid}
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
