"""Writes a tree back as query text: `parse(unparse(node)) == node` for every tree that the parser can make."""

from __future__ import annotations

import re

from penstock.query import ast

_PLAIN = "_.@-"
_PLAIN_BOUND = re.compile(r"[0-9A-Fa-f][0-9A-Za-z.:+-]*")


def unparse(node: ast.Node) -> str:
    """The text of a query, with as few parentheses as its meaning needs."""
    match node:
        case ast.Everything():
            return "*"
        case ast.Term(field=field, test=test):
            return _test(test) if field is None else f"{_escaped(field)}:{_test(test)}"
        case ast.Not(item=item):
            return f"NOT {_inside(item, ast.And, ast.Or)}"
        case ast.And(items=items):
            return " AND ".join(_inside(item, ast.Or) for item in items)
        case ast.Or(items=items):
            return " OR ".join(unparse(item) for item in items)


def _inside(node: ast.Node, *weaker: type[ast.Node]) -> str:
    return f"({unparse(node)})" if isinstance(node, weaker) else unparse(node)


def _test(test: ast.Test) -> str:
    match test:
        case ast.Exists():
            return "*"
        case ast.Equals(text=text):
            return _phrase(text)
        case ast.Like(parts=parts):
            return "".join(part.value if isinstance(part, ast.Wild) else _escaped(part) for part in parts)
        case ast.Regex(pattern=pattern):
            return f"/{pattern}/"
        case ast.Compare(operator=operator, bound=bound):
            return f"{operator.value}{_bound(bound)}"
        case ast.Range(low=low, high=high):
            return f"[{_bound(low)} TO {_bound(high)}]"


def _phrase(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bound(text: str | None) -> str:
    if text is None:
        return "*"
    return text if _PLAIN_BOUND.fullmatch(text) else _phrase(text)


def _escaped(text: str) -> str:
    """The text as part of a word or a field's name."""
    escaped = "".join(c if c.isalnum() or c in _PLAIN else f"\\{c}" for c in text)
    # A word that begins with `-` is refused by the parser, since other languages mean NOT by it.
    return f"\\{escaped}" if escaped.startswith("-") else escaped
