"""The ordered engine: order, bound, stops."""

from __future__ import annotations

import threading

import pytest

from penstock.export import ordered


def nothing() -> None:
    """A check that never stops."""


def test_results_come_in_the_order_of_the_items_though_later_ones_are_ready_first() -> None:
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(10)
        if item == 1:
            first_may_end.set()
        return item

    assert list(ordered.ordered(work, range(20), threads=2, check=nothing)) == list(range(20))


def test_never_more_results_exist_than_twice_the_threads() -> None:
    begun: list[int] = []
    taken = 0
    for _ in ordered.ordered(lambda item: begun.append(item), range(50), threads=3, check=nothing):
        taken += 1
        assert len(begun) <= taken + 2 * 3
    assert taken == 50


def test_what_the_work_raises_ends_the_run_and_leaves_no_thread() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("slice 3")
        return item

    results = ordered.ordered(work, range(100), threads=2, check=nothing)
    with pytest.raises(ValueError, match="slice 3"):
        list(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("penstock-slice")]


def test_a_stop_is_noticed_while_the_work_still_runs() -> None:
    release = threading.Event()
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            release.set()  # lets the worker threads end, as cancelling cannot
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(ordered.ordered(lambda item: release.wait(10), range(4), threads=1, check=check))


def test_a_timeout_error_of_the_work_itself_is_not_mistaken_for_waiting() -> None:
    def work(item: int) -> int:
        raise TimeoutError("the store's")

    with pytest.raises(TimeoutError, match="the store's"):
        list(ordered.ordered(work, [1], threads=1, check=nothing))
