"""Field selections for the usual investigations."""

from __future__ import annotations

import dataclasses
import types as python_types
from collections.abc import Mapping

from penstock import errors

DEFAULT_FIELDS = ("@timestamp", "message")
"""What an export holds when no fields are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A named selection of fields.

    Attributes:
        name: what the command line and the API call it.
        title: what people read.
        fields: field names in the order in which they are written.
    """

    name: str
    title: str
    fields: tuple[str, ...]


# The selections that the reference platform has published, in its order.
_PRESETS = (
    Preset(
        name="network",
        title="Network investigation",
        fields=(
            "@timestamp",
            "source.ip",
            "source.port",
            "destination.ip",
            "destination.port",
            "network.protocol",
            "network.transport",
            "event.action",
        ),
    ),
    Preset(
        name="identity",
        title="Identity and authentication investigation",
        fields=(
            "@timestamp",
            "user.name",
            "user.domain",
            "source.ip",
            "event.action",
            "event.outcome",
            "message",
        ),
    ),
    Preset(
        name="endpoint",
        title="Endpoint investigation",
        fields=(
            "@timestamp",
            "host.name",
            "process.name",
            "process.executable",
            "process.args",
            "file.path",
            "file.hash.sha256",
            "user.name",
        ),
    ),
)

PRESETS: Mapping[str, Preset] = python_types.MappingProxyType({preset.name: preset for preset in _PRESETS})
"""The presets by name."""


def fields_of(name: str) -> tuple[str, ...]:
    """The fields of a preset.

    Raises:
        InvalidRequest: `unknown_preset`.
    """
    if name not in PRESETS:
        raise errors.InvalidRequest(
            "unknown_preset", f"There is no preset {name!r}.", f"Choose one of {', '.join(PRESETS)}."
        )
    return PRESETS[name].fields
