"""The S3 store: AWS or any compatible server, with SSE-C unless the export asks for another way, over https.

Decisions that were measured or learnt the hard way (docs/storage.md tells more):
- `signature_version="s3v4"`: botocore's default presigner is SigV2 in us-east-1 and writes the customer key into
  the URL.
- Every body is signed with its SHA-256 (`payload_signing_enabled`). It is the one checksum that every S3 server must
  verify, since it is part of the signature: Ceph 16.2 ignores `x-amz-checksum-*` and, over https, boto3's default
  trailers break it. Content-MD5 works too and costs 2.4 times the CPU.
- After `complete` the object is looked at: Ceph answers with an empty ETag, some servers with 200 and an error inside.
"""

from __future__ import annotations

import copy
import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import botocore.exceptions

from penstock import errors
from penstock.base import clock as clocks
from penstock.base import pacing
from penstock.storage import naming, part_checks, probing
from penstock.storage.contract import MAX_PARTS, MIN_PART_BYTES, ObjectInfo, Receipt, Upload
from penstock.storage.encryption import Encryption
from penstock.storage.keys import CustomerKey
from penstock.storage.s3 import error_table, lifecycle
from penstock.storage.s3.client import S3Settings, check_endpoint, make_client

__all__ = ["S3Settings", "S3Store"]

_PIECE_BYTES = 1024 * 1024
_PACE = pacing.Pace(first_seconds=0.2, longest_seconds=5.0)
# A request of a client waits for the probe.
_PROBE_PATIENCE_SECONDS = 3.0


