"""Sample events of network gear and cloud services: firewall, DNS server, web proxy, cloud audit log."""

from __future__ import annotations

import polars as pl

from penstock.samples.world import Columns, Draw, World, guid, join, lists, take, take_lists, text


def firewall(world: World, draw: Draw, moments: pl.Series) -> Columns:
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
    message = text(
        '<zone> devname="<device>" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" '
        'srcip=<inside> srcport=<source_port> srcintf="port12" srcintfrole="lan" dstip=<outside> dstport=<port> '
        'dstintf="wan1" dstintfrole="wan" dstcountry="<country>" sessionid=<session> proto=<proto> '
        'action="<action>" policyname="<rule>" service="<protocol>" sentbyte=<sent> rcvdbyte=<received>',
        zone=zone,
        device=device,
        inside=inside,
        source_port=source_port,
        outside=outside,
        port=port,
        country=country,
        session=session,
        proto=take(["17", "6"], (transport == "tcp").cast(pl.Int64).to_numpy()),
        action=action,
        rule=rule,
        protocol=protocol,
        sent=sent,
        received=received,
    )
    type_lists = [["connection", "allowed"], ["connection", "denied"], ["connection", "denied", "end"]]
    return {
        "message": message,
        "event.category": ["network"],
        "event.type": take_lists(type_lists, verdict),
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
        "related.ip": lists(inside, outside),
    }


def dns(world: World, draw: Draw, moments: pl.Series) -> Columns:
    client, server = draw.pick(world.inside, 0.6), draw.pick(["10.20.0.53", "10.21.0.53"], 0.3)
    name, port, code = draw.pick(world.domains, 0.9), draw.integers(1024, 65_536), draw.weighted((0.93, 0.06, 0.01))
    question = draw.pick(["A", "AAAA", "HTTPS", "PTR", "TXT", "MX"], 1.2)
    stamp = moments.dt.strftime("%d-%b-%Y %H:%M:%S%.3f")
    message = text(
        "<stamp> queries: info: client @0x7f<hex> <client>#<port> (<name>): query: <name> IN <question> +E(0)K "
        "(<server>)",
        stamp=stamp,
        hex=draw.hexadecimal(world, 2),
        client=client,
        port=port,
        name=name,
        question=question,
        server=server,
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
        "related.ip": lists(client, server),
        "related.hosts": lists(name),
    }


def proxy(world: World, draw: Draw, moments: pl.Series) -> Columns:
    client, domain, path = draw.pick(world.inside, 0.6), draw.pick(world.domains, 0.9), draw.pick(world.paths, 0.8)
    user, agent, outside = draw.pick(world.users, 0.7), draw.pick(world.agents, 1.1), draw.pick(world.outside, 0.8)
    status_index = draw.weighted((0.82, 0.07, 0.04, 0.04, 0.02, 0.01))
    status = pl.Series([200, 304, 302, 404, 403, 500]).gather(status_index)
    size, took = draw.sizes(9_000, 1.8), draw.sizes(90, 1.1)
    method = draw.pick(["GET", "POST", "CONNECT", "HEAD"], 1.4)
    url = join("https://", domain, path, "?v=", draw.hexadecimal(world, 3), "&t=", draw.integers(1, 10**9))
    message = text(
        "<stamp> <took> <client> TCP_MISS/<status> <size> <method> <url> <user> HIER_DIRECT/<outside> text/html "
        '"<agent>"',
        stamp=moments.dt.strftime("%s%.3f"),
        took=took,
        client=client,
        status=status,
        size=size,
        method=method,
        url=url,
        user=user,
        outside=outside,
        agent=agent,
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
        "related.ip": lists(client, outside),
        "related.user": lists(user),
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


def cloud_audit(world: World, draw: Draw, moments: pl.Series) -> Columns:
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
    message = text(
        '{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","principalId":"AIDA<hex>",'
        '"arn":"arn:aws:iam::<account>:user/<user>","accountId":"<account>","userName":"<user>"},'
        '"eventTime":"<stamp>","eventSource":"<service>","eventName":"<action>","awsRegion":"<region>",'
        '"sourceIPAddress":"<address>","userAgent":"<agent>",'
        '"requestParameters":{"bucketName":"corp-data-<number>","key":"in/<hex_2>.json"},'
        '"responseElements":null,<error>"requestID":"<guid>","eventID":"<guid_2>","readOnly":true}',
        hex=draw.hexadecimal(world, 4),
        account=account,
        user=user,
        stamp=moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        service=service,
        action=action,
        region=region,
        address=address,
        agent=agent,
        number=draw.integers(1, 40),
        hex_2=draw.hexadecimal(world, 4),
        error=take(["", '"errorCode":"AccessDenied",'], denied),
        guid=guid(world, draw),
        guid_2=guid(world, draw),
    )
    return {
        "message": message,
        "event.category": ["iam"],
        "event.type": take_lists([["access"], ["access", "denied"]], denied),
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
        "related.ip": lists(address),
        "related.user": lists(user),
    }
