"""Which URLs a client talks to: https, or plain http on this machine only, so that no key travels readable."""

from __future__ import annotations

import datetime as dt
import ipaddress
import urllib.parse

from penstock import errors


def base_url(text: str) -> str:
    """The service's URL from what a person writes: `host`, `host:port` (both https) or a whole URL.

    Raises:
        UsageError: `invalid_api_host`, `insecure_url`.
    """
    text = text.strip()
    url = text if "://" in text else f"https://{text}"
    parts = _split(url, "invalid_api_host")
    if parts.query or parts.fragment or parts.username is not None:
        raise errors.UsageError(
            "invalid_api_host", f"{text!r} is not a service's address.", "Write a host, host:port or https://host:port."
        )
    require_secure(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def require_secure(url: str) -> None:
    """Refuses a URL over which a key would travel readable.

    Raises:
        UsageError: `insecure_url` for plain http to another machine; `invalid_api_host` for anything else
            that is not http or https.
    """
    parts = _split(url, "invalid_api_host")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise errors.UsageError(
            "insecure_url",
            f"{parts.scheme}://{parts.netloc} is plain http to another machine; keys would travel readable.",
            "Use https: `penstock serve --tls`, or a proxy that ends TLS and `public_url` set to its https address.",
        )


def is_loopback(host: str) -> bool:
    """Is the host this machine itself?"""
    # RFC 6761 §6.3: names below `localhost` lead to this machine.
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def signature_end(url: str) -> dt.datetime | None:
    """When a presigned S3 URL (SigV4) expires, by what it says itself; None for other URLs."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    try:
        signed_at = dt.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        return signed_at + dt.timedelta(seconds=int(query["X-Amz-Expires"]))
    except (KeyError, ValueError, OverflowError):
        return None


def _split(url: str, code: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        # `port` is read here, since it raises for a port that is no number.
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise errors.UsageError(
            code, f"{url!r} is not a service's address.", "Write a host, host:port or https://host:port."
        )
    return parts
