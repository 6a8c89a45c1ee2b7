"""`penstock ingest`: files into the lake of this home, with progress, and with every rejected line kept."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import time
from typing import TYPE_CHECKING

from penstock import errors
from penstock.cli import output, progress
from penstock.cli.commands import ingest_children, opening, operator, sources
from penstock.cli.options import ingesting
from penstock.intake import ingest as ingester
from penstock.intake.shards import coordinator, taking
from penstock.lake import table
from penstock.process import services as services_module

if TYPE_CHECKING:
    from penstock.export import engines

_SHOWN_REJECTS = 5


def ingest(options: ingesting.Ingest) -> None:
    """Takes the files in, records it in the audit, and says what was taken and what was rejected.

    Raises:
        IngestError: what `intake.ingest` raises; `nothing_taken_in`, all said already.
        UsageError: `unknown_format`.
    """
    files = sources.found(options.files)
    wanted = _format(options.format)
    rejects = options.rejects or pathlib.Path(f"{sources.REJECTS_PREFIX}{time.strftime('%Y%m%d_%H%M%S')}.jsonl")
    with opening.services() as services:
        owner = operator.community_of(services.database, options.community)
        with progress.progress("Ingesting", unit="bytes") as update:
            told = _Total(files, update)
            taking_in = _Taking(services, owner.uuid, files, options, wanted, rejects)
            report = taking_in.in_shards(told) if options.on_engine or options.jobs > 1 else taking_in.alone(told)
        with services.database.begin() as tx:
            operator.record(
                tx,
                "events.ingested",
                community_uuid=owner.uuid,
                detail={"accepted": report.accepted, "rejected": report.rejected, "version": report.version},
            )
    if options.as_json:
        output.emit_json({"community_uuid": owner.uuid, **dataclasses.asdict(report)})
    else:
        _show(report, owner.name, options.time_field)
    if not report.accepted and not report.skipped:
        raise _nothing(report)


@dataclasses.dataclass(frozen=True)
class _Taking:
    """One ingest, by this process or by several."""

    services: services_module.Services
    community_uuid: str
    files: list[str]
    options: ingesting.Ingest
    format: ingester.Format | None
    rejects: pathlib.Path

    def alone(self, told: _Total) -> ingester.IngestReport:
        return ingester.ingest(
            self._table,
            self.files,
            clock=self.services.clock,
            limits=self._limits,
            batch_id=self.options.batch_id,
            time_field=self.options.time_field,
            format=self.format,
            rejects_path=self.rejects,
            progress=told,
        )

    def in_shards(self, told: _Total) -> ingester.IngestReport:
        """Raises ConfigurationError `engine_settings_incomplete`, and what the engine raises."""
        if self.options.on_engine:
            from penstock.export import engines  # for those who use it

            with contextlib.closing(engines.open_engine(self.services.settings)) as engine:
                return self._by(self._pool_of(engine, told), [os.path.abspath(file) for file in self.files])
        # What only this process can read, and what gives others nothing to do.
        if len(self.files) < 2 or not coordinator.suits(self.files):
            return self.alone(told)
        most = min(self.options.jobs, len(self.files))
        children = ingest_children.Children(self.services.settings, self.community_uuid, most=most, progress=told)
        return self._by(children, self.files)

    def _by(self, pool: coordinator.Pool, files: list[str]) -> ingester.IngestReport:
        return coordinator.take(
            self._table,
            files,
            pool,
            clock=self.services.clock,
            batch_id=self.options.batch_id,
            time_field=self.options.time_field,
            format=self.format,
            rejects_path=self.rejects,
        )

    def _pool_of(self, engine: engines.Engine, told: _Total) -> coordinator.Pool:
        if not coordinator.suits(self.files):
            raise errors.IngestError(
                "unreadable_source", "Nodes cannot read a pipe or standard input.", "Leave --on-engine out."
            )
        pool = engine.ingest_pool(self.community_uuid, self._limits, self._here, told)
        if pool is None:
            raise errors.ConfigurationError(
                "engine_settings_incomplete",
                "--on-engine needs an engine with nodes; `engine` is `threads`.",
                "Set engine = ray and its settings, or use --jobs.",
            )
        return pool

    def _here(self, shard: taking.Shard) -> taking.Taken:
        return taking.take(self._table, shard, clock=self.services.clock, limits=self._limits)

    @property
    def _table(self) -> table.EventTable:
        return self.services.table(self.community_uuid)

    @property
    def _limits(self) -> ingester.Limits:
        return ingester.Limits.of(self.services.settings)


def _format(name: str) -> ingester.Format | None:
    if name == "auto":
        return None
    try:
        return ingester.Format(name)
    except ValueError as error:
        raise errors.UsageError(
            "unknown_format",
            f"There is no format {name!r}.",
            f"Say one of: auto, {', '.join(ingester.Format)}.",
        ) from error


def _nothing(report: ingester.IngestReport) -> errors.IngestError:
    if report.rejected:
        lines = "The only line was" if report.rejected == 1 else f"All {report.rejected:,} lines were"
        first = report.rejects[0]
        detail = f"{lines} rejected; {first.source}, line {first.line}: {first.reason}."
        return errors.IngestError(
            "nothing_taken_in", detail, "Look at the lines; --format says what a file holds, if it is seen wrong."
        )
    return errors.IngestError("nothing_taken_in", "There are no events.", "Check that the files are the right ones.")


class _Total:
    """Adds the sources up: bytes of those that are over, and of those being read."""

    def __init__(self, files: list[str], update: progress.Update) -> None:
        self._update = update
        sizes = [pathlib.Path(file).stat().st_size if pathlib.Path(file).is_file() else None for file in files]
        self._size = None if None in sizes else sum(size or 0 for size in sizes)
        self._total = 0
        self._of: dict[str, int] = {}

    def __call__(self, now: ingester.Progress) -> None:
        self._total += now.source_bytes - self._of.get(now.source, 0)
        self._of[now.source] = now.source_bytes
        self._update(self._total, self._size)


def _show(report: ingester.IngestReport, community: str, time_field: str | None) -> None:
    output.say(
        f"{report.accepted:,} events taken into {community} in {output.duration(report.seconds)} "
        f"({report.events_per_second:,.0f} events/s)."
    )
    for found, sources_of_it in report.formats.items():
        if found is not ingester.Format.JSON_LINES:
            files = "one file" if sources_of_it == 1 else f"{sources_of_it:,} files"
            output.say(f"Read as {found.called}: {files} (--format {found}).")
    for source in report.skipped:
        output.say(f"Skipped {source}: its batch was taken in before.")
    if report.untimed:
        other = "another --time-field" if time_field else "--time-field NAME"
        output.say(
            f"Events without a usable time got that of their arrival: {report.untimed:,}; {other} says where it is."
        )
    if report.rejected:
        output.say(f"{report.rejected:,} lines were rejected; they are kept in {report.rejects_file}.")
        for reject in report.rejects[:_SHOWN_REJECTS]:
            output.say(f"  {reject.source}, line {reject.line}: {reject.reason}")
