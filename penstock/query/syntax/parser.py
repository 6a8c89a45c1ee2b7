"""Reads a query text into a tree. What needs the grammar lies in `grammar`, loaded for a text that has terms."""

from __future__ import annotations

import importlib

from penstock.query import ast
from penstock.query.syntax import refusals

MAX_BYTES = 64 * 1024
"""Longest query text, in UTF-8."""

MAX_TERMS = 500
"""Most terms in a query."""

MAX_DEPTH = 100
"""Deepest nesting of NOT, AND and OR."""


def parse(text: str) -> ast.Node:
    """The tree of a query; an empty text matches everything. Safe from several threads.

    Raises:
        QuerySyntaxError: `query_syntax`, with `position`, `expected` and `caret`.
    """
    _check_text(text)
    if not text or text.isspace():
        return ast.Everything()
    # Lark and the grammar take longer to load than most commands have to do, and most exports have no query.
    node: ast.Node = importlib.import_module("penstock.query.syntax.grammar").parse(text)
    return node


def _check_text(text: str) -> None:
    try:
        # Bytes, as the limit of a request's body counts; a query is stored with its job.
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise refusals.syntax(text, error.start, "Found half of a surrogate pair, which is no character,") from error
    if size > MAX_BYTES:
        raise refusals.syntax(
            text[:MAX_BYTES],
            len(text.encode()[:MAX_BYTES].decode(errors="ignore")),
            f"The query has {size:,} bytes; at most {MAX_BYTES:,} are read, up to the character",
            hint="Split the search, or ask with fewer values.",
        )
