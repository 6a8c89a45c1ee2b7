"""JSON documents one after the other, or the items of one array: where each begins and ends."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from penstock import errors
from penstock.intake import streams

_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
_SPACE = " \t\r\n"
_BEGUN = re.compile(r"[0-9A-Za-z+.\\-]{0,6}")


def end_of_value(text: str, start: int) -> int:
    """Position after the JSON value that begins at `start`.

    Raises:
        json.JSONDecodeError: there is no whole value. RecursionError: it nests too deep.
    """
    return value(text, start)[1]


def value(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start`, numbers as their text, and the position after it. Raises as above."""
    return _DECODER.raw_decode(text, start)


def end_of_whole(text: str, start: int) -> int | None:
    """Position after the JSON value that begins at `start`; None if it is not whole."""
    try:
        return end_of_value(text, start)
    except (json.JSONDecodeError, RecursionError):
        return None


Found = Iterator[tuple[list[int], list[bytes]]]
"""Line numbers and texts, about PIECE_BYTES at a time."""


def documents(name: str, pieces: Iterator[bytes], max_bytes: int, *, in_array: bool) -> Found:
    """The documents, or the items of an array.

    Bytes that are not UTF-8 come out as they came in: the document that has them is refused alone.

    Raises:
        IngestError: after all documents before the damage: `truncated_input`, `invalid_array`, `invalid_document`.
    """
    scanner = _Scanner(name, pieces, max_bytes, in_array=in_array)
    return _gathered(scanner.items() if in_array else scanner.documents())


def inside(name: str, pieces: Iterator[bytes], max_bytes: int, paths: Collection[tuple[str, ...]]) -> Found:
    """The items of the array that each document has at one of the paths; the rest of the documents is passed over.

    A document that has no such array comes out whole, if it has at most PIECE_BYTES: it may be an event.

    Raises:
        IngestError: as `documents`; `invalid_document` also for a larger document without such an array.
    """
    return _gathered(_Scanner(name, pieces, max_bytes, in_array=False).inside(paths))


def _gathered(found: Iterator[tuple[int, bytes]]) -> Found:
    numbers: list[int] = []
    texts: list[bytes] = []
    size = 0
    try:
        for number, text in found:
            numbers.append(number)
            texts.append(text)
            size += len(text)
            if size >= streams.PIECE_BYTES:
                yield numbers, texts
                numbers, texts, size = [], [], 0
    except errors.IngestError:
        if texts:
            yield numbers, texts
        raise
    if texts:
        yield numbers, texts


