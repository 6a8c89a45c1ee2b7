"""Who calls, and what the key may do: the one dependency that every route with a caller has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import fastapi
from fastapi import security

from penstock import errors
from penstock.api import context
from penstock.control import apikeys, states

_BEARER = security.HTTPBearer(
    auto_error=False, scheme_name="API key", description="An API key, as `penstock apikey create` prints it once."
)

ACTOR_TYPE = "apikey"


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
                "GET /v1/communities lists the communities of this API key.",
            )
        return community_uuid


def permit(permission: states.Permission | None = None) -> Callable[..., Caller]:
    """A dependency: the caller, if the key is known and holds `permission` (None: any known key will do).

    Raises:
        NotAuthenticated: `api_key_missing`, `api_key_unknown`, `api_key_revoked`.
        PermissionMissing: `permission_missing`, naming the permission.
    """

    def caller(
        request: fastapi.Request,
        credentials: Annotated[security.HTTPAuthorizationCredentials | None, fastapi.Depends(_BEARER)],
    ) -> Caller:
        services = context.of(request).services
        token = credentials.credentials if credentials else None
        with services.database.read() as tx:
            api_key = apikeys.authenticate(tx, token, services.clock.now())
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
