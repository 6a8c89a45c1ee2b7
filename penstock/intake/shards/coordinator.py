"""Gives the shards of an ingest out, and commits what comes back: in the files' order, as one process would.

    files ─▶ shards ─▶ pool ─▶ written, not committed ─▶ in order ─▶ one commit for all that wait (a batch id: for each)

Whoever dies leaves files that no commit names; upkeep deletes them when they are old. What waits for its turn is kept
young meanwhile.
"""

from __future__ import annotations

import collections
import os
import pathlib
import tempfile
import time
from collections.abc import Sequence
from typing import Protocol

from penstock import errors
from penstock.base.clock import Clock
from penstock.fields.types import FieldType
from penstock.intake import ingest, readers, rejects
from penstock.intake.shards import taking
from penstock.lake import files, table

SHARD_BYTES = 64 * 1024 * 1024
"""Neighbouring files share a shard up to so many bytes as they lie there, since their events share data files then; up
to fewer where there would not be SHARDS_EACH for each of the pool."""

SHARDS_EACH = 4


class Pool(Protocol):
    """What takes shards in. Used from one thread.

    Attributes:
        most: shards taken in at once.
    """

    most: int

    def submit(self, shard: taking.Shard) -> None:
        """Gives a shard out, or has it wait. They are begun in the order given."""
        ...

    def next(self, timeout_seconds: float) -> tuple[int, taking.Taken | errors.PenstockError] | None:
        """The next shard that is done, by its number, and what came of it; None if none was done meanwhile."""
        ...

    def stop(self) -> None:
        """Ends what is under way; idempotent."""
        ...


def suits(sources: Sequence[str]) -> bool:
    """Whether other processes can read all of them: no pipe, no standard input."""
    return all(source != "-" and os.path.isfile(source) for source in sources)


