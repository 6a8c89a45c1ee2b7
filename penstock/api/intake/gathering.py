"""Small bodies wait for one another: those of one community that come while it commits share its next commit.

A body that comes alone is committed at once. Communities take turns: each has one group under way at most, and groups
get the threads in the order in which they ask.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread

from penstock import errors
from penstock.intake.requests import groups

MOST_BODY_BYTES = 256 * 1024
"""A larger body has a commit of its own, whose cost it hardly feels."""

MOST_GROUP_BYTES = 4 * 1024 * 1024
MOST_GROUP_BODIES = 1000
"""Of one commit. Memory of intake in groups: what waits, and for each thread that of an ingest (`batch.Limits`)."""

MOST_WAITING_BYTES = 64 * 1024 * 1024
"""Of the bodies of all communities that wait, or are being taken in, in this process."""

THREADS = 4
"""Groups at once, besides larger bodies: those never keep small ones waiting."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """A small body on its way.

    Attributes:
        body: what it brings.
        bytes: what it takes in memory.
        actor: the API key that sent it.
    """

    body: groups.Body
    bytes: int
    actor: str


Commit = Callable[[str, Sequence[Post]], Sequence[groups.Outcome]]
"""Takes posts of a community in, on a thread; what became of each."""


class Gatherer:
    """Takes posts, commits them in groups.

    Args:
        window_seconds: a community's groups begin at least so far apart; 0: nothing is gathered.
    """

    def __init__(self, commit: Commit, *, window_seconds: float) -> None:
        self._commit = commit
        self._window_seconds = window_seconds
        self._limiter = anyio.CapacityLimiter(THREADS)
        # By event loop as well: tests run one app on several.
        self._queues: dict[tuple[asyncio.AbstractEventLoop, str], _Queue] = {}
        self._held_bytes = 0

    def takes(self, body_bytes: int) -> bool:
        """Whether a body of this size belongs in a group."""
        return self._window_seconds > 0 and body_bytes <= MOST_BODY_BYTES

    async def take(self, community_uuid: str, post: Post) -> groups.Taken | None:
        """What became of a post, once its events are in the lake for good; None: it must be taken in alone.

        Raises:
            TooManyRequests: `intake_full`.
            StorageError: the lake failed.
        """
        if self._held_bytes and self._held_bytes + post.bytes > MOST_WAITING_BYTES:
            raise errors.TooManyRequests(
                "intake_full",
                f"Bodies of {self._held_bytes:,} bytes wait to be taken in, the most this service holds.",
                "Send it again in a second, unchanged; nothing was taken in.",
            )
        waiting = _Waiting(post, asyncio.get_running_loop().create_future())
        self._held_bytes += post.bytes
        try:
            self._queue(community_uuid).add(waiting)
            return await waiting.outcome
        finally:
            self._held_bytes -= post.bytes

    def _queue(self, community_uuid: str) -> _Queue:
        loop = asyncio.get_running_loop()
        queue = self._queues.get((loop, community_uuid))
        if queue is None:
            queue = self._queues[loop, community_uuid] = _Queue()
            # Kept in the queue: the loop itself holds its tasks weakly.
            queue.task = loop.create_task(self._serve(loop, community_uuid, queue))
        return queue

    async def _serve(self, loop: asyncio.AbstractEventLoop, community_uuid: str, queue: _Queue) -> None:
        """Commits group after group, until none came for a window."""
        try:
            while queue.waiting:
                until = loop.time() + self._window_seconds
                await self._take_group(community_uuid, queue.next_group())
                await queue.fill(until - loop.time())
        finally:
            # In the same step as the last look: what comes next must find no queue that nobody serves.
            del self._queues[loop, community_uuid]

    async def _take_group(self, community_uuid: str, group: Sequence[_Waiting]) -> None:
        posts = [waiting.post for waiting in group]
        outcomes: Sequence[groups.Outcome | Exception]
        try:
            outcomes = await anyio.to_thread.run_sync(self._commit, community_uuid, posts, limiter=self._limiter)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            outcomes = [error] * len(group)
        except BaseException as error:  # a panic of compiled code: a bug like others, which must end nothing
            outcomes = [RuntimeError(repr(error))] * len(group)
        for waiting, outcome in zip(group, outcomes, strict=True):
            waiting.tell(outcome)


class _Waiting:
    """A post, and what became of it."""

    def __init__(self, post: Post, outcome: asyncio.Future[groups.Taken | None]) -> None:
        self.post = post
        self.outcome = outcome

    def tell(self, outcome: groups.Outcome | Exception) -> None:
        if self.outcome.done():  # whoever waited has gone
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class _Queue:
    """The posts of one community that wait.

    Attributes:
        waiting: they, in order.
        task: what serves them.
    """

    def __init__(self) -> None:
        self.waiting: collections.deque[_Waiting] = collections.deque()
        self.task: asyncio.Task[None] | None = None
        self._bytes = 0
        self._full = asyncio.Event()

    def add(self, waiting: _Waiting) -> None:
        """One more, at the end."""
        self.waiting.append(waiting)
        self._bytes += waiting.post.bytes
        if self._bytes >= MOST_GROUP_BYTES or len(self.waiting) >= MOST_GROUP_BODIES:
            self._full.set()

    def next_group(self) -> list[_Waiting]:
        """Takes off as many as one commit may hold; at least one."""
        group: list[_Waiting] = []
        size = 0
        while self.waiting and len(group) < MOST_GROUP_BODIES:
            size += self.waiting[0].post.bytes
            if group and size > MOST_GROUP_BYTES:
                break
            group.append(self.waiting.popleft())
        self._bytes -= sum(waiting.post.bytes for waiting in group)
        return group

    async def fill(self, seconds: float) -> None:
        """Waits for more: so many seconds, or until there is enough for a commit."""
        if self._bytes >= MOST_GROUP_BYTES or len(self.waiting) >= MOST_GROUP_BODIES or seconds <= 0:
            return
        self._full.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), seconds)
