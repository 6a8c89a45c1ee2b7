"""`penstock community attach`, `detach` and `show`: communities over tables that somebody else writes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
from typing import Any

import sqlalchemy as sa

from penstock import errors, query
from penstock import settings as settings_module
from penstock.base import instants
from penstock.cli import output
from penstock.cli.commands import local, operator
from penstock.cli.options import administering
from penstock.control import communities, exports, searches
from penstock.fields import mapping
from penstock.lake import table
from penstock.lake.attached import definition, stores, times
from penstock.lake.read import plan, scan
from penstock.process import attached_tables, tables

_NOBODY = "00000000-0000-0000-0000-000000000000"


def community_attach(options: administering.CommunityAttach) -> None:
    """Looks at the table, then creates the community, or takes the one of this name whose table was detached.

    Raises:
        UsageError: `unknown_format`, `invalid_map`, `file_not_readable`.
        Conflict: `community_name_taken`.
        InvalidRequest, ConfigurationError, StorageError: the table does not suit; see `AttachedTable.check`.
    """
    settings = local.settings()
    wanted = _definition(options)
    # Looked at before the database is written to: a large table takes its time.
    looked_at = attached_tables.open_attached(settings, _NOBODY, wanted)
    snapshot = looked_at.check()
    now = dt.datetime.now(dt.UTC)
    with operator.database() as database, database.begin() as tx:
        made, is_new = _community(tx, settings, options.name, now)
        # Before the community can be seen: whoever sees it finds the table.
        attached_tables.attach(settings, made.uuid, looked_at)
        operator.record(
            tx,
            "community.attached",
            community_uuid=made.uuid,
            object_uuid=made.uuid,
            detail={"name": made.name, "type": str(wanted.type), "table": wanted.table},
            now=now,
        )
    facts = _facts(made, Attachment(wanted), snapshot)
    if options.as_json:
        output.emit_json(facts)
        return
    output.say(f"Community {made.name} attached: {made.uuid}")
    _show(facts)
    if is_new:
        output.say(f"Let a key reach it: penstock apikey grant --community {made.name}")


def community_detach(options: administering.CommunityDetach) -> None:
    """Ends that a community's events are an attached table.

    Its search jobs end and expire, what is known of the table goes; keys, limits, quota, audit and finished exports
    stay. Idempotent.

    Raises:
        NotFound: `community_not_found`.
        UsageError: `community_not_attached`.
        Conflict: `community_exports_active`, without `--cancel`.
    """
    settings = local.settings()
    by = local.operator()
    with operator.database() as database, database.begin() as tx:
        # The database's time, by which the service's processes tell whether a search job has expired.
        now = database.time.now() or dt.datetime.now(dt.UTC)
        found = communities.by_name_or_uuid(tx, options.community)
        if attachment(settings, found.uuid).as_json is None:
            raise errors.UsageError(
                "community_not_attached",
                f"The events of {found.name} are Penstock's own, and no attached table.",
                "penstock community list says which are attached.",
            )
        active = exports.active_of(tx, found.uuid)
        if active and not options.cancel:
            raise errors.Conflict(
                "community_exports_active",
                f"{len(active)} exports of {found.name} wait or run, {active[0]} among them.",
                "Wait until they have ended, or cancel them with --cancel.",
            )
        for task_uuid in active:
            exports.request_cancel(tx, task_uuid, None, by=by, by_type="operator", now=now)
        ended = searches.end_all_of(tx, found.uuid, by=by, by_type="operator", now=now)
        detail = {"name": found.name, "exports_canceled": len(active), "search_jobs_ended": ended}
        operator.record(
            tx, "community.detached", community_uuid=found.uuid, object_uuid=found.uuid, detail=detail, now=now
        )
        # Last: what cannot be taken off leaves all as it was.
        attached_tables.detach(settings, found.uuid)
    if options.as_json:
        output.emit_json({"uuid": found.uuid, **detail})
        return
    output.say(f"Community {found.name} is detached; {ended} search jobs ended, {len(active)} exports are canceled.")


def _community(
    tx: sa.Connection, settings: settings_module.Settings, name: str, now: dt.datetime
) -> tuple[communities.Community, bool]:
    """A new community, or the one of this name that was detached; whether it is new."""
    try:
        return communities.create(tx, name=name, now=now), True
    except errors.Conflict as taken:
        uuid = taken.extra["community_uuid"]
        if not attachment(settings, uuid).is_detached:
            raise
        return communities.get(tx, uuid), False


def community_show(options: administering.CommunityShow) -> None:
    """Says what a community's events are."""
    settings = local.settings()
    with operator.database() as database, database.read() as tx:
        found = communities.by_name_or_uuid(tx, options.community)
    snapshot = tables.open_table(settings, found.uuid).snapshot()
    facts = _facts(found, attachment(settings, found.uuid), snapshot)
    if options.as_json:
        output.emit_json(facts)
    else:
        _show(facts)


