"""Sample events of hosts: Windows logons, processes, registry and files, and logins over SSH."""

from __future__ import annotations

import polars as pl

from penstock.samples.world import Columns, Draw, World, guid, join, lists, take, take_lists, text, where

_LOGONS = ("2", "3", "3", "5", "7", "10")
_LOGON_TITLES = (
    "An account was successfully logged on.",
    "An account failed to log on.",
    "A logon was attempted using explicit credentials.",
)
_LOGON_FAILURES = ("Unknown user name or bad password.", "Account locked out.", "Account currently disabled.")


def windows_security(world: World, draw: Draw, moments: pl.Series) -> Columns:
    host, user, address = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.pick(world.inside, 0.6)
    what, logon = draw.weighted((0.88, 0.07, 0.05)), draw.pick(_LOGONS, 0.4)
    sid = join("S-1-5-21-3623811015-3361044348-30300820-", draw.integers(1001, 9_999))
    logon_id, port = join("0x", draw.hexadecimal(world, 2)), draw.integers(49_152, 65_536)
    logon_guid = guid(world, draw)
    message = text(
        "<title>\n\nSubject:\n\tSecurity ID:\t\tS-1-5-18\n\tAccount Name:\t\t<host>$\n"
        "\tAccount Domain:\t\tCORP\n\tLogon ID:\t\t0x3E7\n\nLogon Information:\n\tLogon Type:\t\t<logon>\n"
        "\tRestricted Admin Mode:\t-\n\tVirtual Account:\t\tNo\n\tElevated Token:\t\tYes\n\n"
        "Impersonation Level:\t\tImpersonation\n\nNew Logon:\n\tSecurity ID:\t\t<sid>\n"
        "\tAccount Name:\t\t<user>\n\tAccount Domain:\t\tCORP\n\tLogon ID:\t\t<logon_id>\n"
        "\tLogon GUID:\t\t{<logon_guid>}\n\nProcess Information:\n\tProcess ID:\t\t0x2f4\n"
        "\tProcess Name:\t\tC:\\Windows\\System32\\lsass.exe\n\nNetwork Information:\n"
        "\tWorkstation Name:\t<host>\n\tSource Network Address:\t<address>\n\tSource Port:\t\t<port>\n\n"
        "Detailed Authentication Information:\n\tLogon Process:\t\tKerberos\n"
        "\tAuthentication Package:\tKerberos\n\tTransited Services:\t-\n\tKey Length:\t\t0",
        title=take(_LOGON_TITLES, what),
        host=host,
        logon=logon,
        sid=sid,
        user=user,
        logon_id=logon_id,
        logon_guid=logon_guid,
        address=address,
        port=port,
    )
    return {
        "message": message,
        "event.category": ["authentication"],
        "event.type": ["start"],
        "event.action": take(["logged-in", "logon-failed", "logged-in-explicit"], what),
        "event.outcome": take(["success", "failure", "success"], what),
        "event.code": take(["4624", "4625", "4648"], what),
        "event.reason": where(what == 1, draw.pick(_LOGON_FAILURES)),
        "event.provider": "Microsoft-Windows-Security-Auditing",
        "host.name": host,
        "host.os.type": "windows",
        "host.os.family": "windows",
        "user.name": user,
        "user.domain": "CORP",
        "user.id": sid,
        "user.target.name": where(what == 2, draw.pick(world.users, 0.7)),
        "source.ip": address,
        "source.port": port,
        "winlog.logon.id": logon_id,
        "winlog.logon.type": logon,
        "process.name": "lsass.exe",
        "process.executable": r"C:\Windows\System32\lsass.exe",
        "observer.vendor": "Microsoft",
        "observer.product": "Windows",
        "related.ip": lists(address),
        "related.user": lists(user),
        "related.hosts": lists(host),
    }


def windows_process(world: World, draw: Draw, moments: pl.Series) -> Columns:
    chosen, parent = draw.index(len(world.programs), 0.7), draw.index(16, 0.8)
    name, executable, command = (take(p, chosen) for p in zip(*world.programs, strict=True))
    parent_name, parent_executable, parent_command = (take(p, parent) for p in zip(*world.programs, strict=True))
    host, user, digest = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.pick(world.hashes, 0.9)
    pid, parent_pid, folder = draw.integers(400, 30_000), draw.integers(400, 30_000), draw.pick(world.users, 0.7)
    message = text(
        "Process Create:\nRuleName: -\nUtcTime: <stamp>\nProcessGuid: {<guid>}\nProcessId: <pid>\n"
        "Image: <executable>\nFileVersion: 10.0.19041.4355\nCompany: Microsoft Corporation\n"
        "OriginalFileName: <name>\nCommandLine: <command>\nCurrentDirectory: C:\\Users\\<folder>\\\n"
        "User: CORP\\<user>\nLogonId: 0x<hex>\nTerminalSessionId: 1\nIntegrityLevel: Medium\n"
        "Hashes: SHA256=<digest>\nParentProcessGuid: {<guid_2>}\nParentProcessId: <parent_pid>\n"
        "ParentImage: <parent_executable>\nParentCommandLine: <parent_command>",
        stamp=moments.dt.strftime("%Y-%m-%d %H:%M:%S%.3f"),
        guid=guid(world, draw),
        pid=pid,
        executable=executable,
        name=name,
        command=command,
        folder=folder,
        user=user,
        hex=draw.hexadecimal(world, 2),
        digest=digest,
        guid_2=guid(world, draw),
        parent_pid=parent_pid,
        parent_executable=parent_executable,
        parent_command=parent_command,
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
        "host.os.family": "windows",
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
        "process.parent.command_line": parent_command,
        "process.parent.pid": parent_pid,
        "file.path": executable,
        "file.name": name,
        "file.hash.sha256": digest,
        "observer.vendor": "Microsoft",
        "observer.product": "Sysmon",
        "related.user": lists(user),
        "related.hosts": lists(host),
    }


