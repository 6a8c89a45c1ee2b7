"""What it takes to speak to a bucket: the settings, the check of the endpoint, the boto3 client."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import logging
import threading
import urllib.parse
from typing import Any

import boto3.session
import botocore.config

from penstock import errors
from penstock.base.secret import Secret
from penstock.storage.encryption import Encryption
from penstock.storage.s3 import endpoint_guard, session

_MAX_POOL_CONNECTIONS = 32


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class S3Settings:
    """Where a bucket is and how to speak to it.

    Attributes:
        bucket: the bucket's name.
        prefix: where the probe writes; object keys already contain it.
        region: the bucket's region.
        endpoint_url: the server; empty: AWS.
        access_key_id: empty: the machine's own credentials.
        secret_access_key: prints as ***.
        ca_file: CA file for the server's certificate; empty: the system's.
        allow_http: allow plain http to a loopback address; for tests.
        guard: judges every address connected to; None only for the operator's own endpoint.
        retry_seconds: how long a call is tried again; a call lasts at most this plus one attempt's timeouts.
        connect_timeout_seconds: bound of one connection attempt.
        read_timeout_seconds: bound of one silence of the server.
        encryption: what objects without a customer key are encrypted with: `sse-kms` asks for the KMS by header, all
            else leaves it to the bucket.
        kms_key_id: for `sse-kms`; empty: the bucket's own choice.
        list_page: most uploads asked for at once when listing.
    """

    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    endpoint_url: str = ""
    access_key_id: str = ""
    secret_access_key: Secret = dataclasses.field(default_factory=lambda: Secret(""))
    ca_file: str = ""
    allow_http: bool = False
    guard: endpoint_guard.EndpointGuard | None = None
    retry_seconds: float = 60.0
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    encryption: Encryption = Encryption.SSE_C
    kms_key_id: str = ""
    list_page: int = 1000


_session_lock = threading.Lock()


@functools.cache
def _session() -> boto3.session.Session:
    """One for all stores: it keeps botocore's models, whose parsing costs 0.2 s. Not for several threads at once."""
    for name in ("boto3", "botocore"):
        # Their debug log holds every request's headers, and so every customer key. No log level of ours may open it.
        logging.getLogger(name).setLevel(logging.INFO)
    return boto3.session.Session()


def make_client(settings: S3Settings) -> Any:
    """A client that speaks as `s3`'s docstring says, through `s3_http`."""
    # A boto3 session is not safe for several threads; its clients are.
    with _session_lock:
        client = _bare_client(settings)
    session.install(
        client,
        verify=settings.ca_file or True,
        guard=settings.guard,
        timeout=(settings.connect_timeout_seconds, settings.read_timeout_seconds),
        max_pool_connections=_MAX_POOL_CONNECTIONS,
    )
    return client


def _bare_client(settings: S3Settings) -> Any:
    return _session().client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint_url or None,
        aws_access_key_id=settings.access_key_id or None,
        aws_secret_access_key=settings.secret_access_key.reveal() or None,
        verify=settings.ca_file or True,
        config=botocore.config.Config(
            signature_version="s3v4",
            # boto3's default sends checksums as trailers, which Ceph 16.2 does not understand over https.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={
                # Over https botocore would else sign "UNSIGNED-PAYLOAD", and no server would notice a body that was
                # damaged.
                "payload_signing_enabled": True,
                # Few compatible servers have a DNS name, and a certificate, for each bucket.
                "addressing_style": "path" if settings.endpoint_url else "auto",
            },
            # `S3Store._patiently` tries again; both together would multiply attempts and time.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # AWS_ENDPOINT_URL of the environment would send requests, and so customer keys, to another server.
            ignore_configured_endpoint_urls=True,
            proxies={} if settings.guard else None,
        ),
    )


def check_endpoint(settings: S3Settings) -> None:
    """Judges the endpoint's URL.

    Raises:
        ConfigurationError: `plain_http_refused`.
        DestinationError: `endpoint_not_allowed`.
    """
    url = settings.endpoint_url
    if settings.guard and url:
        settings.guard.check_url(url)
    if not url or url.lower().startswith("https://"):
        return
    if not (settings.allow_http and not settings.guard and _is_loopback(url)):
        raise errors.ConfigurationError(
            "plain_http_refused",
            f"The S3 endpoint {url!r} is not https: every request carries the customer key.",
            "Use https. Plain http is only for tests: a loopback address, with s3_allow_http set.",
        )


def _is_loopback(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme.lower() != "http":
        return False
    try:
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