@dataclasses.dataclass(frozen=True, slots=True)
class Attachment:
    """What a community's events are.

    Attributes:
        definition: of its table; None: they are Penstock's own, or there are none.
        is_detached: there are none, since its table was detached.
    """

    definition: definition.Definition | None
    is_detached: bool = False

    @property
    def called(self) -> str:
        """In few words."""
        if self.is_detached:
            return "detached"
        return "own" if self.definition is None else f"attached {self.definition.called()}"

    @property
    def as_json(self) -> dict[str, Any] | None:
        """For programs."""
        if self.is_detached:
            return {"detached": True}
        return None if self.definition is None else dataclasses.asdict(self.definition)


def attachment(settings: settings_module.Settings, community_uuid: str) -> Attachment:
    """What a community's events are. StorageError `lake_failed`."""
    try:
        return Attachment(tables.attached_to(settings, community_uuid))
    except errors.Conflict:
        return Attachment(None, is_detached=True)


def _definition(options: administering.CommunityAttach) -> definition.Definition:
    try:
        type_ = definition.TableType(options.type)
    except ValueError as error:
        raise errors.UsageError(
            "unknown_format",
            f"There is no type of table {options.type!r}.",
            f"Say one of: {', '.join(definition.TableType)}.",
        ) from error
    if options.catalog and type_ is not definition.TableType.ICEBERG:
        raise errors.UsageError(
            "unknown_format", "--catalog is for --type iceberg.", "Leave it out, or say --type iceberg."
        )
    names = mapping.parse(_text(options.map)) if options.map is not None else {}
    return definition.Definition(
        table=options.table if options.catalog else stores.normal(options.table),
        type=type_,
        time=options.time,
        catalog=options.catalog,
        names=names,
    )


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            "file_not_readable", f"{path} cannot be read: {error}.", "Name another file."
        ) from error


def _facts(community: communities.Community, attached: Attachment, snapshot: table.Snapshot) -> dict[str, Any]:
    """What both commands say, as JSON values."""
    timeless = 0
    if attached.definition is not None:
        # All that stands at the first instant there is, where no real event is.
        first = plan.TimeRange.of(times.FIRST_US, times.FIRST_US + 1)
        timeless = scan.count(snapshot, first, query.compile(query.parse(""), snapshot.query_columns))
    files = [file for file in snapshot.files if file.last_us > times.FIRST_US]
    return {
        **dataclasses.asdict(community),
        "attached": attached.as_json,
        "snapshot": snapshot.version,
        "events": snapshot.rows,
        "events_without_time": timeless,
        "files": len(snapshot.files),
        "bytes": sum(file.bytes for file in snapshot.files),
        "fields": len(snapshot.columns),
        # By what is known of the files: of a file with events without a time the first one is not.
        "last": _instant(max((file.last_us for file in files), default=None)),
    }


def _instant(us: int | None) -> dt.datetime | None:
    return None if us is None else instants.from_microseconds(us)


def _show(facts: dict[str, Any]) -> None:
    attached = facts["attached"]
    rows: list[tuple[str, Any]] = [("Name", facts["name"]), ("UUID", facts["uuid"]), ("Created", facts["created_at"])]
    if attached is None:
        rows.append(("Events are", "Penstock's own"))
    else:
        where = f"{attached['catalog']}:{attached['table']}" if attached["catalog"] else attached["table"]
        rows.append(("Events are", f"an attached table, read only: {attached['type']} {where}"))
        rows.append(("Time", attached["time"] or "@timestamp or time"))
        rows.append(("Mapped", f"{len(attached['names']):,} columns"))
    rows += [
        ("Snapshot", str(facts["snapshot"])),
        ("Events", f"{facts['events']:,} in {facts['files']:,} files, {output.size(facts['bytes'])}"),
        ("Fields", f"{facts['fields']:,}"),
        ("Last event", facts["last"]),
    ]
    if facts["events_without_time"]:
        rows.append(("Without a time", f"{facts['events_without_time']:,} events, which stand at 0001-01-01T00:00:00Z"))
    output.facts(rows)
