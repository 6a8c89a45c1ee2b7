"""What tests of attached tables share: attaching one, and exporting it as a dump does."""

from __future__ import annotations

import dataclasses
import gzip
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import export, query
from penstock.lake.attached import definition, snapshots, stores, table
from penstock.lake.read import plan

EVER = plan.TimeRange.ever()


@dataclasses.dataclass(frozen=True)
class Lake:
    """A folder of event tables, into which others' tables are attached."""

    folder: pathlib.Path

    def attach(
        self,
        place: pathlib.Path | str,
        kind: str = "parquet",
        *,
        time: str | None = None,
        names: Mapping[str, str] | None = None,
        catalog: str | None = None,
        access: stores.Access | None = None,
        closed: str = "",
        spill: snapshots.SpillPlace | None = None,
    ) -> table.AttachedTable:
        """An attached table, after the look that `penstock community attach` takes."""
        where = str(place) if catalog else stores.normal(str(place))
        made = table.AttachedTable(
            str(self.folder),
            "acme",
            definition.Definition(
                table=where, type=definition.TableType(kind), time=time, catalog=catalog, names=names or {}
            ),
            access or stores.Access(),
            closed=closed,
            spill=spill,
        )
        made.check()
        return made

    def lines(
        self,
        snapshot: Any,
        term: str = "",
        *,
        fields: Sequence[str] | None = None,
        time_range: plan.TimeRange = EVER,
        max_rows: int = 1000,
        max_bytes: int = 10**9,
    ) -> bytes:
        """The lines of an export of all fields."""
        target = self.folder / "dump.jsonl.gz"
        export.dump(
            snapshot,
            node=query.parse(term),
            time_range=time_range,
            fields=sorted(snapshot.columns) if fields is None else fields,
            path=target,
            threads=1,
            slice_rows=max_rows,
            slice_bytes=max_bytes,
            part_bytes=1 << 20,
        )
        return gzip.decompress(target.read_bytes())

    def events(self, snapshot: Any, term: str = "", **how: Any) -> list[dict[str, Any]]:
        """The events of an export."""
        return [json.loads(line) for line in self.lines(snapshot, term, **how).splitlines()]
