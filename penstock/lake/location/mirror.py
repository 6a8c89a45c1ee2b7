"""A local copy of the log of a table in a bucket: delta-rs reads and writes there, and what it writes is offered.

An entry is put if none of its version is there (If-None-Match): of two writers one is told that it lost the race. So
commits need no lock table, and requests, credentials and errors are those of all other calls to the bucket. Tried
first: delta-rs's own S3 client. It takes no CA file, tells faults as text, and lists the log at every step.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import pathlib
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Hashable, Iterator

import orjson

from penstock.base import durable_files
from penstock.lake.location import bucket as buckets
from penstock.lake.location import faults
from penstock.lake.location.contract import LOG, LostRace

_ENTRY = re.compile(r"(\d{20})\.json")
_LAST = "_last_checkpoint"
_HELD = "held"
_TRIES = 10


class Mirror:
    """The copy of one table's log. Safe from several threads; every process has its own.

    Args:
        bucket: where the table lies.
        prefix: of the table's keys, with a slash at the end.
        folder: where copies of logs lie.

    Attributes:
        root: the folder whose `_delta_log` is the copy. It goes when the object does.
    """

    def __init__(self, bucket: buckets.Bucket, prefix: str, folder: pathlib.Path) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}{LOG}/"
        self._lock = threading.RLock()
        self._version = -1
        self._checkpoint: str | None = None
        self._generation = 0
        self.root = tempfile.mkdtemp(dir=_process_folder(folder))
        self._log = pathlib.Path(self.root, LOG)
        self._log.mkdir()
        weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)

    def state(self) -> Hashable:
        """Tells one newest checkpoint from another, as of the last `sync`."""
        return None if self._checkpoint is None else (self._generation, self._checkpoint)

    def sync(self) -> None:
        """Fetches what is new in the bucket's log."""
        with self._lock:
            if not self._log.is_dir():  # somebody has emptied the cache's folder
                self._log.mkdir(parents=True)
                self._version = -1
            for _ in range(_TRIES):
                # Another process may shorten the log between the look and the fetching.
                with contextlib.suppress(FileNotFoundError):
                    if self._version < 0 or not self._go_on():
                        self._begin()
                    return
        raise OSError(f"the log {self._prefix} changes faster than it can be read")

    def publish(self) -> None:
        """Offers the entry that delta-rs has written.

        Raises:
            LostRace: there is one of its version.
        """
        with self._lock:
            new = sorted(place for place in self._log.iterdir() if self._version_of(place.name) > self._version)
            try:
                # Else it follows one of ours that never arrived.
                if [self._version_of(place.name) for place in new] != [self._version + 1]:
                    raise LostRace
                entry = new[0].read_bytes()
                self._offer(new[0].name, entry)
            except BaseException:
                # Whether it arrived is not known: the next `sync` sees.
                for place in new:
                    place.unlink(missing_ok=True)
                raise
            self._version += 1
            if self._version == 0:
                self._check_conditional_writes(new[0].name, entry)

    def publish_checkpoint(self, version: int) -> None:
        """Offers a checkpoint that delta-rs has written."""
        name = f"{version:020d}.checkpoint.parquet"
        with self._lock:
            # In this order: what `_last_checkpoint` names must be there.
            self._bucket.put(self._prefix + name, (self._log / name).read_bytes())
            self._checkpoint = self._bucket.put(self._prefix + _LAST, (self._log / _LAST).read_bytes())

    def forget(self, name: str) -> None:
        """Removes a file that is gone in the bucket."""
        (self._log / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def whole(self) -> Iterator[str]:
        """A folder with a copy of all that the bucket's log has."""
        with tempfile.TemporaryDirectory(dir=self.root, ignore_cleanup_errors=True) as folder:
            log = pathlib.Path(folder, LOG)
            log.mkdir()
            for found in list(self._bucket.objects(self._prefix)):
                with contextlib.suppress(FileNotFoundError):
                    (log / os.path.basename(found.key)).write_bytes(self._bucket.get(found.key))
            yield folder

    @staticmethod
    def _version_of(name: str) -> int:
        """The version of an entry; -1 if the file is none."""
        found = _ENTRY.fullmatch(name)
        return -1 if found is None else int(found[1])

    def _offer(self, name: str, entry: bytes) -> None:
        try:
            self._bucket.put(self._prefix + name, entry, if_absent=True)
        except buckets.Exists:
            # Ours, if the answer to an earlier try was lost: the names of data files in it are random.
            if self._bucket.get(self._prefix + name) != entry:
                raise LostRace from None

    def _check_conditional_writes(self, name: str, entry: bytes) -> None:
        """Once a table: whether the server keeps what is there."""
        with contextlib.suppress(buckets.Exists):
            self._bucket.put(self._prefix + name, entry, if_absent=True)
            self._bucket.delete([self._prefix + name])
            raise faults.lost_updates(self._bucket.address.bucket, self._bucket.address.endpoint_url)

    def _go_on(self) -> bool:
        """Fetches the entries behind the newest one here; False if the log goes on further behind."""
        last = f"{self._prefix}{self._version:020d}.json"
        names, checkpoint = self._listed(last)
        versions = sorted(version for name in names if (version := self._version_of(name)) >= 0)
        if versions and versions[0] != self._version + 1:
            return False
        self._fetch([f"{version:020d}.json" for version in versions])
        if checkpoint != self._checkpoint and checkpoint is not None:
            self._fetch_checkpoint()
            self._checkpoint = checkpoint
        self._version = versions[-1] if versions else self._version
        return True

    def _begin(self) -> None:
        """Fetches the newest checkpoint and the entries since, in place of what is here."""
        names, checkpoint = self._listed("")
        for old in self._log.iterdir():
            old.unlink()
        self._version, self._checkpoint, self._generation = -1, None, self._generation + 1
        first = self._fetch_checkpoint() if checkpoint is not None else 0
        versions = sorted(version for name in names if (version := self._version_of(name)) >= 0)
        self._fetch([f"{version:020d}.json" for version in versions if version >= first])
        self._version, self._checkpoint = (versions[-1] if versions else -1), checkpoint

    def _listed(self, after: str) -> tuple[list[str], str | None]:
        """Names of the log behind a key, and the ETag of `_last_checkpoint`, which always is."""
        found = list(self._bucket.objects(self._prefix, after=after))
        tags = [each.etag for each in found if each.key == self._prefix + _LAST]
        return [each.key.removeprefix(self._prefix) for each in found], tags[0] if tags else None

    def _fetch_checkpoint(self) -> int:
        """Fetches the newest checkpoint; its version."""
        said = self._bucket.get(self._prefix + _LAST)
        version = int(orjson.loads(said)["version"])
        self._fetch([f"{version:020d}.checkpoint.parquet"])
        (self._log / _LAST).write_bytes(said)
        for old in self._log.iterdir():
            # What lies before it is of no use here; `whole` is for those who read it.
            if old.name[:20].isdecimal() and int(old.name[:20]) < version:
                old.unlink()
        return version

    def _fetch(self, names: list[str]) -> None:
        contents = self._bucket.pool.map(lambda name: self._bucket.get(self._prefix + name), names)
        for name, content in zip(names, contents, strict=True):
            (self._log / name).write_bytes(content)


@functools.cache
def _process_folder(folder: pathlib.Path) -> str:
    """A new folder for this process; those of processes that are over go now."""
    folder.mkdir(parents=True, exist_ok=True)
    with durable_files.exclusive(folder / ".lock"):
        for left in folder.iterdir():
            with contextlib.suppress(OSError):
                held = os.open(left / _HELD, os.O_RDONLY)
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(held)
        made = tempfile.mkdtemp(dir=folder)
        # Held until the process ends, however it ends.
        fcntl.flock(os.open(os.path.join(made, _HELD), os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
