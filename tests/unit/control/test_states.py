"""States: the tables of legal moves, and that nothing else is a move."""

from __future__ import annotations

import itertools

import pytest

from penstock import errors
from penstock.control import states
from penstock.control.states import ExportStatus, SearchStatus

EXPORT_MOVES = {
    ("PENDING", "RUNNING"),
    ("PENDING", "FAILED"),
    ("PENDING", "CANCELED"),
    ("RUNNING", "FINISHED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CANCELED"),
}
SEARCH_MOVES = {
    ("PENDING", "RUNNING"),
    ("PENDING", "CANCELED"),
    ("RUNNING", "DONE"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CANCELED"),
}


@pytest.mark.parametrize(("before", "after"), [*itertools.product(ExportStatus, ExportStatus)])
def test_only_the_tables_moves_of_an_export_are_legal(before: ExportStatus, after: ExportStatus) -> None:
    legal = (before.name, after.name) in EXPORT_MOVES
    assert (before in states.sources(after)) == legal
    if legal:
        states.require_move(before, after)
    else:
        with pytest.raises(errors.Conflict, match=f"{before} cannot become {after}"):
            states.require_move(before, after)


@pytest.mark.parametrize(("before", "after"), [*itertools.product(SearchStatus, SearchStatus)])
def test_only_the_tables_moves_of_a_search_job_are_legal(before: SearchStatus, after: SearchStatus) -> None:
    legal = (before.name, after.name) in SEARCH_MOVES
    assert (before in states.search_sources(after)) == legal
    if legal:
        states.require_search_move(before, after)
    else:
        with pytest.raises(errors.Conflict, match=f"{before.name} cannot become {after.name}"):
            states.require_search_move(before, after)


def test_final_states_are_those_without_a_way_out() -> None:
    assert [status for status in ExportStatus if status.is_final] == ["FINISHED", "FAILED", "CANCELED"]
    assert [status.name for status in SearchStatus if status.is_final] == ["DONE", "CANCELED", "FAILED"]
    assert {"PENDING", "RUNNING"} == states.ACTIVE


def test_numbers_and_words_are_the_apis() -> None:
    assert [(status.name, int(status)) for status in SearchStatus] == [
        ("PENDING", 0),
        ("RUNNING", 1),
        ("DONE", 2),
        ("CANCELED", 3),
        ("FAILED", 4),
    ]
