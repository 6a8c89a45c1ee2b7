"""One object behind a presigned URL: reads byte ranges, goes on after breaks, notices when the object changes."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Generator

import httpx

from penstock import errors
from penstock.client.http import answers, urls
from penstock.client.http.retry import Retry
from penstock.storage.keys import CustomerKey

_RESUMES = "Run the same command again: it resumes."
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class ObjectChanged(Exception):
    """The object behind the URL is no longer the one that was begun: what was read of it is worthless."""


class _Broken(Exception):
    """The connection ended before the bytes did; worth another try."""


class RemoteObject:
    """The object behind a presigned URL. Safe from several threads.

    The API key is unknown here: only the customer key travels, and only over https or on this machine.

    Args:
        url: a presigned URL.
        customer_key: the key of SSE-C; None for an object without one.
        verify: as in `transport.tls_context`.
        timeout_seconds: of silence on the wire before a connection counts as broken.
        retry: bound of tries in a row that bring no new byte.
        etag: of an earlier session; None to take the first answer's.
        size: likewise, or from the manifest; None to take the first answer's.

    Raises:
        UsageError: `insecure_url`.
    """

    def __init__(
        self,
        url: str,
        customer_key: CustomerKey | None,
        *,
        verify: bool | ssl.SSLContext = True,
        timeout_seconds: float = 30.0,
        retry: Retry | None = None,
        etag: str | None = None,
        size: int | None = None,
    ) -> None:
        urls.require_secure(url)
        self.etag = etag
        self.size = size
        self.takes_ranges: bool | None = None
        self.breaks = 0
        self._url = url
        self._key = customer_key
        self._retry = retry or Retry(attempts=8)
        self._host = httpx.URL(url).netloc.decode()
        self._lock = threading.Lock()
        self._http = httpx.Client(
            # `identity`: a store or proxy that compresses the answer would change lengths, and ranges would not fit.
            headers={"User-Agent": "penstock-client", "Accept-Encoding": "identity"},
            verify=verify,
            timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, 10.0)),
            # The environment's proxy cannot reach this machine's own loopback.
            trust_env=not urls.is_loopback(httpx.URL(url).host),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def probe(self) -> bool:
        """Asks for the first byte, so that size and ETag are known; True if the host takes ranges."""
        for _ in self.read(0, 1):
            break
        return bool(self.takes_ranges)

    def read_all(self) -> bytes:
        """The whole object; for small ones."""
        return b"".join(self.read(0, None))

    def read(self, start: int, end: int | None) -> Generator[bytes]:
        """The bytes [start, end) in chunks, taken up again after each break; `end` None: to the object's end.

        Raises:
            ObjectChanged: the object was replaced since the first answer.
            AccessDenied, ObjectMissing, StorageError, NetworkError: for good, after `retry`.
        """
        position, failures = start, 0
        while True:
            try:
                for chunk in self._stream(position, end):
                    position += len(chunk)
                    failures = 0
                    yield chunk
                return
            except (httpx.TransportError, _Broken) as error:
                failures += 1
                with self._lock:
                    self.breaks += 1
                if failures >= self._retry.attempts:
                    raise self._translate(error) from error
                self._retry.wait(failures)

    def _translate(self, error: Exception) -> errors.PenstockError:
        if isinstance(error, httpx.TransportError):
            trouble = answers.from_transport(error, self._host)
            if isinstance(trouble, errors.TlsFailed):
                return trouble
            return type(trouble)(trouble.code, trouble.detail, _RESUMES)
        cause = error.__cause__
        if isinstance(cause, errors.PenstockError):
            return cause
        return errors.NetworkError("connection_broken", f"{self._host}: {error}.", _RESUMES)

    def _stream(self, start: int, end: int | None) -> Generator[bytes]:
        """One request; breaks are raised, not repaired."""
        end = self.size if end is None else end
        # Without a Range header then: some stores answer 206 to `bytes=0-`, and hosts that know no ranges need not be
        # asked.
        whole = start == 0 and (end is None or end == self.size)
        headers = self._key.headers() if self._key else {}
        if not whole:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if self.etag is not None:
                # If the object was replaced, the host sends all of it instead of a range of another file (RFC 9110
                # §13.1.5).
                headers["If-Range"] = self.etag
        with self._http.stream("GET", self._url, headers=headers) as response:
            self._refuse_bad(response)
            skip = self._learn(response, start, ranged=not whole)
            left = self._left(start, end)
            for (
                chunk
            ) in response.iter_raw():  # as they come: a chunk size would hold back, and lose, what came before a break
                if skip:
                    skip, chunk = skip - min(skip, len(chunk)), chunk[skip:]
                if left is not None:
                    chunk = chunk[:left]
                    left -= len(chunk)
                if chunk:
                    yield chunk
                if left == 0:
                    return
            if left:
                raise _Broken(f"the answer ended {left:,} bytes early")

    def _left(self, start: int, end: int | None) -> int | None:
        end = self.size if end is None else end
        return None if end is None else end - start

    def _refuse_bad(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        # We ask only within the size that was learnt: the object must have become shorter.
        if status == 416:
            raise ObjectChanged("the object is shorter now")
        response.read()
        if 300 <= status < 400:
            raise answers.from_response(response)
        failure = answers.from_store(response, key_given=self._key is not None)
        if status == 429 or status >= 500:
            # 429 and 5xx may pass; presigned downloads of busy stores answer SlowDown as 503.
            raise _Broken(f"the host answered {status}") from failure
        raise failure

    def _learn(self, response: httpx.Response, start: int, *, ranged: bool) -> int:
        """Takes size and ETag from the first answer and compares later ones; how many bytes to skip."""
        etag = response.headers.get("etag")
        size: int | None = None
        skip = 0
        if response.status_code == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
            if not found or int(found[1]) != start:
                raise _Broken("the host answered another range than was asked for")
            size = int(found[3])
        else:
            # The host ignored the range and sends everything: what is here already is read over.
            skip = start
            length = response.headers.get("content-length", "")
            size = int(length) if length.isdigit() else None
        with self._lock:
            if response.status_code == 206:
                self.takes_ranges = True
            elif ranged:
                self.takes_ranges = False
            # By size as well: an ETag may be missing, or weakened by a proxy.
            if (self.etag and etag and etag != self.etag) or (size is not None and self.size not in (None, size)):
                raise ObjectChanged("ETag or size differ")
            self.etag = self.etag or etag
            self.size = self.size if self.size is not None else size
        return skip
