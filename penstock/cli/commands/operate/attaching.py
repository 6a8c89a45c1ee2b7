"""`penstock community attach` and `show`: communities over tables that somebody else writes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
from typing import Any

from penstock import errors, query
from penstock.base import instants
from penstock.cli import output
from penstock.cli.commands import local, operator
from penstock.cli.options import administering
from penstock.control import communities
from penstock.fields import mapping
from penstock.lake import table
from penstock.lake.attached import definition, stores, times
from penstock.lake.read import plan, scan
from penstock.process import tables

_NOBODY = "00000000-0000-0000-0000-000000000000"


def community_attach(options: administering.CommunityAttach) -> None:
    """Looks at the table, then creates the community.

    Raises:
        UsageError: `unknown_format`, `invalid_map`, `file_not_readable`.
        Conflict: `community_name_taken`.
        InvalidRequest, ConfigurationError, StorageError: the table does not suit; see `AttachedTable.check`.
    """
    settings = local.settings()
    wanted = _definition(options)
    # Looked at before the database is written to: a large table takes its time.
    looked_at = tables.open_attached(settings, _NOBODY, wanted)
    snapshot = looked_at.check()
    now = dt.datetime.now(dt.UTC)
    with operator.database() as database, database.begin() as tx:
        made = communities.create(tx, name=options.name, now=now)
        # Before the community can be seen: whoever sees it finds the table.
        tables.attach(settings, made.uuid, looked_at)
        operator.record(
            tx,
            "community.attached",
            community_uuid=made.uuid,
            object_uuid=made.uuid,
            detail={"name": made.name, "type": str(wanted.type), "table": wanted.table},
            now=now,
        )
    facts = _facts(made, wanted, snapshot)
    if options.as_json:
        output.emit_json(facts)
        return
    output.say(f"Community {made.name} attached: {made.uuid}")
    _show(facts)
    output.say(f"Let a key reach it: penstock apikey grant --community {made.name}")


def community_show(options: administering.CommunityShow) -> None:
    """Says what a community's events are."""
    settings = local.settings()
    with operator.database() as database, database.read() as tx:
        found = communities.by_name_or_uuid(tx, options.community)
    snapshot = tables.open_table(settings, found.uuid).snapshot()
    facts = _facts(found, tables.attached_to(settings, found.uuid), snapshot)
    if options.as_json:
        output.emit_json(facts)
    else:
        _show(facts)


def kind(attached: definition.Definition | None) -> str:
    """What a community's events are, in few words."""
    return "own" if attached is None else f"attached {attached.called()}"


def as_json(attached: definition.Definition | None) -> dict[str, Any] | None:
    """The same for programs."""
    return None if attached is None else dataclasses.asdict(attached)


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


def _facts(
    community: communities.Community, attached: definition.Definition | None, snapshot: table.Snapshot
) -> dict[str, Any]:
    """What both commands say, as JSON values."""
    timeless = 0
    if attached is not None:
        # All that stands at the first instant there is, where no real event is.
        first = plan.TimeRange.of(times.FIRST_US, times.FIRST_US + 1)
        timeless = scan.count(snapshot, first, query.compile(query.parse(""), snapshot.query_columns))
    files = [file for file in snapshot.files if file.last_us > times.FIRST_US]
    return {
        **dataclasses.asdict(community),
        "attached": as_json(attached),
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
