"""Which endpoints of customers the service may speak to: none that leads into the operator's own network.

An endpoint URL comes from a customer, so it is judged twice. `check_url` judges the text before anything is done.
`addresses` judges what the host resolves to, inside the very connection that uses the answer, so that a name which
resolves differently the second time gains nothing: the connection goes to a checked address or nowhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from collections.abc import Callable, Sequence

from penstock import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

HTTPS_PORT = 443
_FIRST_UNPRIVILEGED_PORT = 1024

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
"""A last label of this form makes resolvers read the whole name as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1."""

_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "home.arpa", "onion")
"""Names that mean this machine or its network, cloud metadata names (`metadata.google.internal`) among them."""

_METADATA = {
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google and most others
        "169.254.170.2",  # AWS container credentials
        "fd00:ec2::254",  # AWS over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server: a public address that is only reachable from inside
        "192.0.0.192",  # Oracle
    )
}
_REFUSED_NETWORKS = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT: neither private nor global to the ipaddress module
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",  # NAT64 with a local meaning
        "100::/64",
        "2001::/23",  # IETF assignments, Teredo included
        "2002::/16",  # 6to4: leads to whatever IPv4 address is written in it
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local
        "::/96",  # IPv4-compatible
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


class EndpointGuard:
    """Judges endpoints of customers.

    Args:
        allow_list: hosts and CIDR ranges that the operator allows though they are private.
        resolve: gives the addresses of a host as text; the system's resolver if None.

    Raises:
        ConfigurationError: `invalid_settings`: an entry of the allow-list is neither a host nor a range.
    """

    def __init__(self, allow_list: Sequence[str] = (), *, resolve: Resolver | None = None) -> None:
        self._resolve = resolve or _system_resolver
        self._hosts: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allow_list:
            self._allow(entry.strip().lower().rstrip("."))

    def check_url(self, url: str) -> None:
        """Judges the text of an endpoint URL; resolves nothing.

        Raises:
            DestinationError: `endpoint_not_allowed`.
        """
        # Before urlsplit, which drops tabs and line breaks in silence; of a backslash parsers disagree whether it is a
        # slash.
        if not url.isascii() or not url.isprintable() or any(c in url for c in " \\<>\"'`{}|^"):
            raise refused(url, "it has a character that a URL cannot have (write an international name as xn--…)")
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise refused(url, f"it is not a URL ({error})") from error
        if parts.scheme.lower() != "https":
            raise errors.DestinationError(
                "endpoint_not_allowed",
                f"The endpoint {url[:200]!r} is not allowed: it is not https, so keys would travel in clear.",
                "Write its https:// address. No setting allows plain http.",
            )
        if "@" in parts.netloc:
            # Only what follows the @: the text ends up in a message, and a password must not.
            raise refused(url.rpartition("@")[2], "it has a user name or password in it")
        if parts.query or parts.fragment or url.endswith(("?", "#")):
            raise refused(url, "it has a query or a fragment")
        if any(segment in (".", "..") for segment in urllib.parse.unquote(parts.path).split("/")):
            raise refused(url, "its path leads out of itself")
        if not host or parts.netloc.endswith(":"):
            raise refused(url, "it names no host, or no port after the colon")
        self._check_host(url, host, HTTPS_PORT if port is None else port)

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, every one of them allowed.

        Raises:
            DestinationError: `endpoint_not_allowed`, if any address of the host is not: an answer that mixes public and
                private addresses is an attack or a mistake.
            OSError: the host cannot be resolved.
        """
        found = list(dict.fromkeys(self._resolve(host, port)))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        if host.lower().rstrip(".") not in self._hosts:
            for text in found:
                why = self._why_refused(ipaddress.ip_address(text))
                if why:
                    raise refused(host, why if text == host else f"it resolves to {text}: {why}")
        return found

    def _allow(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError as error:
            if not all(_LABEL.fullmatch(label) for label in entry.split(".")) or _ends_in_number(entry):
                raise errors.ConfigurationError(
                    "invalid_settings",
                    f"The entry {entry!r} of endpoint_allow_list is neither a host nor a CIDR range.",
                    "Write hosts as s3.example.org and ranges as 10.1.0.0/16.",
                ) from error
            self._hosts.add(entry)

    def _check_host(self, url: str, host: str, port: int) -> None:
        # Before the allow-list: a zone or an encoded dot could make a private address look like another text.
        if "%" in host:
            raise refused(url, "its host has a percent sign (an IPv6 zone, or an encoded character)")
        # "host." is the same name, fully qualified.
        if host.rstrip(".") in self._hosts:
            return
        address = _literal(host)
        if address is not None:
            if any(address in network for network in self._networks):
                return
            why = self._why_refused(address)
            if why:
                raise refused(url, why)
        else:
            self._check_name(url, host)
        # Below lie SSH, SMTP, SMB and the like, which an S3 request could be made to talk to.
        if port != HTTPS_PORT and not _FIRST_UNPRIVILEGED_PORT <= port <= 65535:
            raise refused(url, f"port {port} is neither {HTTPS_PORT} nor above {_FIRST_UNPRIVILEGED_PORT - 1}")

    def _check_name(self, url: str, host: str) -> None:
        name = host.removesuffix(".")
        if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
            raise refused(url, f"{host!r} is not a host name")
        if _ends_in_number(name):
            raise refused(url, f"{host!r} is an IP address in disguise")
        if any(name == local or name.endswith("." + local) for local in _LOCAL_NAMES):
            raise refused(url, f"{host!r} is a name of a local network")

    def _why_refused(self, address: Address) -> str:
        """Why an address may not be spoken to; empty if it may."""
        # `::ffff:10.0.0.1` connects to 10.0.0.1: the allow-list and the metadata list hold for both spellings.
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if any(candidate in network for network in self._networks for candidate in (address, mapped or address)):
            return ""
        if address in _METADATA or mapped in _METADATA:
            return f"{address} is a metadata service"
        if mapped is not None:
            return f"{address} is an IPv4 address in disguise"
        if address.is_loopback:
            return f"{address} is this machine"
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return f"{address} is a link-local, multicast or unspecified address"
        if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
            # The last 32 bits are the IPv4 address that the translator will speak to (RFC 6052).
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
            why = self._why_refused(inner)
            return why and f"{address} leads to {inner}: {why}"
        # An ISATAP address holds an IPv4 address behind 0:5efe in any prefix, a global one too (RFC 5214).
        is_isatap = address.version == 6 and (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
        if is_isatap or not address.is_global or address.is_reserved or _is_in_any(address, _REFUSED_NETWORKS):
            return f"{address} is a private or reserved address"
        return ""


def refused(what: str, why: str) -> errors.DestinationError:
    """The error of an endpoint that may not be used."""
    return errors.DestinationError(
        "endpoint_not_allowed",
        f"The endpoint {what[:200]!r} is not allowed: {why}.",
        "Use the https address of an S3 server on the Internet, or have the operator add the host to "
        "endpoint_allow_list.",
    )


def _literal(host: str) -> Address | None:
    """The address, if the host is one written in its one proper way."""
    try:
        # It refuses octets with leading zeros, which some resolvers read as octal.
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _ends_in_number(name: str) -> bool:
    return bool(_NUMBER.fullmatch(name.rpartition(".")[2]))


def _is_in_any(address: Address, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _system_resolver(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An IPv6 address may come back with its zone (fe80::1%eth0); the zone is no part of the address.
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
