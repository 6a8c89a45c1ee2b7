"""The interface of engines. One behaviour suite holds them to it: the same work gives the same bytes on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from penstock import storage
from penstock.export import work as works


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


class Engine(Protocol):
    """Runs exports. Safe from several threads, each with an export of its own.

    Attributes:
        shard_slices: slices of a shard in the plans that are made from now on; 0: no shards. A plan that is there is
            run as it was made, by every engine, so that an export may begin on one and end on another.
    """

    shard_slices: int

    def run(
        self, work: works.Work, target: Target, journal: works.Journal, *, done: Sequence[works.Done] = ()
    ) -> works.Outcome:
        """Runs `work` to its end, or does what the parts `done` leave to do.

        Raises what `target.put`, the journal or the scan raise; NotReady `engine_unavailable`, `shard_lost`. Nothing
        is left running then; what stands still ends within about a second.
        """
        ...

    def close(self) -> None:
        """Lets go of what the engine holds; idempotent."""
        ...
