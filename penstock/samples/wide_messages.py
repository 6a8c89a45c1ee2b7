"""Messages of the wide stream, each in one of the forms in which devices write: templates over an event's marks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from xml.sax import saxutils

Message = Callable[[random.Random, str, str, str, Sequence[str]], str]
"""Makes a template: draws, maker, product, action, names that the event's own values have. `<mark>` stands for a value
of the event: `wide_sources.MARKS`."""


def syslog(rng: random.Random, maker: str, product: str, action: str, names: Sequence[str]) -> str:
    """RFC 5424, with structured data."""
    pairs = " ".join(f'{name}="<number>"' for name in names[:6])
    return (
        f"<{rng.randrange(8, 190)}>1 <time> <host> {product} <pid> {action.upper()} "
        f"[{maker.lower()}@{rng.randrange(9999)} {pairs}] <user> from <source> port <port>: "
        "<sentence> <sentence> (ref <id>)"
    )


def cef(rng: random.Random, maker: str, product: str, action: str, names: Sequence[str]) -> str:
    """ArcSight's Common Event Format."""
    custom = " ".join(f"cs{n}Label={name} cs{n}=<number>" for n, name in enumerate(names[:12], 1))
    return (
        f"CEF:0|{maker}|{product}|{rng.randrange(1, 9)}.{rng.randrange(20)}|{rng.randrange(100, 9999)}|{action}|"
        f"{rng.randrange(11)}|rt=<epoch> src=<source> spt=<port> dst=<target> dhost=<host> suser=<user> "
        f"act={action} in=<number> request=https://<domain><path> fileHash=<hash> {custom} msg=<sentence> <sentence>"
    )


def leef(rng: random.Random, maker: str, product: str, action: str, names: Sequence[str]) -> str:
    """QRadar's Log Event Extended Format, parted by tabs."""
    custom = "\t".join(f"{name}=<number>" for name in names[:12])
    return (
        f"LEEF:2.0|{maker}|{product}|{rng.randrange(1, 9)}|{action}|\tdevTime=<time>\tsrc=<source>\tdst=<target>\t"
        f"srcPort=<port>\tusrName=<user>\tidentHostName=<host>\t{custom}\tresource=<path>\treason=<sentence>"
    )


def pairs(rng: random.Random, maker: str, product: str, action: str, names: Sequence[str]) -> str:
    """key=value, some of the values in quotes."""
    custom = " ".join(f'{name}="<sentence>"' if n % 5 == 4 else f"{name}=<number>" for n, name in enumerate(names[:14]))
    return (
        f'date=<time> devname="<host>" devid={maker[:3].upper()}{rng.randrange(10**8):08} type={product} '
        f'action={action} srcip=<source> srcport=<port> dstip=<target> user="<user>" hostname="<domain>" '
        f'url="<path>" {custom}'
    )


def document(rng: random.Random, maker: str, product: str, action: str, names: Sequence[str]) -> str:
    """JSON in a string."""
    details = ",".join(f'"{name}":<number>' for name in names[:14])
    return (
        f'{{"event":{{"maker":"{maker}","product":"{product}","action":"{action}","id":"<id>","created":"<time>"}},'
        f'"actor":{{"user":"<user>","address":"<source>","port":<port>,"agent":"<domain>/<number>"}},'
        f'"details":{{{details}}},"target":["<host>","<target>"],"text":"<sentence> <sentence>","sha256":"<hash>"}}'
    )


def xml(rng: random.Random, maker: str, product: str, action: str, names: Sequence[str]) -> str:
    """An event as Windows writes it."""
    rows = "".join(f"<Data Name={saxutils.quoteattr(name)}><number></Data>" for name in names[:10])
    return (
        f'<Event xmlns="urn:events:2004"><System><Provider Name="{maker}-{product}"/>'
        f'<EventID>{rng.randrange(9999)}</EventID><TimeCreated SystemTime="<time>"/><Execution ProcessID="<pid>"/>'
        '<Computer><host></Computer></System><EventData><Data Name="SubjectUserName"><user></Data>'
        f'<Data Name="IpAddress"><source></Data>{rows}'
        '<Data Name="Message"><sentence>\r\n\t<sentence></Data></EventData></Event>'
    )


FORMS: Sequence[Message] = (syslog, cef, leef, pairs, document, xml)
