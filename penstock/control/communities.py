"""Communities: the tenants, each the owner of one event table."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection

import sqlalchemy as sa

from penstock import errors
from penstock.control import limits as limits_module
from penstock.control.schema import inserting, tables

_COMMUNITIES = tables.communities
_MAX_NAME = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Community:
    """One tenant.

    Attributes:
        uuid: its name for programs.
        name: its name for people; unique.
        created_at: UTC.
    """

    uuid: str
    name: str
    created_at: dt.datetime


_COLUMNS = (_COMMUNITIES.c.uuid, _COMMUNITIES.c.name, _COMMUNITIES.c.created_at)


def create(
    tx: sa.Connection,
    *,
    name: str,
    now: dt.datetime,
    limits: limits_module.Limits | limits_module.Overrides | None = None,
) -> Community:
    """A new community; `limits` override the settings where given.

    Raises:
        InvalidRequest: `invalid_community_name`, `invalid_limit`.
        Conflict: `community_name_taken`; `extra` holds its `community_uuid`.
    """
    name = name.strip()
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise errors.InvalidRequest(
            "invalid_community_name", f"{name!r} cannot name a community.", "Use 1 to 200 printable characters."
        )
    community = Community(uuid=str(uuid.uuid4()), name=name, created_at=now)
    own = limits_module.as_columns(limits or limits_module.Overrides())
    # Insert first and look afterwards: a look before would leave room for another process to take the name.
    if inserting.insert_if_absent(tx, _COMMUNITIES, **dataclasses.asdict(community), **own):
        return community
    found = tx.execute(sa.select(_COMMUNITIES.c.uuid).where(_COMMUNITIES.c.name == name)).scalar_one()
    raise errors.Conflict(
        "community_name_taken", f"There is already a community {name!r}.", "Choose another name.", community_uuid=found
    )


def list_all(tx: sa.Connection, uuids: Collection[str] | None = None) -> list[Community]:
    """All communities, or those of `uuids`, by name."""
    where = sa.true() if uuids is None else _COMMUNITIES.c.uuid.in_(list(uuids))
    rows = tx.execute(sa.select(*_COLUMNS).where(where).order_by(_COMMUNITIES.c.name))
    return [Community(**row._mapping) for row in rows]


def get(tx: sa.Connection, community_uuid: str) -> Community:
    """The community. Raises NotFound `community_not_found`."""
    row = tx.execute(sa.select(*_COLUMNS).where(_COMMUNITIES.c.uuid == community_uuid)).one_or_none()
    if row is None:
        raise errors.NotFound("community_not_found", f"There is no community {community_uuid}.")
    return Community(**row._mapping)


def by_name_or_uuid(tx: sa.Connection, text: str) -> Community:
    """The community that a person means. Raises NotFound `community_not_found`, naming those there are."""
    query = sa.select(*_COLUMNS).where(sa.or_(_COMMUNITIES.c.uuid == text.lower(), _COMMUNITIES.c.name == text))
    # A community may bear the UUID of another as its name; the one whose UUID it is comes first.
    row = tx.execute(query.order_by((_COMMUNITIES.c.uuid == text.lower()).desc()).limit(1)).one_or_none()
    if row is None:
        names = ", ".join(each.name for each in list_all(tx)[:20])
        raise errors.NotFound(
            "community_not_found",
            f"There is no community {text!r}.",
            f"There are: {names}." if names else "Create one: penstock community create NAME.",
        )
    return Community(**row._mapping)
