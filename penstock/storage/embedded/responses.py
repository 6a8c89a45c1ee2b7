"""Downloads from the embedded store over HTTP, framework-free, answering as S3 does.

What is asked is judged in this order: method, signature and expiry of the URL, the three key headers, the object, the
key, preconditions, the range. So nobody without a signed URL learns whether an object exists.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import secrets
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from penstock import errors
from penstock.storage import naming
from penstock.storage.embedded import byte_ranges, signed_urls
from penstock.storage.embedded import store as embedded
from penstock.storage.keys import ALGORITHM, CustomerKey

_KEY_HEADERS = "x-amz-server-side-encryption-customer-"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DownloadResponse:
    """What to send back.

    Attributes:
        status: HTTP status.
        headers: response headers; `Content-Length` is always among them, except for 304.
        body: pieces of bounded size; empty for HEAD. Iterating may raise `errors.StorageError` when the object turns
            out damaged: break the connection then, so that the client sees a short body.
        error_code: S3's error code, or None; for the access log and the audit.
        object_key: the key asked for; for the audit.
    """

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]
    error_code: str | None = None
    object_key: str = ""


@dataclasses.dataclass(kw_only=True, eq=False)
class _S3Error(Exception):
    """An answer in S3's error XML. Not frozen: the interpreter sets an exception's traceback."""

    status: int
    code: str
    message: str
    members: Mapping[str, str] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


def respond(
    store: embedded.EmbeddedStore, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> DownloadResponse:
    """Answers a GET or HEAD of a signed URL. Raises nothing of the error tree: every error is an answer.

    Args:
        store: where the object is.
        method: HTTP method.
        path: the object's key, percent-decoded; a leading `/storage/` is dropped.
        query: decoded query parameters.
        headers: request headers, in any case.
    """
    key = path.removeprefix(signed_urls.PATH).lstrip("/")
    try:
        response = _download(store, method, key, query, {name.lower(): value for name, value in headers.items()})
    except _S3Error as error:
        response = _error_answer(error, key)
    if method == "HEAD":
        return dataclasses.replace(response, body=iter(()))
    return response


def _download(
    store: embedded.EmbeddedStore, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> DownloadResponse:
    if method not in ("GET", "HEAD"):
        raise _S3Error(
            status=405,
            code="MethodNotAllowed",
            message="The specified method is not allowed against this resource.",
            members={"Method": method, "ResourceType": "OBJECT"},
            headers={"Allow": "GET, HEAD"},
        )
    # The signature comes before all that looks at the disk: who has no URL learns nothing, not even by the time it
    # takes.
    _check_url(store, key, query)
    customer_key = _customer_key(headers) if query[signed_urls.KEY_MD5] else None  # signed without one: plain
    # The URL is bound to one key. Without this check any 32 bytes would get as far as the store's own check.
    if customer_key is not None and query[signed_urls.KEY_MD5] != customer_key.md5:
        raise _access_denied()
    found = _open(store, key, customer_key)
    answer = _object_headers(found, query[signed_urls.FILENAME], customer_key)
    etag, size = answer["ETag"], found.info.size
    # The order of RFC 9110 §13.2.2: If-Match, If-None-Match, then If-Range and Range.
    if not _matches(headers.get("if-match", "*"), etag):
        raise _S3Error(
            status=412,
            code="PreconditionFailed",
            message="At least one of the pre-conditions you specified did not hold",
            members={"Condition": "If-Match"},
        )
    if "if-none-match" in headers and _matches(headers["if-none-match"], etag):
        return DownloadResponse(
            # No Content-Length: a 304 has no body, and the length of the object would confuse old proxies (RFC 9110
            # §15.4.5).
            status=304,
            headers={"ETag": etag, "Last-Modified": answer["Last-Modified"]},
            body=iter(()),
            object_key=key,
        )
    asked = headers.get("range", "") if _if_range_holds(headers.get("if-range"), answer) else ""
    chosen = _chosen_range(asked, size)
    status, start, end = (206, *chosen) if chosen else (200, 0, size)
    answer["Content-Length"] = str(end - start)
    if chosen:
        answer["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    # HEAD says the same headers and opens no part.
    body = store.read(key, customer_key, start=start, end=end) if method == "GET" else iter(())
    return DownloadResponse(status=status, headers=answer, body=body, object_key=key)


def _check_url(store: embedded.EmbeddedStore, key: str, query: Mapping[str, str]) -> None:
    now = store.clock.now()
    try:
        store.urls.check(key, query, now)
    except errors.AccessDenied as error:
        # S3 says AccessDenied here too; only the message and the members tell expiry from a refusal.
        if isinstance(error, errors.UrlExpired):
            raise _S3Error(
                status=403,
                code="AccessDenied",
                message="Request has expired",
                members={"Expires": error.extra["expires_at"], "ServerTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")},
            ) from error
        if isinstance(error, errors.UrlTampered):
            raise _S3Error(
                status=403,
                code="SignatureDoesNotMatch",
                message="The request signature we calculated does not match the signature you provided.",
            ) from error
        raise _access_denied() from error


def _customer_key(headers: Mapping[str, str]) -> CustomerKey:
    algorithm, key, md5 = (headers.get(_KEY_HEADERS + name) for name in ("algorithm", "key", "key-md5"))
    # The texts below are S3's own: SDKs and our client know a wrong key from a missing one by them.
    if algorithm is None and key is None:
        raise _S3Error(
            status=400,
            code="InvalidRequest",
            message="The object was stored using a form of Server Side Encryption. "
            "The correct parameters must be provided to retrieve the object.",
        )
    if algorithm != ALGORITHM:
        raise _S3Error(
            status=400,
            code="InvalidEncryptionAlgorithmError" if algorithm else "InvalidArgument",
            message="Requests specifying Server Side Encryption with Customer provided keys must provide a valid "
            "encryption algorithm.",
        )
    if key is None or md5 is None:
        raise _invalid_argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate "
            + ("secret key." if key is None else "client calculated MD5 of the key.")
        )
    try:
        return CustomerKey.parse(key, md5=md5)
    except errors.DestinationError as error:
        if isinstance(error, errors.CustomerKeyMismatch):
            message = "The calculated MD5 hash of the key did not match the hash that was provided."
        else:
            message = "The secret key was invalid for the specified algorithm."
        raise _invalid_argument(message) from error


def _open(store: embedded.EmbeddedStore, key: str, customer_key: CustomerKey | None) -> embedded.StoredObject:
    try:
        return store.open(key, customer_key)
    except errors.ObjectMissing as error:
        raise _S3Error(
            status=404, code="NoSuchKey", message="The specified key does not exist.", members={"Key": key}
        ) from error
    except errors.AccessDenied as error:
        raise _access_denied() from error
    except errors.StorageError as error:
        raise _S3Error(
            status=500, code="InternalError", message="We encountered an internal error. Please try again."
        ) from error


def _object_headers(found: embedded.StoredObject, filename: str, customer_key: CustomerKey | None) -> dict[str, str]:
    named = (
        {}
        if customer_key is None
        else {f"{_KEY_HEADERS}algorithm": ALGORITHM, f"{_KEY_HEADERS}key-MD5": customer_key.md5}
    )
    return named | {
        "Content-Type": found.content_type,
        "Content-Disposition": naming.content_disposition(filename or found.filename),
        "ETag": f'"{found.info.etag}"',
        "Last-Modified": email.utils.format_datetime(found.info.modified_at.astimezone(dt.UTC), usegmt=True),
        "Accept-Ranges": "bytes",
        # A shared cache would keep the decrypted file and hand it to requests without the key.
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }


def _matches(wanted: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match list holds the ETag (weak comparison; S3 does the same)."""
    names = [name.strip().removeprefix("W/") for name in wanted.split(",")]
    return "*" in names or etag in names or etag.strip('"') in names