class _Scanner:
    """Goes through a text of which only a part is in memory."""

    def __init__(self, name: str, pieces: Iterator[bytes], max_bytes: int, *, in_array: bool) -> None:
        self._name = name
        self._pieces = pieces
        self._max_bytes = max_bytes
        self._broken_code = "invalid_array" if in_array else "invalid_document"
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._has_list = False

    def documents(self) -> Iterator[tuple[int, bytes]]:
        """Every document, whatever whitespace lies between them."""
        while self._next_mark():
            yield self._document()

    def items(self) -> Iterator[tuple[int, bytes]]:
        """Every item of the one array that the text is."""
        yield from self._items()
        if self._next_mark():
            raise self._broken(self._broken_code, "something follows the array's end")

    def _items(self) -> Iterator[tuple[int, bytes]]:
        self._pass("[", "the array does not begin")
        if self._next_mark() != "]":
            yield self._document()
            while (mark := self._next_mark()) != "]":
                self._pass(",", "a comma or `]` is missing" if mark else "the array has no end")
                self._next_mark()
                yield self._document()
        self._pass("]", "the array has no end")

    def inside(self, paths: Collection[tuple[str, ...]]) -> Iterator[tuple[int, bytes]]:
        """Every item of the arrays at these paths, in every document."""
        while self._next_mark():
            self._has_list = False
            if len(self._text) - self._at < streams.PIECE_BYTES:
                self._more(streams.PIECE_BYTES)
            line, text, start = self._line, self._text, self._at
            yield from self._inside(paths)
            if not self._has_list:
                end = end_of_whole(text, start)
                if end is None:
                    raise self._broken(self._broken_code, f"the document of line {line} has no list of events")
                yield line, text[start:end].encode(errors="surrogateescape")

    def _inside(self, paths: Collection[tuple[str, ...]]) -> Iterator[tuple[int, bytes]]:
        """The items at these paths of the value that begins here; goes past it."""
        mark = self._next_mark()
        if mark == "[" and () in paths:
            self._has_list = True
            yield from self._items()
        elif mark == "{" and any(paths):
            yield from self._members(paths)
        else:
            self._document()

    def _members(self, paths: Collection[tuple[str, ...]]) -> Iterator[tuple[int, bytes]]:
        self._pass("{", "the object does not begin")
        mark = self._next_mark()
        while mark != "}":
            if mark != '"':
                raise self._broken(self._broken_code if mark else "truncated_input", "a name is missing")
            name = json.loads(self._document()[1], strict=False)
            self._pass(":", "`:` is missing")
            self._next_mark()
            yield from self._inside({path[1:] for path in paths if path[:1] == (name,)})
            mark = self._next_mark()
            if mark != "}":
                self._pass(",", "a comma or `}` is missing" if mark else "the object has no end")
                mark = self._next_mark()
        self._pass("}", "the object has no end")

    def _pass(self, mark: str, otherwise: str) -> None:
        """Goes past a character that must come next."""
        found = self._next_mark()
        if found != mark:
            raise self._broken(self._broken_code if found else "truncated_input", otherwise)
        self._at += 1

    def _next_mark(self) -> str:
        """The next character that is no whitespace, not yet passed; empty at the end."""
        while True:
            start = self._at
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            self._line += self._text.count("\n", start, self._at)
            if self._at < len(self._text) or not self._more(streams.PIECE_BYTES):
                return self._text[self._at : self._at + 1]

    def _document(self) -> tuple[int, bytes]:
        """Line number and text of the document that begins here; goes past it."""
        wanted = streams.PIECE_BYTES
        while True:
            try:
                end = end_of_value(self._text, self._at)
            except RecursionError as error:
                raise self._broken(self._broken_code, "a document nests too deep to be read") from error
            except json.JSONDecodeError as error:
                seen = len(self._text) - self._at
                if seen > self._max_bytes or not self._more(wanted):
                    raise self._not_whole(error, seen) from error
            else:
                if end < len(self._text) or not self._more(wanted):  # else a number may go on in the next piece
                    break
            wanted *= 2  # a long document is looked through a few times only
        text = self._text[self._at : end]
        number = self._line
        self._line += text.count("\n")
        self._at = end
        return number, text.encode(errors="surrogateescape")

    def _not_whole(self, error: json.JSONDecodeError, seen: int) -> errors.IngestError:
        """Why no document could be found in the `seen` characters from here on."""
        if seen > self._max_bytes:
            return self._broken(self._broken_code, f"no document ends within {self._max_bytes} bytes")
        begun = _BEGUN.fullmatch(self._text, error.pos) is not None  # nothing, or a piece of a word or an escape
        at_end = begun or error.msg.startswith("Unterminated string")
        return self._broken("truncated_input" if at_end else self._broken_code, error.msg)

    def _more(self, wanted: int) -> bool:
        """Reads `wanted` bytes more, or up to the end; False at the end."""
        if self._ended:
            return False
        parts = [self._text[self._at :]]
        self._at = 0
        size = 0
        while size < wanted and not self._ended:
            piece = next(self._pieces, b"")
            self._ended = not piece
            size += len(piece)
            parts.append(self._decoder.decode(piece, final=not piece))
        self._text = "".join(parts)
        return size > 0

    def _broken(self, code: str, why: str) -> errors.IngestError:
        return errors.IngestError(
            code,
            f"{self._name} cannot be read on from line {self._line}: {why}.",
            "Correct the file there; or write one event a line, so that a broken one is rejected alone.",
            source=self._name,
        )
