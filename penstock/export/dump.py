"""Lake to file on this machine: the export's own path without server, task and quota."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from penstock import errors, query
from penstock.base import direct
from penstock.evidence.facts import PartFacts
from penstock.export import parts, run
from penstock.export import work as works
from penstock.lake import table
from penstock.lake.read import plan
from penstock.storage import contract


class Stream(Protocol):
    """Takes bytes, like stdout."""

    def write(self, data: bytes, /) -> int:
        """Writes all of it; how many bytes."""

    def flush(self) -> None:
        """Hands over what is buffered."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DumpReport:
    """What a dump wrote.

    Attributes:
        events: lines.
        size: bytes of the file.
        raw_bytes: bytes of the lines.
    """

    events: int
    size: int
    raw_bytes: int


def dump(
    snapshot: table.Snapshot,
    *,
    node: query.Node,
    time_range: plan.TimeRange,
    fields: Sequence[str],
    path: pathlib.Path | Stream,
    threads: int,
    slice_rows: int,
    slice_bytes: int,
    part_bytes: int,
    compression: str = "fast",
    progress: Callable[[int], None] = lambda events: None,
) -> DumpReport:
    """Writes what `node` matches in `time_range` to `path` as `.jsonl.gz`; the file appears only when whole.

    Args:
        path: a file, or a stream that takes the bytes as they come.
        threads: cores to keep busy.
        progress: called with the number of events encoded so far.

    Raises:
        StorageError: `file_not_writable`, naming the path and the system's reason.
        OSError: of the stream.
    """
    predicate = query.compile(node, snapshot.query_columns)
    work = works.Work(
        snapshot=snapshot,
        slices=plan.plan_slices(
            snapshot,
            time_range,
            max_rows=slice_rows,
            max_bytes=slice_bytes,
            fields=predicate.columns.union(fields),
        ),
        fields=fields,
        predicate=predicate,
        compression=compression,
        part_bytes=part_bytes,
    )
    with _target(path) as file:
        outcome = run.run(
            work,
            lambda part: _write(file, part),
            _Quiet(progress),
            threads=threads,
            # One thread: a file takes its parts in order, where a store takes them in any.
            upload_threads=1,
            # Nobody signs a manifest of a dump, and SHA-256 would be computed for nothing.
            digests=False,
        )
    return DumpReport(
        events=sum(facts.events for facts in outcome.facts),
        size=sum(facts.size for facts in outcome.facts),
        raw_bytes=sum(facts.raw_bytes for facts in outcome.facts),
    )


@contextlib.contextmanager
def _target(path: pathlib.Path | Stream) -> Iterator[direct.DirectFile | Stream]:
    """What the bytes are written to: a stream, or a file that takes its name when it is whole."""
    if not isinstance(path, pathlib.Path):
        yield path
        path.flush()
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with direct.DirectFile(unfinished) as file:
            yield file
        # After the `with`, which writes what the buffer still holds.
        os.replace(unfinished, path)
    except OSError as error:
        raise errors.StorageError(
            "file_not_writable", f"{path} cannot be written: {error.strerror}.", "Choose another place with -o."
        ) from error
    finally:
        # After a success the name is gone already; after a failure nothing may look like an export.
        unfinished.unlink(missing_ok=True)


def _write(file: direct.DirectFile | Stream, part: parts.Part) -> contract.Receipt:
    """One upload thread takes the parts as they come, so they land in order."""
    file.write(part.body)
    return contract.Receipt(number=part.facts.ordinal + 1, etag="", size=part.facts.size)


class _Quiet:
    """A journal that only hands on the progress."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.progress = progress

    def check(self) -> None:
        """Nothing stops a dump but an exception in its own thread."""

    def before_part(self, facts: PartFacts) -> None:
        """Nothing to ask."""

    def after_part(self, facts: PartFacts, receipt: contract.Receipt) -> None:
        """Nothing to keep."""
