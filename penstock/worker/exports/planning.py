"""Decides what an export reads: planned once on the newest snapshot, then the same for every worker that goes on."""

from __future__ import annotations

import json
from collections.abc import Callable

from penstock import errors, query, storage
from penstock import export as pipeline
from penstock.control import exports, limits, searches
from penstock.lake import table
from penstock.lake.read import plan, scan
from penstock.process import services


class Planner:
    """Plans one claimed export.

    Args:
        open_services: the process's parts.
        claim: the hold on the export.
        check: raises what must stop the work; asked while files are read.
        shard_slices: slices of a shard in a plan that is made now; 0: none.
    """

    def __init__(
        self,
        open_services: services.Services,
        claim: exports.Claim,
        *,
        check: Callable[[], None],
        shard_slices: int = 0,
    ) -> None:
        self._services = open_services
        self._settings = open_services.settings
        self._export = claim.export
        self._is_embedded = claim.sealed_destination is None and open_services.settings.storage == "embedded"
        self._check = check
        self._shard_slices = shard_slices

    @property
    def time_range(self) -> plan.TimeRange:
        """The export's time range."""
        return plan.TimeRange(earliest=self._export.earliest, latest=self._export.latest)

    def work(self) -> tuple[pipeline.Work, str]:
        """The work, and what of it must be recorded so that it can be planned again just so (`plan_json`).

        Raises:
            NotFound: `snapshot_not_found`, the recorded snapshot was vacuumed meanwhile.
            StorageError: the lake cannot be read.
        """
        export = self._export
        node = query.both(query.parse(export.term), query.from_filters(export.filters))
        # None at the first time: the newest version, so that late arrivals come along. Then the one that was recorded.
        events = self._services.table(export.community_uuid)
        snapshot = events.snapshot(export.snapshot_version)
        if export.snapshot_version is None:
            events.keep(snapshot)
        predicate = query.compile(node, snapshot.query_columns)
        # The bounds only, not the slices: from the same snapshot and bounds come the same slices, and a list of them
        # can be long.
        plan_json = export.plan_json or self._bounds()
        bounds = json.loads(plan_json)
        slices = plan.plan_slices(
            snapshot,
            self.time_range,
            max_rows=bounds["max_rows"],
            max_bytes=bounds["max_bytes"],
            fields=predicate.columns.union(export.fields),
            should_stop=self._should_stop,
        )
        return pipeline.Work(
            snapshot=snapshot,
            slices=slices,
            fields=export.fields,
            predicate=predicate,
            compression=export.compression,
            part_bytes=export.part_bytes or self._part_bytes(),
            # As it was planned, whatever the engine is now: the parts that are there were cut so.
            shard_slices=bounds.get("shard_slices", 0),
            recipe=pipeline.Recipe(community_uuid=export.community_uuid, term=export.term, filters=export.filters),
        ), plan_json

    def _bounds(self) -> str:
        bounds = {"max_rows": self._settings.slice_rows, "max_bytes": self._settings.slice_bytes}
        # Left out where there are none: a worker of an earlier version does not know the name.
        return json.dumps(bounds | ({"shard_slices": self._shard_slices} if self._shard_slices else {}))

    def count(self, work: pipeline.Work) -> int:
        """How many events there will be. What the search job counted on this very snapshot is not counted again.

        Raises:
            InvalidRequest: `too_many_events`; late arrivals have pushed the export over the cap.
        """
        with self._services.database.read() as tx:
            own = limits.for_community(tx, self._export.community_uuid, self._settings)
        counted = self.counted()
        # A count costs a scan of the query's columns; the job's is exact for its own version only.
        if counted is not None and counted[1] == work.snapshot.version:
            total = counted[0]
        else:
            total = self._scan_count(work.snapshot, work.predicate)
        limits.check_events(total, own)
        return total

    def counted(self) -> tuple[int, int] | None:
        """What the search job counted in the export's community, and on which version; None if the job is gone."""
        try:
            with self._services.database.read() as tx:
                job = searches.get(tx, self._export.job_uuid, None)
        except errors.NotFound:
            return None
        community_uuid = self._export.community_uuid
        return job.totals.get(community_uuid, 0), job.snapshots.get(community_uuid, -1)

    def _scan_count(self, snapshot: table.Snapshot, predicate: query.Predicate) -> int:
        return scan.count(snapshot, self.time_range, predicate, should_stop=self._should_stop)

    def _part_bytes(self) -> int:
        """The setting, but never less than S3 allows where the destination is S3."""
        part_bytes = self._settings.part_bytes
        return part_bytes if self._is_embedded else max(storage.MIN_PART_BYTES, part_bytes)

    def _should_stop(self) -> bool:
        """`check` as a question that is never answered yes: what it raises ends the work at once."""
        self._check()
        return False
