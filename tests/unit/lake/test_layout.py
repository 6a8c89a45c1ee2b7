"""What columns weigh, which is what keeps slices within memory."""

from __future__ import annotations

import polars as pl
import pytest

from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import layout


def test_a_frame_weighs_its_views_and_its_text() -> None:
    frame = pl.DataFrame({"a": ["xx", None, ""], "b": [["a", "bb"], None, []], "c": [1, 2, 3]})
    weight = layout.weigh(frame)
    assert weight.bytes == (3 * 16 + 2) + (3 * 8 + 2 * 16 + 3) + 3 * 8
    assert layout.block_weights(weight.as_json(), 3, None) == [weight.bytes]


def test_heavy_columns_are_weighed_block_by_block() -> None:
    rows = 2 * layout.BLOCK_ROWS + 100
    texts = ["x" * (1000 if n >= layout.BLOCK_ROWS else 1) for n in range(rows)]
    weight = layout.weigh(pl.DataFrame({"message": texts, "n": range(rows)})).as_json()
    first, second, last = layout.block_weights(weight, rows, ["message"])
    assert first == layout.BLOCK_ROWS * 17
    assert second == layout.BLOCK_ROWS * 1016
    assert last == 100 * 1016


def test_only_the_chosen_columns_and_the_overflow_count() -> None:
    frame = pl.DataFrame({"a": ["x"], "b": ["yy"], types.OVERFLOW: ['{"c":1}']})
    assert layout.block_weights(layout.weigh(frame).as_json(), 1, ["a", "missing"]) == [17 + 16 + 7]


@pytest.mark.parametrize("field_type", list(FieldType))
def test_every_field_type_has_a_column_in_delta_and_in_polars(field_type: FieldType) -> None:
    field = layout.delta_field("f", field_type)
    assert field.metadata == {layout.TYPE_KEY: field_type.value}
    assert layout.dtype("f", {"f": field_type}) == layout.DTYPES[field_type]
