"""The bucket's lifecycle rule that is the safety net of our own sweeper."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

RULE_NAME = "penstock-expiry"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LifecycleRule:
    """A rule of a bucket, as far as it matters here.

    Attributes:
        name: the rule's ID.
        prefix: the keys it is about; empty: all.
        is_enabled: it is in force.
        is_ours: `install_lifecycle` made it.
        expire_days: objects are deleted after so many days; None: never.
        abort_days: unfinished uploads are aborted after so many days; None: never.
    """

    name: str
    prefix: str
    is_enabled: bool
    is_ours: bool
    expire_days: int | None
    abort_days: int | None


def with_ours(rules: Sequence[Mapping[str, Any]], prefix: str, days: int) -> list[Mapping[str, Any]]:
    """The bucket's rules as S3 wants them, with ours new or renewed and the others as they were.

    Old versions go too, since on a versioned bucket a delete only hides an object.
    """
    prefix = prefix.strip("/")
    ours = {
        "ID": RULE_NAME,
        "Status": "Enabled",
        # With the slash: a prefix `exports` would match another tenant's `exports-old/` as well.
        "Filter": {"Prefix": f"{prefix}/" if prefix else ""},
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }
    # S3 replaces the whole configuration: rules that are not sent along are lost.
    return [*(rule for rule in rules if rule.get("ID") != RULE_NAME), ours]


def described(rule: Mapping[str, Any]) -> LifecycleRule:
    """A rule as S3 gives it, in our words."""
    return LifecycleRule(
        name=rule.get("ID", ""),
        prefix=rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or "",
        is_enabled=rule.get("Status") == "Enabled",
        is_ours=rule.get("ID") == RULE_NAME,
        expire_days=rule.get("Expiration", {}).get("Days"),
        abort_days=rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
    )
