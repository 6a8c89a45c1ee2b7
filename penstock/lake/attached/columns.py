"""The columns of somebody else's files as fields: their names, their types, their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from penstock.fields import registry, types
from penstock.fields.types import FieldType
from penstock.lake import layout
from penstock.lake.attached import times, values

Path = tuple[str, ...]
"""A column's name, then those of members of structs."""

ORIGINAL = "@timestamp.original"
"""The field of a column `@timestamp` that is not simply the event's @timestamp."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A column that is no struct, or such a member of one.

    Attributes:
        path: where its values are.
        dtype: Polars type in this file.
    """

    path: Path
    dtype: pl.DataType

    @property
    def dotted(self) -> str:
        """Its name."""
        return ".".join(self.path)


def leaves(schema: Mapping[str, pl.DataType]) -> list[Leaf]:
    """All leaves of a file, in the file's order. A struct without members is a leaf."""
    found: list[Leaf] = []

    def walk(path: Path, dtype: pl.DataType) -> None:
        if isinstance(dtype, pl.Struct) and dtype.fields:
            for field in dtype.fields:
                walk((*path, field.name), instance(field.dtype))
        else:
            found.append(Leaf(path, dtype))

    for name, dtype in schema.items():
        walk((name,), dtype)
    return found


def instance(dtype: Any) -> pl.DataType:
    """A type that may be given as its class alone."""
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def column(path: Path) -> pl.Expr:
    """The values of a leaf."""
    found = pl.col(path[0])
    for name in path[1:]:
        found = found.struct.field(name)
    return found


def kind_of(dtype: pl.DataType) -> FieldType:
    """The field type that holds a column's values, whatever they are called."""
    match dtype:
        case pl.Int128() | pl.UInt128() | pl.UInt64():
            return FieldType.JSON  # its numbers may have more than 64 bits
        case pl.Boolean():
            return FieldType.BOOLEAN
        case pl.Decimal():
            # Scale 0 and at most 18 digits: an integer. All others keep their digits as JSON numbers.
            return FieldType.LONG if dtype.scale == 0 and (dtype.precision or 38) <= 18 else FieldType.JSON
        case pl.Datetime():
            return FieldType.DATE
        case pl.Duration():
            return FieldType.LONG
        case pl.List() | pl.Array():
            inner = instance(dtype.inner)
            return FieldType.KEYWORD_LIST if isinstance(inner, _TEXTS) else FieldType.JSON
        case pl.String() | pl.Categorical() | pl.Enum() | pl.Binary() | pl.Date() | pl.Time() | pl.Null():
            return FieldType.KEYWORD
        case _ if dtype.is_integer():
            return FieldType.LONG
        case _ if dtype.is_float():
            return FieldType.DOUBLE
    return FieldType.JSON


_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def type_of(name: str, kinds: Iterable[tuple[FieldType, bool]]) -> FieldType:
    """The type of a field, from the kinds that its column has in the files, each with whether it is of texts.

    A name of ECS makes texts addresses or words. Where files differ in kind it is json: each value stays what it is.
    """
    found = set(kinds)
    if len({kind for kind, _ in found}) > 1:
        return FieldType.JSON
    kind, _ = next(iter(found))
    known = registry.ECS.get(name)
    is_text = all(texts for _, texts in found)
    if kind is FieldType.KEYWORD and is_text and known is not None and known.type in types.STRING_TYPES:
        return known.type
    return kind


def kinds_of(dtype: pl.DataType) -> tuple[FieldType, bool] | None:
    """What `type_of` wants of a column; None of one that is null in all of the file: it has no say."""
    return None if isinstance(dtype, pl.Null) else (kind_of(dtype), isinstance(dtype, _TEXTS))


def named(paths: Iterable[Path], renamed: Mapping[str, str], timestamp: Path | None) -> dict[Path, str]:
    """The field of each leaf, in the leaves' order.

    A leaf is named by its dotted path or by what it is mapped to. Of leaves that would have one name, or one of the
    lake's own, the first keeps it; a later one gets `#2`, `#3` …. The column `@timestamp` gives way to the event's
    time: None in its place says that it is the same.

    Args:
        renamed: dotted column -> field.
        timestamp: the path of the column `@timestamp` whose values are just the events' times; it has no field.
    """
    taken = {types.TIMESTAMP, *types.RESERVED, *renamed.values()}
    found: dict[Path, str] = {}
    for path in paths:
        if path == timestamp:
            continue
        dotted = ".".join(path)
        if dotted in renamed:
            found[path] = renamed[dotted]
            continue
        name = ORIGINAL if dotted == types.TIMESTAMP else dotted
        number = 1
        wanted = name
        while wanted in taken:
            number += 1
            wanted = f"{name}#{number}"
        taken.add(wanted)
        found[path] = wanted
    return found


def expression(leaf: pl.Expr, dtype: pl.DataType, field_type: FieldType) -> pl.Expr:
    """A leaf's values as a field of the type holds them; null where they live in the overflow."""
    if field_type is FieldType.JSON:
        return _json(leaf, dtype)
    target = layout.DTYPES[field_type]
    match dtype:
        case pl.Null():
            return pl.lit(None, target)
        case pl.Binary():
            return leaf.bin.encode("base64")
        case pl.Date():
            return leaf.map_batches(values.dates, return_dtype=pl.String, is_elementwise=True)
        case pl.Time():
            return leaf.map_batches(values.clock_text, return_dtype=pl.String, is_elementwise=True)
        case pl.Duration():
            return leaf.to_physical().cast(pl.Int64)
        case pl.Datetime():
            us = times.expression(leaf, dtype)
            assert us is not None
            return pl.when(~values.misfits(leaf, dtype)).then(us).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        case pl.List() | pl.Array():
            items = leaf if isinstance(dtype, pl.List) else leaf.arr.to_list()
            return pl.when(~values.misfits(leaf, dtype)).then(items.cast(target))
        case _ if dtype.is_float():
            return pl.when(leaf.is_finite()).then(leaf.cast(target))
    return leaf.cast(target)


def _json(leaf: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A leaf's values as JSON text."""
    if dtype.is_integer() or (isinstance(dtype, pl.Decimal)):
        return leaf.cast(pl.String)  # digits are JSON, and these kept all of theirs
    if isinstance(dtype, pl.Null):
        return pl.lit(None, pl.String)
    return leaf.map_batches(values.as_json, return_dtype=pl.String, is_elementwise=True)


def lives_in_overflow(dtype: pl.DataType, field_type: FieldType) -> bool:
    """Whether some of a leaf's values may have to live in the overflow."""
    return field_type is not FieldType.JSON and values.may_misfit(dtype)


def overflow(fields: Sequence[tuple[str, Path]]) -> pl.Expr:
    """The overflow of each row: what these fields have that their types do not hold."""
    members = [column(path).alias(f"{place}") for place, (_, path) in enumerate(fields)]
    judge = values.overflow([name for name, _ in fields])
    return pl.struct(members).map_batches(judge, return_dtype=pl.String, is_elementwise=True)
