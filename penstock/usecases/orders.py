"""Who asks, and what for: the values that use cases are given. They know no HTTP and no terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        actor: what `created_by` and the audit say: the UUID of an API key, the name of a schedule.
        actor_type: what kind of name that is: `apikey` …
        communities: UUIDs of the communities whose objects exist for this caller.
    """

    actor: str
    actor_type: str
    communities: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportOrder:
    """What to export, and to where.

    Attributes:
        fields: dotted names in the order wanted; None: the default ones.
        s3: the members of the request's `s3` that have a value, secrets in clear; never printed.
        generate_customer_key: the caller will keep a key that the service makes.
    """

    fields: tuple[str, ...] | None = None
    s3: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    generate_customer_key: bool = False

    def as_json(self) -> dict[str, Any]:
        """The order as a JSON value, for its fingerprint. It holds secrets: keep only its digest."""
        return {
            "fields": None if self.fields is None else list(self.fields),
            "s3": dict(self.s3),
            "generate_customer_key": self.generate_customer_key,
        }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StartedExport:
    """The task that an order started.

    Attributes:
        task_uuid: names it.
        status: where it stands: `PENDING`, or further when the order was repeated.
        customer_key: base64; only when the service made the key and the export is active; never printed.
        customer_key_md5: base64 MD5 of the key; None: the export has no key.
    """

    task_uuid: str
    status: str
    customer_key: str | None = dataclasses.field(repr=False)
    customer_key_md5: str | None
