"""Writes a large new file past the system's page cache, where the system can."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import pathlib
from types import TracebackType

BUFFER_BYTES = 8 * 1024 * 1024
"""Written at once; a multiple of every block size that devices have."""

_REFUSED = {errno.EINVAL, errno.EOPNOTSUPP}
"""What a file system says that cannot write past the cache."""


class DirectFile:
    """A new file, written from front to end by one thread at a time.

    Buffered writing copies every byte into fresh pages of the cache, which pushes out what others need there (an export
    is read once, later, if at all) and costs CPU: 0.6 of 5.3 seconds of an export of 4 M events (docs/performance.md).
    Directly, the device takes the bytes from our buffer while the encoders go on. What does not fill the buffer, and
    all of it where the file system refuses, is written the usual way.
    """

    def __init__(self, file: pathlib.Path | int) -> None:
        """Creates the file of a path, or empties it; or writes to the descriptor of an empty one, which stays open.

        Raises OSError.
        """
        self._buffer = mmap.mmap(-1, BUFFER_BYTES)  # begins on a page, as direct writing wants it
        self._used = 0
        self._fd = _take(file) if isinstance(file, int) else _open(file)

    def __enter__(self) -> DirectFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                # The rest is no multiple of the device's block, which direct writing asks for.
                _go_through_the_cache(self._fd)
                self._write_buffer()
        finally:
            os.close(self._fd)
            self._buffer.close()

    def write(self, body: bytes | memoryview) -> None:
        """Appends `body`; it need not be in the file before the end of the `with` block. Raises OSError."""
        rest = memoryview(body)
        while rest:
            taken = rest[: BUFFER_BYTES - self._used]
            self._buffer[self._used : self._used + len(taken)] = taken
            self._used += len(taken)
            rest = rest[len(taken) :]
            if self._used == BUFFER_BYTES:
                self._write_buffer()

    def _write_buffer(self) -> None:
        with memoryview(self._buffer) as whole:
            done = 0
            while done < self._used:
                done += self._write_some(whole[done : self._used])
        self._used = 0

    def _write_some(self, piece: memoryview) -> int:
        with piece:
            try:
                return os.write(self._fd, piece)
            except OSError as error:
                # Some file systems take O_DIRECT at open and refuse the first write. Once only: else EINVAL has another
                # cause.
                if error.errno not in _REFUSED or not _go_through_the_cache(self._fd):
                    raise
                return os.write(self._fd, piece)


def _open(path: pathlib.Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        # 0o666: the umask decides, as for any file that a user makes.
        return os.open(path, flags | getattr(os, "O_DIRECT", 0), 0o666)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return os.open(path, flags, 0o666)


def _take(fd: int) -> int:
    """A descriptor of our own for the same open file."""
    # Flags belong to the open file: the caller's descriptor is direct too, until the end of the block sets it back.
    own = os.dup(fd)
    direct = getattr(os, "O_DIRECT", 0)
    if direct:
        import fcntl  # only where there is O_DIRECT, which is Unix

        with contextlib.suppress(OSError):  # a file system that refuses it: through the cache, then
            fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | direct)
    return own


def _go_through_the_cache(fd: int) -> bool:
    """From now on; False if it was so before."""
    direct = getattr(os, "O_DIRECT", 0)
    if not direct:
        return False
    import fcntl  # only where there is O_DIRECT, which is Unix

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~direct)
    return bool(flags & direct)
