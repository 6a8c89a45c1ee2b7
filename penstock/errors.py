"""The error tree. Every error that a person can meet has a stable code, a sentence and a hint.

PenstockError                    status  raised when
├─ ConfigurationError              500   the service is set up wrongly (settings, home, master key, database)
├─ Refused                         4xx   a request cannot be carried out; nothing was started or changed
│  ├─ NotAuthenticated             401     no API key, or an unknown one
│  ├─ PermissionMissing            403     the key lacks the permission
│  ├─ NotFound                     404     the object does not exist, or belongs to another community
│  ├─ Conflict                     409     the object's state forbids it
│  ├─ InvalidRequest               422     a value of the request is not acceptable
│  │  ├─ FieldSelectionError         ·       the field list (unknown, wildcard, duplicate, object)
│  │  ├─ QuerySyntaxError            ·       the query text; carries position, expectation, caret line
│  │  └─ DestinationError            ·       the customer's bucket, endpoint or key
│  └─ QuotaExhausted               429     the community's monthly bytes are used up
├─ IngestError                     422   a file cannot be taken in (truncated, unreadable, unknown format)
├─ StorageError                    502   a store failed after all retries, or refused
│  ├─ ObjectMissing                404     no such object or upload
│  └─ AccessDenied                 403     no key, wrong key, expired or tampered URL
├─ NetworkError                    503   a client cannot reach a host, or the connection keeps breaking
├─ ExportFailed                     ·    an export ends FAILED; its message says why
└─ LeaseLost                        ·    another worker owns the export now: stop at once, write nothing more
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
        extra: further members of the problem document (JSON values).
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, code: str, detail: str, hint: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()


class ConfigurationError(PenstockError):
    """The service is set up wrongly."""

    status = 500
    title = "Configuration error"


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


class NotFound(Refused):
    """No such object in the communities of this key."""

    status = 404
    title = "Not found"


class Conflict(Refused):
    """The object's present state forbids the request."""

    status = 409
    title = "Conflict"


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


class QuotaExhausted(Refused):
    """The community's monthly export bytes are used up. `extra` holds `resets_at` (RFC 3339)."""

    status = 429
    title = "Monthly quota exhausted"


class IngestError(PenstockError):
    """A file cannot be taken in. What was committed before stays and is said in `extra`."""

    status = 422
    title = "Cannot ingest"


class StorageError(PenstockError):
    """A store failed after its bounded retries, or refused."""

    status = 502
    title = "Storage failed"


class ObjectMissing(StorageError):
    """No such object or unfinished upload in the store."""

    status = 404
    title = "No such object"


class AccessDenied(StorageError):
    """The store refuses: no key, a wrong key, an expired or tampered URL."""

    status = 403
    title = "Access denied"


class NetworkError(PenstockError):
    """A client cannot reach the service or the download host, or what answers is not understood."""

    status = 503
    title = "Cannot reach the host"


class ExportFailed(PenstockError):
    """Ends an export as FAILED; `detail` becomes the task's message."""

    status = 500
    title = "Export failed"


class LeaseLost(PenstockError):
    """Another worker owns the work now; the holder must stop at once and write nothing more."""

    status = 409
    title = "Lease lost"