class S3Store:
    """A `contract.Store` in a bucket.

    Args:
        settings: where and how.
        clock: paces retries.

    Raises:
        ConfigurationError: `plain_http_refused`.
        DestinationError: `endpoint_not_allowed`, `invalid_s3_settings`.
    """

    def __init__(self, settings: S3Settings, *, clock: clocks.Clock | None = None) -> None:
        check_endpoint(settings)
        self._settings = settings
        self._clock = clock or clocks.SystemClock()
        self._patience_seconds = settings.retry_seconds
        try:
            self._client = make_client(settings)
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise errors.DestinationError(
                "invalid_s3_settings",
                f"The S3 settings cannot be used: {error}.",
                "Correct the endpoint, region or profile.",
            ) from error

    # Writing

    def begin(self, key: str, customer_key: CustomerKey | None, *, content_type: str, filename: str) -> Upload:
        answer = self._call(
            "create_multipart_upload",
            naming.check_key(key),
            ContentType=content_type,
            ContentDisposition=naming.content_disposition(filename),
            **self._at_rest(customer_key),
        )
        return Upload(key=key, upload_id=answer["UploadId"], started_at=self._clock.now())

    def put_part(
        self, upload: Upload, number: int, body: bytes | memoryview, customer_key: CustomerKey | None
    ) -> Receipt:
        if not 1 <= number <= MAX_PARTS:
            raise part_checks.refused(f"part {number} is outside 1 to {MAX_PARTS}")
        # botocore takes no memoryview. The copy lives as long as the call.
        content = body if isinstance(body, bytes) else bytes(body)
        answer = self._call(
            "upload_part",
            upload.key,
            UploadId=upload.upload_id,
            PartNumber=number,
            Body=content,
            **_sse_c(customer_key),
        )
        return Receipt(number=number, etag=answer["ETag"].strip('"'), size=len(content))

    def complete(
        self, upload: Upload, receipts: Sequence[Receipt], customer_key: CustomerKey | None, *, gaps: bool = False
    ) -> ObjectInfo:
        parts = part_checks.checked(receipts, MIN_PART_BYTES, gaps=gaps)
        size = sum(part.size for part in parts)
        call = self._described("CompleteMultipartUpload", upload.key)
        try:
            self._patiently(lambda: self._complete_once(upload, parts, customer_key), call)
        except errors.ObjectMissing:
            # The answer of an earlier, successful attempt was lost, or there never was such an upload. Keys are unique
            # to their export, so an object of the right size is ours.
            info = self._head_if_any(upload.key, customer_key)
            # Not by ETag: under SSE-C it is no digest, and Ceph gives none at completion.
            if info is None or info.size != size:
                raise
            return info
        info = self.head(upload.key, customer_key)
        if info.size != size:
            raise errors.StorageError(
                "object_damaged",
                f"The object {upload.key!r} has {info.size} bytes after completion; its parts have {size}.",
                "Run the export again, and report this to the operator of the S3 server.",
            )
        return info

    def abort(self, upload: Upload) -> None:
        try:
            self._call("abort_multipart_upload", upload.key, UploadId=upload.upload_id)
        except errors.ObjectMissing:
            return

    def put(
        self, key: str, body: bytes, customer_key: CustomerKey | None, *, content_type: str, filename: str
    ) -> ObjectInfo:
        self._call(
            "put_object",
            naming.check_key(key),
            Body=body,
            ContentType=content_type,
            ContentDisposition=naming.content_disposition(filename),
            **self._at_rest(customer_key),
        )
        return self.head(key, customer_key)

    def delete(self, key: str) -> None:
        try:
            self._call("delete_object", key)
        except errors.ObjectMissing:
            return

    # Reading

    def presign(self, key: str, customer_key: CustomerKey | None, *, expires_in_seconds: int, filename: str) -> str:
        """As the contract says. Signed here, without asking the server; S3 allows at most seven days."""
        with _translated(self._described("GetObject", key)):
            url: str = self._client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._settings.bucket,
                    "Key": key,
                    # Part of the signature, and so of the URL: nobody can change the name that a browser saves.
                    "ResponseContentDisposition": naming.content_disposition(filename),
                    **_sse_c(customer_key),
                },
                ExpiresIn=expires_in_seconds,
            )
        return url

    def head(self, key: str, customer_key: CustomerKey | None) -> ObjectInfo:
        answer = self._call("head_object", key, **_sse_c(customer_key))
        return ObjectInfo(
            key=key,
            size=answer["ContentLength"],
            etag=answer["ETag"].strip('"'),
            modified_at=answer["LastModified"].astimezone(dt.UTC),
        )

    def read(
        self, key: str, customer_key: CustomerKey | None, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """As the contract says; existence and key are checked now. A broken connection is taken up where it broke."""
        info = self.head(key, customer_key)
        start, end = max(0, start), info.size if end is None else min(end, info.size)
        return self._pieces(info, customer_key, start, end)

    def list_unfinished(self, prefix: str = "") -> Iterator[Upload]:
        """As the contract says. Never lists beyond the store's own prefix: the bucket may have other tenants, and what
        is listed here may be swept."""
        own = self._settings.prefix.strip("/")
        prefix = prefix if not own or prefix.startswith(f"{own}/") else f"{own}/"
        markers: dict[str, Any] = {}
        while True:
            page = self._call(
                "list_multipart_uploads", "", Prefix=prefix, MaxUploads=self._settings.list_page, **markers
            )
            for upload in page.get("Uploads", ()):
                started_at = upload["Initiated"].astimezone(dt.UTC)
                yield Upload(key=upload["Key"], upload_id=upload["UploadId"], started_at=started_at)
            following = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
            following = {name: value for name, value in following.items() if value}
            # The same markers again would be a loop without end; some servers say IsTruncated and give no markers.
            if not page.get("IsTruncated") or not following or following == markers:
                return
            markers = following

    def blocks_customer_keys(self) -> bool:
        """Whether the bucket says so, within seconds; False also where we may not ask."""
        try:
            answer = self._with_patience(_PROBE_PATIENCE_SECONDS)._call("get_bucket_encryption", "")
        except errors.StorageError:
            return False
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())  # Ceph leaves them out
        return any("SSE-C" in rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", ()) for rule in rules)

    def probe(self, customer_key: CustomerKey | None) -> None:
        """As the contract says, within seconds: a request waits for it."""
        name = f".penstock-probe-{secrets.token_hex(8)}"
        prefix = self._settings.prefix.strip("/")
        store = self._with_patience(_PROBE_PATIENCE_SECONDS)
        try:
            probing.probe(store, customer_key, f"{prefix}/{name}" if prefix else name)
        except errors.DestinationError as error:
            # AWS answers 403 both for a missing permission and for blocked SSE-C; only the bucket can say which.
            cause = error.__cause__
            if customer_key is None:
                raise
            if isinstance(cause, errors.AccessDenied) and store.blocks_customer_keys():
                blocked = error_table.sse_c_blocked(self._settings.bucket)
                raise probing.not_writable("write", blocked) from error
            raise

    # Lifecycle

    def install_lifecycle(self, days: int) -> None:
        """Has the bucket delete our objects and unfinished uploads after `days`, should our sweeper ever fail to.

        Rules that others made are kept.
        """
        # Read, then replaced: S3 offers no way to add one rule.
        rules = lifecycle.with_ours(self._lifecycle_rules(), self._settings.prefix, days)
        self._call("put_bucket_lifecycle_configuration", "", LifecycleConfiguration={"Rules": rules})

    def describe_lifecycle(self) -> tuple[lifecycle.LifecycleRule, ...]:
        """The bucket's lifecycle rules; empty if it has none."""
        return tuple(map(lifecycle.described, self._lifecycle_rules()))

    # Calling

    def _call(self, method: str, key: str, **parameters: Any) -> Any:
        """Calls S3, again and again within the store's patience while that may help."""
        parameters["Bucket"] = self._settings.bucket
        if key:
            parameters["Key"] = key
        call = self._described(self._client.meta.method_to_api_mapping[method], key)
        return self._patiently(lambda: getattr(self._client, method)(**parameters), call)

    def _patiently(self, attempt: Callable[[], Any], call: error_table.Call) -> Any:
        """Bound: `retry_seconds` in all, counted from the first failure.

        Not from the start of the call: an upload of a large part may take longer than all of the patience and still be
        well.
        """

        def passes(error: Exception) -> bool:
            return isinstance(error, error_table.CAUGHT) and error_table.explain(error, call).is_retryable

        try:
            return pacing.patiently(
                attempt, pace=_PACE, patience_seconds=self._patience_seconds, clock=self._clock, passes=passes
            )
        except error_table.CAUGHT as error:
            raise error_table.explain(error, call).error from error

    def _complete_once(self, upload: Upload, parts: Sequence[Receipt], customer_key: CustomerKey | None) -> None:
        names = {"Bucket": self._settings.bucket, "Key": upload.key, "UploadId": upload.upload_id}
        try:
            self._client.complete_multipart_upload(
                **names,
                MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
                # Only needed where a bucket policy asks for SSE-C on every call; harmless elsewhere.
                **_sse_c(customer_key),
            )
        except error_table.CAUGHT as error:
            # Ceph answers for an upload that is gone with an InternalError ("already in progress") that no retry helps,
            # so before another try the upload is asked for: NoSuchUpload ends the retries.
            if error_table.explain(error, self._described("CompleteMultipartUpload", upload.key)).is_retryable:
                self._client.list_parts(**names, MaxParts=1)
            raise

    def _at_rest(self, customer_key: CustomerKey | None) -> dict[str, str]:
        """What the call that makes an object says of its encryption."""
        if customer_key is not None or self._settings.encryption is not Encryption.SSE_KMS:
            return _sse_c(customer_key)
        own = {"SSEKMSKeyId": self._settings.kms_key_id} if self._settings.kms_key_id else {}
        return {"ServerSideEncryption": "aws:kms", **own}

    def _described(self, name: str, key: str) -> error_table.Call:
        return error_table.Call(
            name=name,
            bucket=self._settings.bucket,
            key=key,
            region=self._settings.region,
            endpoint=self._settings.endpoint_url,
        )

    def _with_patience(self, seconds: float) -> S3Store:
        impatient = copy.copy(self)
        impatient._patience_seconds = min(seconds, self._patience_seconds)
        return impatient

    def _head_if_any(self, key: str, customer_key: CustomerKey | None) -> ObjectInfo | None:
        try:
            return self.head(key, customer_key)
        except errors.ObjectMissing:
            return None

    def _lifecycle_rules(self) -> list[dict[str, Any]]:
        try:
            rules: list[dict[str, Any]] = self._call("get_bucket_lifecycle_configuration", "")["Rules"]
        except errors.StorageError as error:
            if _code(error.__cause__) == "NoSuchLifecycleConfiguration":
                return []
            raise
        return rules

    def _pieces(self, info: ObjectInfo, customer_key: CustomerKey | None, start: int, end: int) -> Iterator[bytes]:
        call = self._described("GetObject", info.key)
        failures_in_a_row = 0
        while start < end:
            answer = self._call(
                "get_object",
                info.key,
                Range=f"bytes={start}-{end - 1}",
                # If the object was replaced between two tries, fail instead of joining two files.
                IfMatch=f'"{info.etag}"',
                **_sse_c(customer_key),
            )
            try:
                for piece in answer["Body"].iter_chunks(_PIECE_BYTES):
                    start += len(piece)
                    failures_in_a_row = 0
                    yield piece
            except error_table.CAUGHT as error:
                # Only failures without a byte in between count: a slow line may break often in 10 GB and still come to
                # the end.
                failures_in_a_row += 1
                explained = error_table.explain(error, call)
                if not explained.is_retryable or failures_in_a_row > 5:
                    raise explained.error from error
            finally:
                answer["Body"].close()


def _sse_c(customer_key: CustomerKey | None) -> dict[str, str]:
    if customer_key is None:
        return {}
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": customer_key.base64,
        "SSECustomerKeyMD5": customer_key.md5,
    }


def _code(error: BaseException | None) -> str:
    if isinstance(error, botocore.exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


class _translated:
    """Translates what a block raises, without trying again."""

    def __init__(self, call: error_table.Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, error_table.CAUGHT):
            raise error_table.explain(error, self._call).error from error
