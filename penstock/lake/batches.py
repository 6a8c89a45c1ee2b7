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
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence

import orjson

from penstock.lake.location import Location
from penstock.lake.location.contract import LOG

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
    name: str
    first: int
    last: int
    made_ms: int
    ids: int


class Batches:
    """The batch ids of one table. Safe from several threads and processes.

    Args:
        folder: where the table lies.
        ttl_seconds: how long an id is remembered, at least.
    """

    def __init__(self, folder: Location, ttl_seconds: float) -> None:
        self._folder = folder
        self._ttl_seconds = ttl_seconds
        # Of a bucket: the segments as they were seen with this newest checkpoint.
        self._seen_with: Hashable = None
        self._seen: list[_Segment] | None = None
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
                try:
                    segments = self._segments()
                    self._read_young(segments, version)
                    found = self._young.intersection(wanted).union(*(self._held(each, wanted) for each in segments))
                except FileNotFoundError:
                    self._seen = None
                else:
                    return frozenset(wanted[digest] for digest in found)
        raise self._too_fast()

    def gather(self, version: int, now: float, older: Iterable[str] = ()) -> None:
        """Moves the ids of all commits up to `version` into segments, and forgets old ones. OSError: nothing is lost.

        Args:
            now: seconds since 1970.
            older: ids that no entry of the log has any more.
        """
        more = {_digest(batch_id) for batch_id in older}
        with self._lock:
            for _ in range(_TRIES):
                self._seen = None
                with contextlib.suppress(FileNotFoundError):
                    self._gather(version, int(now * 1000), more)
                    return
        raise self._too_fast()

    def gathered(self) -> int:
        """The last version whose ids, and those of all before it, are in segments; -1 if none are."""
        return _covered(self._segments())

    def _too_fast(self) -> OSError:
        return OSError(f"{self._folder.root}/{FOLDER} changes faster than it can be read")

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
            ids.update(self._read(segment))
            merged.append(segment)
            first = min(first, segment.first)
        name = f"{FOLDER}/{first:020d}-{max(version, self._last):020d}-{now_ms:013d}.ids"
        self._folder.write(name, b"".join(sorted(ids)))
        self._seen = None
        least_ms = now_ms - int(self._ttl_seconds * 1000)
        self._folder.delete([each.name for each in segments if each in merged or each.made_ms < least_ms])

    def _segments(self) -> list[_Segment]:
        """What is there, in the order of versions.

        Of a bucket they are listed once for each newest checkpoint: the ids of all entries since are read from these.
        """
        state = self._folder.log_state() if self._folder.is_remote else None
        if self._seen is not None and self._folder.is_remote and state == self._seen_with:
            return self._seen
        found = []
        for entry in self._folder.list(FOLDER):
            if name := _NAME.fullmatch(os.path.basename(entry.name)):
                first, last, made_ms = map(int, name.groups())
                ids = entry.bytes // _DIGEST_BYTES
                found.append(_Segment(name=entry.name, first=first, last=last, made_ms=made_ms, ids=ids))
        self._seen, self._seen_with = sorted(found, key=lambda segment: (segment.last, segment.first)), state
        return self._seen

    def _read_young(self, segments: Sequence[_Segment], version: int) -> None:
        first = _covered(segments) + 1
        if first != self._first:
            self._first, self._last, self._young = first, first - 1, set()
        for number in range(self._last + 1, version + 1):
            try:
                entry = pathlib.Path(self._folder.log_root, LOG, f"{number:020d}.json").read_bytes()
            except FileNotFoundError:
                self._seen = None
                # Entries go only once a segment has their ids: another process has just made one. Or the table is of a
                # version that had no segments, and its checkpoint has the ids.
                if _covered(self._segments()) >= number:
                    raise
            else:
                self._young.update(_ids(entry))
            self._last = number

    def _read(self, segment: _Segment) -> list[bytes]:
        with self._folder.hold([segment.name]):
            content = pathlib.Path(self._folder.local(segment.name)).read_bytes()
        return [content[at : at + _DIGEST_BYTES] for at in range(0, len(content), _DIGEST_BYTES)]

    def _held(self, segment: _Segment, wanted: Iterable[bytes]) -> set[bytes]:
        """Those of the digests that the segment has. FileNotFoundError: it was merged away."""
        if not segment.ids:
            return set()
        with self._folder.hold([segment.name]):
            # Not mapped into memory: a map holds a descriptor, and a service has many tables.
            fd = os.open(self._folder.local(segment.name), os.O_RDONLY)
        try:
            rows = _Rows(fd, segment.ids)
            return {digest for digest in wanted if rows[min(bisect.bisect_left(rows, digest), len(rows) - 1)] == digest}
        finally:
            os.close(fd)


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


class _Rows(Sequence[bytes]):
    """The digests of an open segment."""

    def __init__(self, fd: int, ids: int) -> None:
        self._fd = fd
        self._ids = ids

    def __len__(self) -> int:
        return self._ids

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]  # bisect asks for single rows only
        return os.pread(self._fd, _DIGEST_BYTES, place * _DIGEST_BYTES)
