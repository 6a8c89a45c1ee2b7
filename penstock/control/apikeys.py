"""API keys: who may do what in which communities. Only a hash of the token is stored.

A token carries 256 random bits, so a plain SHA-256 is enough: there is nothing to guess, and one look-up by the hash
says all without comparing secrets byte by byte.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Iterable

import sqlalchemy as sa

from penstock import errors
from penstock.control import states
from penstock.control.schema import tables

_KEYS = tables.api_keys
_LINKS = tables.api_key_communities

# Changing it would make no old token invalid: the hash covers the whole token, prefix included.
TOKEN_PREFIX = "pst_"  # noqa: S105 - what a token starts with, so that secret scanners recognise one


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """An API key, without its token.

    Attributes:
        uuid: names the key in `created_by` and in the audit.
        name: for people.
        community_uuids: whose objects it reaches; sorted, never empty.
        permissions: what it may do.
        created_at: UTC.
        revoked_at: UTC; None while it is valid.
    """

    uuid: str
    name: str
    community_uuids: tuple[str, ...]
    permissions: frozenset[states.Permission]
    created_at: dt.datetime
    revoked_at: dt.datetime | None

    def require(self, permission: states.Permission) -> None:
        """Raises PermissionMissing `permission_missing` unless the key has it. ADMIN does not imply the others."""
        if permission not in self.permissions:
            raise errors.PermissionMissing(
                "permission_missing",
                f"The API key {self.name!r} lacks the permission {permission}.",
                f"Create a key with it: penstock apikey create --permission {permission}.",
                permission=permission.value,
            )


def create(
    tx: sa.Connection,
    *,
    communities: Iterable[str],
    permissions: Iterable[states.Permission | str],
    name: str,
    now: dt.datetime,
) -> tuple[ApiKey, str]:
    """A new key and its token, which cannot be had again.

    Raises:
        NotFound: `community_not_found`.
        InvalidRequest: `unknown_permission`, `no_permissions`, `no_communities`, `invalid_api_key_name`.
    """
    granted = _permissions(permissions)
    # A list that names a community twice is no error; without the set the second link would break the primary key.
    wanted = tuple(sorted(set(communities)))
    _check_communities(tx, wanted)
    if not 0 < len(name) <= 200:
        raise errors.InvalidRequest(
            "invalid_api_key_name", f"{name!r} cannot name an API key.", "Use 1 to 200 characters."
        )
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        uuid=str(uuid.uuid4()), name=name, community_uuids=wanted, permissions=granted, created_at=now, revoked_at=None
    )
    tx.execute(
        _KEYS.insert().values(
            uuid=key.uuid, name=name, token_sha256=_hash(token), permissions=sorted(granted), created_at=now
        )
    )
    tx.execute(_LINKS.insert(), [{"api_key_uuid": key.uuid, "community_uuid": each} for each in wanted])
    return key, token


def authenticate(tx: sa.Connection, token: str | None, now: dt.datetime) -> ApiKey:
    """The key whose token this is.

    Raises:
        NotAuthenticated: `api_key_missing`, `api_key_unknown`, `api_key_revoked`.
    """
    if not token:
        raise errors.NotAuthenticated(
            "api_key_missing", "The request carries no API key.", "Send it as `Authorization: Bearer KEY`."
        )
    # The index does the comparing. Its time tells at most how far two hashes agree, and nobody can aim a token's
    # SHA-256.
    row = tx.execute(_KEYS.select().where(_KEYS.c.token_sha256 == _hash(token))).one_or_none()
    if row is None:
        raise errors.NotAuthenticated("api_key_unknown", "The API key is not known here.", "Check for a missing part.")
    if row.revoked_at is not None and row.revoked_at <= now:
        raise errors.NotAuthenticated(
            "api_key_revoked", f"The API key {row.name!r} is revoked.", "Ask the operator for a new one."
        )
    return _records(tx, [row])[0]


def list_all(tx: sa.Connection, community: str | None = None) -> list[ApiKey]:
    """All keys, or those that reach a community; revoked ones too; oldest first."""
    query = _KEYS.select().order_by(_KEYS.c.created_at, _KEYS.c.uuid)
    if community is not None:
        query = query.where(
            _KEYS.c.uuid.in_(sa.select(_LINKS.c.api_key_uuid).where(_LINKS.c.community_uuid == community))
        )
    return _records(tx, tx.execute(query).all())


def names(tx: sa.Connection, uuids: Iterable[str]) -> dict[str, str]:
    """Names of keys by UUID, revoked ones too; what is no key's UUID is left out."""
    wanted = set(uuids)
    if not wanted:
        return {}
    rows = tx.execute(sa.select(_KEYS.c.uuid, _KEYS.c.name).where(_KEYS.c.uuid.in_(wanted)))
    return {row.uuid: row.name for row in rows}


