"""The error tree. Every error that a person can meet has a stable code, a sentence and a hint.

`error_codes` is the table of all codes: the class that goes with each, and the page that explains it.

PenstockError                    status  raised when
├─ ConfigurationError              500   the service, or this machine's part of it, is set up wrongly
│  ├─ MasterKeyUnknown               ·   this process lacks the master key of a secret
│  └─ UsageError                     ·   what was typed, or given to the Python client, cannot be used (exit code 2)
├─ Refused                         4xx   a request cannot be carried out; nothing was started or changed
│  ├─ NotAuthenticated             401     no API key, or an unknown one
│  ├─ PermissionMissing            403     the key lacks the permission
│  ├─ ReadOnly                     403     the community's events are somebody else's table: nothing may be written
│  ├─ NotFound                     404     the object does not exist, or belongs to another community
│  ├─ RequestTooSlow               408     the body comes too slowly, or not at all
│  ├─ Conflict                     409     the object's state forbids it
│  ├─ BodyTooLarge                 413     the body is larger than one request may be
│  ├─ UnsupportedEncoding          415     the body is packed in a way the service cannot unpack
│  ├─ InvalidRequest               422     a value of the request is not acceptable
│  │  ├─ FieldSelectionError         ·       the field list (unknown, wildcard, duplicate)
│  │  ├─ QuerySyntaxError            ·       the query text; carries position, expectation, caret line
│  │  └─ DestinationError            ·       the customer's bucket, endpoint or key
│  │     └─ CustomerKeyMismatch        ·       the key and the MD5 that came with it
│  ├─ TooManyRequests              429     the key has too many requests of this kind under way
│  └─ QuotaExhausted               429     the community's monthly bytes are used up
├─ IngestError                     422   a file cannot be taken in (truncated, unreadable, unknown format)
│  └─ ColumnConflict                 ·     the table cannot hold a column beside those it has
├─ StorageError                    502   a store, disk or database failed after all retries
│  ├─ NoRoom                        507   a disk, a quota or a bucket is full
│  ├─ BucketRefused                  ·     a bucket answers what only a change of its settings can help
│  ├─ InvalidPart                    ·     an upload cannot go on with the parts it has
│  ├─ ObjectMissing                404     no such object or upload
│  └─ AccessDenied                 403     no key, wrong key, expired or tampered URL
│     ├─ UrlExpired                  ·       the URL's time is over
│     └─ UrlTampered                 ·       the URL is not as it was signed
├─ NetworkError                    503   a client cannot reach a host, or the connection keeps breaking
│  ├─ TlsFailed                      ·     the certificate is not trusted, or the port speaks no TLS
│  └─ Unreachable                    ·     nobody accepts the connection: nothing was sent
├─ NotReady                        503   the process lives but cannot serve
├─ VerificationFailed                ·   a file or a manifest is not what was exported
├─ WaitTimeout                       ·   the wait was over before the work was
├─ ExportFailed                      ·   an export ends FAILED; its message says why
└─ LeaseLost                         ·   another worker owns the export now: stop at once, write nothing more
"""

from __future__ import annotations

from typing import Any, ClassVar


class PenstockError(Exception):
    """Base of all errors of the product.

    Attributes:
        code: stable, snake_case name that programs may rely on.
        detail: one sentence that says what happened, with the value.
        hint: what to do next; empty only where nothing can be done.
        status: HTTP status that the API answers with.
        retriable: the same work may succeed later, unchanged.
        extra: further members of the problem document (JSON values).
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    retriable: ClassVar[bool] = False

    # Only the sentence goes to Exception: such an error cannot be pickled by its class, see `search.child`.
    def __init__(self, code: str, detail: str, hint: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()


class ConfigurationError(PenstockError):
    """The service, or this machine's part of it, is set up wrongly."""

    status = 500
    title = "Configuration error"


class MasterKeyUnknown(ConfigurationError):
    """This process lacks the master key of a secret; another may have it. `extra` holds `key_id`."""


class UsageError(ConfigurationError):
    """What was typed, or given to the Python client, cannot be used: exit code 2 of the command line."""

    title = "Cannot be used"


class Refused(PenstockError):
    """A request that is not carried out; nothing was started or changed."""

    status = 400
    title = "Request refused"


class NotAuthenticated(Refused):
    """No API key, or one that is unknown or revoked."""

    status = 401
    title = "Not authenticated"


class PermissionMissing(Refused):
    """The API key is valid but lacks the permission."""

    status = 403
    title = "Permission missing"


