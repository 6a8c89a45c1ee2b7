"""A table below a prefix of a bucket; its files are read as copies in a cache on this machine's disk.

data files, sidecars     written here, put whole, and read whole through the cache
the log                  a local copy, see `mirror`
_touched/FIRST~LAST      an empty object: the data files from FIRST to LAST in file order were in use when it was put
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import BinaryIO

from penstock import errors
from penstock.fields import types
from penstock.lake.location import bucket, cache, faults, mirror, touches
from penstock.lake.location.contract import LOG, Entry, Stored

_FOOTER = ".footer"
_FOOTER_BYTES = 65_536
"""Read at once: the whole footer of nearly every file. Wide events have larger ones, which take a second request."""

_HELD_FILES = 128
"""Files that are read at once: each held one takes a descriptor."""

_HELD_SHARE = 0.25
"""Of the cache, what one reader may hold at once."""

_YOUNG_SECONDS = 60.0
_MOST_ABSENT = 100_000
_DATA = re.compile(rf"(?:{types.DAY}=[^/]+/)?[^/_][^/]*\.parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class S3Lake:
    """A prefix of tables.

    Attributes:
        address: of the bucket.
        prefix: of all keys, without slashes at its ends; may be empty.
        cache_folder: where copies lie.
        cache_bytes: what they may have together.
        keep_bytes: of that disk, left free.
    """

    address: bucket.Address
    prefix: str
    cache_folder: pathlib.Path
    cache_bytes: int
    keep_bytes: int = 0

    def table(self, community_uuid: str) -> S3:
        """The table's location. Speaks to nobody. Raises ConfigurationError."""
        prefix = f"{self.prefix}/{community_uuid}/".lstrip("/")
        return S3(bucket.opened(self.address), prefix, _copies(self.cache_folder, self.cache_bytes, self.keep_bytes))

    def check(self) -> None:
        """Asks the bucket once whether it answers. Raises ConfigurationError, StorageError."""
        bucket.opened(self.address).check()

    def probe(self) -> None:
        """Tries all that a lake needs of its bucket with a tiny object: put, put if absent, read, list, delete.

        Raises:
            ConfigurationError: `lake_no_conditional_writes`.
            StorageError: `lake_…`.
        """
        opened = bucket.opened(self.address)
        key = f"{self.prefix}/.probe-{secrets.token_hex(8)}".lstrip("/")
        opened.put(key, b"probe", if_absent=True)
        try:
            with contextlib.suppress(bucket.Exists):
                opened.put(key, b"probe", if_absent=True)
                raise faults.lost_updates(self.address.bucket, self.address.endpoint_url)
            opened.get(key)
            list(opened.objects(key))
        finally:
            opened.delete([key])


@functools.cache
def _copies(folder: pathlib.Path, most_bytes: int, keep_bytes: int) -> cache.Cache:
    """One for all tables of a process."""
    return cache.Cache(folder, most_bytes, keep_bytes)


