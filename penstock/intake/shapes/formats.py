"""The shapes of sources: their names, and how one is told by the first bytes of its text."""

from __future__ import annotations

import csv
import enum
import re

from penstock.intake.shapes import objects

LOOK_BYTES = 64 * 1024
"""Text that is looked at, if there is so much, before a source is said to be of a shape."""

RECORDS_NAMES = ("Records", "records")
DELIMITERS = (",", "\t", ";", "|")


class Format(enum.StrEnum):
    """What a source holds, by the name that `--format` takes."""

    JSON_LINES = "json-lines"
    JSON = "json"
    BULK = "bulk"
    SEARCH = "search"
    ELASTICDUMP = "elasticdump"
    RECORDS = "records"
    ZEEK = "zeek"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"

    @property
    def called(self) -> str:
        """What messages call it."""
        return _TITLES[self]


_TITLES = {
    Format.JSON_LINES: "JSON Lines",
    Format.JSON: "JSON documents",
    Format.BULK: "the body of an Elasticsearch _bulk request",
    Format.SEARCH: "answers to an Elasticsearch search",
    Format.ELASTICDUMP: "a dump of an Elasticsearch index",
    Format.RECORDS: 'events under "Records"',
    Format.ZEEK: "a Zeek log",
    Format.CSV: "CSV with a header",
    Format.TSV: "TSV with a header",
    Format.PARQUET: "Parquet",
}

_STRING = rb'"(?:[^"\\]|\\.)*"'
ACTION = re.compile(
    rb'\s*\{\s*"(index|create|update|delete)"\s*:\s*\{(?:[^{}"]|%b|\{(?:[^{}"]|%b)*\})*\}\s*\}\s*' % (_STRING, _STRING)
)
"""A line of a `_bulk` body that says what to do with the line behind it."""

_ABOUT_A_SEARCH = frozenset(("took", "timed_out", "_shards", "_scroll_id", "pit_id"))
_PLAIN_NAME = re.compile(r"[A-Za-z_@][\w@.:/#-]{0,99}")
_PACKED = re.compile(r"\.(?:gz|zst|zstd|bz2|xz)$", re.IGNORECASE)
_LIST_OF_OBJECTS = re.compile(r"\[\s*(?:\{|\]|$)")


def of_text(name: str, text: bytes) -> Format:
    """The shape of a text that begins with `text`, a part that has no blanks in front.

    `JSON` is said here only of arrays and of objects glued to one long line: whether a document goes over several lines
    is for the reader to find out, who can read on.

    Args:
        name: the source's. Its suffix tells tables whose header alone would not.
    """
    if text.startswith(b"["):
        first = text[1:].lstrip()
        content = first.decode(errors="replace")
        is_dump = first.startswith(b"{") and objects.is_hit(content, objects.members(content)[0])
        return Format.ELASTICDUMP if is_dump else Format.JSON
    if text.startswith(b"{"):
        return _of_object(text)
    if text.startswith((b"#separator ", b"#fields\t")):
        return Format.ZEEK
    return table(name, text) or Format.JSON_LINES


def _of_object(text: bytes) -> Format:
    line, _, rest = text.partition(b"\n")
    action = ACTION.fullmatch(line)
    if action is not None and (action[1] == b"delete" or rest.lstrip().startswith(b"{")):
        return Format.BULK
    content = text.decode(errors="replace")
    found, end = objects.members(content)
    if not found:
        return Format.JSON_LINES
    by_name = {member.name: member for member in found}
    is_alone = len(found) == 1  # another member would be lost with the envelope
    if is_alone and found[0].name in RECORDS_NAMES and _LIST_OF_OBJECTS.match(content, found[0].start):
        return Format.RECORDS
    hits = by_name.get("hits")
    if hits is not None and content.startswith("{", hits.start) and not _ABOUT_A_SEARCH.isdisjoint(by_name):
        return Format.SEARCH
    if objects.is_hit(content, found):
        return Format.ELASTICDUMP
    is_one_line = not rest and len(text) >= LOOK_BYTES
    is_glued = end is not None and content[end:].lstrip(" \t\r").startswith("{")
    return Format.JSON if is_one_line and is_glued else Format.JSON_LINES


def table(name: str, text: bytes) -> Format | None:
    """CSV or TSV, if the source is called so, or if the first line is plainly a header and the second a row."""
    suffix = _PACKED.sub("", name).lower()
    if suffix.endswith(".csv"):
        return Format.CSV
    if suffix.endswith((".tsv", ".tab")):
        return Format.TSV
    lines = text.decode(errors="replace").splitlines()[:2]
    if len(lines) < 2:
        return None
    by = delimiter(lines[0])
    header, row = (_cells(line, by) for line in lines)
    is_plain = len(header) > 1 and all(map(_PLAIN_NAME.fullmatch, header)) and len(set(header)) == len(header)
    if not is_plain or len(row) != len(header):
        return None
    return Format.TSV if by == "\t" else Format.CSV


def _cells(line: str, by: str) -> list[str]:
    """The cells of one line, each by itself: a quote that is not closed must not swallow the next."""
    try:
        return next(csv.reader([line], delimiter=by), [])
    except csv.Error:
        return []


def delimiter(header: str) -> str:
    """What parts the names of a header: the commonest of DELIMITERS."""
    return max(DELIMITERS, key=header.count)
