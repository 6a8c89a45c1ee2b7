"""The keys of a frame's values: each column handed to the kernel as what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from penstock.base import later
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake.needles import reference
from penstock.query import needles, words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = later.numpy  # loads when it is used

FEW_VALUES = 4096
"""Columns with at most so many distinct values in a row group get field keys: 5 % more keys on narrow events, and
`destination.port:4444` no longer finds every row group in which some process has that number."""


kernel: Any
try:
    from penstock.kernels import bloom as kernel
except ImportError:  # not compiled: the specification does the same, slowly
    kernel = reference

_KINDS: Mapping[FieldType, int] = {
    FieldType.KEYWORD: kernel.VALUES,
    FieldType.IP: kernel.VALUES,
    FieldType.KEYWORD_LIST: kernel.VALUES,
    FieldType.TEXT: kernel.WORDS,
    FieldType.JSON: kernel.JSON,
    FieldType.LONG: kernel.LONGS,
    FieldType.DOUBLE: kernel.DOUBLES,
}


def kind_of(name: str, columns: Mapping[str, FieldType]) -> int | None:
    """What the kernel must take a column for; None for those without keys: dates and booleans."""
    return int(kernel.OVERFLOW) if name == types.OVERFLOW else _KINDS.get(columns[name])


def of_frame(frame: pl.DataFrame, columns: Mapping[str, FieldType]) -> tuple[npt.NDArray[np.uint64], set[str]]:
    """The distinct keys of a row group, in no order, and its columns whose values have no field keys.

    Args:
        frame: the row group, as the lake keeps it; the overflow may be among its columns.
        columns: the field types of all others.

    Raises:
        ValueError: an overflow or a json column holds text that is no compact JSON.
    """
    found = kernel.Keys(words.table(), FEW_VALUES)
    without = set()
    for series in frame:
        if series.null_count() == len(series):
            continue
        kind = kind_of(series.name, columns)
        if kind is None or not found.add(series, kind, salt(series.name)):
            without.add(series.name)
    return np.frombuffer(found.export(), np.uint64), without


def salt(field: str) -> int:
    """What sets a field's keys apart."""
    return int(kernel.value_key(field.encode("utf-8", "surrogatepass")))


def of_needle(needle: needles.Needle) -> int:
    """The key of what a query looks for."""
    match needle:
        case needles.Text(text):
            return int(kernel.value_key(text.encode("utf-8", "surrogatepass")))
        case needles.Number(value):
            return int(kernel.number_key(value))
        case needles.Address6(packed):
            return int(kernel.address6_key(packed))
        case needles.Prefix(packed, version):
            return int(kernel.prefix_key(packed, version))
        case needles.Octets(four):
            return int(kernel.chain_key(*(kernel.value_key(word.encode()) for word in four)))
