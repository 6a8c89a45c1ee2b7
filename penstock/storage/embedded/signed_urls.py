"""Signed, expiring URLs of the embedded store. They name the customer key by its MD5 and never contain it."""

from __future__ import annotations

import datetime as dt
import hmac
import urllib.parse
from collections.abc import Mapping

from penstock import errors

PATH = "/storage/"
EXPIRES = "X-Penstock-Expires"
KEY_MD5 = "X-Penstock-KeyMD5"
FILENAME = "X-Penstock-Filename"
SIGNATURE = "X-Penstock-Signature"

_HINT = "Ask the service for the export's download URL, and use it unchanged, every character."


class UrlSigner:
    """Signs and checks URLs with HMAC-SHA256 under a key derived from the service's secret.

    Args:
        signing_key: the service's secret; the same in every process.
        public_url: where clients reach the API, without a trailing `/`.
    """

    def __init__(self, signing_key: bytes, public_url: str) -> None:
        # A key of its own for URLs: the service's secret signs manifests as well.
        self._key = hmac.digest(signing_key, b"penstock embedded store: download URLs v1", "sha256")
        self._base = public_url.rstrip("/") + PATH

    def url(self, key: str, key_md5: str, expires_at: dt.datetime, filename: str) -> str:
        """A URL that is good until `expires_at` (whole seconds, rounded down)."""
        query = {EXPIRES: str(int(expires_at.timestamp())), KEY_MD5: key_md5, FILENAME: filename}
        # Over the decoded values: a proxy may encode the same character in another way.
        query[SIGNATURE] = self._signature(key, query)
        return self._base + urllib.parse.quote(key, safe="/~") + "?" + urllib.parse.urlencode(query)

    def under_public_url(self, url: str) -> str:
        """A URL of this store under this process's public address.

        Whoever signed it, a worker or the service before it moved to another port, may have known another address,
        which is why no signature covers it.
        """
        return self._base + url.partition(PATH)[2]

    def check(self, key: str, query: Mapping[str, str], now: dt.datetime) -> None:
        """Passes a URL that this service signed and that has not expired.

        Raises:
            AccessDenied: `url_unsigned`, `url_tampered`, or `url_expired` (with `expires_at`, RFC 3339).
        """
        if any(name not in query for name in (EXPIRES, KEY_MD5, FILENAME, SIGNATURE)):
            raise errors.AccessDenied("url_unsigned", "The URL carries no signature.", _HINT)
        # Bytes: compare_digest raises TypeError for text beyond ASCII, which is an attacker's to send.
        if not hmac.compare_digest(self._signature(key, query).encode(), query[SIGNATURE].encode()):
            raise errors.UrlTampered("url_tampered", "The URL is not as it was signed.", _HINT)
        # Only after the signature: before that the number could be any text.
        expires_at = dt.datetime.fromtimestamp(int(query[EXPIRES]), dt.UTC)
        if now >= expires_at:
            when = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
            raise errors.UrlExpired(
                "url_expired",
                f"The URL expired at {when}.",
                "Start a new export; its file is gone too.",
                expires_at=when,
            )

    def _signature(self, key: str, query: Mapping[str, str]) -> str:
        # Each field is preceded by its length, so that no two different requests sign the same text.
        fields = ("penstock-url-v1", "GET", key, query[EXPIRES], query[KEY_MD5], query[FILENAME])
        text = "".join(f"{len(field.encode(errors='surrogatepass'))}:{field}\n" for field in fields)
        return hmac.digest(self._key, text.encode(errors="surrogatepass"), "sha256").hex()
