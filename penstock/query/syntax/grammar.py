"""The grammar at work: grammar.lark says what a query is made of; the callbacks here check and build its tree."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import lark
from lark import grammar as lark_grammar
from lark import lexer

from penstock.query import ast
from penstock.query.syntax import parser, refusals, tokens

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
    except lark.exceptions.UnexpectedToken as error:
        raise _unexpected_token(text, error) from error
    except lark.exceptions.UnexpectedCharacters as error:
        raise _unexpected_character(text, error) from error


@functools.cache
def _grammar() -> lark.Lark:
    """The parser, from its tables: 6 ms, where building them takes 100."""
    kept = json.loads(_resource("grammar_table.json"))
    is_current = kept["made_of"] == table_source()
    tables, memo = _unpacked(kept["tables"]) if is_current else built_tables()  # another version of Lark is installed
    # What parsers that Lark generates begin with. The transformer runs while parsing, so that no tree is built that
    # could be too deep.
    made: lark.Lark = lark.Lark._load_from_dict(  # type: ignore[no-untyped-call]
        tables, memo, transformer=_Builder()
    )
    return made


def table_source() -> str:
    """What the tables depend on: the grammar and the version of Lark."""
    return f"lark {lark.__version__}, {hashlib.sha256(_resource('grammar.lark').encode()).hexdigest()}"


def table_text() -> str:
    """What grammar_table.json holds; scripts/grammar_table.py writes it."""
    kept = {"made_of": table_source(), "tables": _packed(built_tables())}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n"


def _resource(name: str) -> str:
    return importlib.resources.files("penstock.query.syntax").joinpath(name).read_text("utf-8")


def _packed(value: Any) -> Any:
    """Values as JSON has them: dicts and tuples become lists that say what they are."""
    if isinstance(value, dict):
        return ["dict", *([_packed(key), _packed(held)] for key, held in value.items())]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(_packed, value)]
    return value


def _unpacked(value: Any) -> Any:
    """What `_packed` packed."""
    if not isinstance(value, list):
        return value
    kind, *items = value
    if kind == "dict":
        return {_unpacked(key): _unpacked(held) for key, held in items}
    return tuple(map(_unpacked, items)) if kind == "tuple" else list(map(_unpacked, items))


def built_tables() -> tuple[dict[str, Any], dict[int, Any]]:
    """The tables of the grammar, and what they refer to by number."""
    # LALR: time linear to the text.
    made = lark.Lark(_resource("grammar.lark"), parser="lalr", lexer="contextual")
    tables, memo = made.memo_serialize([lexer.TerminalDef, lark_grammar.Rule])
    return tables, memo


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
    token: lark.Token


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
        position = part.token.start_pos or 0
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


@lark.v_args(inline=True)
class _Builder(lark.Transformer[lark.Token, object]):
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

    def negation(self, token: lark.Token, item: _Part) -> _Built:
        inner = _closed(item)
        position = token.start_pos or 0
        return _shallow(
            _Built(node=ast.Not(item=inner.node), depth=inner.depth + 1, terms=inner.terms, position=position)
        )

    def field_test(self, field: lark.Token, value: _Value) -> _Built:
        tokens.check_address_without_field(field, value.token)
        position = field.start_pos or 0
        name = tokens.field_name(field)
        # A phrase is taken at its word: quotes are the way to look for something unusual.
        if value.token.type == "WORD":
            tokens.check_address(name, value.token, value.test)
        node = ast.Term(field=name, test=value.test, position=position)
        return _Built(node=node, depth=0, terms=1, position=position)

    def field_group(self, field: lark.Token, group: _Joint) -> _Built:
        built = _closed(group)
        return dataclasses.replace(
            built, node=_within(tokens.field_name(field), built.node), position=field.start_pos or 0
        )

    def bare_word(self, token: lark.Token) -> _Built:
        tokens.check_bare_word(token)
        value = self.word(token)
        # A lone `*` means every event, also one without any field.
        if isinstance(value.test, ast.Exists):
            return _Built(node=ast.Everything(), depth=0, terms=1, position=token.start_pos or 0)
        return _closed(value)

    def word(self, token: lark.Token) -> _Value:
        tokens.check_word(token)
        test = ast.like(tokens.pieces(token, str(token), token.start_pos or 0))
        tokens.check_pattern(token, test)
        tokens.check_network(token)
        return _Value(test=test, token=token)

    def phrase(self, token: lark.Token) -> _Value:
        return _Value(test=ast.Equals(text=tokens.phrase_text(token)), token=token)

    def regex(self, token: lark.Token) -> _Value:
        return _Value(test=ast.Regex(pattern=tokens.regex_pattern(token)), token=token)

    def bound(self, token: lark.Token) -> lark.Token:
        text = tokens.phrase_text(token) if token.type == "PHRASE" else str(token)
        return lark.Token("BOUND", text, start_pos=token.start_pos)

    def compare(self, operator: lark.Token, bound: lark.Token) -> _Value:
        tokens.kind(bound)
        return _Value(test=ast.Compare(operator=ast.Operator(str(operator)), bound=str(bound)), token=operator)

    def range(self, low: lark.Token, high: lark.Token) -> _Value:
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


def _unexpected_token(text: str, error: lark.exceptions.UnexpectedToken) -> Exception:
    # `accepts` knows what is possible at this very place, where lark could tell; `expected` is wider.
    expected = _expectations(error.accepts or error.expected)
    if error.token.type == "$END":
        return refusals.syntax(text, len(text), "The query ends", expected=expected)
    position = error.token.start_pos or 0
    hint = "Ranges have square brackets, as in [1 TO 5]." if error.token.startswith("{") else ""
    return refusals.syntax(text, position, f"Found {refusals.quoted(str(error.token))}", expected=expected, hint=hint)


def _unexpected_character(text: str, error: lark.exceptions.UnexpectedCharacters) -> Exception:
    position = error.pos_in_stream or 0
    found = refusals.quoted(text[position])
    return refusals.syntax(text, position, f"Found {found}", expected=_expectations(error.allowed or ()))


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
