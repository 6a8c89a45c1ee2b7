"""Files that survive a power cut, and the one border where OSError becomes StorageError."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator

from penstock import errors
from penstock.base import disk

_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translates every OSError of the block.

    Raises:
        StorageError: `storage_full`, `storage_unwritable`, or `storage_io_error`.
    """
    try:
        yield
    except OSError as error:
        raise _explained(error, doing) from error


def _explained(error: OSError, doing: str) -> errors.StorageError:
    where = f" ({error.filename})" if error.filename else ""
    what = f"{doing} failed: {error.strerror or error}{where}."
    if error.errno in disk.FULL:
        return errors.NoRoom("storage_full", what, "Free space on the disk of the home folder, then try again.")
    if error.errno in _UNWRITABLE:
        return errors.StorageError("storage_unwritable", what, "Make the home folder writable for the service's user.")
    return errors.StorageError("storage_io_error", what, "Look at the disk of the home folder and the system's log.")


def make_folder(path: pathlib.Path) -> None:
    """Makes a folder for this user only, durably; no error if it exists."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        # Another process may make it at the same moment; the folder then is as good.
        path.mkdir(mode=0o700)
        sync_folder(path.parent)


def sync_folder(path: pathlib.Path) -> None:
    """Makes the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def new_file(target: pathlib.Path, scratch: pathlib.Path) -> Iterator[int]:
    """A descriptor to write a file's content to; it appears as `target`, whole and durable, when the block ends well.

    An existing `target` is replaced. If the block fails there is no trace; a kill leaves at most a file in `scratch`,
    which is a folder of the same file system.
    """
    temporary = scratch / f".{secrets.token_hex(8)}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            yield fd
            # Before the rename: otherwise a power cut may leave the new name on an empty file.
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.rename(target)
    # An interrupt too: the scratch file would stay for a day.
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def replace(target: pathlib.Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces a file whole and durably: who reads it meets the old content or the new one, also after a power cut.

    Raises:
        OSError: nothing was replaced.
    """
    with new_file(target, target.parent) as fd:
        # Before the content: an umask or an older file's mode must not decide who can read a key.
        os.fchmod(fd, mode)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(content)


@contextlib.contextmanager
def exclusive(lock_file: pathlib.Path) -> Iterator[None]:
    """Holds a lock that threads and processes of this machine share; a kill releases it."""
    fd = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Not fcntl's POSIX locks: they belong to the process, so threads share them, and closing any descriptor of the
        # file drops them.
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def remove_older(folder: pathlib.Path, than: dt.datetime) -> None:
    """Removes the files of a folder that were last written before `than`; no error if the folder does not exist."""
    for path in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < than.timestamp():
                path.unlink()


def remove_folder(path: pathlib.Path) -> None:
    """Removes a folder and what is in it; no error if it is gone or another process removes it at the same time."""
    for _ in range(3):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
    # The last try raises, so that the caller learns why the folder stays.
    shutil.rmtree(path)
