"""Waiting for something that another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def until(
    found: Callable[[], _Found], seconds: float = 120, *, what: str = "it comes", pause_seconds: float = 0.02
) -> _Found:
    """What `found` gives once it is something; fails after so many seconds.

    With a pause between two looks: who asks without one takes the core that the other needs.
    """
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause_seconds)
    return result
