"""The kinds of sample events: what a firewall, a DNS server, Windows and others log, as columns of ECS fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import sample_world
from penstock.lake.sample_world import Draw, World, join, take

Columns = dict[str, pl.Series | str | int | list[str]]
"""Field -> column, or one value for all events."""

TYPES: Mapping[str, FieldType] = {
    types.TIMESTAMP: FieldType.DATE,
    "message": FieldType.TEXT,
    **dict.fromkeys(("event.created", "file.mtime"), FieldType.DATE),
    **dict.fromkeys(
        ("event.category", "event.type", "related.ip", "related.user", "related.hosts", "process.args", "host.ip"),
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
            *("observer.vendor", "observer.product", "observer.name", "rule.name", "network.transport"),
            *("network.protocol", "network.direction", "host.name", "host.os.type", "user.name", "user.domain"),
            *("user.id", "source.geo.country_iso_code", "dns.question.name", "dns.question.type"),
            *("dns.response_code", "url.full", "url.domain", "url.path", "http.request.method"),
            *("user_agent.original", "process.name", "process.executable", "process.command_line"),
            *("process.hash.sha256", "process.parent.name", "process.parent.executable", "file.path", "file.name"),
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


def _firewall(world: World, draw: Draw, moments: pl.Series) -> Columns:
    inside, outside = draw.pick(world.inside, 0.6), draw.pick(world.outside, 0.8)
    verdict = draw.weighted((0.86, 0.11, 0.03))
    port_index = draw.weighted((0.55, 0.12, 0.1, 0.05, 0.05, 0.04, 0.03, 0.03, 0.03))
    port = pl.Series([443, 80, 53, 123, 22, 445, 3389, 8443, 25]).gather(port_index)
    protocol = take(["tls", "http", "dns", "ntp", "ssh", "smb", "rdp", "tls", "smtp"], port_index)
    transport = take(["tcp", "tcp", "udp", "udp", "tcp", "tcp", "tcp", "tcp", "tcp"], port_index)
    sent, received = draw.sizes(1_800, 1.5), draw.sizes(6_500, 1.9)
    source_port, device = draw.integers(1024, 65_536), draw.pick(["fw-par-1", "fw-lyo-1", "fw-nyc-1", "fw-sin-1"], 0.5)
    action = take(["accept", "deny", "reset"], verdict)
    rule = draw.pick([f"policy-{n}" for n in (10, 20, 21, 35, 40, 77, 90, 120, 999)])
    session = draw.integers(10_000_000, 4_000_000_000)
    country = draw.pick(["US", "FR", "IE", "NL", "DE", "GB", "SG", "CN", "RU", "BR", "JP"])
    zone = moments.dt.strftime("date=%Y-%m-%d time=%H:%M:%S")
    message = join(
        *(zone, ' devname="', device, '" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root"'),
        *(" srcip=", inside, " srcport=", source_port, ' srcintf="port12" srcintfrole="lan" dstip=', outside),
        *(" dstport=", port, ' dstintf="wan1" dstintfrole="wan" dstcountry="', country, '" sessionid=', session),
        *(" proto=", take(["17", "6"], (transport == "tcp").cast(pl.Int64).to_numpy()), ' action="', action),
        *('" policyname="', rule, '" service="', protocol, '" sentbyte=', sent, " rcvdbyte=", received),
    )
    lists = [["connection", "allowed"], ["connection", "denied"], ["connection", "denied", "end"]]
    return {
        "message": message,
        "event.category": ["network"],
        "event.type": _take_lists(lists, verdict),
        "event.action": action,
        "event.outcome": take(["success", "failure", "failure"], verdict),
        "event.duration": draw.sizes(900_000_000, 1.6),
        "source.ip": inside,
        "source.port": source_port,
        "source.bytes": sent,
        "destination.ip": outside,
        "destination.port": port,
        "destination.bytes": received,
        "network.bytes": sent + received,
        "network.packets": (sent + received) // 900 + 2,
        "network.transport": transport,
        "network.protocol": protocol,
        "network.direction": "outbound",
        "observer.vendor": "Fortinet",
        "observer.product": "FortiGate",
        "observer.name": device,
        "rule.name": rule,
        "related.ip": _lists(inside, outside),
    }


def _dns(world: World, draw: Draw, moments: pl.Series) -> Columns:
    client, server = draw.pick(world.inside, 0.6), draw.pick(["10.20.0.53", "10.21.0.53"], 0.3)
    name, port, code = draw.pick(world.domains, 0.9), draw.integers(1024, 65_536), draw.weighted((0.93, 0.06, 0.01))
    question = draw.pick(["A", "AAAA", "HTTPS", "PTR", "TXT", "MX"], 1.2)
    stamp = moments.dt.strftime("%d-%b-%Y %H:%M:%S%.3f")
    message = join(
        *(stamp, " queries: info: client @0x7f", draw.hexadecimal(world, 2), " ", client, "#", port, " (", name),
        *("): query: ", name, " IN ", question, " +E(0)K (", server, ")"),
    )
    return {
        "message": message,
        "event.category": ["network"],
        "event.type": ["protocol", "info"],
        "event.action": "query",
        "event.outcome": take(["success", "failure", "failure"], code),
        "source.ip": client,
        "client.ip": client,
        "source.port": port,
        "destination.ip": server,
        "destination.port": 53,
        "network.transport": "udp",
        "network.protocol": "dns",
        "network.bytes": draw.sizes(180, 0.5),
        "dns.question.name": name,
        "dns.question.type": question,
        "dns.response_code": take(["NOERROR", "NXDOMAIN", "SERVFAIL"], code),
        "observer.vendor": "ISC",
        "observer.product": "BIND",
        "related.ip": _lists(client, server),
        "related.hosts": _lists(name),
    }


def _proxy(world: World, draw: Draw, moments: pl.Series) -> Columns:
    client, domain, path = draw.pick(world.inside, 0.6), draw.pick(world.domains, 0.9), draw.pick(world.paths, 0.8)
    user, agent, outside = draw.pick(world.users, 0.7), draw.pick(world.agents, 1.1), draw.pick(world.outside, 0.8)
    status_index = draw.weighted((0.82, 0.07, 0.04, 0.04, 0.02, 0.01))
    status = pl.Series([200, 304, 302, 404, 403, 500]).gather(status_index)
    size, took = draw.sizes(9_000, 1.8), draw.sizes(90, 1.1)
    method = draw.pick(["GET", "POST", "CONNECT", "HEAD"], 1.4)
    url = join("https://", domain, path, "?v=", draw.hexadecimal(world, 3), "&t=", draw.integers(1, 10**9))
    message = join(
        *(
            moments.dt.strftime("%s%.3f"),
            " ",
            took,
            " ",
            client,
            " TCP_MISS/",
            status,
            " ",
            size,
            " ",
            method,
            " ",
            url,
        ),
        *(" ", user, " HIER_DIRECT/", outside, ' text/html "', agent, '"'),
    )
    return {
        "message": message,
        "event.category": ["network", "web"],
        "event.type": ["access"],
        "event.action": take(["allowed", "allowed", "allowed", "allowed", "blocked", "allowed"], status_index),
        "event.outcome": take(["success", "success", "success", "failure", "failure", "failure"], status_index),
        "event.duration": took * 1_000_000,
        "source.ip": client,
        "source.port": draw.integers(1024, 65_536),
        "destination.ip": outside,
        "destination.port": 443,
        "network.transport": "tcp",
        "network.protocol": "https",
        "user.name": user,
        "url.full": url,
        "url.domain": domain,
        "url.path": path,
        "http.request.method": method,
        "http.response.status_code": status,
        "http.response.body.bytes": size,
        "user_agent.original": agent,
        "observer.vendor": "Squid",
        "observer.product": "Squid",
        "related.ip": _lists(client, outside),
        "related.user": _lists(user),
    }


_LOGONS = ("2", "3", "3", "5", "7", "10")


def _windows_security(world: World, draw: Draw, moments: pl.Series) -> Columns:
    host, user, address = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.pick(world.inside, 0.6)
    failed, logon = draw.weighted((0.93, 0.07)), draw.pick(_LOGONS, 0.4)
    sid = join("S-1-5-21-3623811015-3361044348-30300820-", draw.integers(1001, 9_999))
    logon_id, port = join("0x", draw.hexadecimal(world, 2)), draw.integers(49_152, 65_536)
    guid = _guid(world, draw)
    message = join(
        *(take(["An account was successfully logged on.", "An account failed to log on."], failed), "\n\nSubject:\n"),
        *(
            "\tSecurity ID:\t\tS-1-5-18\n\tAccount Name:\t\t",
            host,
            "$\n\tAccount Domain:\t\tCORP\n\tLogon ID:\t\t0x3E7\n\n",
        ),
        *("Logon Information:\n\tLogon Type:\t\t", logon, "\n\tRestricted Admin Mode:\t-\n\tVirtual Account:\t\tNo\n"),
        *("\tElevated Token:\t\tYes\n\nImpersonation Level:\t\tImpersonation\n\nNew Logon:\n\tSecurity ID:\t\t", sid),
        *(
            "\n\tAccount Name:\t\t",
            user,
            "\n\tAccount Domain:\t\tCORP\n\tLogon ID:\t\t",
            logon_id,
            "\n\tLogon GUID:\t\t{",
        ),
        *(
            guid,
            "}\n\nProcess Information:\n\tProcess ID:\t\t0x2f4\n",
            "\tProcess Name:\t\tC:\\Windows\\System32\\lsass.exe\n\n",
        ),
        *("Network Information:\n\tWorkstation Name:\t", host, "\n\tSource Network Address:\t", address),
        *("\n\tSource Port:\t\t", port, "\n\nDetailed Authentication Information:\n\tLogon Process:\t\tKerberos\n"),
        "\tAuthentication Package:\tKerberos\n\tTransited Services:\t-\n\tKey Length:\t\t0",
    )
    return {
        "message": message,
        "event.category": ["authentication"],
        "event.type": ["start"],
        "event.action": take(["logged-in", "logon-failed"], failed),
        "event.outcome": take(["success", "failure"], failed),
        "event.code": take(["4624", "4625"], failed),
        "event.provider": "Microsoft-Windows-Security-Auditing",
        "host.name": host,
        "host.os.type": "windows",
        "user.name": user,
        "user.domain": "CORP",
        "user.id": sid,
        "source.ip": address,
        "source.port": port,
        "winlog.logon.id": logon_id,
        "winlog.logon.type": logon,
        "process.name": "lsass.exe",
        "process.executable": r"C:\Windows\System32\lsass.exe",
        "observer.vendor": "Microsoft",
        "observer.product": "Windows",
        "related.ip": _lists(address),
        "related.user": _lists(user),
        "related.hosts": _lists(host),
    }


def _windows_process(world: World, draw: Draw, moments: pl.Series) -> Columns:
    chosen, parent = draw.index(len(world.programs), 0.7), draw.index(16, 0.8)
    name, executable, command = (take(p, chosen) for p in zip(*world.programs, strict=True))
    parent_name, parent_executable, _ = (take(p, parent) for p in zip(*world.programs, strict=True))
    host, user, digest = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.pick(world.hashes, 0.9)
    pid, parent_pid, folder = draw.integers(400, 30_000), draw.integers(400, 30_000), draw.pick(world.users, 0.7)
    message = join(
        *("Process Create:\nRuleName: -\nUtcTime: ", moments.dt.strftime("%Y-%m-%d %H:%M:%S%.3f"), "\nProcessGuid: {"),
        *(_guid(world, draw), "}\nProcessId: ", pid, "\nImage: ", executable, "\nFileVersion: 10.0.19041.4355\n"),
        *("Company: Microsoft Corporation\nOriginalFileName: ", name, "\nCommandLine: ", command),
        *(
            "\nCurrentDirectory: C:\\Users\\",
            folder,
            "\\\nUser: CORP\\",
            user,
            "\nLogonId: 0x",
            draw.hexadecimal(world, 2),
        ),
        *("\nTerminalSessionId: 1\nIntegrityLevel: Medium\nHashes: SHA256=", digest, "\nParentProcessGuid: {"),
        *(_guid(world, draw), "}\nParentProcessId: ", parent_pid, "\nParentImage: ", parent_executable),
    )
    return {
        "message": message,
        "event.category": ["process"],
        "event.type": ["start"],
        "event.action": "process-created",
        "event.outcome": "success",
        "event.code": "1",
        "event.provider": "Microsoft-Windows-Sysmon",
        "host.name": host,
        "host.os.type": "windows",
        "user.name": user,
        "user.domain": "CORP",
        "process.name": name,
        "process.executable": executable,
        "process.command_line": command,
        "process.args": command.str.split(" "),
        "process.pid": pid,
        "process.hash.sha256": digest,
        "process.parent.name": parent_name,
        "process.parent.executable": parent_executable,
        "process.parent.pid": parent_pid,
        "file.path": executable,
        "file.name": name,
        "file.hash.sha256": digest,
        "observer.vendor": "Microsoft",
        "observer.product": "Sysmon",
        "related.user": _lists(user),
        "related.hosts": _lists(host),
    }


def _edr_file(world: World, draw: Draw, moments: pl.Series) -> Columns:
    chosen = draw.index(len(world.programs), 0.7)
    process, executable, command = (take(p, chosen) for p in zip(*world.programs, strict=True))
    host, user, digest = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.pick(world.hashes, 0.6)
    act, kind = draw.weighted((0.5, 0.35, 0.15)), draw.pick(["docx", "tmp", "dll", "xlsx", "log", "ps1", "exe", "zip"])
    name = join(
        draw.pick(world.paths, 0.4).str.slice(1).str.replace_all(r"[/.]", "_"), "-", draw.integers(1, 99_999), ".", kind
    )
    path, size = join("C:\\Users\\", user, "\\AppData\\Local\\", name), draw.sizes(48_000, 2.0)
    action = take(["creation", "modification", "deletion"], act)
    message = join(
        *('{"deviceName":"', host, '","actionType":"File', action, '","fileName":"', name, '","sha256":"', digest),
        *('","fileSize":', size, ',"initiatingProcess":"', process, '","accountName":"', user, '","reportId":"'),
        *(_guid(world, draw), '"}'),
    )
    return {
        "message": message,
        "event.category": ["file"],
        "event.type": _take_lists([["creation"], ["change"], ["deletion"]], act),
        "event.action": action,
        "event.outcome": "success",
        "host.name": host,
        "host.os.type": "windows",
        "host.ip": _lists(draw.pick(world.inside, 0.6)),
        "user.name": user,
        "process.name": process,
        "process.executable": executable,
        "process.args": command.str.split(" "),
        "process.pid": draw.integers(400, 30_000),
        "file.path": path,
        "file.name": name,
        "file.extension": kind,
        "file.size": size,
        "file.mtime": moments,
        "file.hash.sha256": digest,
        "observer.vendor": "Microsoft",
        "observer.product": "Defender for Endpoint",
        "related.user": _lists(user),
        "related.hosts": _lists(host),
    }


def _sshd(world: World, draw: Draw, moments: pl.Series) -> Columns:
    host, outside, port = draw.pick(world.hosts[-60:], 0.4), draw.pick(world.outside, 1.1), draw.integers(1024, 65_536)
    result = draw.weighted((0.3, 0.45, 0.25))
    guessed = draw.pick(["root", "admin", "oracle", "test", "postgres", "ubuntu", "git", "deploy"], 1.0)
    user = guessed.zip_with(pl.Series(result > 0), draw.pick(world.users, 0.7))
    pid = draw.integers(600, 4_000_000)
    words = ["Accepted publickey for ", "Failed password for ", "Failed password for invalid user "]
    message = join(
        *(moments.dt.strftime("%b %e %H:%M:%S"), " ", host, " sshd[", pid, "]: ", take(words, result), user, " from "),
        *(outside, " port ", port, " ssh2"),
    )
    return {
        "message": message,
        "event.category": ["authentication", "session"],
        "event.type": ["start"],
        "event.action": "ssh_login",
        "event.outcome": take(["success", "failure", "failure"], result),
        "host.name": host,
        "host.os.type": "linux",
        "user.name": user,
        "source.ip": outside,
        "source.port": port,
        "destination.port": 22,
        "source.geo.country_iso_code": draw.pick(["CN", "US", "RU", "NL", "VN", "BR", "FR", "DE", "IN"]),
        "network.transport": "tcp",
        "network.protocol": "ssh",
        "process.name": "sshd",
        "process.executable": "/usr/sbin/sshd",
        "process.pid": pid,
        "observer.vendor": "OpenBSD",
        "observer.product": "OpenSSH",
        "related.ip": _lists(outside),
        "related.user": _lists(user),
    }


_CALLS = (
    ("s3.amazonaws.com", "GetObject"),
    ("sts.amazonaws.com", "AssumeRole"),
    ("ec2.amazonaws.com", "DescribeInstances"),
    ("s3.amazonaws.com", "PutObject"),
    ("kms.amazonaws.com", "Decrypt"),
    ("iam.amazonaws.com", "ListUsers"),
    ("signin.amazonaws.com", "ConsoleLogin"),
    ("iam.amazonaws.com", "CreateAccessKey"),
)


def _cloud_audit(world: World, draw: Draw, moments: pl.Series) -> Columns:
    call, user, address = draw.index(len(_CALLS), 0.8), draw.pick(world.users, 0.8), draw.pick(world.outside, 1.0)
    service, action = (take(values, call) for values in zip(*_CALLS, strict=True))
    account, region = (
        draw.pick(["123456789012", "210987654321"], 0.5),
        draw.pick(["eu-west-3", "us-east-1", "eu-west-1"]),
    )
    denied, agent = (
        draw.weighted((0.96, 0.04)),
        draw.pick(["aws-cli/2.17.0", "Boto3/1.40.1", "console.amazonaws.com"], 0.5),
    )
    message = join(
        *('{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","principalId":"AIDA', draw.hexadecimal(world, 4)),
        *('","arn":"arn:aws:iam::', account, ":user/", user, '","accountId":"', account, '","userName":"', user),
        *('"},"eventTime":"', moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), '","eventSource":"', service),
        *('","eventName":"', action, '","awsRegion":"', region, '","sourceIPAddress":"', address, '","userAgent":"'),
        *(agent, '","requestParameters":{"bucketName":"corp-data-', draw.integers(1, 40), '","key":"in/'),
        *(
            draw.hexadecimal(world, 4),
            '.json"},"responseElements":null,',
            take(["", '"errorCode":"AccessDenied",'], denied),
        ),
        *('"requestID":"', _guid(world, draw), '","eventID":"', _guid(world, draw), '","readOnly":true}'),
    )
    return {
        "message": message,
        "event.category": ["iam"],
        "event.type": _take_lists([["access"], ["access", "denied"]], denied),
        "event.action": action,
        "event.outcome": take(["success", "failure"], denied),
        "event.provider": service,
        "user.name": user,
        "source.ip": address,
        "user_agent.original": agent,
        "source.geo.country_iso_code": draw.pick(["FR", "US", "DE", "SG"]),
        "cloud.provider": "aws",
        "cloud.account.id": account,
        "cloud.region": region,
        "cloud.service.name": service,
        "observer.vendor": "Amazon",
        "observer.product": "CloudTrail",
        "related.ip": _lists(address),
        "related.user": _lists(user),
    }


KINDS: Sequence[Kind] = (
    Kind(name="firewall", share=0.34, tick_us=1_000, columns=_firewall),
    Kind(name="dns", share=0.2, tick_us=1_000, columns=_dns),
    Kind(name="web_proxy", share=0.15, tick_us=1_000, columns=_proxy),
    Kind(name="windows_security", share=0.09, tick_us=1, columns=_windows_security),
    Kind(name="windows_process", share=0.08, tick_us=1_000, columns=_windows_process),
    Kind(name="edr_file", share=0.05, tick_us=1, columns=_edr_file),
    Kind(name="sshd", share=0.05, tick_us=1_000_000, columns=_sshd),
    Kind(name="cloud_audit", share=0.04, tick_us=1_000_000, columns=_cloud_audit),
)


def _take_lists(values: Sequence[Sequence[str]], index: sample_world.Index) -> pl.Series:
    """The lists at the positions."""
    return pl.Series(values, dtype=pl.List(pl.String)).gather(index)


def _lists(*parts: pl.Series) -> pl.Series:
    frame = pl.DataFrame([part.alias(str(i)) for i, part in enumerate(parts)])
    return frame.select(pl.concat_list(pl.all())).to_series()


def _guid(world: World, draw: Draw) -> pl.Series:
    return join(*(part for quads in (2, 1, 1, 1, 3) for part in (draw.hexadecimal(world, quads), "-"))).str.slice(0, 36)
