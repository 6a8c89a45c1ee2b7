"""What runs the grammar's tables does what Lark does with the grammar: the same calls, the same refusals."""

from __future__ import annotations

import importlib.resources
import random
from typing import Any

import pytest

from penstock.query.syntax import driver, grammar

lark = pytest.importorskip("lark")

PIECES = (
    *("a", "b:", "x.y:", "AND", "OR", "NOT", "TO", "(", ")", "[", "]", '"', '"p q"', "/r/", "/", ">", "<=", "1", "*"),
    *(" ", " ", " ", "\n", "{", "}", "\\", "\\:", "-", "!", "&&", ":", "é", "AND(", "a:b", "\u00a0"),
)


class Calls:
    """Stands for the callbacks: gives back which were made."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *given: (name, *map(flat, given))


def flat(value: Any) -> Any:
    return (value.type, str(value), value.start_pos) if hasattr(value, "start_pos") else value


def called(tree: Any) -> Any:
    """A tree of Lark as `Calls` would make it."""
    return flat(tree) if hasattr(tree, "start_pos") else (str(tree.data), *map(called, tree.children))


def by_driver(parser: driver.Parser, text: str) -> Any:
    """Its calls; of a text that it refuses what it found and what it would have taken."""
    try:
        return parser.parse(text)
    except driver.Unexpected as error:
        found = error.position if error.token is None else flat(error.token)
        return (found, set(error.accepted))


def by_lark(parser: Any, text: str) -> Any:
    """The same by Lark."""
    try:
        return called(parser.parse(text))
    except lark.exceptions.UnexpectedToken as error:
        return (flat(error.token), set(error.accepts or error.expected))
    except lark.exceptions.UnexpectedCharacters as error:
        return (error.pos_in_stream, set(error.allowed))


def test_the_driver_does_what_lark_does() -> None:
    source = importlib.resources.files("penstock.query.syntax").joinpath("grammar.lark").read_text("utf-8")
    theirs = lark.Lark(source, parser="lalr", lexer="contextual")
    ours = driver.Parser(grammar.kept_tables(), Calls())
    chance, taken = random.Random(2), 0
    for _ in range(6000):
        text = "".join(chance.choice(PIECES) for _ in range(chance.randint(0, 9)))
        expected, found = by_lark(theirs, text), by_driver(ours, text)
        if isinstance(expected[0], tuple) and expected[0][0] == driver.END:  # Lark's has the last token's place
            assert (found[0][0], found[1]) == (driver.END, expected[1]), text
        else:
            assert found == expected, text
        taken += expected[0] == "start"
    assert taken > 600
