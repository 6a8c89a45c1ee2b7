"""The calls that a lake makes to its bucket. All of them try again for a while, and raise the lake's own errors."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import email.utils
import errno
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

import botocore.exceptions

from penstock import errors
from penstock.base import clock as clocks
from penstock.base import pacing
from penstock.base.secret import Secret
from penstock.lake.location import ahead, faults
from penstock.storage.s3 import client as s3_client
from penstock.storage.s3 import error_table

_PACE = pacing.Pace(first_seconds=0.1, longest_seconds=5.0)
_PIECE_BYTES = 1024 * 1024

THREADS = 8
"""Requests of one process to a lake's bucket that run at once beside those of the callers themselves."""

_MOST_DELETED = 1000
"""Keys of one call that deletes; S3 takes no more."""

_DAMAGED_TRIES = 3

_Result = TypeVar("_Result")


class _Damaged(Exception):
    """What arrived is not what was written."""


class _OwnDisk(Exception):
    """Wraps an OSError of this machine's disk, so that nobody takes it for one of the network."""


CRC = "penstock-crc32"
"""Member of an object's metadata that holds the CRC-32 of its content, in hexadecimal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """Where a lake's bucket is and how to speak to it; equal ones share one client.

    Attributes:
        bucket: its name.
        region: its region.
        endpoint_url: the server; empty: AWS.
        access_key_id: empty: the machine's own credentials (environment, profile, role).
        secret_access_key: of the access key.
        ca_file: CA file for the server's certificate; empty: the system's.
        allow_http: allow plain http to a loopback address; for tests.
        retry_seconds: how long a failing call is tried again.
        connect_timeout_seconds: bound of one connection attempt.
        read_timeout_seconds: bound of one silence of the server.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint_url: str = ""
    access_key_id: str = ""
    secret_access_key: Secret = dataclasses.field(default_factory=lambda: Secret(""), hash=False)
    ca_file: str = ""
    allow_http: bool = False
    retry_seconds: float = 60.0
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0


class Exists(Exception):
    """There is an object of this name already."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An object.

    Attributes:
        key: its name.
        bytes: its size.
        modified: when it was written, seconds since 1970 by the server's clock.
        etag: what tells its contents apart.
    """

    key: str
    bytes: int
    modified: float
    etag: str


@functools.lru_cache(8)
def opened(address: Address) -> Bucket:
    """The bucket's calls; one object a process, since a client keeps connections.

    Raises:
        ConfigurationError: `invalid_settings`, `lake_plain_http_refused`.
    """
    return Bucket(address)


