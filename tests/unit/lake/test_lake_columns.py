"""What columns weigh, which is what keeps slices within memory."""

from __future__ import annotations

import polars as pl
import pytest

from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import columns


def test_a_frame_weighs_its_views_and_its_text() -> None:
    frame = pl.DataFrame({"a": ["xx", None, ""], "b": [["a", "bb"], None, []], "c": [1, 2, 3]})
    assert columns.frame_bytes(frame) == (3 * 16 + 2) + (3 * 8 + 2 * 16 + 3) + 3 * 8
    assert columns.block_weights(columns.weigh(frame), 3, None) == [columns.frame_bytes(frame)]


def test_heavy_columns_are_weighed_block_by_block() -> None:
    rows = 2 * columns.BLOCK_ROWS + 100
    texts = ["x" * (1000 if n >= columns.BLOCK_ROWS else 1) for n in range(rows)]
    weight = columns.weigh(pl.DataFrame({"message": texts, "n": range(rows)}))
    first, second, last = columns.block_weights(weight, rows, ["message"])
    assert first == columns.BLOCK_ROWS * 17
    assert second == columns.BLOCK_ROWS * 1016
    assert last == 100 * 1016


def test_only_the_chosen_columns_and_the_overflow_count() -> None:
    frame = pl.DataFrame({"a": ["x"], "b": ["yy"], types.OVERFLOW: ['{"c":1}']})
    assert columns.block_weights(columns.weigh(frame), 1, ["a", "missing"]) == [17 + 16 + 7]


@pytest.mark.parametrize("field_type", list(FieldType))
def test_every_field_type_has_a_column_in_delta_and_in_polars(field_type: FieldType) -> None:
    field = columns.delta_field("f", field_type)
    assert field.metadata == {columns.TYPE_KEY: field_type.value}
    assert columns.dtype("f", {"f": field_type}) == columns.DTYPES[field_type]
