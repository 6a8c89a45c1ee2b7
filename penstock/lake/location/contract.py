"""What an event table asks of the place where it lies.

Names are paths below the table's own folder, with `/`. Data files and sidecars are written once and never changed; they
are read as local files, so that kernels map them into memory. Small files are read and written whole. The Delta log is
kept in a local folder that delta-rs opens: on a disk the table's own, of a bucket a copy (`sync`, `publish`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Protocol

LOG = "_delta_log"
"""Folder of the Delta log."""


class LostRace(Exception):
    """Another writer's entry has the version. Nothing was changed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file of a table.

    Attributes:
        name: below the table's folder.
        bytes: its size.
        modified: when it was written, or last said to be in use; seconds since 1970 by the location's own clock.
    """

    name: str
    bytes: int
    modified: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A data file that is durable.

    Attributes:
        bytes: its size.
        modified_ms: when it was written, milliseconds since 1970.
    """

    bytes: int
    modified_ms: int


class Draft(Protocol):
    """A data file that is being written.

    Attributes:
        path: where to write it.
    """

    path: str

    def keep(self) -> Stored:
        """Makes what was written durable; it is in the table's folder then."""
        ...


class Location(Protocol):
    """The folder of one event table. Safe from several threads; other processes may use the same folder.

    Methods raise OSError (FileNotFoundError where a file is not there) or StorageError, unless they say otherwise.

    Attributes:
        root: for people: a path, or `s3://BUCKET/PREFIX/UUID`.
        log_root: the local folder whose `_delta_log` delta-rs opens.
        disk: a folder, which may not be there yet, on the disk that writing needs room on.
        is_remote: whether reading a file that nobody has read yet waits for a network.
        held_files, held_bytes: most files, and bytes of them, that should be held at once.
    """

    @property
    def root(self) -> str: ...
    @property
    def log_root(self) -> str: ...
    @property
    def disk(self) -> pathlib.Path: ...
    @property
    def is_remote(self) -> bool: ...
    @property
    def held_files(self) -> int: ...
    @property
    def held_bytes(self) -> float: ...

    def __hash__(self) -> int: ...

    def now(self) -> float:
        """The time by the clock that stamps files, seconds since 1970."""
        ...

    # The log

    def sync(self) -> None:
        """Brings the local copy of the log up to date."""
        ...

    def log_state(self) -> Hashable:
        """Tells one newest checkpoint from another, as of the last `sync`; None if there is none."""
        ...

    def publish(self) -> None:
        """Offers the entry that delta-rs has just written into the local log.

        Raises:
            LostRace: another writer has its version; the entry is no longer in the local log.
        """
        ...

    def publish_checkpoint(self, version: int) -> None:
        """Offers the checkpoint that delta-rs has written into the local log."""
        ...

    def whole_log(self) -> contextlib.AbstractContextManager[str]:
        """A local folder whose log has all entries that there are, also those behind the newest checkpoint."""
        ...

    # Small files

    def read(self, name: str) -> bytes:
        """A small file."""
        ...

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Replaces a small file whole. One that is not durable may be damaged by a power cut."""
        ...

    def freshen(self, name: str) -> bool:
        """Makes a small file young again; False if it must be written again for that, or is not there."""
        ...

    def state(self, name: str) -> Hashable:
        """Tells one content of a small file from another; None if it is not there."""
        ...

    def list(self, folder: str) -> list[Entry]:
        """The files directly in a folder; none if there is no such folder."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Deletes files, in order; one that is gone is no error."""
        ...

    # Data files and sidecars

    def draft(self, name: str) -> contextlib.AbstractContextManager[Draft]:
        """A new data file, to be written inside the `with`. If the block fails nothing of it stays."""
        ...

    def footer(self, name: str) -> str | bytes:
        """What Polars reads a data file's schema and metadata from; not its rows."""
        ...

    def fetch_footers(self, names: Sequence[str]) -> None:
        """Makes `footer` of each of these fast."""
        ...

    def local(self, name: str) -> str:
        """The path of a local file with the content of a data file or a sidecar. It may vanish unless it is held."""
        ...

    def hold(self, names: Iterable[str]) -> contextlib.AbstractContextManager[None]:
        """Keeps the local files of these names there inside the `with`. One that does not exist is left out."""
        ...

    def later(self, key: str, task: Callable[[], None]) -> None:
        """Does a task that makes later reading faster, on another thread; not if it was done lately, or many wait."""
        ...

    def has_local(self, name: str) -> bool:
        """Whether the file can be read without waiting for a network."""
        ...

    def data_files(self) -> Iterator[Entry]:
        """All data files, whether a commit names them or not; by name."""
        ...

    def refresh(self, names: Sequence[str]) -> None:
        """Makes data files young again before a commit names them. Raises FileNotFoundError if one is gone."""
        ...

    def touch(self, names: Sequence[str]) -> None:
        """Makes data files young again; never raises. Given in file order, neighbours."""
        ...

    def forget_touches(self, instant: float) -> None:
        """Drops what `touch` noted before an instant, if it notes anything."""
        ...

    def explain(self, error: Exception) -> tuple[str, str]:
        """What a foreign error means here, as sentence and hint."""
        ...


class Lake(Protocol):
    """All event tables."""

    def table(self, community_uuid: str) -> Location:
        """Where a community's table lies."""
        ...
