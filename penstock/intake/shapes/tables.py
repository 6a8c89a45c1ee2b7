"""Tables of text to events: CSV and TSV with a header, and the logs of Zeek. Empty cells are absent."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from penstock import errors
from penstock.fields import refused, registry, types, values
from penstock.intake.shapes import formats, lines

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")

_QUOTES = 'Correct the row there: a cell that begins with `"` must end with one.'

Cell = Callable[[str], Any]


class _Rows:
    """Rows that became events, and those that did not, until they are taken."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._texts: list[bytes] = []
        self._refused: list[tuple[int, refused.EventRefused, bytes]] = []

    def add(self, number: int, event: dict[str, Any], raw: str) -> None:
        """One row's event."""
        if not values.is_unicode(raw):
            refusal = refused.EventRefused("invalid_utf8", "the row is not valid UTF-8")
            self.refuse(number, refusal, raw)
            return
        self._numbers.append(number)
        self._texts.append(values.dumps(event).encode())

    def refuse(self, number: int, why: refused.EventRefused, raw: str) -> None:
        """One row that cannot be an event."""
        self._refused.append((number, why, raw.encode(errors="surrogateescape")))

    def take(self) -> lines.Lines:
        """All so far."""
        taken = lines.Lines(self._numbers, self._texts, self._refused)
        self._numbers, self._texts, self._refused = [], [], []
        return taken


def separated(name: str, pieces: Iterable[bytes], max_bytes: int, *, tabs: bool) -> Iterator[lines.Lines]:
    """The rows of CSV or TSV: the first line names the fields, and says what parts them (`,` `;` `|` or a tab).

    Every value stays text, as it stands in its cell, but in a field of ECS that is a number or a boolean.

    Raises:
        IngestError: after all rows before the damage: `truncated_input`, the last cell has no end; `invalid_table`, a
            row is longer than a line may be.
    """
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    source = _Text(pieces, max_bytes)
    header = next(source, "")
    source.taken()
    by = "\t" if tabs else formats.delimiter(header)
    names = _names(next(csv.reader([header], delimiter=by), []))
    cells = [_cell(field) for field in names]
    rows = _Rows()
    reader = csv.reader(source, delimiter=by)
    try:
        for row in reader:
            if source.is_cut:
                break
            raw = source.taken()
            number = source.number - raw.count("\n", 0, -1)
            if len(row) > len(names):
                detail = f"the row has {len(row)} cells, the header {len(names)}"
                rows.refuse(number, refused.EventRefused("too_many_cells", detail), raw)
            elif row:
                event = {field: cell(text) for field, cell, text in zip(names, cells, row, strict=False) if text}
                rows.add(number, event, raw)
            if source.is_at_end_of_piece:
                yield rows.take()
    except csv.Error as error:
        yield rows.take()
        raise errors.IngestError(
            "invalid_table",
            f"{name} cannot be read on from line {source.number}: {error}.",
            _QUOTES,
            source=name,
        ) from error
    yield rows.take()
    if source.is_cut:
        raise errors.IngestError(
            "truncated_input", f"{name} ends in the middle of a cell in quotes.", _QUOTES, source=name
        )


class _Text:
    """Lines with their ends, as text; bytes that are no UTF-8 come as half surrogates.

    Attributes:
        number: of the line given last, from 1.
        is_at_end_of_piece: whether the next line is in another piece.
        is_cut: whether a row still wanted a line when there was none.
    """

    def __init__(self, pieces: Iterable[bytes], max_bytes: int) -> None:
        self.number = 0
        self.is_at_end_of_piece = self.is_cut = False
        self._max_bytes = max_bytes
        self._taken: list[str] = []
        self._size = 0
        self._lines = self._all(lines.whole(pieces, max_bytes))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines, None)
        if line is None:
            self.is_cut = bool(self._taken)
            raise StopIteration
        self.number += 1
        self._taken.append(line)
        self._size += len(line)
        if self._size > self._max_bytes and len(self._taken) > 1:
            raise csv.Error(f"a row goes over more than {self._max_bytes} bytes")
        return line

    def taken(self) -> str:
        """The lines given since the last call."""
        found, self._taken, self._size = "".join(self._taken), [], 0
        return found

    def _all(self, whole: Iterable[tuple[int, list[bytes]]]) -> Iterator[str]:
        for _, found in whole:
            for place, line in enumerate(found, 1):
                self.is_at_end_of_piece = place == len(found)
                yield line.decode(errors="surrogateescape") + "\n"


