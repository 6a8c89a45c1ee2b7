"""The grammar at work: grammar.lark says what a query is made of; the callbacks here check and build its tree."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

from penstock.query import ast
from penstock.query.syntax import driver, parser, refusals, tokens

_EXPECTATIONS = (
    ({"FIELD"}, "a term"),
    ({"WORD", "PHRASE", "REGEX"}, "a value"),
    ({"BOUND"}, "a number, a date or an address"),
    ({"_AND"}, "AND"),
    ({"_OR"}, "OR"),
    ({"_TO"}, "TO"),
    ({"LPAR"}, '"("'),
    ({"RPAR"}, '")"'),
    ({"RSQB"}, '"]"'),
    ({"$END"}, "the end"),
)


def parse(text: str) -> ast.Node:
    """The tree of a query that has terms. Raises as `parser.parse`."""
    try:
        return _closed(_grammar().parse(text)).node  # type: ignore[arg-type]
    except tokens.Mistake as error:
        raise refusals.syntax(text, error.position, error.detail, expected=error.expected, hint=error.hint) from None
    except driver.Unexpected as error:
        raise _unexpected(text, error) from error


@functools.cache
def _grammar() -> driver.Parser:
    # The callbacks run while it parses, so that no tree is built that could be too deep.
    return driver.Parser(kept_tables(), _Builder())


def kept_tables() -> driver.Tables:
    """The grammar as scripts/grammar_table.py wrote it."""
    kept = importlib.resources.files("penstock.query.syntax").joinpath("grammar_table.json").read_text("utf-8")
    return driver.tables(json.loads(kept))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Built:
    """A finished part of the tree, with its size, so that no later step can recurse too deep.

    Attributes:
        node: the part.
        depth: levels of NOT, AND and OR above its deepest term.
        terms: number of its terms.
        position: where it begins.
    """

    node: ast.Node
    depth: int
    terms: int
    position: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Joint:
    """A chain of AND or OR that is still growing.

    Attributes:
        join: makes the node of the items.
        items: so far.
    """

    join: Callable[[Iterable[ast.Node]], ast.Node]
    items: list[_Built]

    def add(self, item: _Built) -> None:
        self.items.append(item)
        # While it grows: at the end, the list of a hostile query would already be there.
        if len(self.items) > parser.MAX_TERMS:
            raise _too_many_terms(item.position)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Value:
    """A test as it was written.

    Attributes:
        test: its meaning.
        token: its first token.
    """

    test: ast.Test
    token: driver.Token


_Part: TypeAlias = _Joint | _Built | _Value


def _too_many_terms(position: int) -> tokens.Mistake:
    return tokens.Mistake(
        position,
        f"The query has more than {parser.MAX_TERMS} terms; the first too many stands",
        hint="Split the search into several.",
    )


def _closed(part: _Part) -> _Built:
    """The finished part; checks that it stays within the bounds."""
    if isinstance(part, _Built):
        return part
    if isinstance(part, _Value):
        position = part.token.start_pos
        node = ast.Term(field=None, test=part.test, position=position)
        return _Built(node=node, depth=0, terms=1, position=position)
    first, *others = part.items
    if not others:
        return first
    built = _Built(
        node=part.join(item.node for item in part.items),
        depth=max(item.depth for item in part.items) + 1,
        terms=sum(item.terms for item in part.items),
        position=first.position,
    )
    if built.terms > parser.MAX_TERMS:
        raise _too_many_terms(others[-1].position)
    return _shallow(built)


def _shallow(built: _Built) -> _Built:
    if built.depth > parser.MAX_DEPTH:
        raise tokens.Mistake(
            built.position,
            f"NOT, AND and OR are nested more than {parser.MAX_DEPTH} deep",
            hint="Write the query with fewer parentheses and NOTs.",
        )
    return built


class _Builder:
    """Callbacks of the grammar, run while it parses. Stateless."""

    def start(self, disjunction: _Joint | None = None) -> _Built:
        if disjunction is None:
            return _Built(node=ast.Everything(), depth=0, terms=0, position=0)
        return _closed(disjunction)

    def disjunction(self, item: _Part) -> _Joint:
        return _Joint(join=ast.any_of, items=[_closed(item)])

    def conjunction(self, item: _Part) -> _Joint:
        return _Joint(join=ast.all_of, items=[_closed(item)])

    def more(self, joint: _Joint, item: _Part) -> _Joint:
        joint.add(_closed(item))
        return joint

    def in_disjunction(self, item: _Joint) -> _Joint:
        return self.disjunction(item)

    def in_conjunction(self, item: _Part) -> _Joint:
        return self.conjunction(item)

    def negation(self, token: driver.Token, item: _Part) -> _Built:
        inner = _closed(item)
        position = token.start_pos
        return _shallow(
            _Built(node=ast.Not(item=inner.node), depth=inner.depth + 1, terms=inner.terms, position=position)
        )

    def field_test(self, field: driver.Token, value: _Value) -> _Built:
        tokens.check_address_without_field(field, value.token)
        position = field.start_pos
        name = tokens.field_name(field)
        # A phrase is taken at its word: quotes are the way to look for something unusual.
        if value.token.type == "WORD":
            tokens.check_address(name, value.token, value.test)
        node = ast.Term(field=name, test=value.test, position=position)
        return _Built(node=node, depth=0, terms=1, position=position)

    def field_group(self, field: driver.Token, group: _Joint) -> _Built:
        built = _closed(group)
        return dataclasses.replace(built, node=_within(tokens.field_name(field), built.node), position=field.start_pos)

    def bare_word(self, token: driver.Token) -> _Built:
        tokens.check_bare_word(token)
        value = self.word(token)
        # A lone `*` means every event, also one without any field.
        if isinstance(value.test, ast.Exists):
            return _Built(node=ast.Everything(), depth=0, terms=1, position=token.start_pos)
        return _closed(value)

    def word(self, token: driver.Token) -> _Value:
        tokens.check_word(token)
        test = ast.like(tokens.pieces(token, str(token), token.start_pos))
        tokens.check_pattern(token, test)
        tokens.check_network(token)
        return _Value(test=test, token=token)

    def phrase(self, token: driver.Token) -> _Value:
        return _Value(test=ast.Equals(text=tokens.phrase_text(token)), token=token)

    def regex(self, token: driver.Token) -> _Value:
        return _Value(test=ast.Regex(pattern=tokens.regex_pattern(token)), token=token)

    def bound(self, token: driver.Token) -> driver.Token:
        text = tokens.phrase_text(token) if token.type == "PHRASE" else str(token)
        return driver.Token("BOUND", text, start_pos=token.start_pos)

    def compare(self, operator: driver.Token, bound: driver.Token) -> _Value:
        tokens.kind(bound)
        return _Value(test=ast.Compare(operator=ast.Operator(str(operator)), bound=str(bound)), token=operator)

    def range(self, low: driver.Token, high: driver.Token) -> _Value:
        ends = [None if str(bound) == "*" else str(bound) for bound in (low, high)]
        kinds = [tokens.kind(bound) for bound in (low, high) if str(bound) != "*"]
        if not kinds:
            return _Value(test=ast.Exists(), token=low)
        if len(kinds) == 2:
            tokens.check_order(low, high, *kinds)
        return _Value(test=ast.Range(low=ends[0], high=ends[1]), token=low)


def _within(field: str, node: ast.Node) -> ast.Node:
    """The node with all its terms on `field`. Its depth is bounded already."""
    match node:
        case ast.Term():
            return dataclasses.replace(node, field=field)
        case ast.Not(item=item):
            return ast.Not(item=_within(field, item))
        case ast.And(items=items):
            return ast.And(items=tuple(_within(field, item) for item in items))
        case ast.Or(items=items):
            return ast.Or(items=tuple(_within(field, item) for item in items))
        case _:
            return node


def _unexpected(text: str, error: driver.Unexpected) -> Exception:
    expected = _expectations(error.accepted)
    if error.token is None:
        found = refusals.quoted(text[error.position])
        return refusals.syntax(text, error.position, f"Found {found}", expected=expected)
    if error.token.type == driver.END:
        return refusals.syntax(text, len(text), "The query ends", expected=expected)
    hint = "Ranges have square brackets, as in [1 TO 5]." if error.token.startswith("{") else ""
    found = refusals.quoted(str(error.token))
    return refusals.syntax(text, error.position, f"Found {found}", expected=expected, hint=hint)


def _expectations(terminals: Iterable[str]) -> list[str]:
    """Words for what the grammar would have taken."""
    names = set(terminals)
    if "_OR" in names:
        names = (names | {"_AND"}) - {"FIELD", "WORD", "PHRASE", "REGEX", "LPAR"}
    if "FIELD" in names:
        names -= {"WORD", "PHRASE", "REGEX", "LPAR", "$END"}
    elif "BOUND" in names:
        names -= {"PHRASE"}
    elif "WORD" in names:
        names -= {"LPAR"}
    return [words for group, words in _EXPECTATIONS if group & names]
