"""Modules that are loaded when something of them is first used.

For those alone that take long to load and that many commands never use: NumPy takes longer than all of our own modules.
"""

from __future__ import annotations

import importlib
from typing import Any


class Module:
    """A module that is loaded with the first look at one of its names. Safe from several threads.

    Args:
        name: as `import` takes it.
    """

    def __init__(self, name: str) -> None:
        self.__dict__["__name__"] = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(importlib.import_module(self.__dict__["__name__"]), name)
        # Kept, so that the next look is one into a dict.
        self.__dict__[name] = found
        return found


numpy: Any = Module("numpy")
"""What `import numpy` gives. Type checkers are told so where it is used."""


def load() -> None:
    """Loads them all: for a service, whose first request of a kind would wait for it, and all others with it."""
    importlib.import_module("numpy")