class S3:
    """A `contract.Location` in a bucket."""

    is_remote = True
    held_files = _HELD_FILES

    def __init__(self, opened: bucket.Bucket, prefix: str, copies: cache.Cache) -> None:
        self._bucket = opened
        self._prefix = prefix
        self._cache = copies
        self.root = f"s3://{opened.address.bucket}/{prefix.rstrip('/')}"
        # Copies of several lakes may lie in one cache.
        place = f"{opened.address.endpoint_url} {self.root}"
        self._tag = hashlib.blake2b(place.encode(), digest_size=8).hexdigest()
        self.disk = copies.folder
        self.held_bytes = copies.most_bytes * _HELD_SHARE
        self._lock = threading.Lock()
        self._mirror: mirror.Mirror | None = None
        # Sidecars that are not there: small data files have none, and none comes later.
        self._absent: set[str] = set()
        # Data files that this process wrote lately: name -> when, monotonic.
        self._young: collections.OrderedDict[str, float] = collections.OrderedDict()

    def now(self) -> float:
        return self._bucket.now()

    # The log

    @property
    def _log(self) -> mirror.Mirror:
        with self._lock:
            if self._mirror is None:
                self._mirror = mirror.Mirror(self._bucket, self._prefix, self._cache.folder / "logs")
            return self._mirror

    @property
    def log_root(self) -> str:
        return self._log.root

    def sync(self) -> None:
        self._log.sync()

    def log_state(self) -> Hashable:
        return self._log.state()

    def publish(self) -> None:
        self._log.publish()

    def publish_checkpoint(self, version: int) -> None:
        self._log.publish_checkpoint(version)

    def whole_log(self) -> contextlib.AbstractContextManager[str]:
        return self._log.whole()

    # Small files

    def read(self, name: str) -> bytes:
        return self._bucket.get(self._prefix + name)

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        self._bucket.put(self._prefix + name, content, crc=cache.crc32(content))
        with self._lock:
            self._absent.discard(name)

    def freshen(self, name: str) -> bool:
        return False  # an object's time is that of its writing

    def state(self, name: str) -> Hashable:
        found = self._bucket.head(self._prefix + name)
        return None if found is None else (found.etag, found.modified)

    def list(self, folder: str) -> list[Entry]:
        entries = (self._entry(found) for found in self._bucket.objects(f"{self._prefix}{folder}/"))
        return [entry for entry in entries if "/" not in entry.name.removeprefix(f"{folder}/")]

    def delete(self, names: Iterable[str]) -> None:
        gone = list(names)
        self._bucket.delete([self._prefix + name for name in gone])
        for name in gone:
            if name.startswith(f"{LOG}/"):
                self._log.forget(name.removeprefix(f"{LOG}/"))
            else:
                self._cache.forget(self._copy(name))

    # Data files and sidecars

    @contextlib.contextmanager
    def draft(self, name: str) -> Iterator[_Draft]:
        with self._cache.writing(self._copy(name)) as writing:
            draft = _Draft(self._bucket, self._prefix + name, writing)
            try:
                yield draft
            except BaseException:
                if draft.is_kept:
                    with contextlib.suppress(OSError, errors.StorageError):
                        self.delete([name])
                raise
        with self._lock:
            self._young[name] = time.monotonic()
            while self._young and next(iter(self._young.values())) < time.monotonic() - _YOUNG_SECONDS:
                self._young.popitem(last=False)

    def footer(self, name: str) -> str | bytes:
        # The copy of the file has it, too.
        held = self._held(name) if self.has_local(name) else []
        held = held or [self._cache.hold(self._copy(name + _FOOTER), lambda file: self._fetch_footer(name, file))]
        try:
            size = os.fstat(held[0]).st_size
            return os.pread(held[0], length := _footer_length(os.pread(held[0], 8, size - 8)), size - length)
        finally:
            self._cache.release(held)

    def fetch_footers(self, names: Sequence[str]) -> None:
        missing = [name for name in names if not self._cache.has(self._copy(name + _FOOTER))]
        missing = [name for name in missing if not self.has_local(name)]
        if len(missing) > 1:
            list(self._bucket.pool.map(self.footer, missing))

    def local(self, name: str) -> str:
        if not self.has_local(name):
            with self.hold([name]):
                pass
        return self._cache.path(self._copy(name))

    @contextlib.contextmanager
    def hold(self, names: Iterable[str]) -> Iterator[None]:
        wanted = [name for name in dict.fromkeys(names) if name not in self._absent]
        held: list[int] = []
        try:
            if len(wanted) == 1:
                held += self._held(wanted[0])
            else:
                # Each descriptor is noted even where another name fails.
                futures = [self._bucket.pool.submit(self._held, name) for name in wanted]
                failures = [future.exception() for future in futures]
                held += [copy for future in futures if future.exception() is None for copy in future.result()]
                for failure in failures:
                    if failure is not None:
                        raise failure
            yield
        finally:
            self._cache.release(held)

    def later(self, key: str, task: Callable[[], None]) -> None:
        self._bucket.ahead.do(self._copy(key), task)

    def has_local(self, name: str) -> bool:
        return self._cache.has(self._copy(name))

    def data_files(self) -> Iterator[Entry]:
        noted = touches.Touches(self.list(touches.FOLDER))
        entries = (self._entry(found) for found in self._bucket.objects(self._prefix))
        data = [entry for entry in entries if _DATA.fullmatch(entry.name)]
        for entry in sorted(data, key=lambda entry: os.path.basename(entry.name)):
            yield dataclasses.replace(entry, modified=max(entry.modified, noted.latest(entry.name)))

    def refresh(self, names: Sequence[str]) -> None:
        with self._lock:
            least = time.monotonic() - _YOUNG_SECONDS
            old = [name for name in names if self._young.get(name, 0.0) < least]
        for name in old:
            if self._bucket.head(self._prefix + name) is None:
                raise FileNotFoundError(2, "A data file is gone", name)
        if old:
            self._touch(old)

    def touch(self, names: Sequence[str]) -> None:
        with contextlib.suppress(OSError, errors.StorageError):
            self._touch(names)

    def forget_touches(self, instant: float) -> None:
        self.delete([entry.name for entry in self.list(touches.FOLDER) if entry.modified < instant])

    def explain(self, error: Exception) -> tuple[str, str]:
        reason = (str(error).splitlines() or [""])[0]
        return (
            f"The event table in {self.root} failed: {type(error).__name__}: {reason}",
            f"Look at the object, and at the disk of the cache in {self._cache.folder}; nothing was changed.",
        )

    def _copy(self, name: str) -> str:
        """The name of a copy in the cache."""
        return f"{self._tag}-{name}"

    def _entry(self, found: bucket.Found) -> Entry:
        name = found.key.removeprefix(self._prefix)
        return Entry(name=name, bytes=found.bytes, modified=found.modified)

    def _held(self, name: str) -> Sequence[int]:
        """The descriptor of a copy; none of what is not there."""
        key = self._prefix + name
        try:
            return [self._cache.hold(self._copy(name), lambda file: self._bucket.download(key, file, cache.crc32))]
        except FileNotFoundError:
            if not name.endswith(".parquet"):
                with self._lock:
                    if len(self._absent) >= _MOST_ABSENT:
                        self._absent.clear()
                    self._absent.add(name)
            return []

    def _touch(self, names: Sequence[str]) -> None:
        order = sorted(os.path.basename(name) for name in names)
        if order:
            self._bucket.put(f"{self._prefix}{touches.FOLDER}/{order[0]}~{order[-1]}", b"")

    def _fetch_footer(self, name: str, open_file: Callable[[int], BinaryIO]) -> int:
        key = self._prefix + name
        tail = self._bucket.tail(key, _FOOTER_BYTES)
        length = _footer_length(tail[-8:])
        tail = self._bucket.tail(key, length) if length > len(tail) else tail[-length:]
        with open_file(len(tail)) as file:
            file.write(tail)
        return cache.crc32(tail)


class _Draft:
    def __init__(self, opened: bucket.Bucket, key: str, writing: cache.Writing) -> None:
        self.path = writing.path
        self.is_kept = False
        self._bucket = opened
        self._key = key
        self._writing = writing

    def keep(self) -> Stored:
        size, crc = os.path.getsize(self.path), self._writing.crc()
        with open(self.path, "rb") as file:
            self._bucket.put(self._key, file, crc=crc)
        self.is_kept = True
        self._writing.adopt(crc)
        return Stored(bytes=size, modified_ms=int(self._bucket.now() * 1000))


def _footer_length(end: bytes) -> int:
    """Bytes of a Parquet file's footer, from its last eight: the length of what stands before them; four letters."""
    return int.from_bytes(end[:4], "little") + 8
