"""Turns a query into a Polars expression that reads only the columns it needs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from penstock.fields import types
from penstock.query import ast, needles
from penstock.query.predicates import columns, logic, overflow, sought


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Predicate:
    """A query, ready to filter a frame of one table.

    Attributes:
        expression: what `filter` takes; a null counts as false. None: everything matches.
        columns: the columns that the expression reads, `_overflow` included; every one of them must be in the frame.
        origin: what it was compiled from; None: `within` gives it back unchanged.
        sought: what each matching row must contain, as far as that is known, each enough by itself; set by `within`.
    """

    expression: pl.Expr | None
    columns: frozenset[str]
    origin: Origin | None = dataclasses.field(default=None, repr=False, compare=False)
    sought: tuple[sought.Sought, ...] = ()

    def within(self, held: frozenset[str], overflow_names: frozenset[str]) -> Predicate:
        """The same query for files that have values in the columns `held` alone, and in their overflow these names.

        So a table of thousands of columns costs what the files at hand have. Equal arguments are compiled once.
        """
        if self.origin is None or self.expression is None:
            return self
        return self.origin.compiled(self.columns & held, self.origin.overflow_fields(overflow_names))

    def looks_at(self, held: frozenset[str], overflow_names: frozenset[str]) -> bool:
        """Whether it reads anything of files with these columns and these names in the overflow."""
        if self.origin is None or not self.columns.isdisjoint(held):
            return True
        return types.OVERFLOW in self.columns and bool(self.origin.overflow_fields(overflow_names))

    @property
    def requirement(self) -> needles.Requirement | None:
        """What every row group with a match meets; None where nothing is known, or it was compiled for some files."""
        return None if self.origin is None else self.origin.requirement

    @property
    def anywhere(self) -> frozenset[tuple[str, ...]] | None:
        """For each term without a field the literals of which every value that satisfies it has all (`sought`).

        None where nothing is known, or it was compiled for some files.
        """
        return None if self.origin is None else self.origin.anywhere

    @property
    def named(self) -> frozenset[str]:
        """Fields that its terms name, where `anywhere` is known."""
        return frozenset() if self.origin is None else self.origin.named

    @property
    def constant(self) -> bool | None:
        """What it says of every event, where it reads no column: all match, or none. None: it depends on the event."""
        if self.expression is None:
            return True
        return None if self.columns else bool(pl.select(self.expression).item())


class Origin:
    """A query and the columns of its table, from which predicates for some files are compiled."""

    def __init__(self, node: ast.Node, columns: Mapping[str, types.FieldType]) -> None:
        self._node = node
        self._columns = columns
        self._fields = _fields(node)
        self._compiled: dict[tuple[frozenset[str], frozenset[str]], Predicate] = {}

    @functools.cached_property
    def requirement(self) -> needles.Requirement | None:
        """What every row group with a match meets."""
        return needles.required(self._node, self._columns)

    @functools.cached_property
    def anywhere(self) -> frozenset[tuple[str, ...]] | None:
        """The literals of the terms without a field."""
        return sought.anywhere(self._node)

    @functools.cached_property
    def named(self) -> frozenset[str]:
        """The fields of the other terms."""
        return frozenset(term.field for term in ast.terms(self._node) if term.field is not None)

    def overflow_fields(self, names: frozenset[str]) -> frozenset[str]:
        """Which of the names in an overflow the query looks at; of a term without a field `_ANY` stands for all."""
        if self._fields is None:
            return _ANY if names else names
        return names & self._fields

    def compiled(self, held: frozenset[str], overflow_names: frozenset[str]) -> Predicate:
        """The predicate for files with these columns and names. Several threads may compile one twice: no harm."""
        key = (held, overflow_names)
        if key not in self._compiled:
            # All at once: a table whose files differ so much gains little from any order of eviction.
            if len(self._compiled) >= _MOST_COMPILED:
                self._compiled.clear()
            compiler = _Compiler(self._columns, held, overflow_names)
            made = Predicate(
                expression=compiler.node(self._node),
                columns=frozenset(compiler.read),
                sought=self._sought(held, overflow_names, compiler.read),
            )
            # True for all: without an expression the scan reads no column for it.
            self._compiled[key] = Predicate(expression=None, columns=made.columns) if made.constant else made
        return self._compiled[key]

    def _sought(
        self, held: frozenset[str], overflow_names: frozenset[str], columns: set[str]
    ) -> tuple[sought.Sought, ...]:
        # Of `_ANY` names nobody knows which: any field may have its value there.
        known = frozenset[str]() if overflow_names >= _ANY else held - overflow_names
        kinds = {name: self._columns[name] for name in known if name in self._columns}

        def read(term: ast.Node) -> set[str]:
            if term is self._node:
                return columns
            compiler = _Compiler(self._columns, held, overflow_names)
            compiler.node(term)
            return compiler.read

        def elsewhere(term: ast.Node) -> sought.Elsewhere:
            return lambda names: _Compiler(self._columns, frozenset(names), frozenset()).node(term)

        return sought.of_fields(self._node, kinds) + sought.of_any_field(self._node, read, elsewhere)


_MOST_COMPILED = 256
_ANY = frozenset({""})


def compile(node: ast.Node, columns: Mapping[str, types.FieldType]) -> Predicate:
    """The predicate of a query for a table with these columns.

    Args:
        node: the query.
        columns: the table's columns and their types. `_overflow` among them (of any type) says that some rows may
            have one; leave it out where none has, and the predicate can be free of Python.
    """
    if isinstance(node, ast.Everything):
        return Predicate(expression=None, columns=frozenset())
    compiler = _Compiler(columns)
    expression = compiler.node(node)
    return Predicate(expression=expression, columns=frozenset(compiler.read), origin=Origin(node, columns))


def _fields(node: ast.Node) -> frozenset[str] | None:
    """The fields that a query names; None if one of its terms looks at all fields."""
    match node:
        case ast.Not(item=item):
            return _fields(item)
        case ast.And(items=items) | ast.Or(items=items):
            found = [_fields(item) for item in items]
            return None if None in found else frozenset().union(*(one for one in found if one is not None))
        case ast.Term(field=field):
            return None if field is None else frozenset({field})
    return frozenset()


class _Compiler:
    """Builds an expression and notes the columns that it reads.

    Terms may be null, which AND and OR treat as they treat false; only NOT has to know, and fills it. So a term of a
    conjunction stays in a form from which the scan can skip row groups by their statistics.
    """

    def __init__(
        self,
        field_types: Mapping[str, types.FieldType],
        held: frozenset[str] | None = None,
        overflow_names: frozenset[str] | None = None,
    ) -> None:
        """`held`: the columns that may have values; `overflow_names`: what the overflow may hold. None: all."""
        self._types = {name: kind for name, kind in field_types.items() if name not in types.RESERVED}
        self._columns = (
            self._types if held is None else {name: self._types[name] for name in self._types if name in held}
        )
        self._has_overflow = types.OVERFLOW in field_types
        self._overflow_names = overflow_names
        self.read: set[str] = set()

    def node(self, node: ast.Node) -> pl.Expr:
        match node:
            case ast.Not(item=item):
                # NOT of null is null, and the event would be lost: an absent field must match NOT.
                return ~self.node(item).fill_null(False)
            case ast.And(items=items):
                return _sure(logic.all_of(map(self.node, items)))
            case ast.Or(items=items):
                return self._or(items)
            case ast.Term(field=None, test=test):
                return self._any_field(test)
            case ast.Term(field=field, test=test):
                return self._field(str(field), [test])
        return pl.lit(True)

    def _or(self, items: Iterable[ast.Node]) -> pl.Expr:
        """OR, where all the literals that one field may equal are looked up at once."""
        literals: dict[str, list[ast.Test]] = {}
        others: list[ast.Node] = []
        for item in items:
            match item:
                case ast.Term(field=str(field), test=ast.Equals() as test):
                    # So that hundreds of values pasted with OR become one look-up, see `columns.one_of`.
                    literals.setdefault(field, []).append(test)
                case _:
                    others.append(item)
        expressions = [self._field(field, tests) for field, tests in literals.items()]
        return _sure(logic.any_of([*expressions, *map(self.node, others)]))

    def _field(self, field: str, tests: Sequence[ast.Test]) -> pl.Expr:
        """Whether the field has a value that satisfies one of the tests."""
        field_type = self._types.get(field)
        found = [self._typed(field, self._columns.get(field), tests)]
        names = self._overflow_names
        if self._has_overflow and (names is None or field in names or names >= _ANY):
            self.read.add(types.OVERFLOW)
            found.append(overflow.expression(tests, field, field_type))
        return _sure(logic.any_of(found))

    def _typed(self, field: str, field_type: types.FieldType | None, tests: Sequence[ast.Test]) -> pl.Expr | None:
        if field_type is None:
            return None
        column = pl.col(field)
        if len(tests) == 1:
            found = columns.expression(tests[0], field_type, column)
        else:
            texts = [test.text for test in tests if isinstance(test, ast.Equals)]
            found = columns.one_of(texts, field_type, column)
        if found is not None:
            self.read.add(field)
        return found

    def _any_field(self, test: ast.Test) -> pl.Expr:
        found = [self._typed(field, field_type, [test]) for field, field_type in self._columns.items()]
        if self._has_overflow and (self._overflow_names is None or self._overflow_names):
            self.read.add(types.OVERFLOW)
            found.append(overflow.any_field(test, self._types))
        return _sure(logic.any_of(found))


def _sure(expression: pl.Expr | None) -> pl.Expr:
    """The expression; false where nothing can match."""
    return pl.lit(False) if expression is None else expression
