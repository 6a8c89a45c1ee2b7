"""How field types lie in the lake: as Delta columns, as Polars columns, and what a file's columns weigh."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import deltalake
import polars as pl
from deltalake import schema as delta

from penstock.base import later
from penstock.fields import types, values
from penstock.fields.types import FieldType

if TYPE_CHECKING:
    import numpy as np
else:
    np = later.numpy  # loads when it is used

kernel: Any
try:
    from penstock.kernels import columns as kernel
except ImportError:  # not compiled: Polars and the reference say the same, slowly
    kernel = None

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

_VALUE_BYTES, _VIEW_BYTES = 8, 16
"""Of a value, or a list's offset; of a string, without its text."""

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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Weight:
    """What the columns of a frame weigh uncompressed: 8 bytes a row; 16 a string, as a view takes, and its text on top.

    Attributes:
        totals: bytes of each column.
        heavy: bytes of each block, of those columns that are heavy.
    """

    totals: Mapping[str, int]
    heavy: Mapping[str, Sequence[int]]

    @property
    def bytes(self) -> int:
        """Of all columns."""
        return sum(self.totals.values())

    def as_json(self) -> str:
        """What `block_weights` reads."""
        return json.dumps({"totals": self.totals, "heavy": self.heavy}, separators=(",", ":"))


def weigh(frame: pl.DataFrame) -> Weight:
    """What the columns weigh: in all, and block by block where they are heavy."""
    rows = frame.height
    texts = _texts(frame) if kernel is None else kernel.weights(frame, rows, BLOCK_ROWS)
    lengths = [min(BLOCK_ROWS, rows - start) for start in range(0, rows, BLOCK_ROWS)]
    totals, heavy = {}, {}
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        each = _VIEW_BYTES if dtype == pl.String else _VALUE_BYTES
        totals[name] = each * rows + sum(texts.get(name, ()))
        if name in texts and totals[name] >= _HEAVY_BYTES_A_ROW * rows:
            heavy[name] = [each * length + more for length, more in zip(lengths, texts[name], strict=True)]
    return Weight(totals=totals, heavy=heavy)


def _texts(frame: pl.DataFrame) -> dict[str, list[int]]:
    """Bytes of texts and of lists' items in each block: what the kernel is held to."""
    starts = range(0, frame.height, BLOCK_ROWS)
    return {
        series.name: [_text_bytes(series.slice(start, BLOCK_ROWS)) for start in starts]
        for series in frame
        if series.dtype in (pl.String, pl.List(pl.String))
    }


def _text_bytes(series: pl.Series) -> int:
    if isinstance(series.dtype, pl.List):
        items = series.explode(empty_as_null=False, keep_nulls=False)
        return _VIEW_BYTES * len(items) + _text_bytes(items)
    # As UInt64: the sum of a column's lengths may exceed the 32 bits of its items.
    return int(series.str.len_bytes().cast(pl.UInt64).sum())


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


def read_footer(source: str | bytes, rows: int) -> Footer:
    """The footer of a file of so many rows, from what `Location.footer` gives."""
    metadata = pl.read_parquet_metadata(source)
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
    if kernel is None:
        return frozenset(name for text in overflow.drop_nulls().to_list() for name in values.loads(text))
    found = kernel.members(overflow)
    return frozenset(values.loads(b'"%b"' % name) if b"\\" in name else name.decode() for name in found)


def read_overflow_names(source: str | bytes) -> frozenset[str] | None:
    """The names that a file's metadata gives; None for a file of version 0.1, which has none."""
    stored = pl.read_parquet_metadata(source).get(OVERFLOW_NAMES_KEY)
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
