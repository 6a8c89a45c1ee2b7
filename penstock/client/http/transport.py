"""Requests to the service: the key, retries where a repeat is harmless, problems as errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from penstock import errors
from penstock.client.http import answers, urls
from penstock.client.http.retry import Patience, Retry

_AGAIN = frozenset({429, 502, 503, 504})
"""Statuses worth a repeat. A 429 that names the monthly quota is not."""

_LONGEST_RETRY_AFTER_SECONDS = 30.0


def tls_context(verify: bool | str | ssl.SSLContext) -> bool | ssl.SSLContext:
    """`verify` as httpx wants it; a string is the path of a CA file.

    Raises:
        UsageError: `invalid_ca_file`.
    """
    if not isinstance(verify, str):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except (OSError, ssl.SSLError) as error:
        raise errors.UsageError(
            "invalid_ca_file", f"The CA file {verify!r} cannot be used: {error}.", "Give a PEM file that is there."
        ) from error


class Transport:
    """One service, one key. Safe from several threads.

    Args:
        url: the service's URL (see `urls.base_url`).
        key: the API key; sent to this host only, and redirects are never followed.
        verify: True, or the path of a CA file, or an SSL context.
        timeout_seconds: per connect, read and write.
        retry: how often GETs, and POSTs that carry an Idempotency-Key, are tried.
    """

    def __init__(
        self, url: str, key: str, *, verify: bool | str | ssl.SSLContext, timeout_seconds: float, retry: Retry
    ) -> None:
        self.url = urls.base_url(url)
        self.retry = retry
        self.context = tls_context(verify)
        self.timeout_seconds = timeout_seconds
        # A line break in it would end the header; httpx's own message about that would show the key.
        if not key.strip() or not key.isascii() or not key.isprintable():
            raise errors.UsageError(
                "api_key_not_given",
                "There is no usable API key.",
                "Set API_KEY; `penstock apikey create` makes one, `penstock init` stores the first.",
            )
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key.strip()}", "User-Agent": "penstock-client"},
            verify=self.context,
            timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, 5.0)),
            # Proxies of the environment are for other machines; one would be asked for its own loopback.
            trust_env=not urls.is_loopback(httpx.URL(self.url).host),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON that a GET answers; tried again within `retry`."""
        return answers.decode(self.request("GET", path, params=params))

    def poll(self, path: str, patience: Patience) -> Any:
        """As `get`, for what is asked again and again: troubles that may pass are waited out within `patience`."""
        return answers.decode(self.request("GET", path, patience=patience))

    def get_text(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The text that a GET answers; tried again within `retry`."""
        return self.request("GET", path, params=params).text

    def post(self, path: str, body: Any = None, *, idempotency_key: str | None = None) -> Any:
        """The JSON that a POST answers; tried again only with an Idempotency-Key (or if nothing was sent)."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return answers.decode(self.request("POST", path, json=body, headers=headers))

    def post_lines(self, path: str, body: bytes, *, batch_id: str) -> Any:
        """The JSON that a POST of gzipped, newline-delimited JSON answers.

        Tried again: the service takes a batch in once, however often it comes.
        """
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        return answers.decode(
            self.request("POST", path, params={"batch_id": batch_id}, content=body, headers=headers, harmless=True)
        )

    def delete(self, path: str) -> None:
        """A DELETE; not tried again."""
        self.request("DELETE", path)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        harmless: bool = False,
        patience: Patience | None = None,
    ) -> httpx.Response:
        """A good answer (status < 300), or the error of the tree that stands for the bad one.

        Args:
            harmless: a repeat does nothing twice; so it is of every GET and with an Idempotency-Key.
            patience: when `retry` has given up over a trouble that may pass, begin again within this.
        """
        harmless = harmless or method == "GET" or "Idempotency-Key" in (headers or {})
        params = {name: value for name, value in (params or {}).items() if value is not None}
        failures = 0
        while True:
            asked_seconds = 0.0
            try:
                response = self._http.request(
                    method, path, params=params, json=json, content=content, headers=dict(headers or {})
                )
            except (httpx.TransportError, httpx.InvalidURL) as error:
                trouble = answers.from_transport(error, httpx.URL(self.url).netloc.decode())
                # Nothing was sent, so even a POST may be tried again.
                unsent = isinstance(trouble, errors.Unreachable)
                again = unsent or (
                    harmless and isinstance(error, httpx.TransportError) and not isinstance(trouble, errors.TlsFailed)
                )
                failure: errors.PenstockError = trouble
                failure.__cause__ = error
            else:
                if response.is_success:
                    if patience is not None:
                        patience.restore()
                    return response
                failure = answers.from_response(response)
                # An exhausted quota is a 429 too, but only the turn of the month helps.
                again = harmless and response.status_code in _AGAIN and not isinstance(failure, errors.QuotaExhausted)
                asked_seconds = _retry_after(response)
            failures += 1
            if again and failures >= self.retry.attempts and patience is not None and patience.allows_another():
                # The service is being restarted: `retry` begins again within the patience.
                failures = 0
                continue
            if not again or failures >= self.retry.attempts or asked_seconds > _LONGEST_RETRY_AFTER_SECONDS:
                raise failure
            self.retry.wait(failures, asked_seconds)


def _retry_after(response: httpx.Response) -> float:
    """Seconds of a Retry-After header; 0 when there is none, or it is a date."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0
