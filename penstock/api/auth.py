"""Who calls, and what the key may do: the one dependency that every route with a caller has."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

import anyio
import anyio.to_thread
import fastapi
from fastapi import security

from penstock import errors
from penstock.control import apikeys, states
from penstock.process import services as services_module
from penstock.usecases import orders

_BEARER = security.HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key, as `penstock apikey create` prints it once."
)

ACTOR_TYPE = "apikey"

TRUST_SECONDS = 1.0
"""How long a key that was found is taken for valid: half the cost of reading a task is asking for its key."""

MOST_TRUSTED = 10_000
"""Keys kept at once; beyond that all are forgotten and looked up again."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The API key behind a request.

    Attributes:
        api_key: the key's row, without its token.
    """

    api_key: apikeys.ApiKey

    @property
    def actor(self) -> str:
        """What `created_by` and the audit say."""
        return self.api_key.uuid

    @property
    def communities(self) -> tuple[str, ...]:
        """The communities whose objects exist for this caller."""
        return self.api_key.community_uuids

    def as_plain(self) -> orders.Caller:
        """The caller as use cases know it."""
        return orders.Caller(actor=self.actor, actor_type=ACTOR_TYPE, communities=self.communities)

    def may(self, permission: states.Permission) -> bool:
        """Whether the key holds the permission."""
        return permission in self.api_key.permissions

    def require_community(self, community_uuid: str) -> str:
        """`community_uuid` itself.

        Raises:
            NotFound: `community_not_found`, for one that does not exist and for another tenant's alike.
        """
        if community_uuid not in self.communities:
            raise errors.NotFound(
                "community_not_found",
                f"There is no community {community_uuid}.",
                "GET /v1/communities lists the communities of this API key. The operator lets it reach a new one: "
                "`penstock apikey grant UUID --community NAME`.",
            )
        return community_uuid


class KnownKeys:
    """API keys that were looked up within the last `TRUST_SECONDS`: most requests of a client that polls ask nothing.

    A revoked key is thus refused `TRUST_SECONDS` later at the latest. Tokens are kept as hashes only.
    """

    def __init__(self, services: services_module.Services, limiter: anyio.CapacityLimiter) -> None:
        self._services = services
        self._limiter = limiter
        self._found: dict[bytes, tuple[float, apikeys.ApiKey]] = {}
        self._asking: dict[bytes, asyncio.Future[apikeys.ApiKey]] = {}

    async def find(self, token: str | None) -> apikeys.ApiKey:
        """The key whose token this is. Raises NotAuthenticated."""
        # A hash, as in the database: nothing that is kept holds a token in clear.
        name = hashlib.sha256((token or "").encode()).digest()
        now = self._services.clock.monotonic()
        looked_up_at, api_key = self._found.get(name, (0.0, None))
        if api_key is not None and now - looked_up_at < TRUST_SECONDS:
            return api_key
        # One look-up for all who wait: else each of a hundred that came late would ask, and make all others later.
        if (asking := self._asking.get(name)) is None:
            asking = self._asking[name] = asyncio.ensure_future(self._ask(name, token))
        # Whoever hangs up takes it from nobody else.
        return await asyncio.shield(asking)

    async def _ask(self, name: bytes, token: str | None) -> apikeys.ApiKey:
        # Before the look-up: the second counts from when the database was asked, not from when it answered.
        now = self._services.clock.monotonic()
        try:
            api_key = await anyio.to_thread.run_sync(self._look_up, token, limiter=self._limiter)
        finally:
            del self._asking[name]
        if len(self._found) >= MOST_TRUSTED:
            # All at once: a bound that takes no bookkeeping at each request.
            self._found.clear()
        self._found[name] = (now, api_key)
        return api_key

    def _look_up(self, token: str | None) -> apikeys.ApiKey:
        with self._services.database.read() as tx:
            return apikeys.authenticate(tx, token, self._services.clock.now())


def permit(permission: states.Permission | None = None) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, if the key is known and holds `permission` (None: any known key will do).

    Raises:
        NotAuthenticated: `api_key_missing`, `api_key_unknown`, `api_key_revoked`.
        PermissionMissing: `permission_missing`, naming the permission.
    """

    async def caller(
        request: fastapi.Request,
        credentials: Annotated[security.HTTPAuthorizationCredentials | None, fastapi.Depends(_BEARER)],
    ) -> Caller:
        known: KnownKeys = request.app.state.known_keys
        api_key = await known.find(credentials.credentials if credentials else None)
        # For the log, also of a request that is refused below.
        request.scope["penstock.api_key_uuid"] = api_key.uuid
        if permission is not None:
            api_key.require(permission)
        return Caller(api_key=api_key)

    return caller


AnyCaller = Annotated[Caller, fastapi.Depends(permit())]
Reader = Annotated[Caller, fastapi.Depends(permit(states.Permission.SIC_READ_INTAKES))]
Exporter = Annotated[Caller, fastapi.Depends(permit(states.Permission.SIC_MASSIVE_EXPORT_EVENTS))]
Writer = Annotated[Caller, fastapi.Depends(permit(states.Permission.SIC_WRITE_EVENTS))]
Admin = Annotated[Caller, fastapi.Depends(permit(states.Permission.ADMIN))]
