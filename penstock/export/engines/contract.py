"""The interface of engines. One behaviour suite holds them to it: the same work gives the same bytes on each.

Engines run exports; one that has other machines looks at a search's shards on them too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from penstock import storage
from penstock.export import work as works
from penstock.lake.read import shards

if TYPE_CHECKING:  # what only an ingest loads
    from penstock.intake import batch, ingest
    from penstock.intake.shards import coordinator, taking


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where the parts of one export go.

    Attributes:
        put: stores a part, from this process.
        task_uuid: the export.
        upload: the upload that the parts belong to.
        customer_key: for engines that put from elsewhere; None: the export has none.
        bucket: a customer's bucket; None: the service's own storage.
        wrapping_key: asks for the export's wrapping key, which is destroyed when the export ends.
    """

    put: works.Put
    task_uuid: str
    upload: storage.Upload
    customer_key: storage.CustomerKey | None
    bucket: storage.CustomerBucket | None
    wrapping_key: Callable[[], bytes | None]


class SearchPool(Protocol):
    """Looks at the shards of one search. Used from one thread; no method blocks for longer than it is told to.

    Attributes:
        most: shards that are worth giving out at once.
    """

    most: int

    def submit(self, shard: shards.Shard, question: shards.Question) -> Hashable:
        """Gives a shard out; the ticket names it."""
        ...

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        """Those of the tickets that are done, at the latest after `timeout_seconds`.

        Raises:
            NotReady: `engine_unavailable`: the cluster is away, or says nothing.
        """
        ...

    def take(self, ticket: Hashable) -> shards.Answer:
        """What came of a shard that is done. Raises what the shard raised, or coordinator.Lost."""
        ...

    def stop(self) -> None:
        """Ends all shards that are under way, within about a second; idempotent. Does not wait. Raises nothing."""
        ...


class Engine(Protocol):
    """Runs exports. Safe from several threads, each with an export of its own.

    Attributes:
        shard_slices: slices of a shard in the plans that are made from now on; 0: no shards. A plan that is there is
            run as it was made, by every engine, so that an export may begin on one and end on another.
    """

    shard_slices: int

    def search_pool(self, job_uuid: str) -> SearchPool | None:
        """What looks at shards of a search; None: searches are run by the worker itself, just now or ever."""
        ...

    def run(
        self, work: works.Work, target: Target, journal: works.Journal, *, done: Sequence[works.Done] = ()
    ) -> works.Outcome:
        """Runs `work` to its end, or does what the parts `done` leave to do.

        Raises what `target.put`, the journal or the scan raise; NotReady `engine_unavailable`, `shard_lost`. Nothing
        is left running then; what stands still ends within about a second.
        """
        ...

    def ingest_pool(
        self,
        community_uuid: str,
        limits: batch.Limits,
        here: Callable[[taking.Shard], taking.Taken],
        progress: Callable[[ingest.Progress], None],
    ) -> coordinator.Pool | None:
        """What takes in the shards of an ingest on other machines; None: there are none.

        Args:
            here: takes in a shard in this process.
            progress: called for each file when its shard is done.
        """
        ...

    def close(self) -> None:
        """Lets go of what the engine holds; idempotent."""
        ...
