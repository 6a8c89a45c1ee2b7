"""Reads the file that maps columns to fields of ECS: `column = field` a line."""

from __future__ import annotations

import difflib
import re

from penstock import errors
from penstock.fields import registry, types

_LINE = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|(?P<column>[^="#]+?))\s*=\s*"?(?P<field>[^\s"#]+)"?\s*(?:#.*)?')


def parse(text: str) -> dict[str, str]:
    """Dotted column -> field of ECS.

    A line is `column = field`; a column with `=`, `#` or spaces at its ends stands in quotes. `#` begins a comment.

    Raises:
        UsageError: `invalid_map`, naming the line.
        InvalidRequest: `unknown_target`: no field of ECS; `duplicate_target`: two columns for one field.
    """
    found: dict[str, str] = {}
    sources: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        column = (match["quoted"] or match["column"]) if match else ""
        if match is None or column in found:
            what = f"maps {column!r} a second time" if match else "is not `column = field`"
            raise errors.UsageError("invalid_map", f"Line {number} of the map {what}: {line.strip()!r}.", _HINT)
        field = match["field"]
        _check_target(field, number)
        if field in sources:
            raise errors.InvalidRequest(
                "duplicate_target",
                f"Both {sources[field]!r} and {column!r} are mapped to {field!r}.",
                "A field has one column; leave one of the lines out, and that column keeps its own name.",
            )
        found[column], sources[field] = field, column
    return found


_HINT = "Write one line for each column: src_endpoint.ip = source.ip"


def _check_target(field: str, number: int) -> None:
    if field == types.TIMESTAMP:
        raise errors.InvalidRequest(
            "unknown_target", f"Line {number} maps a column to {field!r}.", "Name the column of the time with --time."
        )
    if field not in registry.ECS:
        close = difflib.get_close_matches(field, registry.ECS, 3)
        raise errors.InvalidRequest(
            "unknown_target",
            f"Line {number} maps a column to {field!r}, which is no field of ECS.",
            f"Close to it: {', '.join(close)}." if close else "penstock fields lists them all.",
        )