def _names(header: Sequence[str]) -> list[str]:
    """Names of the columns, each once: an empty one is `column_N`, one that is taken `NAME_2`."""
    found: list[str] = []
    for place, cell in enumerate(header, 1):
        name = base = cell.strip() or f"column_{place}"
        again = 2
        while name in found:
            name, again = f"{base}_{again}", again + 1
        found.append(name)
    return found


def _cell(field: str) -> Cell:
    spec = registry.ECS.get(field)
    match spec.type if spec is not None else None:
        case types.FieldType.LONG:
            return lambda text: values.loads(text) if _INTEGER.fullmatch(text) else text
        case types.FieldType.DOUBLE:
            return _number
        case types.FieldType.BOOLEAN:
            return lambda text: {"true": True, "false": False}.get(text, text)
        case _:
            return str


def _number(text: str) -> Any:
    return values.loads(text) if _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text) else text


def zeek(name: str, pieces: Iterable[bytes], max_bytes: int) -> Iterator[lines.Lines]:
    """The rows of a Zeek log in its own form, as Zeek itself writes them as JSON; `#path` is the field `_path`.

    Raises:
        IngestError: `invalid_table`, a row before the line `#fields`.
    """
    log = _Zeek(name)
    for number, found in lines.whole(pieces, max_bytes):
        rows = _Rows()
        for place, line in enumerate(found, number):
            text = line.decode(errors="surrogateescape").removesuffix("\r")
            if text.startswith("#"):
                log.heed(text)
            elif text:
                log.row(place, text, rows)
        yield rows.take()


class _Zeek:
    """What the lines of `#` have said so far. Several logs may follow one another."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._separator = "\t"
        self._said = {"#set_separator": ",", "#empty_field": "(empty)", "#unset_field": "-", "#path": ""}
        self._fields: list[str] = []
        self._cells: list[Cell] = []

    def heed(self, line: str) -> None:
        """Takes in a line of the header."""
        if line.startswith("#separator "):
            self._separator = _unescaped(line.removeprefix("#separator ")) or "\t"
            return
        key, *rest = line.split(self._separator)
        if key == "#fields":
            self._fields = rest
            self._cells = [str] * len(rest)
        elif key == "#types":
            self._cells = [self._cell(kind) for kind in rest]
        elif key in self._said:
            self._said[key] = _unescaped(rest[0]) if rest else ""

    def row(self, number: int, text: str, rows: _Rows) -> None:
        """Takes in a row."""
        if not self._fields:
            raise errors.IngestError(
                "invalid_table",
                f"{self._name} has a row in line {number}, and no line `#fields` before it.",
                "Take in the whole log, from its first line on.",
                source=self._name,
            )
        cells = text.split(self._separator)
        if len(cells) > len(self._fields):
            detail = f"the row has {len(cells)} cells, `#fields` names {len(self._fields)}"
            rows.refuse(number, refused.EventRefused("too_many_cells", detail), text)
            return
        event: dict[str, Any] = {"_path": self._said["#path"]} if self._said["#path"] else {}
        unset = self._said["#unset_field"]
        for field, cell, found in zip(self._fields, self._cells, cells, strict=False):
            if found and found != unset:
                event[field] = cell(found)
        rows.add(number, event, text)

    def _cell(self, kind: str) -> Cell:
        inner = re.fullmatch(r"(?:set|vector)\[(.*)\]", kind)
        empty = self._said["#empty_field"]
        if inner is not None:
            of_item = self._cell(inner[1])
            by = self._said["#set_separator"]
            return lambda text: [] if text == empty else [of_item(item) for item in text.split(by)]
        if kind in ("time", "interval", "double", "count", "int", "port"):
            return _number
        if kind == "bool":
            return lambda text: {"T": True, "F": False}.get(text, text)
        return lambda text: "" if text == empty else _unescaped(text)


def _unescaped(text: str) -> str:
    """The text with its `\\xNN` as bytes of UTF-8; unchanged where they are none."""
    if "\\x" not in text:
        return text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if text.isascii() else text
    try:
        return plain.encode("latin-1").decode()
    except UnicodeError:
        return text
