"""The one border where botocore's, urllib3's and S3's errors become the tree's, in words that name what to correct."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from typing import Any

import botocore.exceptions as boto
import botocore.parsers
import urllib3.exceptions

from penstock import errors


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What was being done; enough to write a sentence about it.

    Attributes:
        name: S3's name of the call, such as PutObject.
        bucket: the bucket.
        key: the object's key, or empty.
        region: the region the request was signed for.
        endpoint: the endpoint's URL, or empty for AWS.
    """

    name: str
    bucket: str
    key: str
    region: str
    endpoint: str

    @property
    def place(self) -> str:
        """For people."""
        return self.endpoint or "AWS"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """An error of the tree, and whether trying again may help.

    Attributes:
        error: what to raise.
        is_retryable: the same call may succeed in a moment.
    """

    error: errors.PenstockError
    is_retryable: bool = False


CAUGHT = (
    boto.BotoCoreError,
    boto.ClientError,
    botocore.parsers.ResponseParserError,
    urllib3.exceptions.HTTPError,
    OSError,
)
"""What may come out of a client's call or of reading a body. A test holds every exception of botocore against it."""

PERMISSION_OF = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
}
_SENDING_KEY = {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}
_READING = {"GetObject", "HeadObject"}

SSE_C_HINT = (
    "AWS switches SSE-C off for new buckets since April 2026. Switch it on with: "
    "aws s3api put-bucket-encryption --bucket {bucket} "
    '--server-side-encryption-configuration \'{{"Rules":[{{"ApplyServerSideEncryptionByDefault":{{"SSEAlgorithm":'
    '"AES256"}},"BlockedEncryptionTypes":{{"EncryptionType":["NONE"]}}}}]}}\'. '
    "Or let the bucket encrypt: `encryption` of the `s3` settings as `sse-kms` or `bucket-default` (--s3-encryption)."
)

_REGION_CODES = {
    "PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException", "IncorrectEndpoint", "301", "302", "303", "307", "308",
}  # fmt: skip
_BUSY_CODES = {
    "SlowDown", "InternalError", "InternalFailure", "ServiceUnavailable", "RequestTimeout", "RequestTimeoutException",
    "Throttling", "ThrottlingException", "TooManyRequests", "OperationAborted", "ConcurrentModification",
    "BandwidthLimitExceeded", "RequestLimitExceeded", "PriorRequestNotComplete", "429", "500", "502", "503", "504",
}  # fmt: skip
_FULL_CODES = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507"}
_DAMAGED_CODES = {
    "XAmzContentSHA256Mismatch",
    "BadDigest",
    "InvalidDigest",
    "XAmzContentChecksumMismatch",
    "IncompleteBody",
}
_PART_CODES = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "EntityTooLarge"}
_SKEW_CODES = {"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired"}
_TOKEN_CODES = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException"}
_KEY_ID_CODES = {"InvalidAccessKeyId", "UnrecognizedClientException", "InvalidClientTokenId"}
_UNSUPPORTED_CODES = {"NotImplemented", "MethodNotAllowed", "XNotImplemented", "501", "405"}
_WRONG_KEY_WORDS = ("md5 hash of the key did not match", "encryption parameters", "stored using a form of server side")


def explain(error: BaseException, call: Call) -> Explained:
    """The tree's error for a foreign one. One of the tree that travelled inside a foreign one comes out unchanged."""
    # First: the guard's refusal arrives wrapped into botocore's and urllib3's errors, and must come out as itself.
    inner = _innermost(error)
    if isinstance(inner, errors.PenstockError):
        return Explained(error=inner)
    if isinstance(error, boto.ClientError):
        return _explain_answer(error, call)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return Explained(
            error=errors.StorageError(
                "storage_no_credentials",
                f"There are no credentials for the bucket {call.bucket!r} ({error}).",
                "Set s3_access_key_id and s3_secret_access_key, or give the machine a role.",
            )
        )
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectTimeoutError | TimeoutError):
        return _unreachable(call, "it did not answer in time", error)
    certificate = _certificate_trouble(inner) or _certificate_trouble(error)
    if certificate:
        return Explained(
            error=errors.BucketRefused(
                "tls_untrusted",
                f"The certificate of {call.place} is not trusted: {certificate}.",
                "Use the name that the certificate is made for. For a CA of your own, have the operator set "
                "customer_ca_file (or s3_ca_file for the service's own storage).",
            )
        )
    if isinstance(inner, socket.gaierror):
        return _unreachable(call, "its name cannot be resolved", error)
    if isinstance(error, boto.SSLError):
        return _unreachable(call, "the TLS connection failed", error)
    if isinstance(error, boto.EndpointConnectionError | boto.ProxyConnectionError):
        return _unreachable(call, "no connection can be made", error)
    if isinstance(error, _BROKEN):
        return _unreachable(call, "the connection broke or its answer cannot be read", error)
    return Explained(
        error=errors.StorageError(
            "storage_failed",
            f"{call.name} on {call.place} failed: {_first_line(error)}.",
            "Check the bucket, its endpoint and its region.",
        )
    )


