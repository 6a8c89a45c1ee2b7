"""Communities with an API key, made where a service's database is open."""

from __future__ import annotations

from penstock.control import apikeys, communities, states
from penstock.process import services


def tenants(opened: services.Services, *names: str) -> tuple[list[str], str]:
    """UUIDs of new communities, and the token of a key that may do everything in them."""
    with opened.database.begin() as tx:
        now = opened.clock.now()
        made = [communities.create(tx, name=name, now=now).uuid for name in names]
        _, token = apikeys.create(tx, communities=made, permissions=list(states.Permission), name="tests", now=now)
    return made, token


def tenant(opened: services.Services) -> tuple[str, str]:
    """The same for one community, "acme"."""
    ((uuid,), token) = tenants(opened, "acme")
    return uuid, token
