"""How requests of the S3 store travel: our own HTTP session under botocore, with the endpoint guard in its connections.

botocore builds its session itself and offers no place for another; its event `before-send.s3` may answer a request
instead of it. So `install` answers every request of a client from a session made here. What that buys: the address
checked is the address connected to; no proxy from the environment for customers' endpoints; no redirect is followed
(urllib3 is told not to, and botocore's own region redirector is switched off, since it would re-sign for a host that
an answer named).
"""

from __future__ import annotations

import socket
from typing import Any

import botocore.awsrequest
import botocore.httpsession
import urllib3.exceptions
import urllib3.util.connection

from penstock.storage.s3 import endpoint_guard

_BLOCK_BYTES = 1024 * 1024
"""Bytes handed to the TLS layer at once; http.client's 16 KiB cost a system call and a Python loop for every record."""


def install(client: Any, *, verify: str | bool, guard: endpoint_guard.EndpointGuard | None, **limits: Any) -> None:
    """Makes `client` send through a session of ours.

    Args:
        client: a boto3 S3 client.
        verify: CA file, or True for the system's.
        guard: judge of the addresses; None for the service's own endpoint, which the operator chose.
        limits: `timeout` (connect, read seconds) and `max_pool_connections`.
    """
    session = _Session(guard, verify=verify, proxies={} if guard else None, **limits)
    client.meta.events.register("before-call.s3", _forbid_redirects)
    client.meta.events.register("before-send.s3", lambda request, **_: session.send(request))


def _forbid_redirects(params: dict[str, Any], **_: Any) -> None:
    # botocore's redirector leaves a request alone that it believes to have redirected already.
    params.get("context", {}).setdefault("s3_redirect", {})["redirected"] = True


class _Session(botocore.httpsession.URLLib3Session):  # type: ignore[misc]
    def __init__(self, guard: endpoint_guard.EndpointGuard | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._manager.connection_pool_kw["blocksize"] = _BLOCK_BYTES
        pools: dict[str, type] = {"http": _PlainPool, "https": _TlsPool}
        if guard:
            # No class for plain http: whatever asks for it fails.
            pools = {"https": _guarded_pool(guard)}
        self._manager.pool_classes_by_scheme = pools


class _NoRedirects:
    """urllib3 prepares to follow a 303 before it asks whether it may, trips over botocore's headers there, and loses
    the connection. So it is told with every request."""

    def urlopen(self, *arguments: Any, **more: Any) -> Any:
        return super().urlopen(*arguments, **{**more, "redirect": False})  # type: ignore[misc]


class _PlainPool(_NoRedirects, botocore.awsrequest.AWSHTTPConnectionPool):  # type: ignore[misc]
    pass


class _TlsPool(_NoRedirects, botocore.awsrequest.AWSHTTPSConnectionPool):  # type: ignore[misc]
    pass


def _guarded_pool(guard: endpoint_guard.EndpointGuard) -> type:
    class GuardedConnection(botocore.awsrequest.AWSHTTPSConnection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return _connect(self, guard)

    class GuardedPool(_TlsPool):
        ConnectionCls = GuardedConnection

    return GuardedPool


def _connect(connection: Any, guard: endpoint_guard.EndpointGuard) -> socket.socket:
    """urllib3's own `_new_conn`, with the guard between resolving and connecting.

    The certificate is still checked against the host's name: only the socket goes to the number.
    """
    try:
        addresses = guard.addresses(connection.host, connection.port)
    except (OSError, UnicodeError) as error:
        failure = error if isinstance(error, socket.gaierror) else socket.gaierror(socket.EAI_NONAME, str(error))
        raise urllib3.exceptions.NameResolutionError(connection.host, connection, failure) from failure
    last: OSError = OSError("no address")
    # One after the other, as urllib3 does; each was judged above.
    for address in addresses:
        try:
            return urllib3.util.connection.create_connection(
                (address, connection.port),
                connection.timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except OSError as error:
            last = error
    if isinstance(last, TimeoutError):
        raise urllib3.exceptions.ConnectTimeoutError(connection, f"connecting to {connection.host} timed out") from last
    raise urllib3.exceptions.NewConnectionError(connection, f"{last}") from last
