"""Room on disks. Some of it is kept back: a disk that fills stops intake and exports, and not the control plane.

The database, its log and the small files that end an export go on in the room that is kept back, so that what is on the
disk can be deleted, and all goes on by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import pathlib
from collections.abc import Iterator

from penstock import errors

SMALL_DISK_SHARE = 0.05
"""Of a disk so small that the setting would keep back much of it, this share is kept back instead."""

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""What the system says of a full disk, of a quota (EDQUOT), and of `ulimit -f` (EFBIG)."""

# Foreign libraries hand the system's words on, in sentences of their own.
_FULL_WORDS = tuple(f"(os error {number})" for number in sorted(FULL))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """The state of a disk.

    Attributes:
        free_bytes: what the service's user may still write.
        kept_back_bytes: what is left to the control plane.
    """

    free_bytes: int
    kept_back_bytes: int

    @property
    def is_full(self) -> bool:
        """Whether only what is kept back is left."""
        return self.free_bytes < self.kept_back_bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """The disk of a folder, which may not be there yet.

    Attributes:
        folder: any folder on the disk.
        keep_bytes: what is kept back, but never more than SMALL_DISK_SHARE of the disk; 0: nothing.
    """

    folder: pathlib.Path
    keep_bytes: int

    def space(self) -> Space:
        """What there is now. Raises OSError."""
        folder = self.folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        state = os.statvfs(folder)
        kept_back = min(self.keep_bytes, int(state.f_blocks * state.f_frsize * SMALL_DISK_SHARE))
        return Space(free_bytes=state.f_bavail * state.f_frsize, kept_back_bytes=kept_back)

    def check(self, wanted_bytes: int = 0) -> None:
        """Raises NoRoom, `no_room`, if so many bytes do not fit beside what is kept back."""
        if not self.keep_bytes:
            return
        try:
            space = self.space()
        except OSError:  # whatever it is, the write itself meets it and says so
            return
        if space.free_bytes - wanted_bytes < space.kept_back_bytes:
            raise no_room(space)

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raises NoRoom for what says that the disk is full; all other errors pass as they are."""
        try:
            yield
        except Exception as error:
            if not says_full(error):
                raise
            raise no_room(self._space_if_any()) from error

    def _space_if_any(self) -> Space | None:
        with contextlib.suppress(OSError):
            return self.space()
        return None


def says_full(error: BaseException) -> bool:
    """Whether an error of the system's or of a library's says that a disk or a quota is full."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return any(words in str(error) for words in _FULL_WORDS)


def no_room(space: Space | None) -> errors.NoRoom:
    """The error, with the numbers where they are known."""
    if space is None:
        return errors.NoRoom("no_room", "The disk is full.", _HINT)
    return errors.NoRoom(
        "no_room",
        f"The disk is full: {space.free_bytes:,} bytes are free, {space.kept_back_bytes:,} are kept back for the "
        "database.",
        _HINT,
        free_bytes=space.free_bytes,
        kept_back_bytes=space.kept_back_bytes,
    )


_HINT = "Nothing was written. Make room on the disk; work goes on by itself."
