"""Regular expressions for Polars: of phrases, wildcards and address ranges; and checks those that users write.

All of them are for Rust's regex crate, which runs in time linear to the text.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence

import polars as pl

from penstock.query import ast, globs, literals

MOST_WORDS = 20
"""Words of a phrase up to which it becomes one regular expression: each gap between words takes 45 KB of the engine's
10 MB."""

LONGEST = 500
"""Characters and `?` up to which a literal or pattern becomes one: in any case of letters, 8,000 are too many."""

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_NO_WORD = r"[^\w]"
_JSON_BETWEEN = r"(?:\\u[0-9a-f]{4}|\\[^u]|[^\w])+"
"""What stands between two words of a string in JSON: escapes, too."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RegexMistake:
    """Why a regular expression cannot be used.

    Attributes:
        position: 0-based character in the pattern.
        reason: in the engine's words.
    """

    position: int
    reason: str


def anchored(pattern: str) -> str:
    """The pattern for the whole value."""
    return f"^(?:{pattern})$"


def regex_mistake(pattern: str) -> RegexMistake | None:
    """What is wrong with a regular expression, or None."""
    # Alone as well: `a)|(b` is broken, but the group that `anchored` adds would close it.
    for candidate in (pattern, anchored(pattern)):
        try:
            pl.Series([""]).str.contains(candidate)
        except pl.exceptions.ComputeError as error:
            message = str(error)
            # The engine prints the pattern indented by four, and a caret below it.
            carets = re.search(r"^    ( *)\^", message, re.MULTILINE)
            reason = re.search(r"error: (.*)", message.partition("\n")[2])
            return RegexMistake(
                position=min(len(carets[1]), len(pattern)) if carets else 0,
                reason=reason[1] if reason else message.partition("\n")[0],
            )
    return None


def escaped(text: str) -> str:
    """The pattern of a literal."""
    return pl.escape_regex(text)


def is_short(parts: Sequence[str | ast.Wild]) -> bool:
    """Whether words, or the parts of a pattern, may be compiled into one regular expression."""
    literal = sum(isinstance(part, str) for part in parts)
    return literal <= MOST_WORDS and sum(1 if isinstance(part, ast.Wild) else len(part) for part in parts) <= LONGEST


def part_of_phrase(literal_words: Sequence[str]) -> str:
    """A pattern for what every text with a long phrase has: its longest words that stand side by side."""
    runs = [literal_words[at : at + MOST_WORDS // 2] for at in range(0, len(literal_words), MOST_WORDS // 2)]
    run = max(runs, key=lambda run: sum(map(len, run)))
    # Words side by side may still be too long together; the longest one alone always fits.
    if is_short(run):
        return phrase(run)
    return f"(?i){escaped(max(run, key=len)[:LONGEST])}"


def words_in_json(literal_words: Sequence[str]) -> str:
    """A pattern for what the JSON of every text has that `words.has_phrase` finds the ASCII words in.

    Without edges, and with escapes between words: JSON writes a line's end as `\\n`, a letter to the engine.
    """
    run = literal_words if is_short(literal_words) else [max(literal_words, key=len)[:LONGEST]]
    return "(?i)" + _JSON_BETWEEN.join(map(escaped, run))


def longest_literal(parts: Sequence[str | ast.Wild]) -> str:
    """A pattern for what every text that fits the parts has; empty where they have no literal."""
    return escaped(max((part for part in parts if isinstance(part, str)), key=len, default="")[:LONGEST])


def like(parts: Sequence[str | ast.Wild]) -> str:
    """What `globs.fits` does: the whole value, case matters."""
    return f"(?s)^{_body(parts)}$"


def phrase(literal_words: Sequence[str]) -> str:
    """What `words.has_phrase` does, for at least one word."""
    is_ascii = all(word.isascii() for word in literal_words)
    body = f"{_NO_WORD}+".join(map(escaped, literal_words))
    return f"(?i){_left_edge(is_ascii)}{body}{_right_edge(is_ascii)}"


def within(parts: Sequence[str | ast.Wild]) -> str:
    """What `globs.has_pattern` does."""
    is_ascii = all(isinstance(part, str) and part.isascii() for part in parts)
    left = _left_edge(is_ascii) if globs.needs_edge(parts[0], 0) else ""
    right = _right_edge(is_ascii) if globs.needs_edge(parts[-1], -1) else ""
    inner = list(parts)
    while inner[0] is ast.Wild.MANY:
        inner.pop(0)
    while inner[-1] is ast.Wild.MANY:
        inner.pop()
    return f"(?is){left}{_body(inner)}{right}"


def _body(parts: Sequence[str | ast.Wild]) -> str:
    wild = {ast.Wild.MANY: ".*", ast.Wild.ONE: "."}
    return "".join(wild[part] if isinstance(part, ast.Wild) else escaped(part) for part in parts)


def _left_edge(is_ascii: bool) -> str:
    """Either form says the same.

    Measured: the boundary keeps the engine's fast search for literals, and takes half the time. But beside letters of
    another script it falls back to the engine's slowest way, so a literal in one takes the plain form.
    """
    return r"\b{start-half}" if is_ascii else f"(?:^|{_NO_WORD})"


def _right_edge(is_ascii: bool) -> str:
    return r"\b{end-half}" if is_ascii else f"(?:$|{_NO_WORD})"


# The same range is compiled for each file's columns.
@functools.lru_cache(maxsize=256)
def ipv4(first: int, last: int) -> str:
    """The pattern of all IPv4 addresses from `first` to `last`, as `literals.address` reads them."""
    prefixes = "|".join(literals.MAPPED_PREFIXES)
    return f"^(?:{prefixes})?{_octets(first.to_bytes(4, 'big'), last.to_bytes(4, 'big'))}$"


def _octets(first: bytes, last: bytes) -> str:
    """Octets from `first` to `last`, compared as big-endian numbers."""
    rest = len(first) - 1
    if first == bytes(rest + 1) and last == b"\xff" * (rest + 1):
        return r"\.".join([_OCTET] * (rest + 1))
    if rest == 0:
        return _one_of(first[0], last[0])
    if first[0] == last[0]:
        return rf"{first[0]}\.{_octets(first[1:], last[1:])}"
    low, high, branches = first[0], last[0], []
    if first[1:] != bytes(rest):
        branches.append(rf"{low}\.{_octets(first[1:], bytes([255] * rest))}")
        low += 1
    if last[1:] != bytes([255] * rest):
        branches.append(rf"{high}\.{_octets(bytes(rest), last[1:])}")
        high -= 1
    if low <= high:
        branches.append(rf"{_one_of(low, high)}\.{_octets(bytes(rest), bytes([255] * rest))}")
    return f"(?:{'|'.join(branches)})"


def _one_of(low: int, high: int) -> str:
    return _OCTET if (low, high) == (0, 255) else f"(?:{'|'.join(map(str, range(low, high + 1)))})"