def _if_range_holds(condition: str | None, answer: Mapping[str, str]) -> bool:
    """RFC 9110 §13.1.5: a strong ETag or exactly the date; anything else means the whole object."""
    return condition is None or condition.strip() in (answer["ETag"], answer["Last-Modified"])


def _chosen_range(asked: str, size: int) -> tuple[int, int] | None:
    try:
        return byte_ranges.parse(asked, size)
    except byte_ranges.Unsatisfiable as error:
        raise _S3Error(
            status=416,
            code="InvalidRange",
            message="The requested range is not satisfiable",
            members={"RangeRequested": asked, "ActualObjectSize": str(size)},
            headers={"Content-Range": f"bytes */{size}"},
        ) from error


def _access_denied() -> _S3Error:
    return _S3Error(status=403, code="AccessDenied", message="Access Denied")


def _invalid_argument(message: str) -> _S3Error:
    return _S3Error(status=400, code="InvalidArgument", message=message)


def _error_answer(error: _S3Error, key: str) -> DownloadResponse:
    request_id = secrets.token_hex(8).upper()
    members = {"Code": error.code, "Message": error.message, **error.members, "RequestId": request_id}
    inner = "".join(f"<{name}>{escape(_xml_text(value))}</{name}>" for name, value in members.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    headers = {
        "Content-Type": "application/xml",
        "Content-Length": str(len(body)),
        "x-amz-request-id": request_id,
        **error.headers,
    }
    return DownloadResponse(
        status=error.status, headers=headers, body=iter((body,)), error_code=error.code, object_key=key
    )


def _xml_text(value: str) -> str:
    """Without what XML 1.0 cannot hold: control characters and lone surrogates."""
    return "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "?" for c in value)
