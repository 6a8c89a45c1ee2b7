"""Picks the community that a caller means out of those that the API key has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock import errors


def pick(known: Sequence[Mapping[str, Any]], wanted: str | None) -> str:
    """The UUID of the community with this UUID or name; of the only one, if None is wanted.

    With ADMIN the service lists those, too, that the key does not reach: they are left out here.

    Raises:
        NotFound: `community_not_found`.
        InvalidRequest: `community_needed`, if there are several and none was named.
    """
    # An older service does not say; then all that it lists are the key's own.
    known = [entry for entry in known if entry.get("reachable", True)]
    fitting = [entry for entry in known if wanted is None or wanted in (entry["uuid"], entry.get("name"))]
    if len(fitting) == 1:
        return str(fitting[0]["uuid"])
    names = ", ".join(str(entry.get("name") or entry["uuid"]) for entry in known) or "none"
    if wanted is not None:
        raise errors.NotFound("community_not_found", f"The API key has no community {wanted!r}.", f"It has: {names}.")
    raise errors.UsageError("community_needed", f"The API key has {len(known)} communities.", f"Name one of: {names}.")
