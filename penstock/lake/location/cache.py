"""Copies of a lake's files on this machine's disk: bounded, checked, shared by all processes of the machine.

    NAME          a copy, whole; its access time is when it was last used
    NAME.sum      its size and CRC-32: a copy that differs is damaged, and fetched again
    NAME.part     one that is being fetched or written; locked by who does it

Who reads a copy holds a shared lock on it (flock), so nobody removes it; a kill gives all locks back. A `.part` that
nobody holds is what a kill left, and goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from isal import isal_zlib

from penstock.base import disk, durable_files

Download = Callable[[Callable[[int], BinaryIO]], int]
"""Writes the file into what the function it is given makes of its size; returns its CRC-32. FileNotFoundError."""

_READ_BYTES = 4 * 1024 * 1024
_MOST_CHECKED = 100_000
_PART, _SUM = ".part", ".sum"


def crc32(piece: bytes, crc: int = 0) -> int:
    """The CRC-32 of bytes, going on from that of what stands before them."""
    return isal_zlib.crc32(piece, crc)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Copy:
    path: str
    bytes: int
    used_ns: int


class Cache:
    """A folder of copies. Safe from several threads and processes.

    Args:
        folder: made when it is needed.
        most_bytes: what all copies may have together. Exceeded only by what is read at this moment.
        keep_bytes: of the disk, left free.
    """

    def __init__(self, folder: pathlib.Path, most_bytes: int, keep_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self._room = disk.Room(folder, keep_bytes)
        self._files = folder / "files"
        self._lock = threading.Lock()
        self._is_over = False
        # Copies whose content this process has compared with their sum: path -> what `stat` said then.
        self._checked: dict[str, tuple[int, int, int]] = {}

    def path(self, name: str) -> str:
        """Where the copy of a name lies."""
        return str(self._files / name.replace("/", "~"))

    def has(self, name: str) -> bool:
        """Whether there is a copy. It may be gone a moment later."""
        return os.path.exists(self.path(name))

    def hold(self, name: str, download: Download) -> int:
        """A descriptor of the copy, fetched if need be; the copy stays until the descriptor is closed.

        Raises:
            FileNotFoundError: `download` says that there is no such file.
            OSError: of the disk. What else `download` raises.
        """
        path = self.path(name)
        while True:
            held = self._held(path)
            if held is not None:
                return held
            part = self._open_part(path)
            try:
                if not _locked(part, path + _PART):
                    # Another thread or process fetches it; that may fail, so the next round looks again.
                    fcntl.flock(part, fcntl.LOCK_SH)
                elif not os.path.exists(path):
                    self._fetch(part, path, download)
                else:
                    _remove(path + _PART)
            finally:
                os.close(part)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Writing]:
        """A file that is written here before it is a copy of one in the bucket; nothing stays of one that fails."""
        path = self.path(name)
        part = self._open_part(path)
        while not _locked(part, path + _PART):  # somebody took it for what a kill left; names are used once
            os.close(part)
            part = self._open_part(path)
        try:
            yield Writing(self, path, part)
        finally:
            # Already renamed, if all went well.
            if _is_at(part, path + _PART):
                _remove(path + _PART)
            os.close(part)

    def trim(self) -> None:
        """Removes the copies that were not used for the longest time until the rest is within the bound."""
        self._make_room()

    def release(self, held: Iterable[int]) -> None:
        """Closes descriptors that `hold` gave."""
        for copy in held:
            os.close(copy)
        if self._is_over:
            self.trim()

    def forget(self, name: str) -> None:
        """Removes a copy, if nobody holds it."""
        self._remove_unheld(self.path(name))

    # Holding

    def _open_part(self, path: str) -> int:
        self._files.mkdir(parents=True, exist_ok=True)
        return os.open(path + _PART, os.O_RDWR | os.O_CREAT, 0o600)

    def _held(self, path: str) -> int | None:
        """A descriptor of the copy under a shared lock; None if there is none, or it was damaged and is gone now."""
        try:
            copy = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(copy, fcntl.LOCK_SH)
            # Whoever removed it between the opening and the lock has removed what the descriptor shows.
            if _is_at(copy, path) and self._is_whole(copy, path):
                state = os.fstat(copy)
                # Only the access time: the time of change tells whether it was checked.
                os.utime(copy, ns=(time.time_ns(), state.st_mtime_ns))
                held, copy = copy, -1
                return held
        finally:
            if copy >= 0:
                os.close(copy)
        self._remove_unheld(path)
        return None

    def _is_whole(self, copy: int, path: str) -> bool:
        state = os.fstat(copy)
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        with self._lock:
            if self._checked.get(path) == seen:
                return True
        try:
            size, crc = pathlib.Path(path + _SUM).read_text().split()
        except (OSError, ValueError):
            return False
        if str(state.st_size) != size or f"{_crc_of(copy):08x}" != crc:
            return False
        self._note(path, state)
        return True

    def _note(self, path: str, state: os.stat_result) -> None:
        with self._lock:
            if len(self._checked) >= _MOST_CHECKED:
                self._checked.clear()
            self._checked[path] = (state.st_ino, state.st_mtime_ns, state.st_size)

    def _fetch(self, part: int, path: str, download: Download) -> None:
        """Fetches into a `.part` that is locked, and makes it the copy."""

        def empty(size: int) -> BinaryIO:
            os.ftruncate(part, 0)
            os.lseek(part, 0, os.SEEK_SET)
            self._make_room(size, part)
            return os.fdopen(os.dup(part), "wb")

        try:
            crc = download(empty)
            self._adopt(part, path, crc)
        except BaseException:
            _remove(path + _PART)
            raise

    def _adopt(self, part: int, path: str, crc: int) -> None:
        # The sum first: a copy without one is a damaged one.
        pathlib.Path(path + _SUM).write_text(f"{os.fstat(part).st_size} {crc:08x}\n")
        os.rename(path + _PART, path)
        self._note(path, os.fstat(part))

    # The bound

    def _make_room(self, wanted: int = 0, part: int | None = None) -> None:
        """Removes old copies until so many bytes fit, and takes the room for them. What is held stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with durable_files.exclusive(self.folder / ".lock"):
            copies = sorted(self._copies(), key=lambda copy: copy.used_ns)
            total = sum(copy.bytes for copy in copies)
            most = min(self.most_bytes, total + self._free_bytes())
            for copy in copies:
                if total + wanted <= most:
                    break
                if not copy.path.endswith(_PART) and self._remove_unheld(copy.path):
                    total -= copy.bytes
            self._is_over = total + wanted > self.most_bytes
            if part is not None and wanted:
                self._room.check(wanted)
                # Inside the lock, so that the next one counts it.
                os.posix_fallocate(part, 0, wanted)

    def _free_bytes(self) -> int:
        space = self._room.space()
        return max(0, space.free_bytes - space.kept_back_bytes)

    def _copies(self) -> Iterator[_Copy]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._files) as entries:
            for entry in entries:
                if entry.name.endswith(_SUM):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    if entry.name.endswith(_PART) and _is_left_over(entry.path):
                        _remove(entry.path)
                        continue
                    state = entry.stat()
                    yield _Copy(path=entry.path, bytes=state.st_size, used_ns=state.st_atime_ns)

    def _remove_unheld(self, path: str) -> bool:
        """Whether it is gone; it is not where somebody holds it."""
        try:
            copy = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            if not _locked(copy, path):
                return False
            _remove(path)
            _remove(path + _SUM)
        finally:
            os.close(copy)
        with self._lock:
            self._checked.pop(path, None)
        return True


class Writing:
    """A file being written, see `Cache.writing`.

    Attributes:
        path: where to write it; not to be replaced by another file.
    """

    def __init__(self, cache: Cache, place: str, part: int) -> None:
        self.path = place + _PART
        self._cache = cache
        self._place = place
        self._part = part

    def crc(self) -> int:
        """The CRC-32 of what was written."""
        return _crc_of(self._part)

    def adopt(self, crc: int) -> None:
        """Makes it a copy: the bucket has it now."""
        self._cache._adopt(self._part, self._place, crc)
        self._cache.trim()


def _locked(descriptor: int, path: str) -> bool:
    """Takes the lock of a file if nobody holds it; False also where the path is another file's by now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(descriptor, path)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _is_left_over(path: str) -> bool:
    """Whether nobody holds a `.part`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _locked(descriptor, path)
    finally:
        os.close(descriptor)


def _crc_of(descriptor: int) -> int:
    crc, at = 0, 0
    while piece := os.pread(descriptor, _READ_BYTES, at):
        crc, at = crc32(piece, crc), at + len(piece)
    return crc


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
