"""Which batches a table has taken in: their ids, for as long as a client may send one again.

The commit that takes a batch in bears its id, and that is what makes both one step. But entries of the log go after
minutes, and a checkpoint that kept all ids would be written again and again with every one of them. So the ids move on:

    log entries ──gather, before each checkpoint──▶ segment ──merged while small──▶ segment ──after the time──▶ gone

A segment is a file `_batches/FIRST-LAST-TIME.ids`: the versions whose ids it holds, and when it was made; its content
is the ids' digests, sorted. What is younger than all segments is read from the log.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence

import orjson

from penstock.base import durable_files

FOLDER = "_batches"
"""In the table's folder. Readers of Delta tables leave names with `_` alone."""

MARK = "batch:"
"""What the application id of a batch's commit begins with."""

_DIGEST_BYTES = 16
_MOST_MERGED = 262_144
"""Ids of a segment that is merged from others: 4 MiB."""

_NAME = re.compile(r"(\d{20})-(\d{20})-(\d{13})\.ids")
_TRIES = 20


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Segment:
    path: str
    first: int
    last: int
    made_ms: int
    ids: int


class Batches:
    """The batch ids of one table. Safe from several threads and processes.

    Args:
        root: the table's folder.
        ttl_seconds: how long an id is remembered, at least.
    """

    def __init__(self, root: str, ttl_seconds: float) -> None:
        self._folder = pathlib.Path(root, FOLDER)
        self._log = os.path.join(root, "_delta_log")
        self._ttl_seconds = ttl_seconds
        self._lock = threading.Lock()
        # Of the entries that no segment has: the first and the last version read, and their digests.
        self._first, self._last = 0, -1
        self._young: set[bytes] = set()

    def taken(self, batch_ids: Iterable[str], version: int) -> frozenset[str]:
        """Those of the batch ids that a commit up to `version` bears, perhaps also those of later ones."""
        wanted = {_digest(batch_id): batch_id for batch_id in batch_ids}
        if not wanted:
            return frozenset()
        with self._lock:
            for _ in range(_TRIES):
                # Another process may merge a segment away, or the entries into one, between the look and the reading.
                with contextlib.suppress(FileNotFoundError):
                    segments = self._segments()
                    self._read_young(segments, version)
                    found = self._young.intersection(wanted).union(*(_held(each, wanted) for each in segments))
                    return frozenset(wanted[digest] for digest in found)
        raise OSError(f"{self._folder} changes faster than it can be read")

    def gather(self, version: int, now: float, older: Iterable[str] = ()) -> None:
        """Moves the ids of all commits up to `version` into segments, and forgets old ones. OSError: nothing is lost.

        Args:
            now: seconds since 1970.
            older: ids that no entry of the log has any more.
        """
        more = {_digest(batch_id) for batch_id in older}
        with self._lock:
            self._folder.mkdir(exist_ok=True)
            for _ in range(_TRIES):
                with contextlib.suppress(FileNotFoundError):
                    self._gather(version, int(now * 1000), more)
                    return
        raise OSError(f"{self._folder} changes faster than it can be read")

    def gathered(self) -> int:
        """The last version whose ids, and those of all before it, are in segments; -1 if none are."""
        return _covered(self._segments())

    def _gather(self, version: int, now_ms: int, more: set[bytes]) -> None:
        segments = self._segments()
        first = min(version, _covered(segments) + 1)
        if first <= _covered(segments) and not more:
            return
        self._read_young(segments, version)
        ids, merged = self._young | more, []
        # As large as what it is merged with, more or less: so an id is written a logarithmic number of times.
        for segment in reversed(segments):
            if segment.ids > 2 * len(ids) or segment.ids + len(ids) > _MOST_MERGED:
                break
            ids.update(_read(segment))
            merged.append(segment)
            first = min(first, segment.first)
        target = self._folder / f"{first:020d}-{max(version, self._last):020d}-{now_ms:013d}.ids"
        with durable_files.new_file(target, self._folder) as fd, os.fdopen(os.dup(fd), "wb") as file:
            file.write(b"".join(sorted(ids)))
        least_ms = now_ms - int(self._ttl_seconds * 1000)
        for segment in segments:
            if segment in merged or segment.made_ms < least_ms:
                pathlib.Path(segment.path).unlink(missing_ok=True)

    def _segments(self) -> list[_Segment]:
        """What is there, in the order of versions."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if name := _NAME.fullmatch(entry.name):
                    first, last, made_ms = map(int, name.groups())
                    ids = entry.stat().st_size // _DIGEST_BYTES
                    found.append(_Segment(path=entry.path, first=first, last=last, made_ms=made_ms, ids=ids))
        return sorted(found, key=lambda segment: (segment.last, segment.first))

    def _read_young(self, segments: Sequence[_Segment], version: int) -> None:
        first = _covered(segments) + 1
        if first != self._first:
            self._first, self._last, self._young = first, first - 1, set()
        for number in range(self._last + 1, version + 1):
            try:
                entry = pathlib.Path(self._log, f"{number:020d}.json").read_bytes()
            except FileNotFoundError:
                # Entries go only once a segment has their ids: another process has just made one. Or the table is of a
                # version that had no segments, and its checkpoint has the ids.
                if _covered(self._segments()) >= number:
                    raise
            else:
                self._young.update(_ids(entry))
            self._last = number


def mark_of(batch_id: str) -> str:
    """The application id of the commit that takes the batch in."""
    return MARK + batch_id


def _ids(entry: bytes) -> Iterator[bytes]:
    """Digests of the batch ids of one entry of the log."""
    for line in entry.splitlines():
        if line.startswith(b'{"txn"'):
            mark: str = orjson.loads(line)["txn"]["appId"]
            if mark.startswith(MARK):
                yield _digest(mark.removeprefix(MARK))


def _covered(segments: Collection[_Segment]) -> int:
    return max((segment.last for segment in segments), default=-1)


def _digest(batch_id: str) -> bytes:
    return hashlib.blake2b(batch_id.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _read(segment: _Segment) -> list[bytes]:
    content = pathlib.Path(segment.path).read_bytes()
    return [content[at : at + _DIGEST_BYTES] for at in range(0, len(content), _DIGEST_BYTES)]


def _held(segment: _Segment, wanted: Iterable[bytes]) -> set[bytes]:
    """Those of the digests that the segment has. FileNotFoundError: it was merged away."""
    if not segment.ids:
        return set()
    # Not mapped into memory: a map holds a descriptor, and a service has many tables.
    fd = os.open(segment.path, os.O_RDONLY)
    try:
        rows = _Rows(fd, segment.ids)
        return {digest for digest in wanted if rows[min(bisect.bisect_left(rows, digest), len(rows) - 1)] == digest}
    finally:
        os.close(fd)


class _Rows(Sequence[bytes]):
    """The digests of an open segment."""

    def __init__(self, fd: int, ids: int) -> None:
        self._fd = fd
        self._ids = ids

    def __len__(self) -> int:
        return self._ids

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]  # bisect asks for single rows only
        return os.pread(self._fd, _DIGEST_BYTES, place * _DIGEST_BYTES)
