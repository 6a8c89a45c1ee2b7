"""Tables that fit the terminal, whatever its width: numbers and names to copy are never broken over two lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from penstock.cli import output

_COPIED = frozenset({"UUID", "TASK", "OBJECT", "FIELD", "STATUS", "JOB"})
"""Columns that people copy from, or that are one word."""

_GAP = 2
_LEAST_TEXT = 12
"""A column of text is never made narrower than this: the table is turned into records instead."""


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: Sequence[str] = ()) -> None:
    """A table; columns named in `numbers` are right-aligned. Into a pipe: a header and tab-separated lines."""
    texts = [[output.cell(value) for value in row] for row in rows]
    if not output.is_terminal():
        for row in [list(columns), *texts]:
            output.say("\t".join(row))
        return
    # Before the widths are measured: a control character has no width and would move the columns.
    safe = [[output.harmless(text) for text in row] for row in texts]
    for line in draw(columns, safe, numbers=numbers, width=output.width()):
        output.say(line)


def draw(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = (), width: int
) -> list[str]:
    """The lines of a table, none longer than `width` as long as the unbreakable cells allow.

    Text that does not fit is wrapped in its column. If even that is too wide, each row becomes a record: `NAME: value`
    lines, an empty line between two.
    """
    widths = _widths(columns, rows, numbers, width)
    if widths is None:
        return _records(columns, rows, width)
    lines = _row(columns, widths, columns, numbers)
    lines.append("─" * min(width, sum(widths) + _GAP * (len(widths) - 1)))
    for row in rows:
        lines += _row(row, widths, columns, numbers)
    return lines


def _widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str], width: int
) -> list[int] | None:
    """How wide each column is; None if the table cannot fit."""
    widths = [max([len(name), *(len(row[n]) for row in rows)]) for n, name in enumerate(columns)]
    room = width - _GAP * (len(columns) - 1)
    while sum(widths) > room:
        # The widest column of text gives way first, one step at a time, so that several become equally wide.
        breakable = [
            n
            for n, name in enumerate(columns)
            if name not in numbers and name not in _COPIED and widths[n] > _least(name, rows, n)
        ]
        if not breakable:
            return None
        widths[max(breakable, key=lambda n: widths[n])] -= 1
    return widths


def _least(name: str, rows: Sequence[Sequence[str]], column: int) -> int:
    """Words up to a UUID's length stay whole; longer ones (a path, a URL) may be cut."""
    lengths = [len(word) for text in (name, *(row[column] for row in rows)) for word in text.split()]
    return max([_LEAST_TEXT, *(length for length in lengths if length <= 36)])


def _wrap(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_on_hyphens=False) or [""]


def _row(texts: Sequence[str], widths: Sequence[int], columns: Sequence[str], numbers: Sequence[str]) -> list[str]:
    cells = [_wrap(text, room) for text, room in zip(texts, widths, strict=True)]
    height = max(len(cell) for cell in cells)
    return [
        _line([cell[n] if n < len(cell) else "" for cell in cells], widths, columns, numbers) for n in range(height)
    ]


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[str], numbers: Sequence[str]) -> str:
    placed = [
        cell.rjust(room) if name in numbers else cell.ljust(room)
        for cell, room, name in zip(cells, widths, columns, strict=True)
    ]
    return (" " * _GAP).join(placed).rstrip()


def _records(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    longest = max(len(name) for name in columns) + 1
    lines: list[str] = []
    for row in rows:
        if lines:
            lines.append("")
        for name, text in zip(columns, row, strict=True):
            if text not in ("", "-"):
                first, *more = _wrap(text, max(36, width - longest - 1))
                lines.append(f"{f'{name}:'.ljust(longest)} {first}")
                lines += [f"{' ' * longest} {part}" for part in more]
    return lines
