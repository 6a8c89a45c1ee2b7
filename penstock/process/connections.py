"""Connections of the server: a head that does not come, and one address that takes them all, are given up.

uvicorn bounds idle connections (`timeout_keep_alive`) and the size of a head, but not the time a head takes: a client
without a key could open connections, send half a line on each, and hold every descriptor for ever. The body's pace is
held by `api.around.middleware.BodyPace`, which knows what a request is.
"""

from __future__ import annotations

import asyncio
import collections
import resource
from typing import Any

import structlog
from uvicorn.protocols.http import h11_impl

log = structlog.get_logger(__name__)

KEPT_BACK_DESCRIPTORS = 256
"""Of the process's descriptors, for files of the lake, the database and the stores."""


def room_for(wanted: int) -> int:
    """How many connections the process can hold: `wanted`, or what its limit of descriptors leaves.

    The soft limit is raised to the hard one first: 1,024 is a default from the days of `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        soft = max(soft, min(hard, wanted + KEPT_BACK_DESCRIPTORS) if hard != resource.RLIM_INFINITY else wanted * 2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # At least a few: with a very low limit the service is slow, not mute.
    return max(16, min(wanted, soft - KEPT_BACK_DESCRIPTORS))


def protocol(*, most: int, most_per_address: int, head_seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's protocol with bounds, for its option `http`.

    Args:
        most: connections at once; one more is closed at once.
        most_per_address: likewise of one address; 0: no bound, as behind a proxy.
        head_seconds: from connecting, or from a request's first byte, to the end of its head.
    """
    by_address: collections.Counter[str] = collections.Counter()

    class BoundedProtocol(h11_impl.H11Protocol):
        _address = ""
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._address = self.client[0] if self.client else ""
            # Counted before it is refused, since `connection_lost` comes for a refused one as well.
            by_address[self._address] += 1
            if by_address.total() > most or 0 < most_per_address < by_address[self._address]:
                log.warning("connection_refused", address=self._address, connections=by_address.total())
                # Not `close`, which would first wait until the peer has read what is still to be sent.
                transport.abort()
                return
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._unwatch()
            by_address[self._address] -= 1
            # A Counter keeps zeros: an address each for every client that ever came would be a leak.
            if by_address[self._address] <= 0:
                del by_address[self._address]

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.conn.trailing_data[0]:  # the next head has begun already
                self._watch()

        def _watch(self) -> None:
            """A deadline while a head is awaited; none while a request is at work."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._unwatch()
            elif self._deadline is None and not self.transport.is_closing():
                self._deadline = self.loop.call_later(head_seconds, self._give_up)

        def _unwatch(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._deadline = None
            if not self.transport.is_closing():
                log.info("connection_given_up", address=self._address, head_seconds=head_seconds)
                self.transport.abort()

    return BoundedProtocol


def options(*, most: int, most_per_address: int, head_seconds: float) -> dict[str, Any]:
    """Arguments for `uvicorn.Config`; bounds as in `protocol`."""
    return {
        "http": protocol(most=room_for(most), most_per_address=most_per_address, head_seconds=head_seconds),
        "ws": "none",
    }
