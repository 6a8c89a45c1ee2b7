"""A ring wakes all who wait, and those who were about to."""

from __future__ import annotations

import threading

from penstock.worker import bell


def test_a_ring_before_the_wait_is_not_lost() -> None:
    made = bell.Bell()
    before = made.rings
    made.ring()
    made.wait(before, 3600)  # returns
    assert made.rings == before + 1


def test_a_ring_wakes_everybody() -> None:
    made = bell.Bell()
    before = made.rings
    waiting = [threading.Thread(target=made.wait, args=(before, 3600), daemon=True) for _ in range(3)]
    for thread in waiting:
        thread.start()
    made.ring()
    for thread in waiting:
        thread.join(60)
        assert not thread.is_alive()


def test_without_a_ring_the_wait_ends_by_itself() -> None:
    made = bell.Bell()
    made.wait(made.rings, 0.001)
    assert made.rings == 0
