"""Migrations of the control plane, applied by the program itself: forward only, one transaction, one process at a time.

A new one: change `control/schema/tables.py`, add `versions/NNNN_what.py`; the test that compares both says what is
missing.
To go back, restore a backup.
"""

from __future__ import annotations

import pathlib

import alembic.command
import alembic.config
import alembic.runtime.migration
import alembic.script
import sqlalchemy as sa

from penstock import errors

_LOCK = 0x50454E53  # "PENS": the advisory lock that lines up processes on PostgreSQL


def config(tx: sa.Connection | None = None) -> alembic.config.Config:
    """Alembic's configuration; no file is read."""
    made = alembic.config.Config()
    # Alembic's options pass through ConfigParser, in which `%` begins an interpolation.
    made.set_main_option("script_location", str(pathlib.Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = tx
    return made


def upgrade(tx: sa.Connection) -> None:
    """Applies what is missing. Raises ConfigurationError `database_too_new`."""
    if tx.dialect.name == "postgresql":
        # Processes that start at once would else apply the same migration twice. Of the transaction, so that a process
        # that dies lets go. On SQLite, BEGIN IMMEDIATE has lined them up already.
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    # First: to Alembic a revision that it does not know is a broken history, and its message does not help an operator.
    _refuse_newer(tx)
    alembic.command.upgrade(config(tx), "head")


def check(tx: sa.Connection, *, may_be_newer: bool = False) -> None:
    """Raises ConfigurationError `database_too_new` or `database_not_migrated` unless all are applied."""
    if may_be_newer and _is_newer(_applied(tx)):
        return
    _refuse_newer(tx)
    if _applied(tx) != _script().get_current_head():
        raise errors.ConfigurationError(
            "database_not_migrated",
            "The database's tables are not those of this version.",
            "Run `penstock init` once; it brings them up to date.",
        )


def _script() -> alembic.script.ScriptDirectory:
    return alembic.script.ScriptDirectory.from_config(config())


def _applied(tx: sa.Connection) -> str | None:
    return alembic.runtime.migration.MigrationContext.configure(tx).get_current_revision()


def _is_newer(applied: str | None) -> bool:
    return applied is not None and applied not in {each.revision for each in _script().walk_revisions()}


def _refuse_newer(tx: sa.Connection) -> None:
    applied = _applied(tx)
    if _is_newer(applied):
        raise errors.ConfigurationError(
            "database_too_new",
            f"A later version of Penstock has migrated the database (to {applied}).",
            "Install that version, or restore the backup from before.",
        )
