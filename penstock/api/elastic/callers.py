"""API keys as Elasticsearch's clients send them, and indices as communities."""

from __future__ import annotations

import base64
import binascii
import collections
from typing import Annotated

import fastapi

from penstock import errors
from penstock.api import auth, context
from penstock.control import communities, states


def token_of(authorization: str) -> str | None:
    """The API key in an Authorization header; None if there is none.

    `Bearer KEY`; `ApiKey KEY` or `ApiKey` and base64 of `ANYTHING:KEY`; `Basic` with the key as the password.
    """
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer":
            return value or None
        case "apikey":
            return _second(value) or value or None
        case "basic":
            return _second(value)
    return None


def _second(encoded: str) -> str | None:
    """What stands behind the first colon of base64 text; None if that is not what it is."""
    try:
        _, colon, second = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return second if colon and second else None


async def find(request: fastapi.Request) -> auth.Caller:
    """Who sends a request. Raises as `auth.permit`."""
    known: auth.KnownKeys = request.app.state.known_keys
    api_key = await known.find(token_of(request.headers.get("Authorization", "")))
    # For the log, also of a request that is refused below.
    request.scope["penstock.api_key_uuid"] = api_key.uuid
    api_key.require(states.Permission.SIC_WRITE_EVENTS)
    return auth.Caller(api_key=api_key)


Writer = Annotated[auth.Caller, fastapi.Depends(find)]
"""The API key of a shipper."""


class Indices:
    """The communities of API keys by the names of indices. A community's name never changes: it is asked for once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    async def of(self, here: context.Context, caller: auth.Caller) -> Mine:
        """Those of one key."""
        if any(one not in self._names for one in caller.communities):
            self._names |= await here.run_light(_look_up, here, caller.communities)
        return Mine({one: self._names[one] for one in caller.communities if one in self._names})


def _look_up(here: context.Context, uuids: tuple[str, ...]) -> dict[str, str]:
    with here.services.database.read() as tx:
        return {one.uuid: one.name for one in communities.list_all(tx, uuids)}


class Mine:
    """The communities of an API key.

    Args:
        names: their names, by UUID.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        lower = collections.Counter(name.lower() for name in names.values())
        self._found = {name.lower(): uuid for uuid, name in names.items() if lower[name.lower()] == 1}
        self._found |= {name: uuid for uuid, name in names.items()} | {uuid: uuid for uuid in names}
        self._hint = f"Name one of these: {', '.join(sorted(names.values())[:20])}; or its UUID."

    def named(self, index: str) -> str:
        """The UUID of the community that an index names: by UUID or by name, also in lower case as indices are.

        Raises:
            NotFound: `community_not_found`.
        """
        if (found := self._found.get(index)) is not None:
            return found
        raise errors.NotFound(
            "community_not_found", f"The index {index[:200]!r} names no community of this API key.", self._hint
        )

    def meant(self, index: str | None) -> str:
        """The UUID of the community that an action means: the key's only one, whatever its index is called; or `named`.

        Raises:
            NotFound: `community_not_found`.
            InvalidRequest: `index_missing`.
        """
        if len(self.names) == 1:
            return next(iter(self.names))
        if index is None:
            raise errors.InvalidRequest(
                "index_missing",
                f"The action names no index, and this API key reaches {len(self.names)} communities.",
                "Set _index to the community's name, or use a key of one community.",
            )
        return self.named(index)
