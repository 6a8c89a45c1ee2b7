"""Puts parts on threads and hands their receipts over in order."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable
from types import TracebackType

from penstock.evidence.facts import PartFacts
from penstock.export import ordered, parts
from penstock.export import work as works
from penstock.storage import contract


class Uploads:
    """Puts parts on threads and hands their receipts over in order. A context manager; no thread is left behind.

    Args:
        put: stores one part.
        before, after: called with each part, in order, in the caller's thread.
        check: raises what must stop the wait.
        threads: parts uploaded at once.
    """

    def __init__(
        self,
        put: works.Put,
        *,
        before: Callable[[PartFacts], None],
        after: Callable[[PartFacts, contract.Receipt], None],
        check: Callable[[], None],
        threads: int,
    ) -> None:
        self._put = put
        self._before = before
        self._after = after
        self._check = check
        self._threads = threads
        self.done: list[works.Done] = []
        """What is in the store and told, in order."""
        self._waiting: collections.deque[tuple[PartFacts, concurrent.futures.Future[contract.Receipt]]] = (
            collections.deque()
        )
        self._executor = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="penstock-upload")

    def __enter__(self) -> Uploads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
        # In good order only: after a lost lease or a cancel nothing may be written down any more.
        if isinstance(raised, works.Leaving):
            self._take_what_was_put()

    def _take_what_was_put(self) -> None:
        """What is told must be without a gap: ends at the first part that was not put."""
        for facts, future in self._waiting:
            if future.cancelled() or future.exception() is not None:
                return
            self._after(facts, future.result())

    def add(self, part: parts.Part) -> None:
        """Begins to put a part; waits while as many are under way as may be."""
        # One part more than threads: while all are uploaded, the next one is ready.
        while len(self._waiting) > self._threads:
            self._take()
        while self._waiting and self._waiting[0][1].done():
            self._take()
        # Before the put: the quota must refuse a part that would cross it before the store has it.
        self._before(part.facts)
        self._waiting.append((part.facts, self._executor.submit(self._put, part)))

    def finish(self) -> None:
        """Waits until all parts are put and told."""
        while self._waiting:
            self._take()

    def _take(self) -> None:
        facts, future = self._waiting[0]
        receipt = ordered.take(future, self._check)
        # Popped only afterwards: if the journal raises, the part is still among those that `_take_what_was_put` looks
        # at.
        self._after(facts, receipt)
        self._waiting.popleft()
        self.done.append((facts, receipt))
