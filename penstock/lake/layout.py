"""How field types lie in the lake: as Delta columns, as Polars columns, and what a file's columns weigh."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import deltalake
import polars as pl
from deltalake import schema as delta

from penstock.fields import types
from penstock.fields.types import FieldType

TYPE_KEY = "penstock.type"
"""Member of a Delta field's metadata that holds its FieldType."""

WEIGHT_KEY = "penstock.weight"
"""Member of a Parquet file's metadata that holds what its columns weigh."""

BLOCK_ROWS = 16_384
"""Rows of a block, the grain of the weights. Divides the row group size."""

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
    overflow = deltalake.Field(types.OVERFLOW, _STRING)
    day = deltalake.Field(types.DAY, delta.PrimitiveType("date"))
    return deltalake.Schema([delta_field(types.TIMESTAMP, FieldType.DATE), overflow, day])


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
        return 16 * len(series) + int(series.str.len_bytes().cast(pl.UInt64).sum())
    if isinstance(series.dtype, pl.List):
        return 8 * len(series) + _bytes(series.explode(empty_as_null=False, keep_nulls=False))
    return 8 * len(series)


def read_weight(location: str) -> str:
    """What `weigh` wrote into a file."""
    return pl.read_parquet_metadata(location)[WEIGHT_KEY]


def block_weights(weight: str, rows: int, fields: Collection[str] | None) -> list[int]:
    """Bytes of `fields` (None: of all columns) in each block of a file, from what `weigh` wrote."""
    known = json.loads(weight)
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
