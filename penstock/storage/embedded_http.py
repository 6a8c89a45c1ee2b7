"""Downloads from the embedded store over HTTP, framework-free, answering as S3 does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from penstock.storage import embedded


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DownloadResponse:
    """What to send back.

    Attributes:
        status: HTTP status.
        headers: response headers; `Content-Length` is always among them.
        body: pieces of bounded size; empty for HEAD. Iterating may raise `errors.StorageError` when the object turns out
            damaged: break the connection then, so that the client sees a short body.
        error_code: S3's error code, or None; for the access log and the audit.
        object_key: the key asked for; for the audit.
    """

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]
    error_code: str | None = None
    object_key: str = ""


def respond(
    store: embedded.EmbeddedStore, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> DownloadResponse:
    """Answers a GET or HEAD of a signed URL.

    Args:
        store: where the object is.
        method: HTTP method.
        path: the object's key, percent-decoded; a leading `/storage/` is dropped.
        query: decoded query parameters.
        headers: request headers, in any case.
    """
    raise NotImplementedError
