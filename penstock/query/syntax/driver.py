"""Runs the tables of the grammar: tells tokens apart and reduces them by rules, in time linear to the text.

Lark makes the tables (scripts/grammar_table.py) and is not there when queries are read: to load it takes 0.1 s, longer
than many an export. What it would do with the same tables is what this does; a test compares them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

END = "$END"
"""The type of the token behind the last one."""


class Token(str):
    """A piece of a query's text.

    Attributes:
        type: the terminal of the grammar that it is.
        start_pos: where it begins, in characters.
    """

    type: str
    start_pos: int

    def __new__(cls, type: str, text: str, *, start_pos: int) -> Token:
        made = super().__new__(cls, text)
        made.type = type
        made.start_pos = start_pos
        return made

    @property
    def end_pos(self) -> int:
        """Where the text goes on."""
        return self.start_pos + len(self)


class Unexpected(Exception):
    """The text goes on otherwise than the grammar can.

    Attributes:
        position: where, in characters.
        token: what was found; None where it is a character that begins no token.
        accepted: the terminals that the grammar takes there.
    """

    def __init__(self, position: int, token: Token | None, accepted: frozenset[str]) -> None:
        super().__init__(position)
        self.position = position
        self.token = token
        self.accepted = accepted


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How symbols become one.

    Attributes:
        origin: the symbol that they become.
        size: how many they are.
        kept: places of those that are handed on.
        name: of the callback.
        is_single: where one is handed on it is taken unchanged, without the callback.
    """

    origin: str
    size: int
    kept: tuple[int, ...]
    name: str
    is_single: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """A grammar.

    Attributes:
        terminals: name and regular expression of each, the first to try first.
        ignored: terminals that may stand anywhere and mean nothing.
        rules: of the grammar.
        states: of the parser; for each symbol the next state, or -1 - the rule that it ends.
        start: the first state.
        end: the last one.
    """

    terminals: Sequence[tuple[str, str]]
    ignored: frozenset[str]
    rules: Sequence[Rule]
    states: Sequence[Mapping[str, int]]
    start: int
    end: int


def tables(kept: Mapping[str, Any]) -> Tables:
    """The tables that scripts/grammar_table.py wrote."""
    return Tables(
        terminals=[(name, pattern) for name, pattern in kept["terminals"]],
        ignored=frozenset(kept["ignored"]),
        rules=[
            Rule(origin=origin, size=size, kept=tuple(places), name=name, is_single=single)
            for origin, size, places, name, single in kept["rules"]
        ],
        states=kept["states"],
        start=kept["start"],
        end=kept["end"],
    )


class Parser:
    """Reads texts by the tables. Safe from several threads.

    Args:
        grammar: the tables.
        callbacks: has a method for each rule's name; takes what the rule hands on.
    """

    def __init__(self, grammar: Tables, callbacks: object) -> None:
        self._tables = grammar
        self._callbacks: list[Callable[..., object]] = [
            _itself if rule.is_single and len(rule.kept) == 1 else getattr(callbacks, rule.name)
            for rule in grammar.rules
        ]
        self._scanners: dict[frozenset[str], re.Pattern[str]] = {}
        self._all = frozenset(name for name, _ in grammar.terminals)
        self._taken = [frozenset(filter(str.isupper, actions)) - {END} for actions in grammar.states]

    def parse(self, text: str) -> object:
        """What the callback of the first rule made of the text.

        Raises:
            Unexpected: the grammar does not go on so.
        """
        states, values, position = [self._tables.start], list[object](), 0
        while True:
            token = self._next(text, position, states)
            position = token.end_pos
            if self._feed(states, values, token):
                return values[-1]

    def _next(self, text: str, position: int, states: list[int]) -> Token:
        """The next token that may stand there, the end included."""
        # What may stand there decides what it is: behind `field:` no field begins, however much it looks like one.
        taken = self._taken[states[-1]]
        position, token = self._match(text, position, taken)
        if token is not None:
            return token
        _, other = self._match(text, position, self._all)
        raise Unexpected(position, other, taken if other is None else self._accepted(states) or taken)

    def _match(self, text: str, position: int, terminals: frozenset[str]) -> tuple[int, Token | None]:
        """Where the next token begins, and the token if it is one of these."""
        if terminals not in self._scanners:
            names = terminals | self._tables.ignored
            parts = [f"(?P<{name}>{pattern})" for name, pattern in self._tables.terminals if name in names]
            self._scanners[terminals] = re.compile("|".join(parts))
        while position < len(text):
            found = self._scanners[terminals].match(text, position)
            if found is None:
                return position, None
            name = str(found.lastgroup)
            if name not in self._tables.ignored:
                return position, Token(name, found[0], start_pos=position)
            position = found.end()
        return position, Token(END, "", start_pos=position)

    def _feed(self, states: list[int], values: list[object], token: Token) -> bool:
        """Takes a token; whether it was the end."""
        while True:
            action = self._tables.states[states[-1]].get(token.type)
            if action is None:
                raise Unexpected(token.start_pos, token, self._accepted(states) or self._taken[states[-1]])
            if action >= 0:
                states.append(action)
                values.append(token)
                return False
            rule = self._tables.rules[-1 - action]
            items = values[len(values) - rule.size :]
            del states[len(states) - rule.size :], values[len(values) - rule.size :]
            values.append(self._callbacks[-1 - action](*(items[place] for place in rule.kept)))
            states.append(self._tables.states[states[-1]][rule.origin])
            if token.type == END and states[-1] == self._tables.end:
                return True

    def _accepted(self, states: list[int]) -> frozenset[str]:
        """The terminals that may stand next; more are in the tables, since states are joined where they are alike."""
        return frozenset(
            symbol
            for symbol in self._tables.states[states[-1]]
            if symbol.isupper() and self._would_take(list(states), symbol)
        )

    def _would_take(self, states: list[int], terminal: str) -> bool:
        while True:
            action = self._tables.states[states[-1]].get(terminal)
            if action is None or action >= 0:
                return action is not None
            rule = self._tables.rules[-1 - action]
            del states[len(states) - rule.size :]
            states.append(self._tables.states[states[-1]][rule.origin])
            if terminal == END and states[-1] == self._tables.end:
                return True


def _itself(value: object) -> object:
    return value
