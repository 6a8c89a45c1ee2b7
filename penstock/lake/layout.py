"""How field types lie in the lake: as Delta columns, as Polars columns, and what a file's columns weigh."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import deltalake
import orjson
import polars as pl
from deltalake import schema as delta

from penstock.base import later
from penstock.fields import types, values
from penstock.fields.types import FieldType

if TYPE_CHECKING:
    import numpy as np
else:
    np = later.numpy  # loads when it is used

TYPE_KEY = "penstock.type"
"""Member of a Delta field's metadata that holds its FieldType."""

WEIGHT_KEY = "penstock.weight"
"""Member of a Parquet file's metadata that holds what its columns weigh."""

CELLS_KEY = "penstock.cells"
"""Member of a Parquet file's metadata that holds where its cells begin and their times."""

OVERFLOW_NAMES_KEY = "penstock.overflow_names"
"""Member of a Parquet file's metadata that holds the names of the fields in its overflow, as a JSON list."""

BLOCK_ROWS = 16_384
"""Rows of a block, the grain of the weights."""

_GAP_US = 3_600_000_000
"""A silence this long begins a new cell: events that came in late lie far from the others of their file."""

_MAX_GAPS = 32

_HEAVY_BYTES_A_ROW = 64

TIMESTAMP_DTYPE = pl.Datetime("us", "UTC")

DTYPES: Mapping[FieldType, pl.DataType] = {
    FieldType.KEYWORD: pl.String(),
    FieldType.TEXT: pl.String(),
    FieldType.IP: pl.String(),
    FieldType.LONG: pl.Int64(),
    FieldType.DOUBLE: pl.Float64(),
    FieldType.BOOLEAN: pl.Boolean(),
    FieldType.DATE: TIMESTAMP_DTYPE,
    FieldType.KEYWORD_LIST: pl.List(pl.String()),
    FieldType.JSON: pl.String(),
}

_STRING = delta.PrimitiveType("string")

_DELTA_TYPES: Mapping[FieldType, delta.PrimitiveType | delta.ArrayType] = {
    FieldType.KEYWORD: _STRING,
    FieldType.TEXT: _STRING,
    FieldType.IP: _STRING,
    FieldType.LONG: delta.PrimitiveType("long"),
    FieldType.DOUBLE: delta.PrimitiveType("double"),
    FieldType.BOOLEAN: delta.PrimitiveType("boolean"),
    FieldType.DATE: delta.PrimitiveType("timestamp"),
    FieldType.KEYWORD_LIST: delta.ArrayType(_STRING, contains_null=True),
    FieldType.JSON: _STRING,
}


def delta_field(name: str, field_type: FieldType) -> deltalake.Field:
    """The Delta field that records the column and its field type."""
    return deltalake.Field(name, _DELTA_TYPES[field_type], metadata={TYPE_KEY: field_type.value})


def initial_schema() -> deltalake.Schema:
    """The columns every table starts with. The first two are the ones whose statistics Delta keeps."""
    # These two first: `dataSkippingNumIndexedCols` counts columns from the beginning.
    overflow = deltalake.Field(types.OVERFLOW, _STRING)
    return deltalake.Schema([delta_field(types.TIMESTAMP, FieldType.DATE), overflow])


def recorded_types(schema: deltalake.Schema) -> dict[str, FieldType]:
    """The field types that a Delta schema records, reserved columns left out."""
    return {f.name: FieldType(f.metadata[TYPE_KEY]) for f in schema.fields if f.name not in types.RESERVED}


def dtype(name: str, columns: Mapping[str, FieldType]) -> pl.DataType:
    """The Polars type of a column, the overflow included."""
    return pl.String() if name == types.OVERFLOW else DTYPES[columns[name]]


def weigh(frame: pl.DataFrame) -> str:
    """What the columns weigh uncompressed, as JSON: in all, and block by block where they are heavy."""
    totals = {series.name: _bytes(series) for series in frame}
    starts = range(0, frame.height, BLOCK_ROWS)
    heavy = {
        name: [_bytes(frame[name].slice(start, BLOCK_ROWS)) for start in starts]
        for name, total in totals.items()
        if total >= _HEAVY_BYTES_A_ROW * frame.height
    }
    return json.dumps({"totals": totals, "heavy": heavy}, separators=(",", ":"))


