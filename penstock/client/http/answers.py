"""What a service or a store answers when it refuses, turned back into errors of the tree."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Mapping
from typing import Any

import httpx

from penstock import error_codes, errors
from penstock.base import exact_json
from penstock.client.http import urls

BY_STATUS: Mapping[int, type[errors.PenstockError]] = {
    401: errors.NotAuthenticated,
    403: errors.PermissionMissing,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.InvalidRequest,
    502: errors.StorageError,
}
"""For codes of a later version."""

_STANDARD = {"type", "title", "status", "code", "detail", "hint", "retriable"}


def from_response(response: httpx.Response) -> errors.PenstockError:
    """The error that an answer with status >= 300 stands for; the answer's body has been read."""
    status = response.status_code
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("code"), str):
        return from_problem(status, document)
    host = response.request.url.host
    if 300 <= status < 400:
        return errors.NetworkError(
            "unexpected_redirect",
            f"{host} redirects to {response.headers.get('location', 'another address')!r}.",
            "Redirects are not followed, since they would carry the key elsewhere: give the service's own address.",
        )
    # A proxy's page of HTML: its first words help, all of it would hide the message.
    words = " ".join(response.text.split())[:200]
    return errors.NetworkError(
        "unexpected_answer",
        f"{host} answered {status} {response.reason_phrase} and no problem document{': ' + words if words else ''}.",
        "Is this the address of a Penstock service? Check --api-host or API_HOST.",
    )


def from_problem(status: int, document: Mapping[str, Any]) -> errors.PenstockError:
    """The error of a problem document (RFC 9457), with its further members as `extra`.

    The class is the one that the service raised. For a code that this version does not know, the status decides.
    """
    code = str(document["code"])
    kind = error_codes.CODES[code].error if code in error_codes.CODES else _of_status(status)
    extra = {name: value for name, value in document.items() if name not in _STANDARD}
    detail = str(document.get("detail") or document.get("title") or f"The service answered {status}.")
    return kind(code, detail, str(document.get("hint") or ""), **extra)


def _of_status(status: int) -> type[errors.PenstockError]:
    return BY_STATUS.get(status, errors.Refused if 400 <= status < 500 else errors.PenstockError)


def from_store(response: httpx.Response, *, key_given: bool) -> errors.PenstockError:
    """The error of a download host, which answers in S3's XML; the answer's body has been read."""
    status = response.status_code
    code, message = _xml(response.text, "Code"), _xml(response.text, "Message")
    said = f"{code or status}{': ' + message if message else ''}"
    if code in ("ExpiredToken", "ExpiredRequest") or "expired" in message.lower() or _is_overdue(response, code):
        return expired(said)
    if code == "RequestTimeTooSkewed":
        return errors.AccessDenied(
            "download_clock_skew",
            f"The store's clock and the service's differ too much ({said}).",
            "Set the clocks right.",
        )
    # S3 calls a missing key a signature that does not match, since the headers are signed.
    if not key_given and status in (400, 403):
        return missing_customer_key(said)
    if code == "SignatureDoesNotMatch":
        return errors.AccessDenied(
            "download_url_rejected",
            f"The store does not accept the download URL together with this customer key ({said}).",
            "Use the URL as the task gives it, whole and unchanged, with the key of this very export: the key is part "
            "of what the URL is signed for.",
        )
    if status in (400, 403):
        return errors.AccessDenied(
            "wrong_customer_key",
            f"The store refuses this customer key ({said}).",
            "Give the key that was shown when this export was started; each export has its own.",
        )
    if status == 404:
        return errors.ObjectMissing(
            "download_gone",
            f"The file is no longer there ({said}).",
            "Files are deleted after the download window. Export the search job again.",
        )
    return errors.StorageError(
        "download_failed", f"The download host answered {status} ({said}).", "Run the same command again: it resumes."
    )


def expired(said: str) -> errors.AccessDenied:
    """The download window is over."""
    return errors.AccessDenied(
        "download_expired",
        f"The download window of this export is over ({said}).",
        "Export the search job again, and download within the window.",
    )


def wrong_customer_key(given_md5: str, right_md5: str) -> errors.AccessDenied:
    """The customer key at hand is another export's; a store would only say that the signature does not fit."""
    return errors.AccessDenied(
        "wrong_customer_key",
        f"This customer key (MD5 {given_md5}) is not the one the export is encrypted with (MD5 {right_md5}).",
        "Give the key that was shown when this export was started; each export has its own.",
    )


def missing_customer_key(said: str = "") -> errors.AccessDenied:
    """No customer key at hand for an encrypted file."""
    return errors.AccessDenied(
        "customer_key_missing",
        f"The export is encrypted and no customer key was given{f' ({said})' if said else ''}.",
        "Give the key shown when the export was started: S3_SSE_C_KEY, --s3-sse-c-key or --key-file.",
    )


def from_transport(error: httpx.TransportError | httpx.InvalidURL, host: str) -> errors.NetworkError:
    """Trouble below HTTP, in words."""
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError) and re.search(r"certificate|hostname", text, re.IGNORECASE):
        return errors.TlsFailed(
            "tls_failed",
            f"The certificate of {host} is not trusted: {text}.",
            "For a service with its own CA, set REQUESTS_CA_BUNDLE or --ca-file to the CA's file.",
        )
    if isinstance(error, httpx.ConnectError) and re.search(r"wrong.version.number", text, re.IGNORECASE):
        return errors.TlsFailed(
            "tls_failed",
            f"{host} does not speak TLS on this port: {text}.",
            "Is it the right port? On this machine, http:// may be meant; elsewhere, `penstock serve --tls`.",
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return errors.Unreachable(
            "service_unreachable",
            f"Cannot connect to {host}: {text}.",
            "Is the service running (`penstock serve`) and the address right (--api-host, API_HOST)?",
        )
    if isinstance(error, httpx.TimeoutException):
        return errors.NetworkError("timeout", f"{host} did not answer in time.", "Try again; it may be busy.")
    return errors.NetworkError(
        "connection_broken", f"The connection to {host} keeps breaking: {text}.", "Try again; a download resumes."
    )


def decode(response: httpx.Response) -> Any:
    """The JSON of a good answer, its numbers exact."""
    try:
        return exact_json.loads(response.content)
    except ValueError as error:
        raise errors.NetworkError(
            "unexpected_answer",
            f"{response.request.url.host} answered {response.status_code} without JSON.",
            "Is this the address of a Penstock service? Check --api-host or API_HOST.",
        ) from error


def _is_overdue(response: httpx.Response, code: str) -> bool:
    """Whether the URL's own lifetime is over by the store's clock: Ceph answers a bare AccessDenied then."""
    if response.status_code != 403 or code != "AccessDenied":
        return False
    end = urls.signature_end(str(response.request.url))
    try:
        # By the store's clock: the machine's own may be wrong, and then the advice would be too.
        now = email.utils.parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        now = dt.datetime.now(dt.UTC)
    return end is not None and now >= end


def _xml(text: str, name: str) -> str:
    """One element of S3's error document. A regular expression, since the document comes from outside and only two
    flat elements of it are wanted: no entity is ever expanded."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", text[:20_000])
    return found.group(1).strip() if found else ""
