"""What drivers' errors mean: one table a database, from their codes to ours."""

from __future__ import annotations

import dataclasses
import sqlite3

import sqlalchemy as sa

from penstock import errors


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One meaning.

    Attributes:
        code: stable.
        detail: a sentence; `{database}` stands for the database.
        hint: what to do.
        is_configuration: the operator must change something about the service itself.
    """

    code: str
    detail: str
    hint: str
    is_configuration: bool = False


UNAVAILABLE = Fault(
    code="database_unavailable",
    detail="The database {database} does not answer.",
    hint="Work goes on by itself once it does; check that it runs and can be reached.",
)
FULL = Fault(
    code="database_full",
    detail="The disk of the database {database} is full.",
    hint="Make room; nothing committed is lost, and work goes on by itself.",
)
READ_ONLY = Fault(
    code="database_read_only",
    detail="The database {database} cannot be written to.",
    hint="Correct the permissions of its file and folder, or point to the primary server; work then goes on.",
)
LOCKED = Fault(
    code="database_locked",
    detail="The database {database} was held by another transaction for too long.",
    hint="Try again; if it lasts, look for a process that hangs.",
)
INPUT_OUTPUT = Fault(
    code="database_io_error",
    detail="The disk of the database {database} failed.",
    hint="Check the disk and the system's log; work goes on by itself once it is repaired.",
)
CORRUPT = Fault(
    code="database_corrupt",
    detail="The database {database} is damaged, or is no database.",
    hint="Stop the service and restore the last backup.",
    is_configuration=True,
)
DENIED = Fault(
    code="database_access_denied",
    detail="The database {database} refuses the user, the password or the database's name.",
    hint="Correct PENSTOCK_DATABASE_URL, or the user's rights.",
    is_configuration=True,
)
NOT_MIGRATED = Fault(
    code="database_not_migrated",
    detail="The database {database} lacks tables or columns of this version.",
    hint="Run `penstock init` once; it brings the tables up to date.",
    is_configuration=True,
)
CONFLICT = Fault(
    code="database_conflict",
    detail="The database {database} refused a write that contradicts another one.",
    hint="Try again.",
)
OTHER = Fault(
    code="database_error",
    detail="The database {database} refused an operation.",
    hint="See the log for the driver's words, and report it.",
)

_SQLITE = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    # Two connections raced for a lock of the write-ahead log too often in a row; it passes.
    sqlite3.SQLITE_PROTOCOL: LOCKED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    # Not a matter of set-up by then: `_create_private` has made the file. Used-up file descriptors say this too.
    sqlite3.SQLITE_CANTOPEN: UNAVAILABLE,
    sqlite3.SQLITE_IOERR: INPUT_OUTPUT,
    sqlite3.SQLITE_NOMEM: INPUT_OUTPUT,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_NOTADB: CORRUPT,
    sqlite3.SQLITE_CONSTRAINT: CONFLICT,
}
"""Primary result code of SQLite -> meaning. SQLITE_ERROR needs its message: see `_of_sqlite`."""

_POSTGRESQL = {
    "08": UNAVAILABLE,  # connection exception
    "28": DENIED,  # invalid authorization
    "3D000": DENIED,  # no such database
    "3F000": NOT_MIGRATED,  # no such schema
    "42501": DENIED,  # insufficient privilege
    "42P01": NOT_MIGRATED,  # undefined table
    "42703": NOT_MIGRATED,  # undefined column
    "23": CONFLICT,  # integrity
    "25006": READ_ONLY,  # read-only transaction
    "40": LOCKED,  # deadlock, serialization failure
    "55P03": LOCKED,  # lock not available
    "57014": LOCKED,  # statement timeout
    "57P": UNAVAILABLE,  # shutdown, crash, cannot connect now
    "53100": FULL,
    "53": UNAVAILABLE,  # too many connections, out of memory
    "58": INPUT_OUTPUT,
    "XX001": CORRUPT,
    "XX002": CORRUPT,
}
"""SQLSTATE, or a prefix of it -> meaning; the longest match holds."""


def translate(error: sa.exc.DBAPIError | sa.exc.TimeoutError, database: str) -> errors.PenstockError:
    """The tree's error for what SQLAlchemy or a driver raised."""
    return _error(_meaning(error), database)


def locked(database: str) -> errors.PenstockError:
    """The error for a lock of our own that was not to be had."""
    return _error(LOCKED, database)


def _error(fault: Fault, database: str) -> errors.PenstockError:
    kind: type[errors.PenstockError] = errors.ConfigurationError if fault.is_configuration else errors.StorageError
    if fault is FULL:
        kind = errors.NoRoom
    return kind(fault.code, fault.detail.format(database=database), fault.hint)


def _meaning(error: sa.exc.DBAPIError | sa.exc.TimeoutError) -> Fault:
    if isinstance(error, sa.exc.TimeoutError):  # no connection of the pool came free
        return UNAVAILABLE
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return _of_connecting(str(error.orig), error)
    matches = [prefix for prefix in _POSTGRESQL if state.startswith(prefix)]
    return _POSTGRESQL[max(matches, key=len)] if matches else OTHER


def _of_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary code
    # SQLite has one code for all errors of SQL. The third text is "table exports has no column named waits".
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(("no such table", "no such column", "table ")):
        return NOT_MIGRATED
    return _SQLITE.get(code, OTHER)


def _of_connecting(message: str, error: sa.exc.DBAPIError) -> Fault:
    # libpq gives no SQLSTATE for what happens before or instead of a session.
    # "does not exist" is said of a role and of a database.
    if any(words in message for words in ("authentication failed", "no pg_hba.conf entry", "does not exist")):
        return DENIED
    broken = error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return UNAVAILABLE if broken else OTHER
