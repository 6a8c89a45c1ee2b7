"""Two statements of the control plane by the standard library's sqlite3, for `penstock dump` alone.

To import SQLAlchemy and the tables takes longer than all else that a dump of few events needs. The statements are
those of `communities.by_name_or_uuid` and `audit.record`; a test holds that both ways write the same row. Where the
database is not SQLite, or its tables are not those of this version, there is no quick way: `open` answers None.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import pathlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.control.schema import revision

_PREFIX = "sqlite:///"
_LOCK_SECONDS = 30.0


class Embedded:
    """An open SQLite file whose tables are those of this version."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def community(self, name_or_uuid: str) -> tuple[str, str] | None:
        """UUID and name of a community; None if there is none."""
        query = "SELECT uuid, name FROM communities WHERE uuid = ? OR name = ? ORDER BY uuid = ? DESC LIMIT 1"
        low = name_or_uuid.lower()
        found: tuple[str, str] | None = self._connection.execute(query, (low, name_or_uuid, low)).fetchone()
        return found

    def record(
        self, *, now: dt.datetime, actor: str, action: str, community_uuid: str, detail: Mapping[str, Any]
    ) -> None:
        """An entry of the audit by an operator."""
        # The text of `column_types.UtcDateTime`: of fixed width, since order of text must be order of time.
        stamp = now.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        text = json.dumps(dict(detail), ensure_ascii=False, separators=(",", ":"))
        with self._connection:
            self._connection.execute(
                "INSERT INTO audit_entries (at, actor, actor_type, action, community_uuid, object_uuid, detail) "
                "VALUES (?, ?, 'operator', ?, ?, NULL, ?)",
                (stamp, actor, action, community_uuid, text),
            )


@contextlib.contextmanager
def opened(database_url: str) -> Iterator[Embedded | None]:
    """The SQLite file of a database URL, or None."""
    file = pathlib.Path(database_url.removeprefix(_PREFIX))
    if not database_url.startswith(_PREFIX) or not file.is_file():
        yield None
        return
    with contextlib.closing(sqlite3.connect(file, timeout=_LOCK_SECONDS)) as connection:
        is_current = _is_current(connection)
        if is_current:
            # Per connection, unlike journal_mode: the file does not remember it.
            connection.execute("PRAGMA synchronous=FULL")  # as the repository's own connections
        yield Embedded(connection) if is_current else None


def _is_current(connection: sqlite3.Connection) -> bool:
    try:
        return connection.execute(revision.QUERY).fetchall() == [(revision.newest(),)]
    # No such table, or no database at all: the repository's own way says which, with its error.
    except sqlite3.DatabaseError:
        return False
