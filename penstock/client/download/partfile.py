"""The unfinished file of a download: what of it is good, kept over crashes, believed only after hashing it again.

NAME.part         the bytes so far, at their place; locked while a download runs
NAME.part.json    the object's ETag, size and root, and per piece how many bytes have come
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import Any

from penstock import errors
from penstock.base import durable_files

_READ_BYTES = 16 * 1024 * 1024
_SAVE_BYTES = 64 * 1024 * 1024
"""The state is written after so many new bytes, so a crash costs no more than these."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of the file that is checked by itself.

    Attributes:
        number: 1-based.
        offset: where it begins.
        size: its bytes.
        sha256: what it must hash to, hex; None if unknown.
    """

    number: int
    offset: int
    size: int
    sha256: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What an earlier run said it left.

    Attributes:
        etag: of the object it read.
        size: of the object it read.
        root: of the manifest it had; None without one.
        here: bytes that came, by piece number.
    """

    etag: str | None = None
    size: int | None = None
    root: str | None = None
    here: dict[int, int] = dataclasses.field(default_factory=dict)


class PartFile:
    """NAME.part and its state. Writing is safe from several threads as long as each has its own pieces.

    Raises:
        StorageError: `download_running` if another process is at the same target.
        OSError: the file cannot be opened.
    """

    def __init__(self, target: pathlib.Path, progress: Callable[[int, int], None]) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.state_path = target.with_name(f"{target.name}.part.json")
        self.etag: str | None = None
        self.root: str | None = None
        self.size = 0
        self._progress = progress
        self._lock = threading.Lock()
        self._here: dict[int, int] = {}
        self._done_bytes = 0
        self._unsaved_bytes = 0
        self._digests: dict[int, Any] = {}
        self._descriptor = _open_locked(self.path)

    def close(self) -> None:
        """Lets go of the file and of its lock. Again is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def earlier(self) -> Earlier:
        """What the state file says; nothing if it is not there or not whole."""
        try:
            state = json.loads(self.state_path.read_text())
            here = {int(number): int(count) for number, count in state["here"].items()}
            return Earlier(etag=state["etag"], size=state["size"], root=state["root"], here=here)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Earlier()

    def forget(self) -> None:
        """Drops what an earlier run left."""
        self.state_path.unlink(missing_ok=True)
        os.ftruncate(self._descriptor, 0)

    def begin(self, pieces: Sequence[Piece], earlier: Earlier, *, etag: str | None, root: str | None) -> int:
        """Hashes what `earlier` speaks of; returns how many bytes of it are kept.

        Raises:
            StorageError: `disk_full`, if the rest will not fit.
        """
        self.etag, self.root = etag, root
        self.size = sum(piece.size for piece in pieces)
        self._refuse_small_disk()
        for piece in pieces:
            self._begin_piece(piece, min(earlier.here.get(piece.number, 0), piece.size))
        self._done_bytes = sum(self._here.values())
        self._progress(self._done_bytes, self.size)
        return self._done_bytes

    def _begin_piece(self, piece: Piece, count: int) -> None:
        digest = hashlib.sha256()
        for at in range(0, count, _READ_BYTES):
            digest.update(os.pread(self._descriptor, min(_READ_BYTES, count - at), piece.offset + at))
        if count == piece.size and piece.sha256 not in (None, digest.hexdigest()):
            # Whole and wrong: a crash left the name of bytes that never reached the disk.
            count, digest = 0, hashlib.sha256()
        self._here[piece.number], self._digests[piece.number] = count, digest

    def here(self, piece: Piece) -> int:
        """Bytes of the piece that have come."""
        return self._here[piece.number]

    def is_whole(self, piece: Piece) -> bool:
        """Have all its bytes come?"""
        return self._here[piece.number] == piece.size

    def is_right(self, piece: Piece) -> bool:
        """Does the whole piece hash to what it must?"""
        return piece.sha256 in (None, self._digests[piece.number].hexdigest())

    def write(self, piece: Piece, bite: memoryview) -> None:
        """Appends to the piece."""
        at = self._here[piece.number]
        _write_all(self._descriptor, bite, piece.offset + at)
        self._digests[piece.number].update(bite)
        with self._lock:
            self._here[piece.number] = at + len(bite)
            self._done_bytes += len(bite)
            self._unsaved_bytes += len(bite)
            if self._unsaved_bytes >= _SAVE_BYTES:
                self._save()
            self._progress(self._done_bytes, self.size)

    def restart(self, piece: Piece) -> None:
        """Forgets the piece's bytes."""
        with self._lock:
            self._done_bytes -= self._here[piece.number]
            self._here[piece.number] = 0
            self._digests[piece.number] = hashlib.sha256()
            self._progress(self._done_bytes, self.size)

    def save(self) -> None:
        """Writes the state file."""
        with self._lock:
            self._save()

    def finish(self) -> None:
        """Makes the whole file the target: on disk first, then renamed over it."""
        # A longer file may have been left by a run without a manifest.
        os.ftruncate(self._descriptor, self.size)
        # Before the rename: a power cut must not leave the target's name on bytes that are not there.
        os.fsync(self._descriptor)
        os.replace(self.path, self.target)
        self.state_path.unlink(missing_ok=True)
        # Makes the rename itself last. Not every file system can; the file is whole either way.
        with contextlib.suppress(OSError):
            durable_files.sync_folder(self.target.absolute().parent)

    def _save(self) -> None:
        state = {"etag": self.etag, "size": self.size, "root": self.root, "here": self._here}
        # Replaced whole: a state file that is cut off counts as none, and the download would begin again.
        fresh = self.state_path.with_name(f"{self.state_path.name}.new")
        fresh.write_text(json.dumps(state))
        os.replace(fresh, self.state_path)
        self._unsaved_bytes = 0

    def _refuse_small_disk(self) -> None:
        # Blocks, not size: the file is sparse, since parallel pieces are written at their places.
        held = os.fstat(self._descriptor).st_blocks * 512
        free = shutil.disk_usage(self.target.absolute().parent).free
        if self.size - held > free:
            raise disk_full(self.target, f"{self.size - held:,} bytes are needed, {free:,} are free")


def disk_full(target: pathlib.Path, why: str) -> errors.StorageError:
    """No room for the file."""
    return errors.StorageError(
        "disk_full",
        f"There is no room for {target}: {why}.",
        "Make room and run the same command again: it resumes. Or choose another place with -o.",
    )


def _open_locked(path: pathlib.Path) -> int:
    """Opens and locks; again if the one before us renamed the file between the two."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Two downloads into one file would each verify what the other overwrites. The kernel drops the lock when we
            # die.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The lock is on the file, not on its name: the one before us may have renamed it to the target in between.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise errors.StorageError(
                "download_running",
                f"Another process is downloading to {path.name} right now.",
                "Wait for it, or choose another name with -o.",
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
