"""Where wrapping keys of exports lie: beside the exports, out of the database's log and backups (`exports.vault`)."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pathlib
import re

from penstock import errors
from penstock.base import durable_files
from penstock.storage.contract import Store

_TASK = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FileKeys:
    """A file a key, in a folder that all processes share; overwritten in place before it is removed."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def keep(self, task_uuid: str, key: bytes) -> None:
        with durable_files.translated("Keeping the key of an export"):
            durable_files.make_folder(self._folder)
            with durable_files.new_file(self._folder / task_uuid, self._folder) as fd:
                os.write(fd, key)

    def get(self, task_uuid: str) -> bytes | None:
        with durable_files.translated("Reading the key of an export"):
            try:
                return (self._folder / task_uuid).read_bytes()
            except FileNotFoundError:
                return None

    def forget(self, task_uuid: str) -> None:
        path = self._folder / task_uuid
        with durable_files.translated("Destroying the key of an export"):
            try:
                # Without O_TRUNC, which would free the block that holds the key and write the zeros to another one.
                fd = os.open(path, os.O_WRONLY)
            except FileNotFoundError:
                return
            try:
                # Synced before the name goes: the file system may else never write the zeros of a file that is gone.
                os.write(fd, bytes(os.fstat(fd).st_size))
                os.fsync(fd)
            finally:
                os.close(fd)
            path.unlink(missing_ok=True)
            durable_files.sync_folder(self._folder)

    def kept_before(self, instant: dt.datetime) -> list[str]:
        with durable_files.translated("Looking through the keys of exports"):
            found = []
            with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # destroyed meanwhile
                        if _TASK.fullmatch(entry.name) and entry.stat().st_mtime < instant.timestamp():
                            found.append(entry.name)
            return found


class BucketKeys:
    """An object a key, in the service's own bucket. The bucket must not keep old versions of it."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix.strip("/")

    def keep(self, task_uuid: str, key: bytes) -> None:
        self._store.put(self._name(task_uuid), key, None, content_type="application/octet-stream", filename="key")

    def get(self, task_uuid: str) -> bytes | None:
        try:
            return b"".join(self._store.read(self._name(task_uuid), None))
        except errors.ObjectMissing:
            return None

    def forget(self, task_uuid: str) -> None:
        self._store.delete(self._name(task_uuid))

    def kept_before(self, instant: dt.datetime) -> list[str]:
        return []  # the bucket's lifecycle rule deletes them after two days, and we ask for no right to list

    def _name(self, task_uuid: str) -> str:
        return f"{self._prefix}/.keys/{task_uuid}" if self._prefix else f".keys/{task_uuid}"
