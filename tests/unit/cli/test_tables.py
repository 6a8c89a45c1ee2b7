"""Tables fit every terminal: text gives way, numbers and what people copy never break."""

from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import strategies as st

from penstock.cli import tables

TASK = "0f8fad5b-d9cb-469f-a165-70867728950e"
EXPORTS = ["TASK", "STATUS", "EVENTS", "SIZE", "CREATED", "DOWNLOADABLE UNTIL", "ERROR"]
ROW = [TASK, "FINISHED", "1,000,000", "47.8 MB", "2026-11-27 05:55:42 UTC", "2026-11-28 05:55:42 UTC", "-"]


@pytest.mark.parametrize("width", range(60, 201, 10))
def test_exports_fit_without_breaking_a_number_or_a_uuid(width: int) -> None:
    lines = tables.draw(EXPORTS, [ROW, ROW], numbers=["EVENTS", "SIZE"], width=width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for whole in (TASK, "1,000,000", "47.8 MB", "FINISHED"):
        assert text.count(whole) == 2


@pytest.mark.parametrize("width", [60, 100, 200])
def test_long_text_is_wrapped_and_nothing_of_it_is_lost(width: int) -> None:
    words = ["Source", "address", "as", "reported", "by", "sensors", "that", "saw", "this", "connection"]
    row = ["source.ip", "ip", "7", " ".join(words)]
    lines = tables.draw(["FIELD", "TYPE", "FILES", "DESCRIPTION"], [row], width=width)
    assert max(map(len, lines)) <= width
    assert [word for word in re.findall(r"[\w.]+", " ".join(lines)) if word in words] == words


def test_a_table_too_wide_for_columns_becomes_records() -> None:
    lines = tables.draw(EXPORTS, [ROW], numbers=["EVENTS", "SIZE"], width=60)
    assert f"TASK:               {TASK}" in lines
    assert not any(line.startswith("ERROR") for line in lines)


@hypothesis.given(
    rows=st.lists(st.lists(st.text(alphabet="ab1 ,", max_size=50), min_size=4, max_size=4), max_size=4),
    width=st.integers(60, 200),
)
def test_no_line_is_longer_than_the_terminal(rows: list[list[str]], width: int) -> None:
    cut = [[row[0], row[1][:12], row[2][:12], row[3]] for row in rows]
    lines = tables.draw(["A", "B", "C", "D"], cut, numbers=["B", "C"], width=width)
    assert all(len(line) <= width for line in lines)