_NAME = sa.select(_KEYS.c.name).where(_KEYS.c.uuid == sa.bindparam("name"))
"""Built once: clients poll their tasks, and building a statement costs more than running it."""


def name_of(tx: sa.Connection, key_uuid: str) -> str | None:
    """The name of a key, revoked or not; None if it is no key's UUID."""
    return tx.execute(_NAME, {"name": key_uuid}).scalar_one_or_none()


def revoke(tx: sa.Connection, key_uuid: str, now: dt.datetime) -> ApiKey:
    """Makes a key invalid from `now` on; idempotent. Raises NotFound `api_key_not_found`."""
    mine = _KEYS.c.uuid == key_uuid
    # Only a key that is still valid: a second call must not move the instant of the first.
    tx.execute(_KEYS.update().where(mine, _KEYS.c.revoked_at.is_(None)).values(revoked_at=now))
    row = tx.execute(_KEYS.select().where(mine)).one_or_none()
    if row is None:
        raise _not_found(key_uuid)
    return _records(tx, [row])[0]


def grant(tx: sa.Connection, key_uuid: str, communities: Iterable[str]) -> ApiKey:
    """Lets a key reach more communities; idempotent.

    Raises:
        NotFound: `api_key_not_found`, `community_not_found`.
        InvalidRequest: `no_communities`.
    """
    wanted = tuple(sorted(set(communities)))
    _check_communities(tx, wanted)
    row = tx.execute(_KEYS.select().where(_KEYS.c.uuid == key_uuid)).one_or_none()
    if row is None:
        raise _not_found(key_uuid)
    reached = _records(tx, [row])[0].community_uuids
    links = [{"api_key_uuid": key_uuid, "community_uuid": each} for each in wanted if each not in reached]
    if links:
        tx.execute(_LINKS.insert(), links)
    return _records(tx, [row])[0]


def _not_found(key_uuid: str) -> errors.NotFound:
    return errors.NotFound("api_key_not_found", f"There is no API key {key_uuid}.", "List them: penstock apikey list.")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _permissions(wanted: Iterable[states.Permission | str]) -> frozenset[states.Permission]:
    known = ", ".join(states.Permission)
    try:
        granted = frozenset(states.Permission(each) for each in wanted)
    except ValueError as error:
        raise errors.InvalidRequest("unknown_permission", f"{error}.", f"There are: {known}.") from error
    if not granted:
        raise errors.InvalidRequest("no_permissions", "The API key would have no permission.", f"There are: {known}.")
    return granted


def _check_communities(tx: sa.Connection, wanted: tuple[str, ...]) -> None:
    if not wanted:
        raise errors.InvalidRequest("no_communities", "The API key would belong to no community.", "Name at least one.")
    found = set(tx.execute(sa.select(tables.communities.c.uuid).where(tables.communities.c.uuid.in_(wanted))).scalars())
    for missing in sorted(set(wanted) - found):
        raise errors.NotFound(
            "community_not_found", f"There is no community {missing}.", "List them: penstock community list."
        )


def _records(tx: sa.Connection, rows: Iterable[sa.Row[tuple[object, ...]]]) -> list[ApiKey]:
    # One query for all links. A join would give a row for each link, which `limit` of a caller could cut in two.
    rows = list(rows)
    links: dict[str, list[str]] = {row.uuid: [] for row in rows}
    query = sa.select(_LINKS.c.api_key_uuid, _LINKS.c.community_uuid).where(_LINKS.c.api_key_uuid.in_(links))
    for link in tx.execute(query.order_by(_LINKS.c.community_uuid)):
        links[link.api_key_uuid].append(link.community_uuid)
    return [
        ApiKey(
            uuid=row.uuid,
            name=row.name,
            community_uuids=tuple(links[row.uuid]),
            permissions=frozenset(states.Permission(each) for each in row.permissions),
            created_at=row.created_at,
            revoked_at=row.revoked_at,
        )
        for row in rows
    ]
