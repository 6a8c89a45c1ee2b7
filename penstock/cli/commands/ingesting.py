"""`penstock ingest`: files into the lake of this home, with progress, and with every rejected line kept."""

from __future__ import annotations

import dataclasses
import pathlib
import time

from penstock import errors
from penstock.cli import output, progress
from penstock.cli.commands import opening, operator
from penstock.cli.options import ingesting
from penstock.intake import ingest as ingester

_SHOWN_REJECTS = 5


def ingest(options: ingesting.Ingest) -> None:
    """Takes the files in, records it in the audit, and says what was taken and what was rejected."""
    check_files(options.files)
    rejects = options.rejects or pathlib.Path(f"rejects_{time.strftime('%Y%m%d_%H%M%S')}.jsonl")
    with opening.services() as services:
        owner = operator.community_of(services.database, options.community)
        with progress.progress("Ingesting", unit="bytes") as update:
            report = ingester.ingest(
                services.table(owner.uuid),
                options.files,
                clock=services.clock,
                limits=ingester.Limits.of(services.settings),
                batch_id=options.batch_id,
                rejects_path=rejects,
                progress=_Total(options.files, update),
            )
        with services.database.begin() as tx:
            operator.record(
                tx,
                "events.ingested",
                community_uuid=owner.uuid,
                detail={"accepted": report.accepted, "rejected": report.rejected, "version": report.version},
            )
    if options.as_json:
        output.emit_json({"community_uuid": owner.uuid, **dataclasses.asdict(report)})
        return
    _show(report, owner.name)


class _Total:
    """Adds the sources up: bytes of those that are over, and of the one being read."""

    def __init__(self, files: list[str], update: progress.Update) -> None:
        self._update = update
        sizes = [pathlib.Path(file).stat().st_size if pathlib.Path(file).is_file() else None for file in files]
        self._size = None if None in sizes else sum(size or 0 for size in sizes)
        self._source = ""
        self._before = 0
        self._here = 0

    def __call__(self, now: ingester.Progress) -> None:
        if now.source != self._source:
            self._before, self._source = self._before + self._here, now.source
        self._here = now.source_bytes
        self._update(self._before + self._here, self._size)


def _show(report: ingester.IngestReport, community: str) -> None:
    output.say(
        f"{report.accepted:,} events taken into {community} in {output.duration(report.seconds)} "
        f"({report.events_per_second:,.0f} events/s)."
    )
    for source in report.skipped:
        output.say(f"Skipped {source}: its batch was taken in before.")
    if report.rejected:
        output.say(f"{report.rejected:,} lines were rejected; they are kept in {report.rejects_file}.")
        for reject in report.rejects[:_SHOWN_REJECTS]:
            output.say(f"  {reject.source}, line {reject.line}: {reject.reason}")


def check_files(files: list[str]) -> None:
    """Refuses a file that is not there before anything is taken in.

    Raises:
        IngestError: `unreadable_source`.
    """
    for file in files:
        if file != "-" and not pathlib.Path(file).is_file():
            raise errors.IngestError("unreadable_source", f"There is no file {file!r}.", "Check the path.")
