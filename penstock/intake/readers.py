"""What is in a source: JSON Lines, JSON documents, an array of events, Parquet; as text, with its line numbers."""

from __future__ import annotations

import codecs
import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from penstock import errors
from penstock.fields import refused, values
from penstock.intake import streams
from penstock.intake.shapes import documents, parquet


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


@dataclasses.dataclass(frozen=True, slots=True)
class Lines:
    """JSON texts, each of which should be an event.

    Attributes:
        numbers: line number of each text (1-based; of its first line where it has several), or its row number.
        texts: the texts; any of them may go over several lines.
        refused: what cannot even be written as such a text: its number, why, and its bytes if there are any.
    """

    numbers: Sequence[int]
    texts: Sequence[bytes]
    refused: Sequence[tuple[int, refused.EventRefused, bytes]] = ()


Item = Text | Blank | Lines


def read(source: streams.Opened, *, max_line_bytes: int, max_bytes: int | None = None) -> Iterator[Item]:
    """Everything in a source, in order, in items of bounded size.

    The format is found by looking: Parquet by its first bytes, an array by its `[`, one or more JSON documents by a
    first line that is no document while the first lines together are, JSON Lines otherwise.

    Raises:
        IngestError: after all items before the damage: see `streams`; `invalid_array`, `invalid_parquet`,
            `too_many_bytes`.
    """
    if source.is_parquet:
        yield from _parquet(source, max_bytes)
        return
    pieces = streams.bounded(source.plain_pieces(), max_bytes, source.name)
    head = _Head(pieces)
    if head.blank_bytes:
        yield Blank(head.blank_lines, head.blank_bytes)
    if head.first == b"[":
        yield from _texts(documents.documents(source.name, head.pieces(), max_line_bytes, in_array=True))
    elif head.first == b"{" and _is_spread_over_lines(head, max_line_bytes):
        yield from _texts(documents.documents(source.name, head.pieces(), max_line_bytes, in_array=False))
    else:
        for piece in head.pieces():
            yield Text(piece)


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


def _texts(items: Iterable[tuple[list[int], list[bytes]]]) -> Iterator[Item]:
    for numbers, texts in items:
        yield Lines(numbers, texts)


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
