"""What is in a source: JSON Lines, JSON documents, an array of events, Parquet; events with their line numbers."""

from __future__ import annotations

import codecs
import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from penstock import errors
from penstock.fields import refused
from penstock.intake import documents, parquet, streams

KEPT_BYTES = 4096
"""Bytes that are kept of a line that is too long."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """JSON texts, each of which should be an event.

    Attributes:
        numbers: line number of each text (1-based; of its first line where it has several).
        texts: the texts, without their line ends.
    """

    numbers: Sequence[int]
    texts: Sequence[bytes]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Events that were no JSON text.

    Attributes:
        numbers: row number of each event, 1-based.
        events: the events; or why one cannot be one.
    """

    numbers: Sequence[int]
    events: Sequence[dict[str, Any] | refused.EventRefused]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TooLong:
    """A line that is longer than allowed.

    Attributes:
        number: its line number.
        start: its first KEPT_BYTES bytes.
        size: its length in bytes.
    """

    number: int
    start: bytes
    size: int


Item = Lines | Rows | TooLong


def read(source: streams.Opened, *, max_line_bytes: int, max_bytes: int | None = None) -> Iterator[Item]:
    """Everything in a source, in order, in items of bounded size.

    The format is found by looking: Parquet by its first bytes, an array by its `[`, one or more JSON documents by a
    first line that is no document while the first lines together are, JSON Lines otherwise.

    Raises:
        IngestError: after all items before the damage: see `ingest_streams`; `invalid_array`, `invalid_parquet`,
            `too_many_bytes`.
    """
    if source.is_parquet:
        yield from _parquet(source, max_bytes)
        return
    pieces = streams.bounded(source.plain_pieces(), max_bytes, source.name)
    head = _Head(pieces)
    if head.first == b"[":
        yield from _texts(documents.documents(source.name, head.pieces(), max_line_bytes, in_array=True))
    elif head.first == b"{" and _is_spread_over_lines(head, max_line_bytes):
        yield from _texts(documents.documents(source.name, head.pieces(), max_line_bytes, in_array=False))
    else:
        yield from _lines(head.pieces(), max_line_bytes)


class _Head:
    """The first pieces of a text, looked at before it is read. A byte order mark is left out."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._rest = pieces
        self._failure: errors.IngestError | None = None
        self.text = b""
        while not self.text.strip() and self.more():
            pass
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
        yield Lines(numbers=numbers, texts=texts)


def _lines(pieces: Iterable[bytes], max_line_bytes: int) -> Iterator[Item]:
    """The lines of a text. A line without its line end at the end of the text is one, unless the text breaks off."""
    held: list[bytes] = []
    held_bytes = 0
    dropped = 0
    number = 1
    for piece in pieces:
        cut = piece.rfind(b"\n")
        if dropped or (cut < 0 and held_bytes + len(piece) > max_line_bytes):
            first_end = piece.find(b"\n")
            if not dropped:
                held = [b"".join([*held, piece[: first_end if first_end >= 0 else None]])[:KEPT_BYTES]]
                dropped = held_bytes
            if first_end < 0:
                dropped += len(piece)
                continue
            yield TooLong(number=number, start=held[0], size=dropped + first_end)
            number += 1
            held, held_bytes, dropped = [], 0, 0
            piece = piece[first_end + 1 :]
            cut = piece.rfind(b"\n")
        if cut >= 0:
            texts = b"".join([*held, piece[:cut]]).split(b"\n")
            yield from _bounded_lines(texts, number, max_line_bytes)
            number += len(texts)
            held, held_bytes = [], 0
        rest = piece[cut + 1 :]
        held.append(rest)
        held_bytes += len(rest)
    if dropped:
        yield TooLong(number=number, start=held[0], size=dropped)
    elif held_bytes:
        yield from _bounded_lines([b"".join(held)], number, max_line_bytes)


def _bounded_lines(texts: list[bytes], number: int, max_line_bytes: int) -> Iterator[Item]:
    """The lines as one item, or as several where some are too long."""
    start = 0
    for place, text in enumerate(texts):
        if len(text) > max_line_bytes:
            if place > start:
                yield Lines(numbers=range(number + start, number + place), texts=texts[start:place])
            yield TooLong(number=number + place, start=text[:KEPT_BYTES], size=len(text))
            start = place + 1
    if start < len(texts):
        yield Lines(numbers=range(number + start, number + len(texts)), texts=texts[start:])


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


def _rows(batches: Iterable[list[dict[str, Any] | refused.EventRefused]]) -> Iterator[Item]:
    number = 1
    for events in batches:
        yield Rows(numbers=range(number, number + len(events)), events=events)
        number += len(events)
