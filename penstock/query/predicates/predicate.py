"""Turns a query into a Polars expression that reads only the columns it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from penstock.fields import types
from penstock.query import ast
from penstock.query.predicates import columns, logic, overflow


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Predicate:
    """A query, ready to filter a frame of one table.

    Attributes:
        expression: what `filter` takes; a null counts as false. None: everything matches.
        columns: the columns that the expression reads, `_overflow` included; every one of them must be in the frame.
    """

    expression: pl.Expr | None
    columns: frozenset[str]


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
    return Predicate(expression=compiler.node(node), columns=frozenset(compiler.read))


class _Compiler:
    """Builds an expression and notes the columns that it reads.

    Terms may be null, which AND and OR treat as they treat false; only NOT has to know, and fills it. So a term of a
    conjunction stays in a form from which the scan can skip row groups by their statistics.
    """

    def __init__(self, field_types: Mapping[str, types.FieldType]) -> None:
        self._types = {name: kind for name, kind in field_types.items() if name not in types.RESERVED}
        self._has_overflow = types.OVERFLOW in field_types
        self.read: set[str] = set()

    def node(self, node: ast.Node) -> pl.Expr:
        match node:
            case ast.Not(item=item):
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
                    literals.setdefault(field, []).append(test)
                case _:
                    others.append(item)
        expressions = [self._field(field, tests) for field, tests in literals.items()]
        return _sure(logic.any_of([*expressions, *map(self.node, others)]))

    def _field(self, field: str, tests: Sequence[ast.Test]) -> pl.Expr:
        """Whether the field has a value that satisfies one of the tests."""
        field_type = self._types.get(field)
        found = [self._typed(field, field_type, tests)]
        if self._has_overflow:
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
        found = [self._typed(field, field_type, [test]) for field, field_type in self._types.items()]
        if self._has_overflow:
            self.read.add(types.OVERFLOW)
            found.append(overflow.any_field(test, self._types))
        return _sure(logic.any_of(found))


def _sure(expression: pl.Expr | None) -> pl.Expr:
    """The expression; false where nothing can match."""
    return pl.lit(False) if expression is None else expression
