"""The Python API of a Penstock service: search, export, download, from a script.

    from penstock.client import Penstock

    with Penstock("https://penstock.example", key) as penstock:
        job = penstock.search("source.ip:10.0.0.0/8", earliest="-7d")
        export = job.export(preset="network")
        export.wait()
        export.download("case-17.jsonl.gz")          # resumes, verifies, replaces the target only when whole
        for event in export.events():                # or without a file
            print(event["@timestamp"])

Every problem that the service answers is raised as an error of `penstock.errors` with its `code`, `detail` and `hint`.
Numbers of events are exact (`decimal.Decimal` where a float is not); `dumps` writes them so. All calls block and may be
made from several threads.
"""

from __future__ import annotations

from penstock.base.exact_json import dumps
from penstock.base.statuses import SearchStatus
from penstock.client.api import Penstock
from penstock.client.download.download import Downloaded
from penstock.client.exports import Export
from penstock.client.replies import (
    Estimate,
    ExportFacts,
    Field,
    Histogram,
    Ingested,
    Page,
    Preset,
    Quota,
    Task,
    TaskStatus,
)
from penstock.client.searchjobs import SearchJob
from penstock.storage.keys import CustomerKey

__all__ = [
    "CustomerKey",
    "Downloaded",
    "Estimate",
    "Export",
    "ExportFacts",
    "Field",
    "Histogram",
    "Ingested",
    "Page",
    "Penstock",
    "Preset",
    "Quota",
    "SearchJob",
    "SearchStatus",
    "Task",
    "TaskStatus",
    "dumps",
]