class ReadOnly(Refused):
    """The community's events are somebody else's table, which Penstock only reads."""

    # 403, as Elasticsearch answers for a read-only index: shippers take 409 for "is there already" and go on.
    status = 403
    title = "Read only"


class NotFound(Refused):
    """No such object in the communities of this key."""

    status = 404
    title = "Not found"


class Conflict(Refused):
    """The object's present state forbids the request."""

    status = 409
    title = "Conflict"


class RequestTooSlow(Refused):
    """The body comes too slowly, or not at all."""

    status = 408
    title = "Request too slow"


class TooManyRequests(Refused):
    """The API key has as many requests of this kind under way as it may."""

    status = 429
    title = "Too many requests"


class BodyTooLarge(Refused):
    """The body is larger than the service takes in one request."""

    status = 413
    title = "Body too large"


class UnsupportedEncoding(Refused):
    """The body is packed in a way the service cannot unpack."""

    status = 415
    title = "Unsupported encoding"


class InvalidRequest(Refused):
    """A value of the request is not acceptable."""

    status = 422
    title = "Invalid request"


class FieldSelectionError(InvalidRequest):
    """The list of fields cannot be exported as asked."""

    title = "Invalid field selection"


class QuerySyntaxError(InvalidRequest):
    """The query text cannot be understood.

    `extra` holds `position` (0-based character), `expected` (list of str) and `caret` (two lines of text).
    """

    title = "Invalid query"


class DestinationError(InvalidRequest):
    """The customer's bucket, endpoint, credentials or key cannot be used."""

    title = "Invalid destination"


class CustomerKeyMismatch(DestinationError):
    """The customer key and the MD5 that came with it are not of one another."""


class QuotaExhausted(Refused):
    """The community's monthly export bytes are used up. `extra` holds `resets_at` (RFC 3339)."""

    status = 429
    title = "Monthly quota exhausted"


class IngestError(PenstockError):
    """A file cannot be taken in. What was committed before stays and is said in `extra`."""

    status = 422
    title = "Cannot ingest"


class ColumnConflict(IngestError):
    """The table cannot hold a column beside those it has. `extra` holds `columns` (names)."""


class StorageError(PenstockError):
    """A store, disk or database failed after its bounded retries."""

    status = 502
    title = "Storage failed"
    retriable = True


class NoRoom(StorageError):
    """A disk, a quota or a bucket is full. `extra` may hold `free_bytes` and `kept_back_bytes`."""

    status = 507
    title = "No room left"


class BucketRefused(StorageError):
    """A bucket answers what no later attempt changes while its settings stay: who owns them must act.

    In the service's own bucket that is the operator, who can act while an export waits; a customer's settings are fixed
    for the length of an export.
    """


class InvalidPart(StorageError):
    """An upload cannot go on with the parts it has: a part is missing, replaced, too small or out of order."""


class ObjectMissing(StorageError):
    """No such object or unfinished upload in the store."""

    status = 404
    title = "No such object"
    retriable = False


class AccessDenied(StorageError):
    """The store refuses: no key, a wrong key, an expired or tampered URL."""

    status = 403
    title = "Access denied"
    retriable = False


class UrlExpired(AccessDenied):
    """The signed URL's time is over. `extra` holds `expires_at` (RFC 3339)."""


class UrlTampered(AccessDenied):
    """The signed URL is not as it was signed."""


class NetworkError(PenstockError):
    """A client cannot reach the service or the download host, or what answers is not understood."""

    status = 503
    title = "Cannot reach the host"
    retriable = True


class TlsFailed(NetworkError):
    """The host's certificate is not trusted, or its port speaks no TLS. No retry helps."""

    retriable = False


class Unreachable(NetworkError):
    """Nobody accepts the connection: whatever was to be sent has not been sent."""


class NotReady(PenstockError):
    """The process lives but cannot serve."""

    status = 503
    title = "Not ready"
    retriable = True


class VerificationFailed(PenstockError):
    """A file or a manifest is not what was exported."""

    status = 422
    title = "Verification failed"


class WaitTimeout(PenstockError):
    """The wait was over before the work was. The work goes on."""

    status = 504
    title = "Still at work"


class ExportFailed(PenstockError):
    """Ends an export as FAILED; `detail` becomes the task's message."""

    status = 500
    title = "Export failed"


class LeaseLost(PenstockError):
    """Another worker owns the work now; the holder must stop at once and write nothing more."""

    status = 409
    title = "Lease lost"
