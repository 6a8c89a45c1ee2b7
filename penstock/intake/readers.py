"""What is in a source, seen or said: JSON Lines, documents, wrapped events, tables; as text, with its line numbers."""

from __future__ import annotations

import codecs
import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from penstock import errors
from penstock.fields import refused, values
from penstock.intake import streams
from penstock.intake.shapes import documents, elastic, formats, lines, parquet, tables

Format = formats.Format

_HITS = (("hits", "hits"),)
_RECORDS = tuple((name,) for name in formats.RECORDS_NAMES)


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """The next bytes of JSON Lines; a line may go on in the next piece."""

    piece: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Blank:
    """Blank lines at the start of a source.

    Attributes:
        lines: how many line ends they have.
        bytes: their length.
    """

    lines: int
    bytes: int


Lines = lines.Lines
Item = Text | Blank | Lines


def read(
    source: streams.Opened, *, max_line_bytes: int, max_bytes: int | None = None, wanted: Format | None = None
) -> tuple[Format, Iterator[Item]]:
    """What a source holds, and everything in it, in order, in items of bounded size.

    The format is `wanted`, or found by looking: see `formats.of_text`; one or more JSON documents are known by a first
    line that is no document while the first lines together are; JSON Lines are what nothing else is.

    Raises:
        IngestError: after all items before the damage: see `streams`; `invalid_array`, `invalid_document`,
            `invalid_table`, `invalid_parquet`, `unsupported_format`, `too_many_bytes`.
    """
    if source.is_parquet or wanted is Format.PARQUET:
        return Format.PARQUET, _parquet(source, max_bytes)
    head = _Head(streams.bounded(source.plain_pieces(), max_bytes, source.name))
    found = wanted or _format(source.name, head, max_line_bytes)
    return found, _items(found, source.name, head, max_line_bytes)


def _format(name: str, head: _Head, max_line_bytes: int) -> Format:
    while len(head.text) < formats.LOOK_BYTES and head.more(formats.LOOK_BYTES):
        pass
    found = formats.of_text(name, head.text.lstrip())
    is_documents = found is Format.JSON_LINES and head.first == b"{" and _is_spread_over_lines(head, max_line_bytes)
    return Format.JSON if is_documents else found


def _items(found: Format, name: str, head: _Head, max_line_bytes: int) -> Iterator[Item]:
    if head.blank_bytes:
        yield Blank(head.blank_lines, head.blank_bytes)
    pieces = head.pieces()
    is_array = head.first == b"["
    match found:
        case Format.JSON_LINES:
            for piece in pieces:
                yield Text(piece)
        case Format.JSON:
            yield from _texts(documents.documents(name, pieces, max_line_bytes, in_array=is_array))
        case Format.BULK:
            yield from elastic.bulk(pieces, max_line_bytes)
        case Format.ELASTICDUMP if is_array or _is_spread_over_lines(head, max_line_bytes):
            yield from _sources(documents.documents(name, pieces, max_line_bytes, in_array=is_array))
        case Format.ELASTICDUMP:
            yield from elastic.hits(pieces, max_line_bytes)
        case Format.SEARCH:
            yield from _sources(documents.inside(name, pieces, max_line_bytes, _HITS))
        case Format.RECORDS:
            yield from _texts(documents.inside(name, pieces, max_line_bytes, _RECORDS))
        case Format.ZEEK:
            yield from tables.zeek(name, pieces, max_line_bytes)
        case Format.CSV | Format.TSV:
            yield from tables.separated(name, pieces, max_line_bytes, tabs=found is Format.TSV)


class _Head:
    """The first pieces of a text, looked at before it is read. A byte order mark is left out.

    Attributes:
        text: what was looked at, without the blank pieces before it.
        blank_lines, blank_bytes: line ends and bytes of those.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._rest = pieces
        self._failure: errors.IngestError | None = None
        self.text = b""
        self.blank_lines = self.blank_bytes = 0
        while not self.text.strip():
            self.blank_lines += self.text.count(b"\n")
            self.blank_bytes += len(self.text)
            self.text = b""
            if not self.more():
                break
        if self.text.startswith(codecs.BOM_UTF8):
            self.text = self.text[len(codecs.BOM_UTF8) :]

    @property
    def first(self) -> bytes:
        """The first byte that is no whitespace."""
        return self.text.lstrip()[:1]

    def more(self, wanted: int = 1) -> bool:
        """Looks at least `wanted` bytes further, or to the end; False if nothing more could be read."""
        pieces: list[bytes] = []
        size = 0
        try:
            while size < wanted and self._failure is None and (piece := next(self._rest, b"")):
                pieces.append(piece)
                size += len(piece)
        except errors.IngestError as error:
            self._failure = error
        self.text = b"".join([self.text, *pieces])
        return size > 0

    def pieces(self) -> Iterator[bytes]:
        """The whole text, from its start."""
        yield self.text
        if self._failure is not None:
            raise self._failure
        yield from self._rest


def _is_spread_over_lines(head: _Head, max_line_bytes: int) -> bool:
    """Whether the first document goes over several lines: its first line ends inside it, yet it is whole."""
    while b"\n" not in head.text.lstrip() and len(head.text) <= max_line_bytes and head.more():
        pass
    first_line = head.text.lstrip().partition(b"\n")[0].rstrip()
    if not first_line.endswith((b"{", b"[", b",", b":")):
        return False
    while True:
        text = head.text.lstrip().decode(errors="replace")
        try:
            documents.end_of_value(text, 0)
        except (ValueError, RecursionError):
            if len(head.text) > max_line_bytes or not head.more(len(head.text)):
                return False
        else:
            return True


def _texts(items: documents.Found) -> Iterator[Item]:
    for numbers, texts in items:
        yield Lines(numbers, texts)


def _sources(items: documents.Found) -> Iterator[Item]:
    """The events that hits hold."""
    for numbers, texts in items:
        yield Lines(numbers, [elastic.source(text) for text in texts])


def _parquet(source: streams.Opened, max_bytes: int | None) -> Iterator[Item]:
    """The rows of a Parquet file. A stream is first copied to a temporary file, since Parquet begins at its end."""
    if source.path is not None:
        yield from _rows(parquet.rows(source.name, source.path))
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        for piece in streams.bounded(source.raw_pieces(), max_bytes, source.name):
            copy.write(piece)
        copy.flush()
        yield from _rows(parquet.rows(source.name, copy.name))


def _rows(batches: Iterable[Sequence[parquet.Event]]) -> Iterator[Item]:
    number = 1
    for events in batches:
        numbers, texts, others = [], [], []
        for place, event in enumerate(events, number):
            if isinstance(event, refused.EventRefused):
                others.append((place, event, b""))
            else:
                numbers.append(place)
                texts.append(values.dumps(event).encode())
        yield Lines(numbers, texts, others)
        number += len(events)
