"""Runs work on threads and hands the results over in order, never holding more than a fixed number of them."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL_SECONDS = 0.1
"""How long a wait goes on before `check` is asked again: the bound on how late a stop is noticed."""


def ordered(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    check: Callable[[], None],
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Yields `work(item)` for each item, in the items' order, computed on `threads` threads.

    At most `2 x threads` results exist at once (running, or done and not yet taken): that is the back-pressure.
    `check` is called at least every POLL_SECONDS while waiting; what it raises ends the run. Whatever ends it,
    no thread is left running when the iterator is closed or has raised.

    Args:
        stop: called where the run ends early, before its threads are waited for: `work` that takes long ends then.
    """
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    executor = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="penstock-slice")
    try:
        for item in items:
            waiting.append(executor.submit(work, item))
            # As many again as there are threads: when the first slice in order is a slow one, the others have work
            # meanwhile.
            if len(waiting) >= 2 * threads:
                yield take(waiting.popleft(), check)
        while waiting:
            yield take(waiting.popleft(), check)
    except BaseException:
        stop()
        raise
    finally:
        # Waits also when the caller stops early: a scan that goes on alone would hold its memory and the snapshot's
        # files.
        executor.shutdown(wait=True, cancel_futures=True)


def take(future: concurrent.futures.Future[Result], check: Callable[[], None]) -> Result:
    """The future's result; calls `check` while it is not there yet."""
    while True:
        check()
        done, _ = concurrent.futures.wait([future], timeout=POLL_SECONDS)
        if done:
            return future.result()