def cut(
    sources: Sequence[str],
    *,
    at_once: int,
    batch_id: str | None = None,
    time_field: str | None = None,
    format: readers.Format | None = None,
    rejects_in: pathlib.Path | None = None,
) -> list[taking.Shard]:
    """Shards that hold each file once, in order; with a batch id each file is one."""
    sizes = [os.path.getsize(source) for source in sources]
    most = min(SHARD_BYTES, sum(sizes) // (SHARDS_EACH * at_once))
    groups: list[list[str]] = []
    size = 0
    for source, own in zip(sources, sizes, strict=True):
        if not groups or batch_id is not None or size + own > most:
            groups.append([])
            size = 0
        groups[-1].append(source)
        size += own
    is_only = len(sources) == 1
    return [
        taking.Shard(
            number=number,
            sources=tuple(group),
            batch_ids=() if batch_id is None else ingest.batch_ids_of(batch_id, group[0], is_only=is_only),
            time_field=time_field,
            format=format,
            rejects=None if rejects_in is None else rejects_in / str(number),
        )
        for number, group in enumerate(groups)
    ]


def take(
    event_table: table.EventTable,
    sources: Sequence[str],
    pool: Pool,
    *,
    clock: Clock,
    batch_id: str | None = None,
    time_field: str | None = None,
    format: readers.Format | None = None,
    rejects_path: pathlib.Path | None = None,
) -> ingest.IngestReport:
    """Takes files in; the same counts, batch ids and rejects as `ingest.ingest`, and the same end at a broken file.

    That is: what lies before it is taken in, nothing behind it. Events of one instant come in no certain order where
    they are of different shards.

    Raises what `ingest.ingest` raises, and NotReady `shard_lost`.
    """
    started = clock.monotonic()
    event_table.check_writable()
    refused = rejects.Rejects(rejects_path)
    with tempfile.TemporaryDirectory(prefix="penstock-rejects-") as folder, refused.open():
        kept_in = None if rejects_path is None else pathlib.Path(folder)
        shards = cut(
            sources, at_once=pool.most, batch_id=batch_id, time_field=time_field, format=format, rejects_in=kept_in
        )
        run = _Run(event_table, shards, pool, refused)
        try:
            run.drive()
        finally:
            pool.stop()
            run.discard()
        return ingest.report_of(run, refused, event_table, clock.monotonic() - started)


class _Run:
    def __init__(
        self, event_table: table.EventTable, shards: Sequence[taking.Shard], pool: Pool, refused: rejects.Rejects
    ) -> None:
        self.accepted = self.untimed = self.bytes = 0
        self.version: int | None = None
        self.skipped: list[str] = []
        self.formats: collections.Counter[readers.Format] = collections.Counter()
        self._table = event_table
        self._shards = shards
        self._pool = pool
        self._refused = refused
        self._waiting: dict[int, taking.Taken | errors.PenstockError] = {}
        self._refreshed = time.monotonic()

    def drive(self) -> None:
        """Takes all shards in, in order."""
        for shard in self._shards:
            self._pool.submit(shard)
        done = 0
        while done < len(self._shards):
            while done not in self._waiting:
                if (came := self._pool.next(taking.REFRESH_SECONDS)) is not None:
                    self._waiting[came[0]] = came[1]
                self._refresh()
            ready = []
            while done in self._waiting:
                ready.append((self._shards[done], self._waiting.pop(done)))
                done += 1
            self._take(ready)

    def discard(self) -> None:
        """Deletes what was written and will not be committed."""
        for each in self._waiting.values():
            if isinstance(each, taking.Taken):
                files.delete(self._table.folder, each.written)
        self._waiting.clear()

    def _take(self, ready: list[tuple[taking.Shard, taking.Taken | errors.PenstockError]]) -> None:
        """Commits shards that follow one another, up to one that has failed."""
        together: list[taking.Taken] = []
        for place, (shard, taken) in enumerate(ready):
            failed = isinstance(taken, errors.PenstockError) or taken.broken is not None
            if isinstance(taken, taking.Taken):
                self._count(shard, taken)
                together.append(taken)
            if shard.batch_ids or failed or place == len(ready) - 1:
                try:
                    self._commit(shard, together)
                except BaseException:
                    self._put_back(ready[place + 1 :])
                    raise
                together = []
            if failed:
                self._put_back(ready[place + 1 :])
                raise self._error(taken)

    def _put_back(self, rest: Sequence[tuple[taking.Shard, taking.Taken | errors.PenstockError]]) -> None:
        self._waiting |= {shard.number: taken for shard, taken in rest}

    def _count(self, shard: taking.Shard, taken: taking.Taken) -> None:
        self.untimed += taken.untimed
        self.bytes += taken.bytes
        self.formats.update(taken.formats)
        self.skipped += taken.skipped
        self._refused.take_over(taken.rejected, taken.rejects, shard.rejects)
        if shard.rejects is not None:
            shard.rejects.unlink(missing_ok=True)

    def _commit(self, shard: taking.Shard, together: Sequence[taking.Taken]) -> None:
        written = [each for taken in together for each in taken.written]
        # A file that holds nothing is a batch too; one that was skipped or broke off is none.
        is_batch = bool(shard.batch_ids) and all(not (each.skipped or each.broken) for each in together)
        if not written and not is_batch:
            return
        columns: dict[str, FieldType] = {}
        for taken in together:
            columns |= taken.columns
        writer = files.FileWriter.holding(self._table.folder, self._table.room, written, columns)
        try:
            self.version = self._table.commit(writer, types=columns, batch_ids=shard.batch_ids[:1])
        except table.BatchTaken:  # by another ingest, meanwhile
            self.skipped += shard.sources
            return
        self.accepted += sum(taken.accepted for taken in together)

    def _error(self, failed: taking.Taken | errors.PenstockError) -> errors.PenstockError:
        if isinstance(failed, errors.PenstockError):
            return failed
        broken = failed.broken
        assert broken is not None
        extra = {**broken.extra, "accepted": self.accepted, "rejected": self._refused.count}
        return errors.IngestError(broken.code, broken.detail, broken.hint, **extra)

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed > taking.REFRESH_SECONDS:
            waiting = [taken for taken in self._waiting.values() if isinstance(taken, taking.Taken)]
            self._table.folder.touch([each.file.path for taken in waiting for each in taken.written])
            self._refreshed = time.monotonic()
