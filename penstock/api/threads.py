"""A bounded number of threads for one kind of work, and how many of them one caller may have."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class Threads:
    """Threads that all callers share; who waits for one holds none.

    Args:
        most: at once.
        most_of_one: of one caller at once; fewer than `most`, so that nobody keeps all others waiting.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._all = anyio.CapacityLimiter(most)
        self._most_of_one = most_of_one
        self._of_one: dict[str, anyio.CapacityLimiter] = {}

    async def run(
        self, caller: str, function: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs
    ) -> _Result:
        """Runs blocking work of a caller on a thread, waiting for a free one."""
        # The caller's own bound is outside: who waits for it holds none of the threads that all share.
        with self._own(caller) as own:
            async with own:
                return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs), limiter=self._all)

    @contextlib.contextmanager
    def _own(self, caller: str) -> Iterator[anyio.CapacityLimiter]:
        own = self._of_one.setdefault(caller, anyio.CapacityLimiter(self._most_of_one))
        try:
            yield own
        finally:
            statistics = own.statistics()
            # A caller that asks no more leaves nothing behind.
            if not statistics.borrowed_tokens and not statistics.tasks_waiting:
                self._of_one.pop(caller, None)