def edr_file(world: World, draw: Draw, moments: pl.Series) -> Columns:
    chosen = draw.index(len(world.programs), 0.7)
    process, executable, command = (take(p, chosen) for p in zip(*world.programs, strict=True))
    host, user, digest = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.pick(world.hashes, 0.6)
    act, kind = draw.weighted((0.5, 0.35, 0.15)), draw.pick(["docx", "tmp", "dll", "xlsx", "log", "ps1", "exe", "zip"])
    name = join(
        draw.pick(world.paths, 0.4).str.slice(1).str.replace_all(r"[/.]", "_"), "-", draw.integers(1, 99_999), ".", kind
    )
    path, size = join("C:\\Users\\", user, "\\AppData\\Local\\", name), draw.sizes(48_000, 2.0)
    action = take(["creation", "modification", "deletion"], act)
    message = text(
        '{"deviceName":"<host>","actionType":"File<action>","fileName":"<name>","sha256":"<digest>",'
        '"fileSize":<size>,"initiatingProcess":"<process>","accountName":"<user>","reportId":"<guid>"}',
        host=host,
        action=action,
        name=name,
        digest=digest,
        size=size,
        process=process,
        user=user,
        guid=guid(world, draw),
    )
    return {
        "message": message,
        "event.category": ["file"],
        "event.type": take_lists([["creation"], ["change"], ["deletion"]], act),
        "event.action": action,
        "event.outcome": "success",
        "host.name": host,
        "host.os.type": "windows",
        "host.os.family": "windows",
        "host.ip": lists(draw.pick(world.inside, 0.6)),
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
        "related.user": lists(user),
        "related.hosts": lists(host),
    }


_REGISTRY_KEYS = (
    r"Software\Microsoft\Windows\CurrentVersion\Run",
    r"System\CurrentControlSet\Services\bam\State\UserSettings",
    r"Software\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs",
    r"Software\Policies\Microsoft\Windows Defender",
    r"System\CurrentControlSet\Services\Tcpip\Parameters",
)


def windows_registry(world: World, draw: Draw, moments: pl.Series) -> Columns:
    chosen = draw.index(len(world.programs), 0.7)
    process, executable, _ = (take(p, chosen) for p in zip(*world.programs, strict=True))
    host, user, pid = draw.pick(world.hosts, 0.5), draw.pick(world.users, 0.7), draw.integers(400, 30_000)
    hive, key = draw.pick(["HKU", "HKLM"], 0.3), draw.pick(_REGISTRY_KEYS, 0.6)
    value, content = join("Item", draw.integers(1, 5_000)), join("0x", draw.hexadecimal(world, 2))
    path = join(hive, "\\", key, "\\", value)
    message = text(
        "Registry value set:\nRuleName: -\nEventType: SetValue\nUtcTime: <stamp>\nProcessGuid: {<guid>}\n"
        "ProcessId: <pid>\nImage: <executable>\nTargetObject: <path>\nDetails: DWORD (<content>)\n"
        "User: CORP\\<user>",
        stamp=moments.dt.strftime("%F %H:%M:%S%.3f"),
        guid=guid(world, draw),
        pid=pid,
        executable=executable,
        path=path,
        content=content,
        user=user,
    )
    return {
        "message": message,
        "event.category": ["registry", "configuration"],
        "event.type": ["change"],
        "event.action": "registry-value-set",
        "event.outcome": "success",
        "event.code": "13",
        "event.provider": "Microsoft-Windows-Sysmon",
        "host.name": host,
        "host.os.type": "windows",
        "host.os.family": "windows",
        "user.name": user,
        "user.domain": "CORP",
        "process.name": process,
        "process.executable": executable,
        "process.pid": pid,
        "registry.hive": hive,
        "registry.key": key,
        "registry.value": value,
        "registry.path": path,
        "registry.data.strings": lists(content),
        "observer.vendor": "Microsoft",
        "observer.product": "Sysmon",
        "related.user": lists(user),
        "related.hosts": lists(host),
    }


def sshd(world: World, draw: Draw, moments: pl.Series) -> Columns:
    host, outside, port = draw.pick(world.hosts[-60:], 0.4), draw.pick(world.outside, 1.1), draw.integers(1024, 65_536)
    result = draw.weighted((0.3, 0.45, 0.25))
    guessed = draw.pick(["root", "admin", "oracle", "test", "postgres", "ubuntu", "git", "deploy"], 1.0)
    user = guessed.zip_with(pl.Series(result > 0), draw.pick(world.users, 0.7))
    pid = draw.integers(600, 4_000_000)
    words = ["Accepted publickey for ", "Failed password for ", "Failed password for invalid user "]
    message = text(
        "<stamp> <host> sshd[<pid>]: <result><user> from <outside> port <port> ssh2",
        stamp=moments.dt.strftime("%b %e %H:%M:%S"),
        host=host,
        pid=pid,
        result=take(words, result),
        user=user,
        outside=outside,
        port=port,
    )
    return {
        "message": message,
        "event.category": ["authentication", "session"],
        "event.type": ["start"],
        "event.action": "ssh_login",
        "event.reason": where(result > 0, take(words, result).str.strip_suffix(" for ")),
        "event.outcome": take(["success", "failure", "failure"], result),
        "host.name": host,
        "host.os.type": "linux",
        "host.os.family": "debian",
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
        "related.ip": lists(outside),
        "related.user": lists(user),
    }
