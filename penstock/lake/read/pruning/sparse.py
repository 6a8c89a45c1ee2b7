"""Matching rows of a data file where few match: found first, in as few columns as will do, then taken out one by one.

A scan unpacks, checks and copies whole pages of every column for a handful of rows. Here the rows are found in the
query's columns alone, or by a search for a literal in the bytes of a text column, and the pages kernel takes their
values. What it finds is what a scan finds: whatever it does not know, or doubts, is left to a scan.
"""

from __future__ import annotations

import array
import bisect
import contextlib
import itertools
import mmap
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import polars as pl

from penstock import query
from penstock.fields import types

Rows: TypeAlias = "array.array[int]"
"""Numbers of rows, ascending."""

kernel: Any
try:
    from penstock.kernels import pages as kernel
except ImportError:  # not compiled: a scan does the same
    kernel = None

ROW = types.DAY
"""Name of the row number in a scan: one that no column of a file can have.

A partition column of version 0.1 bore it, and it was kept back ever since: another name would have to be taken from the
fields that events may have.
"""

FEW = 1 / 16
"""Share of the rows up to which taking them one by one pays. Beyond, a scan of all is as fast."""

LIGHT = 1 / 4
"""Share of the bytes that the query's columns may have: they are read in vain where many rows match."""

_AS_WRITTEN = pl.QueryOptFlags.none()

Scan: TypeAlias = Callable[[Collection[str]], pl.LazyFrame]
"""Columns of the file, and `ROW`."""


def read(
    location: str,
    stretches: Sequence[tuple[int, int]],
    dtypes: Mapping[str, Any],
    names: Sequence[str],
    predicate: query.Predicate,
    scan: Scan,
) -> pl.DataFrame | None:
    """The matching rows of a data file, in order; None if a scan should read them: many match, or nobody knows how few.

    Args:
        location: the file.
        stretches: offset and length of what is looked at, in order.
        dtypes: of all columns that are needed.
        names: the columns of the frame.
        predicate: compiled for this file.
        scan: reads columns of the file.
    """
    if kernel is None or predicate.expression is None:
        return None
    try:
        with opened(location) as file:
            return _Reader(file, stretches, dtypes, scan).frame(names, predicate)
    except (OSError, ValueError):  # kernel.Unfit is one; so is what `mmap` says of an empty file
        return None


@contextlib.contextmanager
def opened(location: str) -> Iterator[Any]:
    """A data file for the kernel. Raises OSError, and ValueError where it is none that the kernel reads."""
    descriptor = os.open(location, os.O_RDONLY)
    try:
        content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    with content:
        file = kernel.File(content)
        try:
            yield file
        finally:
            file.close()


def _rows(numbers: Iterable[int] = ()) -> Rows:
    return array.array("I", numbers)