_BROKEN = (
    boto.HTTPClientError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    boto.ChecksumError,
    botocore.parsers.ResponseParserError,
    urllib3.exceptions.HTTPError,
    OSError,
)


def _explain_answer(error: boto.ClientError, call: Call) -> Explained:
    """S3 answered, with an error."""
    answer: dict[str, Any] = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    message = str(answer.get("Error", {}).get("Message") or "")
    metadata = answer.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    headers = metadata.get("HTTPHeaders", {})
    # An answer to HEAD has no body; botocore then takes the status for the code, hence the numbers in these tables.
    if code in _REGION_CODES or 300 <= status < 400:
        right = answer.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region") or ""
        return _wrong_region(call, str(right), code)
    if _is_wrong_customer_key(call, code, status, message):
        return Explained(
            error=errors.AccessDenied(
                "wrong_customer_key",
                f"The customer key is not the one that {call.key!r} was encrypted with.",
                "Use the key that was shown when the export was started; its MD5 is `sse_customer_key_md5`.",
            )
        )
    if code == "NoSuchUpload":
        return Explained(
            error=errors.ObjectMissing(
                "upload_missing", f"There is no unfinished upload of {call.key!r}.", "Begin a new one."
            )
        )
    if code in ("NoSuchKey", "NotFound") or (code == "404" and call.key):
        return Explained(
            error=errors.ObjectMissing(
                "object_missing", f"There is no object {call.key!r}.", "It was deleted, or its download window is over."
            )
        )
    # Servers know codes of their own; any 5xx may pass, except those that say no for good.
    if code in _BUSY_CODES or (status >= 500 and code not in _UNSUPPORTED_CODES | _FULL_CODES):
        return _unreachable(call, f"it answered {code or status} {message}".rstrip(), error)
    return Explained(error=_refusal(call, code or str(status), message), is_retryable=code in _DAMAGED_CODES)


def _refusal(call: Call, code: str, message: str) -> errors.StorageError:
    """S3's final no, in our words."""
    said = f" It said: {message}" if message else ""
    if code == "NoSuchBucket":
        return errors.BucketRefused(
            "no_such_bucket",
            f"There is no bucket {call.bucket!r} at {call.place}.",
            "Create it, or correct bucket_name.",
        )
    if code in _KEY_ID_CODES:
        return errors.BucketRefused(
            "unknown_access_key", f"{call.place} does not know the access key id.", "Correct access_key_id."
        )
    if code == "SignatureDoesNotMatch":
        return errors.BucketRefused(
            "wrong_secret_key",
            f"{call.place} does not accept the signature: the secret access key is not the access key's.",
            "Correct secret_access_key.",
        )
    if code in _TOKEN_CODES:
        return errors.BucketRefused("expired_credentials", f"The credentials have expired.{said}", "Get new ones.")
    if code in _SKEW_CODES:
        return errors.StorageError(
            "clock_skew",
            f"The clocks of this machine and of {call.place} differ too much.{said}",
            "Set this machine's clock (NTP), or that server's.",
        )
    if code in ("AccessDenied", "AccountProblem", "AllAccessDisabled", "403"):
        return _access_denied(call, message)
    if code in _FULL_CODES:
        return errors.NoRoom(
            "storage_full", f"The bucket {call.bucket!r} is full.{said}", "Raise its quota or delete objects."
        )
    if code in _DAMAGED_CODES:
        return errors.StorageError(
            "damaged_in_transit", f"What arrived at {call.place} is not what was sent.{said}", "Check the network."
        )
    if code in _PART_CODES:
        return errors.InvalidPart(
            "invalid_part",
            f"The upload cannot go on: {call.place} answered {code}.{said}",
            "Put the parts again, or abort the upload and begin a new one.",
        )
    if code in _UNSUPPORTED_CODES:
        return errors.BucketRefused(
            "call_not_supported",
            f"{call.place} does not support {call.name} as Penstock needs it ({code}).{said}",
            "The server must support multipart uploads with customer keys (SSE-C).",
        )
    return errors.StorageError(
        "storage_refused", f"{call.place} refused {call.name} on {call.bucket!r}: {code}.{said}", "Check the bucket."
    )


