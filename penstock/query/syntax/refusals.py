"""Says what is wrong with a query text: the sentence, the position, what was expected, and a caret line."""

from __future__ import annotations

from collections.abc import Iterable

from penstock import errors

_WIDTH = 100
_ELLIPSIS = "…"
_HINT = 'Terms are field:value, joined by AND, OR, NOT and parentheses; a value with spaces or : needs "quotes".'


def syntax(text: str, position: int, detail: str, *, expected: Iterable[str] = (), hint: str = "") -> Exception:
    """The error to raise for a mistake in `text` at the 0-based character `position`."""
    expectations = list(dict.fromkeys(expected))
    sentence = f"{detail} at position {position}"
    if expectations:
        sentence += f"; expected {listed(expectations)}"
    return errors.QuerySyntaxError(
        "query_syntax",
        f"{sentence}.",
        hint or _HINT,
        position=position,
        expected=expectations,
        caret=caret(text, position),
    )


def listed(names: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def caret(text: str, position: int) -> str:
    """Two lines: the line of the query that holds `position`, cut to a readable width, and `^` below the character."""
    start = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
    ends = [end for mark in "\r\n" if (end := text.find(mark, position)) >= 0]
    line, column = text[start : min(ends, default=len(text))], position - start
    if len(line) > _WIDTH:
        first = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
        last = first + _WIDTH
        before, after = _ELLIPSIS * (first > 0), _ELLIPSIS * (last < len(line))
        line, column = before + line[first:last] + after, column - first + len(before)
    # One blank a character, so that the caret stays below its place; a control character could move the cursor.
    shown = "".join(character if character.isprintable() else " " for character in line)
    return f"{shown}\n{' ' * column}^"


def quoted(text: str) -> str:
    """The text as a message shows it: in quotes, cut to a readable length."""
    return repr(text if len(text) <= 40 else text[:40] + _ELLIPSIS)
