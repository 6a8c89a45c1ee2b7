"""Field selections for the usual investigations."""

from __future__ import annotations

import dataclasses
import types as python_types
from collections.abc import Mapping

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


_PRESETS = (
    Preset(
        name="network",
        title="Network investigation",
        fields=(
            "@timestamp",
            "event.category",
            "event.action",
            "source.ip",
            "source.port",
            "destination.ip",
            "destination.port",
            "network.transport",
            "network.protocol",
            "network.direction",
            "source.bytes",
            "destination.bytes",
        ),
    ),
    Preset(
        name="identity",
        title="Identity and authentication investigation",
        fields=(
            "@timestamp",
            "event.category",
            "event.action",
            "event.outcome",
            "event.reason",
            "user.name",
            "user.domain",
            "user.id",
            "user.target.name",
            "source.ip",
            "source.geo.country_iso_code",
            "host.name",
            "user_agent.original",
        ),
    ),
    Preset(
        name="endpoint",
        title="Endpoint investigation",
        fields=(
            "@timestamp",
            "event.category",
            "event.action",
            "host.name",
            "host.os.family",
            "user.name",
            "process.executable",
            "process.command_line",
            "process.pid",
            "process.parent.executable",
            "process.parent.command_line",
            "process.hash.sha256",
            "file.path",
            "file.hash.sha256",
            "registry.path",
        ),
    ),
)

PRESETS: Mapping[str, Preset] = python_types.MappingProxyType({preset.name: preset for preset in _PRESETS})
"""The presets by name."""
