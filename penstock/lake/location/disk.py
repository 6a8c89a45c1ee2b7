"""A table in a folder of a disk: names are paths, and a file is read where it lies."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import secrets
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from penstock.base import durable_files
from penstock.fields import types
from penstock.lake.location.contract import LOG, Entry, Stored


@dataclasses.dataclass(frozen=True, slots=True)
class DiskLake:
    """A folder of tables.

    Attributes:
        path: the folder.
    """

    path: str

    def table(self, community_uuid: str) -> Disk:
        """The table's folder."""
        return Disk(os.path.join(self.path, community_uuid))


@dataclasses.dataclass(frozen=True)
class Disk:
    """A `contract.Location` on a disk. Two of one folder are equal."""

    root: str
    is_remote: bool = dataclasses.field(default=False, init=False)
    held_files: int = dataclasses.field(default=2**62, init=False)
    held_bytes: float = dataclasses.field(default=math.inf, init=False)

    @property
    def log_root(self) -> str:
        return self.root

    @property
    def disk(self) -> pathlib.Path:
        return pathlib.Path(self.root)

    def now(self) -> float:
        return time.time()

    # The log: delta-rs reads and writes the one there is.

    def sync(self) -> None:
        return

    def log_state(self) -> Hashable:
        return self.state(f"{LOG}/_last_checkpoint")

    def publish(self) -> None:
        return

    def publish_checkpoint(self, version: int) -> None:
        return

    @contextlib.contextmanager
    def whole_log(self) -> Iterator[str]:
        yield self.root

    # Small files

    def read(self, name: str) -> bytes:
        return pathlib.Path(self.root, name).read_bytes()

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        place = pathlib.Path(self.root, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        if durable:
            durable_files.replace(place, content)
            return
        unfinished = f"{place}.{secrets.token_hex(4)}"
        try:
            with open(unfinished, "wb") as file:
                file.write(content)
            os.replace(unfinished, place)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise

    def freshen(self, name: str) -> bool:
        try:
            os.utime(self.local(name))
        except FileNotFoundError:
            return False
        return True

    def state(self, name: str) -> Hashable:
        try:
            found = os.stat(self.local(name))
        except OSError:
            return None
        # The inode too: two writes may fall into one tick of a coarse clock, but a replaced file is another inode.
        return found.st_mtime_ns, found.st_ino

    def list(self, folder: str) -> list[Entry]:
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.local(folder)) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    state = entry.stat()
                    found.append(Entry(name=f"{folder}/{entry.name}", bytes=state.st_size, modified=state.st_mtime))
        return found

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            pathlib.Path(self.root, name).unlink(missing_ok=True)

    # Data files and sidecars

    @contextlib.contextmanager
    def draft(self, name: str) -> Iterator[_Draft]:
        draft = _Draft(self.local(name))
        try:
            yield draft
        except BaseException:  # a full disk must not stay full
            with contextlib.suppress(OSError):
                os.unlink(draft.path)
            raise

    def footer(self, name: str) -> str | bytes:
        return self.local(name)

    def fetch_footers(self, names: Sequence[str]) -> None:
        return

    def local(self, name: str) -> str:
        return os.path.join(self.root, name)

    def hold(self, names: Iterable[str]) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def later(self, key: str, task: Callable[[], None]) -> None:
        return

    def has_local(self, name: str) -> bool:
        return True

    def data_files(self) -> Iterator[Entry]:
        folder = pathlib.Path(self.root)
        for path in sorted([*folder.glob("*.parquet"), *folder.glob(f"{types.DAY}=*/*.parquet")]):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                yield Entry(name=str(path.relative_to(folder)), bytes=state.st_size, modified=state.st_mtime)

    def refresh(self, names: Sequence[str]) -> None:
        for name in names:
            os.utime(self.local(name))

    def touch(self, names: Sequence[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                os.utime(self.local(name))

    def forget_touches(self, instant: float) -> None:
        return

    def explain(self, error: Exception) -> tuple[str, str]:
        reason = (str(error).splitlines() or [""])[0]
        return (
            f"The event table in {self.root} failed: {type(error).__name__}: {reason}",
            "Look at the disk's space and rights and at the folder; nothing was changed.",
        )


class _Draft:
    def __init__(self, path: str) -> None:
        self.path = path

    def keep(self) -> Stored:
        # Before the commit names the file: the log must not outlive it.
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        state = os.stat(self.path)
        return Stored(bytes=state.st_size, modified_ms=int(state.st_mtime * 1000))