def _access_denied(call: Call, message: str) -> errors.AccessDenied:
    said = f" It said: {message}" if message and message != "Access Denied" else ""
    words = message.lower()
    if call.name in _SENDING_KEY and ("sse-c" in words or "customer-provided" in words or "encryption type" in words):
        return sse_c_blocked(call.bucket)
    permission = PERMISSION_OF.get(call.name, f"s3:{call.name}")
    hint = f"Grant {permission} on the bucket (and prefix) to the access key; look for a bucket policy that denies it."
    # Only AWS blocks SSE-C; a hint about it would mislead elsewhere.
    if call.name in _SENDING_KEY and not call.endpoint:
        hint += " If it is granted, SSE-C may be blocked on the bucket: " + SSE_C_HINT.format(bucket=call.bucket)
    if call.name in _READING:
        hint += " A wrong customer key is answered the same way."
    return errors.AccessDenied(
        "access_denied",
        f"The access key may not do {call.name} in the bucket {call.bucket!r}: it lacks {permission}.{said}",
        hint,
        permission=permission,
    )


def sse_c_blocked(bucket: str) -> errors.AccessDenied:
    """The error of a bucket that takes no objects with customer keys."""
    return errors.AccessDenied(
        "sse_c_blocked",
        f"The bucket {bucket!r} refuses objects encrypted with customer keys: SSE-C is blocked on it.",
        SSE_C_HINT.format(bucket=bucket),
    )


def _wrong_region(call: Call, right: str, code: str) -> Explained:
    if right and right != call.region:
        detail = f"The bucket {call.bucket!r} is in region {right!r}, not in {call.region!r}."
        hint = f"Set region_name to {right}."
    else:
        detail = f"{call.place} sends requests for the bucket {call.bucket!r} elsewhere ({code or 'redirect'})."
        hint = "Set region_name and endpoint_url to those of the bucket; redirects are not followed."
    return Explained(error=errors.BucketRefused("wrong_region", detail, hint, region=right or None))


def _is_wrong_customer_key(call: Call, code: str, status: int, message: str) -> bool:
    """Stores differ: Ceph answers 400 InvalidArgument, AWS 400 InvalidRequest or 403; a HEAD has no body to tell."""
    # Other calls get a key that is new to the server: it cannot be the wrong one.
    if call.name not in _READING | {"UploadPart"}:
        return False
    if any(words in message.lower() for words in _WRONG_KEY_WORDS):
        return True
    return call.name == "HeadObject" and status == 400


def _unreachable(call: Call, why: str, error: BaseException) -> Explained:
    return Explained(
        error=errors.StorageError(
            "storage_unavailable",
            f"{call.place} cannot be used at present: {why}.",
            f"Check that it is up and can be reached from here ({_first_line(error)}).",
        ),
        is_retryable=True,
    )


def _certificate_trouble(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return getattr(error, "verify_message", "") or str(error)
    text = str(error)
    if isinstance(error, boto.SSLError) and ("CERTIFICATE_VERIFY_FAILED" in text or "hostname" in text.lower()):
        return text.rpartition(": ")[2] or text
    return ""


def _innermost(error: BaseException) -> BaseException:
    """Follows the errors that botocore and urllib3 wrap into each other, at most ten deep."""
    # Bounded: two errors may name each other as their reason.
    for _ in range(10):
        wrapped = getattr(error, "kwargs", {}).get("error") if isinstance(error, boto.BotoCoreError) else None
        wrapped = wrapped or getattr(error, "reason", None) or error.__cause__
        if not isinstance(wrapped, BaseException) or isinstance(error, errors.PenstockError):
            return error
        error = wrapped
    return error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    # A server's text: a hostile or broken one may send a page of HTML.
    return lines[0][:300] if lines else type(error).__name__