class _Reader:
    """One file being read."""

    def __init__(self, file: Any, stretches: Sequence[tuple[int, int]], dtypes: Mapping[str, Any], scan: Scan) -> None:
        self._file = file
        self._stretches = stretches
        self._dtypes = dtypes
        self._scan = scan
        self._starts = list(itertools.accumulate(file.rows, initial=0))
        self._most = int(FEW * sum(length for _, length in stretches))

    def frame(self, names: Sequence[str], predicate: query.Predicate) -> pl.DataFrame | None:
        for sought in predicate.sought:
            found = self._candidates(sought)
            if found is not None:
                return self._judged(names, predicate, *found)
        if not self._is_light(names, predicate.columns):
            return None
        rows = self._matching(predicate.columns, predicate.expression)
        return None if len(rows) > self._most else self._taken(names, rows, {})

    def _candidates(self, sought: Any) -> tuple[Rows, dict[str, pl.Series]] | None:
        """The rows that hold the literals, and what is known of their values; None where they are many, or unknown."""
        known = [name for name in sought.fields if self._is_known(name) and self._dtypes[name] == pl.String]
        if len(sought.fields) == 1:
            return self._searched(known[0], sought.literals) if known else None
        found = set[int]()
        others = [name for name in sought.fields if name not in known]
        if others:
            found.update(self._matching(others, sought.elsewhere(others)))
        # The lightest first: where many rows have the word, a column of few values says so soonest.
        for name in sorted(known, key=self._file.weight):
            if (in_column := self._searched(name, sought.literals)) is None:
                return None
            found.update(in_column[0])
        return None if len(found) > self._most else (_rows(sorted(found)), {})

    def _searched(self, name: str, literals: Sequence[str]) -> tuple[Rows, dict[str, pl.Series]] | None:
        """The rows whose text may hold all the literals, and the texts."""
        sought = [literal.encode() for literal in literals]
        rows = _rows()
        texts: list[str] = []
        for offset, length in self._stretches:
            for group, first, end in self._within(offset, offset + length):
                found = self._file.search(group, name, first, end, sought, self._most - len(texts))
                if found is None:
                    return None
                start = self._starts[group]
                rows.extend(start + row for row in memoryview(found[0]).cast("I"))
                texts += found[1]
        return rows, {name: pl.Series(name, texts, dtype=pl.String)}

    def _judged(
        self, names: Sequence[str], predicate: query.Predicate, rows: Rows, known: Mapping[str, pl.Series]
    ) -> pl.DataFrame:
        """Those of some rows that match."""
        if not len(rows):
            return pl.DataFrame(schema={name: self._dtypes[name] for name in names})
        candidates = self._taken([*names, *sorted(predicate.columns.difference(names))], rows, known)
        expression = pl.lit(True) if predicate.expression is None else predicate.expression
        # In one step, and nothing to optimise: there are few rows, and each step of Polars takes a millisecond.
        return candidates.lazy().filter(expression).select(names).collect(optimizations=_AS_WRITTEN)

    def _matching(self, columns: Collection[str], expression: pl.Expr | None) -> Rows:
        """The rows that match, by a scan of the query's columns."""
        numbered = self._scan(columns)
        if self._stretches != [(0, self._starts[-1])]:
            numbered = pl.concat([numbered.slice(offset, length) for offset, length in self._stretches])
        matching = numbered.filter(pl.lit(True) if expression is None else expression).select(ROW).collect()[ROW]
        # Before they become Python's: there may be a row group of them.
        return _rows(matching.head(self._most + 1).to_list())

    def _taken(self, names: Sequence[str], rows: Rows, known: Mapping[str, pl.Series]) -> pl.DataFrame:
        """The columns of some rows."""
        others = [name for name in names if name not in known and not self._is_known(name)]
        found = {**known, **self._scanned(others, rows)}
        cuts = itertools.pairwise(bisect.bisect_left(rows, start) for start in self._starts)
        shares = [
            (group, _rows(row - start for row in rows[first:end]))
            for group, (start, (first, end)) in enumerate(zip(self._starts, cuts, strict=False))
            if first < end
        ]
        for name in names:
            if name not in found:
                found[name] = self._series(name, [self._file.take(group, name, share) for group, share in shares])
        return pl.DataFrame([found[name] for name in names]).rechunk()

    def _scanned(self, names: Sequence[str], rows: Rows) -> dict[str, pl.Series]:
        """Columns that the kernel does not know: lists, booleans, those that the file lacks."""
        if not names:
            return {}
        if not len(rows):
            return {name: pl.Series(name, [], dtype=self._dtypes[name]) for name in names}
        near = self._scan(names).slice(rows[0], rows[-1] - rows[0] + 1)
        wanted = pl.Series(rows.tolist(), dtype=pl.get_index_type())
        frame = near.filter(pl.col(ROW).is_in(wanted.implode())).collect()
        return {name: frame[name] for name in names}

    def _series(self, name: str, parts: Sequence[Any]) -> pl.Series:
        """One column of what was taken from each row group."""
        dtype = self._dtypes[name]
        if dtype == pl.String:
            return pl.Series(name, [text for part in parts for text in part], dtype=dtype)
        form: Literal["d", "q"] = "d" if dtype == pl.Float64 else "q"
        numbers = [
            number if there else None
            for content, valid in parts
            for number, there in zip(memoryview(content).cast(form), valid, strict=True)
        ]
        return pl.Series(name, numbers, dtype=pl.Float64 if form == "d" else pl.Int64).cast(dtype)

    def _is_known(self, name: str) -> bool:
        """Whether the kernel can take values of the column."""
        dtype, kind = self._dtypes[name], self._file.kind(name)
        if kind is None:
            return False
        if isinstance(dtype, pl.Datetime):
            return bool(kind == (kernel.LONG, kernel.MICROSECONDS) and dtype.time_unit == "us")
        physical = {pl.String: kernel.STRING, pl.Int64: kernel.LONG, pl.Float64: kernel.DOUBLE}.get(dtype)
        return bool(physical is not None and kind[0] == physical)

    def _is_light(self, names: Sequence[str], columns: Collection[str]) -> bool:
        """Whether reading these columns costs little beside reading `names`."""
        weights = {name: self._file.weight(name) for name in {*names, *columns}}
        if any(weights[name] is None for name in columns):
            return False
        return bool(sum(weights[name] for name in columns) <= LIGHT * sum(weights[name] or 0 for name in names))

    def _within(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Row groups that lie in [start, stop): number, and which of their rows."""
        for group, (first, end) in enumerate(itertools.pairwise(self._starts)):
            if first < stop and start < end:
                yield group, max(start, first) - first, min(stop, end) - first
