"""Where an attached table's files lie, a folder or S3: what is there, how large, whether it is still the same."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

from penstock.base.secret import Secret
from penstock.lake.attached import faults

_S3 = ("s3://", "s3a://", "s3n://")
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Access:
    """How S3 is reached; what is empty comes from the environment or the machine's role.

    Attributes:
        endpoint_url: the server; empty: AWS.
        region: of the buckets.
        access_key_id, secret_access_key: both or neither.
        allow_http: allow plain http; for tests.
    """

    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: Secret = dataclasses.field(default_factory=lambda: Secret(""))
    allow_http: bool = False

    @functools.cached_property
    def options(self) -> dict[str, str]:
        """For Polars and delta-rs."""
        found = {
            "aws_endpoint_url": self.endpoint_url,
            "aws_region": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key.reveal(),
            "aws_allow_http": "true" if self.allow_http else "",
            # Compatible servers rarely have a DNS name for each bucket.
            "aws_virtual_hosted_style_request": "false" if self.endpoint_url else "",
        }
        return {name: value for name, value in found.items() if value}

    @functools.cached_property
    def iceberg(self) -> dict[str, str]:
        """For pyiceberg."""
        found = {
            "s3.endpoint": self.endpoint_url,
            "s3.region": self.region,
            "s3.access-key-id": self.access_key_id,
            "s3.secret-access-key": self.secret_access_key.reveal(),
        }
        return {name: value for name, value in found.items() if value}

    @functools.cached_property
    def client(self) -> Any:
        """boto3's."""
        import boto3.session  # takes 0.3 s to load; most tables lie in folders
        import botocore.config

        path_style = botocore.config.Config(s3={"addressing_style": "path" if self.endpoint_url else "auto"})
        with _lock:  # a session is not safe for several threads; its clients are
            return boto3.session.Session().client(
                "s3",
                region_name=self.region or None,
                endpoint_url=self.endpoint_url or None,
                aws_access_key_id=self.access_key_id or None,
                aws_secret_access_key=self.secret_access_key.reveal() or None,
                # As Polars and delta-rs, which take no CA file by any option.
                verify=os.environ.get("SSL_CERT_FILE") or None,
                config=path_style,
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A file.

    Attributes:
        uri: a path, or `s3://bucket/key`.
        bytes: its size.
        tag: changes when the file does: its ETag, or when it was modified.
    """

    uri: str
    bytes: int
    tag: str


def is_s3(uri: str) -> bool:
    """Whether it lies in S3."""
    return uri.startswith(_S3)


def normal(uri: str) -> str:
    """One spelling: an absolute path, or `s3://…`."""
    if is_s3(uri):
        return "s3://" + uri.split("://", 1)[1]
    if uri.startswith("file:"):
        uri = urllib.parse.unquote(urllib.parse.urlsplit(uri).path)
    elif "://" in uri:
        raise faults.unsupported(
            f"{uri!r} is neither a path nor an address in S3.", "Name a folder of this machine, or s3://BUCKET/PREFIX."
        )
    return os.path.abspath(uri)


def look(uri: str, access: Access) -> Found:
    """What a file is now.

    Raises:
        FileNotFoundError: it is gone. OSError: it cannot be looked at.
    """
    if not is_s3(uri):
        state = os.stat(uri)
        return Found(uri, state.st_size, f"{state.st_mtime_ns}")
    bucket, key = _split(uri)
    with _as_os_errors(uri):
        about = access.client.head_object(Bucket=bucket, Key=key)
    return Found(uri, about["ContentLength"], about["ETag"].strip('"'))


def read_range(uri: str, start: int, end: int, access: Access) -> bytes:
    """The bytes [start, end) of a file. Raises OSError."""
    if not is_s3(uri):
        with open(uri, "rb") as file:
            file.seek(start)
            return file.read(end - start)
    bucket, key = _split(uri)
    with _as_os_errors(uri):
        answer = access.client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
        content: bytes = answer["Body"].read()
    return content


def read_whole(uri: str, access: Access) -> bytes:
    """All bytes of a file. Raises OSError."""
    if not is_s3(uri):
        return pathlib.Path(uri).read_bytes()
    bucket, key = _split(uri)
    with _as_os_errors(uri):
        content: bytes = access.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def list_files(table: str, access: Access) -> list[Found]:
    """All Parquet files below a folder or a prefix, or the one file itself, by their names.

    Names and folders that begin with `_` or `.` are left out, as all readers of such folders do; so are empty files.

    Raises:
        OSError: it cannot be listed; FileNotFoundError if there is nothing.
    """
    found = list(_in_s3(table, access) if is_s3(table) else _in_folder(table))
    return sorted((file for file in found if file.bytes), key=lambda file: file.uri)


def _in_folder(table: str) -> Iterator[Found]:
    root = pathlib.Path(table)
    if root.is_file():
        state = root.stat()
        yield Found(str(root), state.st_size, f"{state.st_mtime_ns}")
        return
    if not root.is_dir():
        raise FileNotFoundError(2, "There is no such folder", table)

    def refuse(error: OSError) -> None:
        raise error  # a folder that cannot be read is not an empty one

    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if _is_shown(name))
        for name in names:
            if _is_data(name):
                place = os.path.join(folder, name)
                state = os.stat(place)
                yield Found(place, state.st_size, f"{state.st_mtime_ns}")


def _in_s3(table: str, access: Access) -> Iterator[Found]:
    bucket, prefix = _split(table)
    if prefix and not _is_data(prefix.rsplit("/", 1)[-1]):
        prefix = prefix.rstrip("/") + "/"  # else `events` would have the files of `events-old`, too
    with _as_os_errors(table):
        pages = access.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for one in page.get("Contents", ()):
                parts = one["Key"][len(prefix.rsplit("/", 1)[0]) :].strip("/").split("/")
                if _is_data(parts[-1]) and all(map(_is_shown, parts[:-1])):
                    yield Found(f"s3://{bucket}/{one['Key']}", one["Size"], one["ETag"].strip('"'))


def list_names(prefix: str, access: Access) -> list[str]:
    """Names of the objects right below a prefix. Raises OSError."""
    bucket, key = _split(prefix)
    with _as_os_errors(prefix):
        pages = access.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key, Delimiter="/")
        return [one["Key"].removeprefix(key) for page in pages for one in page.get("Contents", ())]


def _is_shown(name: str) -> bool:
    # A folder `_day=1` is a partition by a column of that name.
    return not name.startswith((".", "_")) or ("=" in name and name.startswith("_"))


def _is_data(name: str) -> bool:
    return name.lower().endswith((".parquet", ".parq")) and not name.startswith((".", "_"))


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@contextlib.contextmanager
def _as_os_errors(uri: str) -> Iterator[None]:
    """What boto3 raises becomes OSError; of what is not there, FileNotFoundError."""
    import botocore.exceptions

    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}:
            raise FileNotFoundError(2, f"It is not there ({code})", uri) from error
        raise OSError(5, f"S3 answers {code}: {error.response.get('Error', {}).get('Message', '')}", uri) from error
    except botocore.exceptions.BotoCoreError as error:
        raise OSError(5, f"S3 cannot be reached: {error}", uri) from error


def hive_values(uri: str) -> dict[str, str | None]:
    """The columns that the folders of a file's path name: `region=eu-1/day=7`. All of its path, as DuckDB does."""
    found: dict[str, str | None] = {}
    for part in uri.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            plain = urllib.parse.unquote(value)
            found[urllib.parse.unquote(name)] = None if plain == "__HIVE_DEFAULT_PARTITION__" else plain
    return found


def check_place(uris: Iterable[str], table: str | None, closed: str) -> None:
    """Refuses files that a table must not have: whoever writes a table says where its files lie.

    Args:
        table: the table's address; None: its files may lie anywhere.
        closed: a folder or prefix of which no file may be: Penstock's own lake, where other communities' events are.
            Empty: none.

    Raises:
        ConfigurationError: `attached_table_unsupported`.
    """
    only_s3 = table is not None and is_s3(table)
    closed_s3 = f"{closed.rstrip('/')}/" if is_s3(closed) else ""
    closed_folder = os.path.join(os.path.realpath(closed), "") if closed and not closed_s3 else ""
    real: dict[str, str] = {}  # of folders: a link may lead there
    for uri in uris:
        if is_s3(uri):
            if closed_s3 and uri.startswith(closed_s3):
                raise faults.elsewhere(uri)
            continue
        if only_s3:
            raise faults.elsewhere(uri)
        folder, name = os.path.split(uri)
        if folder not in real:
            real[folder] = os.path.realpath(folder)
        place = os.path.realpath(uri) if os.path.islink(uri) else os.path.join(real[folder], name)
        if closed_folder and place.startswith(closed_folder):
            raise faults.elsewhere(uri)


def check_same(file: Found, access: Access, *, by_tag: bool) -> None:
    """Raises Conflict `attached_file_changed` where a file is not what the snapshot pinned.

    Args:
        by_tag: whether its tag must be the same, too; formats whose files never change are asked for the size alone.
    """
    try:
        now = look(file.uri, access)
    except FileNotFoundError as error:
        raise faults.gone(file.uri) from error
    if now.bytes != file.bytes or (by_tag and now.tag != file.tag):
        raise faults.changed(file.uri)
