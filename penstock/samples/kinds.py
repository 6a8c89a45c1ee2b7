"""The kinds of sample events: what a firewall, a DNS server, Windows and others log, as columns of ECS fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.samples import host_events, network_events
from penstock.samples.world import Columns, Draw, World

TYPES: Mapping[str, FieldType] = {
    types.TIMESTAMP: FieldType.DATE,
    "message": FieldType.TEXT,
    **dict.fromkeys(("event.created", "file.mtime"), FieldType.DATE),
    **dict.fromkeys(
        (
            "event.category",
            "event.type",
            "related.ip",
            "related.user",
            "related.hosts",
            "process.args",
            "host.ip",
            "registry.data.strings",
        ),
        FieldType.KEYWORD_LIST,
    ),
    **dict.fromkeys(("source.ip", "destination.ip", "client.ip"), FieldType.IP),
    **dict.fromkeys(
        (
            *("source.port", "destination.port", "source.bytes", "destination.bytes", "network.bytes"),
            *("network.packets", "event.severity", "event.duration", "process.pid", "process.parent.pid"),
            *("http.response.status_code", "http.response.body.bytes", "file.size"),
        ),
        FieldType.LONG,
    ),
    "event.risk_score": FieldType.DOUBLE,
    **dict.fromkeys(
        (
            *("event.kind", "event.action", "event.outcome", "event.code", "event.dataset", "event.provider"),
            *("event.reason", "observer.vendor", "observer.product", "observer.name", "rule.name", "network.transport"),
            *(
                "network.protocol",
                "network.direction",
                "host.name",
                "host.os.type",
                "host.os.family",
                "user.name",
                "user.target.name",
                "user.domain",
            ),
            *("user.id", "source.geo.country_iso_code", "dns.question.name", "dns.question.type"),
            *("dns.response_code", "url.full", "url.domain", "url.path", "http.request.method"),
            *("user_agent.original", "process.name", "process.executable", "process.command_line"),
            *(
                "process.hash.sha256",
                "process.parent.name",
                "process.parent.executable",
                "process.parent.command_line",
                "registry.hive",
                "registry.key",
                "registry.value",
                "registry.path",
                "file.path",
                "file.name",
            ),
            *("file.hash.sha256", "file.extension", "winlog.logon.id", "winlog.logon.type", "cloud.provider"),
            *("cloud.account.id", "cloud.region", "cloud.service.name"),
        ),
        FieldType.KEYWORD,
    ),
}
"""Field type of every field that sample events have."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of event.

    Attributes:
        name: what it is called in reports; also the events' `event.dataset`.
        share: its share of all events.
        tick_us: resolution of its clock in microseconds.
        columns: makes the columns of many events; arguments: the world, the draws, the events' @timestamp.
    """

    name: str
    share: float
    tick_us: int
    columns: Callable[[World, Draw, pl.Series], Columns]


KINDS: Sequence[Kind] = (
    Kind(name="firewall", share=0.33, tick_us=1_000, columns=network_events.firewall),
    Kind(name="dns", share=0.2, tick_us=1_000, columns=network_events.dns),
    Kind(name="web_proxy", share=0.15, tick_us=1_000, columns=network_events.proxy),
    Kind(name="windows_security", share=0.09, tick_us=1, columns=host_events.windows_security),
    Kind(name="windows_process", share=0.08, tick_us=1_000, columns=host_events.windows_process),
    Kind(name="edr_file", share=0.04, tick_us=1, columns=host_events.edr_file),
    Kind(name="windows_registry", share=0.03, tick_us=1_000, columns=host_events.windows_registry),
    Kind(name="sshd", share=0.04, tick_us=1_000_000, columns=host_events.sshd),
    Kind(name="cloud_audit", share=0.04, tick_us=1_000_000, columns=network_events.cloud_audit),
)
