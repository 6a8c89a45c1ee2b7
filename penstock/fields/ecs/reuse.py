"""Where field sets appear again below other field sets, in the order in which they must be expanded."""

_ENDPOINTS = ("source", "destination", "client", "server")


def _below(places: tuple[str, ...], word: str) -> tuple[str, ...]:
    return tuple(f"{place}.{word}" for place in places)


_PROCESS_RELATIVES = (
    "process.parent",
    "process.parent.group_leader",
    "process.entry_leader",
    "process.entry_leader.parent",
    "process.entry_leader.parent.session_leader",
    "process.group_leader",
    "process.session_leader",
    "process.session_leader.parent",
    "process.session_leader.parent.session_leader",
    "process.previous",
    "process.responsible",
)

REUSE: tuple[tuple[str, tuple[str, ...]], ...] = (
    # (field set, names that receive the fields it has by now)
    ("os", ("host.os", "observer.os", "user_agent.os")),
    ("vlan", ("network.vlan", "network.inner.vlan", "observer.ingress.vlan", "observer.egress.vlan")),
    ("interface", ("observer.ingress.interface", "observer.egress.interface")),
    ("geo", (*_below(_ENDPOINTS, "geo"), "host.geo", "observer.geo", "threat.indicator.geo")),
    # Before `process` is copied to its relatives, which then have it too.
    ("geo", ("process.entry_meta.source.geo",)),
    ("as", (*_below(_ENDPOINTS, "as"), "threat.indicator.as", "process.entry_meta.source.as")),
    ("group", ("user.group",)),
    ("user", (*_below(_ENDPOINTS, "user"), "host.user")),
    # After the line above: the endpoints' users have no targets of their own.
    ("user", ("user.target", "user.effective", "user.changes")),
    ("service", ("service.origin", "service.target")),
    ("risk", ("host.risk", "user.risk")),
    ("entity", ("user.entity", "host.entity", "cloud.entity", "service.entity", "orchestrator.entity")),
    ("hash", ("file.hash", "process.hash", "dll.hash", "email.attachments.file.hash")),
    ("code_signature", ("file.code_signature", "process.code_signature", "dll.code_signature")),
    ("pe", ("file.pe", "process.pe", "dll.pe")),
    ("elf", ("file.elf", "process.elf")),
    ("macho", ("file.macho", "process.macho")),
    ("x509", ("file.x509", "tls.client.x509", "tls.server.x509", "threat.indicator.x509")),
    ("file", ("threat.indicator.file",)),
    ("url", ("threat.indicator.url",)),
    ("registry", ("threat.indicator.registry",)),
    # After all that is put below an indicator: an enrichment holds a whole one.
    ("threat.indicator", ("threat.enrichments.indicator",)),
    ("process.user", ("process.real_user", "process.saved_user", "process.attested_user")),
    ("process.group", ("process.real_group", "process.saved_group")),
    ("process.group", ("process.supplemental_groups", "process.attested_groups")),
    # Last, since the relatives have all that a process has.
    ("process", _PROCESS_RELATIVES),
)

NOT_AT_THE_ROOT = frozenset(
    {"as", "code_signature", "elf", "geo", "hash", "interface", "macho", "os", "pe", "risk", "vlan", "x509"}
)
"""Field sets that only make sense below another; they have no names of their own."""