class Bucket:
    """A bucket. Safe from several threads.

    Calls raise FileNotFoundError where there is no such object, and StorageError `lake_…` for all else.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        settings = s3_client.S3Settings(
            **{field.name: getattr(address, field.name) for field in dataclasses.fields(address)}
        )
        try:
            s3_client.check_endpoint(settings)
        except errors.ConfigurationError as error:
            raise errors.ConfigurationError(
                "lake_plain_http_refused",
                f"The endpoint {address.endpoint_url!r} of the lake is not https: events would travel in clear.",
                "Use https. Plain http is only for tests: a loopback address, with s3_allow_http set.",
            ) from error
        try:
            self._client = s3_client.make_client(settings)
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise errors.ConfigurationError(
                "invalid_settings",
                f"The S3 settings of the lake cannot be used: {error}.",
                "Correct lake_s3_endpoint_url, lake_s3_region or lake_path.",
            ) from error
        self._clock = clocks.SystemClock()
        self._is_away = False
        self._ahead_seconds = 0.0
        self.ahead = ahead.Ahead()
        self.pool = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="penstock-lake")

    def now(self) -> float:
        """The server's time as its answers tell it, seconds since 1970."""
        return time.time() + self._ahead_seconds

    def get(self, key: str) -> bytes:
        """An object's content."""
        return self._call("GetObject", key, lambda: self._content(key))

    def tail(self, key: str, length: int) -> bytes:
        """The last bytes of an object: so many, or all of it."""
        return self._call("GetObject", key, lambda: self._content(key, Range=f"bytes=-{length}"))

    def download(self, key: str, open_file: Callable[[int], BinaryIO], crc_of: Callable[[bytes, int], int]) -> int:
        """Writes an object into a file that `open_file(size)` gives, empty, for each try; its CRC-32.

        What arrives is compared with the size, and with the CRC-32 that was noted when the object was written. One that
        differs again and again is damaged where it lies: an OSError, not a fault that passes.
        """
        for _ in range(_DAMAGED_TRIES):
            with contextlib.suppress(_Damaged):
                return self._call("GetObject", key, lambda: self._download(key, open_file, crc_of))
        raise OSError(errno.EIO, "The object is damaged: it is not what was written", key)

    def put(self, key: str, body: bytes | BinaryIO, *, crc: int | None = None, if_absent: bool = False) -> str:
        """Writes an object whole; its ETag.

        Raises:
            Exists: with `if_absent`, an object of this name was there, maybe that of an earlier try of this call.
        """

        def once() -> str:
            if not isinstance(body, bytes):
                body.seek(0)
            more: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
            if crc is not None:
                more["Metadata"] = {CRC: f"{crc:08x}"}
            try:
                answer = self._client.put_object(Bucket=self.address.bucket, Key=key, Body=body, **more)
            except botocore.exceptions.ClientError as error:
                if _code(error) in ("PreconditionFailed", "412"):
                    raise Exists from None
                raise
            self._note_time(answer)
            return str(answer["ETag"]).strip('"')

        return self._call("PutObject", key, once)

    def head(self, key: str) -> Found | None:
        """What is known of an object; None if there is none."""
        try:
            answer = self._call(
                "HeadObject", key, lambda: self._client.head_object(Bucket=self.address.bucket, Key=key)
            )
        except FileNotFoundError:
            return None
        return _found(key, answer["ContentLength"], answer)

    def delete(self, keys: list[str]) -> None:
        """Deletes objects; those that are not there are no error."""
        for start in range(0, len(keys), _MOST_DELETED):
            some = keys[start : start + _MOST_DELETED]
            left = self._delete_many(some) if len(some) > 1 else some
            for done in [self.pool.submit(self._delete, key) for key in left]:
                done.result()

    def objects(self, prefix: str, *, after: str = "") -> Iterator[Found]:
        """Objects whose key begins with `prefix`, by key; those behind the key `after`."""
        more: dict[str, Any] = {"StartAfter": after} if after else {}
        while True:
            parameters = {"Bucket": self.address.bucket, "Prefix": prefix, **more}
            page = self._call("ListObjectsV2", "", functools.partial(self._client.list_objects_v2, **parameters))
            self._note_time(page)
            for each in page.get("Contents", ()):
                yield _found(each["Key"], each["Size"], each)
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def check(self) -> None:
        """Asks the cheapest question that needs the network, the credentials and the bucket; once."""
        with self._translated("ListObjectsV2", ""):
            self._note_time(self._client.list_objects_v2(Bucket=self.address.bucket, Prefix="-", MaxKeys=1))

    # Calling

    def _content(self, key: str, **more: Any) -> bytes:
        answer = self._client.get_object(Bucket=self.address.bucket, Key=key, **more)
        self._note_time(answer)
        with contextlib.closing(answer["Body"]) as body:
            content: bytes = body.read()
        if len(content) != answer["ContentLength"]:
            raise ConnectionError("the answer ended too soon")
        return content

    def _download(self, key: str, open_file: Callable[[int], BinaryIO], crc_of: Callable[[bytes, int], int]) -> int:
        answer = self._client.get_object(Bucket=self.address.bucket, Key=key)
        self._note_time(answer)
        size, crc = 0, 0
        with contextlib.closing(answer["Body"]) as body:
            with _own_disk():
                file = open_file(answer["ContentLength"])
            with file:
                for piece in body.iter_chunks(_PIECE_BYTES):
                    with _own_disk():
                        file.write(piece)
                    crc, size = crc_of(piece, crc), size + len(piece)
                with _own_disk():
                    file.flush()
        # Without the number where another tool has copied the object.
        noted = answer.get("Metadata", {}).get(CRC, f"{crc:08x}")
        if size != answer["ContentLength"]:
            raise ConnectionError("the answer ended too soon")
        if noted != f"{crc:08x}":
            raise _Damaged
        return crc

    def _delete_many(self, keys: list[str]) -> list[str]:
        """Deletes in one call; those that it did not delete. Some servers refuse the call, or its checksum."""
        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        try:
            answer = self._call(
                "DeleteObjects", "", lambda: self._client.delete_objects(Bucket=self.address.bucket, Delete=wanted)
            )
        except errors.StorageError as error:
            if error.code != "lake_bucket_refused":
                raise
            return keys
        return [failed["Key"] for failed in answer.get("Errors", ())]

    def _delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._call("DeleteObject", key, lambda: self._client.delete_object(Bucket=self.address.bucket, Key=key))

    def _call(self, name: str, key: str, once: Callable[[], _Result]) -> _Result:
        call = self._described(name, key)

        def passes(error: Exception) -> bool:
            return isinstance(error, error_table.CAUGHT) and (
                error_table.explain(error, call).is_retryable or _is_conflict(error)
            )

        # Once a call has waited in vain, the others do not: they would fill the threads of an API, one wait each.
        patience = 0.0 if self._is_away else self.address.retry_seconds
        with self._translated(name, key):
            return pacing.patiently(once, pace=_PACE, patience_seconds=patience, clock=self._clock, passes=passes)

    @contextlib.contextmanager
    def _translated(self, name: str, key: str) -> Iterator[None]:
        try:
            yield
        except _OwnDisk as error:
            raise error.args[0] from None
        except error_table.CAUGHT as error:
            explained = error_table.explain(error, self._described(name, key))
            self._is_away = explained.is_retryable
            if isinstance(explained.error, errors.ObjectMissing):
                raise FileNotFoundError(2, "There is no such object", key) from error
            raise faults.of_lake(explained.error) from error
        else:
            self._is_away = False

    def _described(self, name: str, key: str) -> error_table.Call:
        address = self.address
        return error_table.Call(
            name=name, bucket=address.bucket, key=key, region=address.region, endpoint=address.endpoint_url
        )

    def _note_time(self, answer: dict[str, Any]) -> None:
        stamp = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        with contextlib.suppress(ValueError, TypeError):
            self._ahead_seconds = email.utils.parsedate_to_datetime(stamp).timestamp() - time.time()


@contextlib.contextmanager
def _own_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _OwnDisk(error) from error


def _found(key: str, size: int, answer: dict[str, Any]) -> Found:
    return Found(key=key, bytes=size, modified=answer["LastModified"].timestamp(), etag=str(answer["ETag"]).strip('"'))


def _code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_conflict(error: Exception) -> bool:
    """Another conditional write of the same object is under way: AWS wants the call again."""
    return isinstance(error, botocore.exceptions.ClientError) and _code(error) == "ConditionalRequestConflict"
