"""Files that are looked at together, each part with the predicate compiled for what its files hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock import query
from penstock.lake import catalog, files, snapshots, table
from penstock.lake.read import fetching
from penstock.lake.read.pruning import narrowing
from penstock.lake.read.pruning import needed as needed_files

_SPARE_COLUMNS = 64
"""Columns that files scanned as one may lack, besides as many as they have: each costs a file about 20 µs."""


def divided(
    snapshot: table.Snapshot,
    needed: needed_files.Needed,
    chosen: Sequence[files.DataFile],
    predicate: query.Predicate,
    most_rows: int,
) -> Iterator[tuple[list[files.DataFile], query.Predicate]]:
    """The files, some at a time, each part with the predicate compiled for the columns of its files.

    A part has `most_rows` rows or one file. Where files differ in their columns a part ends sooner: it must not cost
    each of its files the columns of all others.
    """
    if predicate.expression is None:
        yield from ((chunk, predicate) for chunk in _chunks(snapshot, chosen, most_rows))
        return
    with table.translated(snapshot.folder):
        holdings = list(zip(chosen, snapshot.fields_of(chosen), strict=True))
    holdings.sort(key=lambda each: predicate.looks_at(each[1].columns, each[1].overflow))
    part = _Part(snapshot, needed, predicate, most_rows)
    for place, (file, fields) in enumerate(holdings):
        if not part.takes(file, fields):
            # While this part is read, what the next one needs comes.
            fetching.ahead(snapshot, [(one, own) for one, own in holdings[place:]], predicate)
            yield part.files, part.own_predicate()
            part = _Part(snapshot, needed, predicate, most_rows)
        part.add(file, fields)
    if part.files:
        yield part.files, part.own_predicate()


class _Part:
    """Files that are scanned as one, and what a predicate looks at in them."""

    def __init__(
        self, snapshot: table.Snapshot, needed: needed_files.Needed, predicate: query.Predicate, most_rows: int
    ) -> None:
        self.files: list[files.DataFile] = []
        self._fields: list[catalog.Fields] = []
        self._snapshot = snapshot
        self._needed = needed
        self._predicate = predicate
        self._most_rows = most_rows
        self._rows = 0
        self._is_looked_at = False
        self._held: frozenset[str] = frozenset()

    def takes(self, file: files.DataFile, fields: catalog.Fields) -> bool:
        """Whether the file may join the others."""
        if not self.files:
            return True
        if self._predicate.looks_at(fields.columns, fields.overflow) != self._is_looked_at:
            return False
        own = len(self._predicate.columns & fields.columns)
        together = len(self._predicate.columns & (self._held | fields.columns))
        fits = self._rows + file.rows <= self._most_rows and together <= 2 * own + _SPARE_COLUMNS
        return fits and fetching.fits(self._snapshot, self.files, file)

    def add(self, file: files.DataFile, fields: catalog.Fields) -> None:
        """Takes a file."""
        self.files.append(file)
        self._fields.append(fields)
        self._rows += file.rows
        self._is_looked_at = self._predicate.looks_at(fields.columns, fields.overflow)
        self._held |= self._predicate.columns & fields.columns

    def own_predicate(self) -> query.Predicate:
        """The predicate for these files."""
        return _within(self._snapshot, self._needed, self.files, self._fields, self._predicate)


def relevant(
    snapshot: table.Snapshot,
    needed: needed_files.Needed,
    placed: Sequence[tuple[int, files.DataFile]],
    predicate: query.Predicate,
) -> tuple[Sequence[tuple[int, files.DataFile]], query.Predicate]:
    """Those of the files that the predicate looks at, and the predicate for them."""
    with_fields = list(zip(placed, snapshot.fields_of([file for _, file in placed]), strict=True))
    if predicate.within(frozenset(), frozenset()).constant is False:
        with_fields = [each for each in with_fields if predicate.looks_at(each[1].columns, each[1].overflow)]
    relevant = [one for one, _ in with_fields]
    if not relevant:
        return [], predicate.within(frozenset(), frozenset())
    return relevant, _within(snapshot, needed, [file for _, file in relevant], [f for _, f in with_fields], predicate)


def _within(
    snapshot: table.Snapshot,
    needed: needed_files.Needed,
    chosen: Sequence[files.DataFile],
    holdings: Sequence[catalog.Fields],
    predicate: query.Predicate,
) -> query.Predicate:
    """The predicate for files that hold these fields, compiled for the columns in which something may match."""
    if predicate.anywhere is None or snapshots.is_attached(snapshot):
        # Nothing is narrowed, so nothing is read; and only our own files can be searched by their pages.
        found = list(holdings)
    else:
        with table.translated(snapshot.folder), fetching.held(snapshot, chosen):
            found = [
                narrowing.narrowed(snapshot.location(file.path), needed.stretches(file), fields, predicate)
                for file, fields in zip(chosen, holdings, strict=True)
            ]
    held, names = (
        frozenset[str]().union(*sets) for sets in zip(*((f.columns, f.overflow) for f in found), strict=True)
    )
    return predicate.within(held, names)


def _chunks(
    snapshot: table.Snapshot, chosen: Sequence[files.DataFile], most_rows: int
) -> Iterator[list[files.DataFile]]:
    """The files, some at a time: `most_rows` rows or one file."""
    chunk: list[files.DataFile] = []
    rows = 0
    for file in chosen:
        if chunk and (rows + file.rows > most_rows or not fetching.fits(snapshot, chunk, file)):
            yield chunk
            chunk, rows = [], 0
        chunk.append(file)
        rows += file.rows
    if chunk:
        yield chunk