def frame_bytes(frame: pl.DataFrame) -> int:
    """What a frame weighs in all, as `weigh` counts."""
    return sum(_bytes(series) for series in frame)


def _bytes(series: pl.Series) -> int:
    """Bytes of a column: 8 a row; 16 a string, as a view takes, and its text on top."""
    if series.dtype == pl.String:
        # As UInt64: the sum of a column's lengths may exceed the 32 bits of its items.
        return 16 * len(series) + int(series.str.len_bytes().cast(pl.UInt64).sum())
    if isinstance(series.dtype, pl.List):
        return 8 * len(series) + _bytes(series.explode(empty_as_null=False, keep_nulls=False))
    return 8 * len(series)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """Rows [start, end) of a file, and the first and last instant among them."""

    start: int
    end: int
    first_us: int
    last_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Footer:
    """What Penstock wrote into a file's metadata.

    Attributes:
        weight: what `weigh` gave.
        cells: the file's rows by time; empty for a file of version 0.1.
    """

    weight: str
    cells: tuple[Cell, ...]


def read_footer(location: str, rows: int) -> Footer:
    """The footer of a file of so many rows."""
    metadata = pl.read_parquet_metadata(location)
    if CELLS_KEY not in metadata:
        return Footer(weight=metadata[WEIGHT_KEY], cells=())
    known = json.loads(metadata[CELLS_KEY])
    ends = [*known["rows"][1:], rows]
    made = (
        Cell(start=start, end=end, first_us=first, last_us=last)
        for start, end, first, last in zip(known["rows"], ends, known["first"], known["last"], strict=True)
    )
    return Footer(weight=metadata[WEIGHT_KEY], cells=tuple(made))


def cells(timestamps: pl.Series, group_rows: int) -> str:
    """Where a sorted file's cells begin, and the first and last instant of each, as JSON.

    A cell is a row group, or a part of one where a long silence cuts it. Plans look at cells, so that one event from
    last year does not make a file of today overlap all files between.
    """
    instants = timestamps.to_physical().to_numpy()
    gaps = np.diff(instants)
    far = np.flatnonzero(gaps > _GAP_US)
    # The widest ones only: a file of sparse events would else have as many cells as rows.
    widest = far[np.argsort(gaps[far])[-_MAX_GAPS:]] + 1
    starts = sorted({*range(0, len(instants), group_rows), *widest.tolist()})
    ends = [*starts[1:], len(instants)]
    found = {
        "rows": starts,
        "first": [int(instants[start]) for start in starts],
        "last": [int(instants[end - 1]) for end in ends],
    }
    return json.dumps(found, separators=(",", ":"))


def overflow_names(overflow: pl.Series) -> frozenset[str]:
    """The names of the fields that an overflow column holds."""
    names: set[str] = set()
    for text in overflow.drop_nulls().to_list():
        try:
            # Names only are wanted, and this parser is the faster one; what it refuses goes to ours.
            names.update(orjson.loads(text))
        except orjson.JSONDecodeError:  # lone surrogates, numbers beyond a double
            names.update(values.loads(text))
    return frozenset(names)


def read_overflow_names(location: str) -> frozenset[str] | None:
    """The names that a file's metadata gives; None for a file of version 0.1, which has none."""
    stored = pl.read_parquet_metadata(location).get(OVERFLOW_NAMES_KEY)
    return None if stored is None else frozenset(json.loads(stored))


def block_weights(weight: str, rows: int, fields: Collection[str] | None) -> list[int]:
    """Bytes of `fields` (None: of all columns) in each block of a file, from what `weigh` wrote."""
    known = json.loads(weight)
    # Rounded up: the last block may be a short one.
    blocks = -(-rows // BLOCK_ROWS)
    light = 0
    result = [0] * blocks
    for name, total in known["totals"].items():
        if fields is not None and name not in fields and name != types.OVERFLOW:
            continue
        if name in known["heavy"]:
            result = [a + b for a, b in zip(result, known["heavy"][name], strict=True)]
        else:
            light += total
    even = light / rows if rows else 0.0
    return [b + int(even * min(BLOCK_ROWS, rows - i * BLOCK_ROWS)) for i, b in enumerate(result)]
