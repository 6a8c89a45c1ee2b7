"""The border: every code of every driver has a meaning, and the meaning says whether to try again."""

from __future__ import annotations

import pathlib
import re
import sqlite3

import psycopg
import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import database, faults
from penstock.error_codes import CODES

ALL_FAULTS = [value for value in vars(faults).values() if isinstance(value, faults.Fault)]


def sqlite_error(code: int, message: str = "words") -> sa.exc.DBAPIError:
    original = sqlite3.OperationalError(message)
    original.sqlite_errorcode = code
    return sa.exc.OperationalError("SELECT secret", {"key": "hush"}, original)


def postgresql_error(state: str) -> sa.exc.DBAPIError:
    original = psycopg.errors.lookup(state)("words")
    return sa.exc.DBAPIError("SELECT secret", {"key": "hush"}, original)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (sqlite3.SQLITE_BUSY, "database_locked"),
        (sqlite3.SQLITE_BUSY | 2 << 8, "database_locked"),  # SQLITE_BUSY_SNAPSHOT
        (sqlite3.SQLITE_FULL, "database_full"),
        (sqlite3.SQLITE_READONLY | 4 << 8, "database_read_only"),  # SQLITE_READONLY_DBMOVED
        (sqlite3.SQLITE_CANTOPEN, "database_unavailable"),
        (sqlite3.SQLITE_IOERR | 10 << 8, "database_io_error"),
        (sqlite3.SQLITE_CORRUPT, "database_corrupt"),
        (sqlite3.SQLITE_NOTADB, "database_corrupt"),
        (sqlite3.SQLITE_CONSTRAINT, "database_conflict"),
        (sqlite3.SQLITE_ERROR, "database_error"),
        (sqlite3.SQLITE_MISUSE, "database_error"),
    ],
)
def test_sqlites_codes_have_their_meaning(code: int, meaning: str) -> None:
    assert faults.translate(sqlite_error(code), "db").code == meaning


@pytest.mark.parametrize(
    "message", ["no such table: exports", "no such column: x", "table exports has no column named x"]
)
def test_missing_table_or_column_means_not_migrated(message: str) -> None:
    assert faults.translate(sqlite_error(sqlite3.SQLITE_ERROR, message), "db").code == "database_not_migrated"


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        ("08006", "database_unavailable"),
        ("57P01", "database_unavailable"),
        ("57P03", "database_unavailable"),
        ("53300", "database_unavailable"),
        ("53100", "database_full"),
        ("25006", "database_read_only"),
        ("40001", "database_locked"),
        ("40P01", "database_locked"),
        ("55P03", "database_locked"),
        ("57014", "database_locked"),
        ("28P01", "database_access_denied"),
        ("3D000", "database_access_denied"),
        ("42501", "database_access_denied"),
        ("42P01", "database_not_migrated"),
        ("23505", "database_conflict"),
        ("58030", "database_io_error"),
        ("XX001", "database_corrupt"),
        ("22003", "database_error"),
        ("42601", "database_error"),
    ],
)
def test_postgresqls_states_have_their_meaning(state: str, meaning: str) -> None:
    assert faults.translate(postgresql_error(state), "db").code == meaning


def test_no_code_of_sqlite_and_no_state_of_postgresql_is_unmapped() -> None:
    codes = [value for name, value in vars(sqlite3).items() if re.fullmatch(r"SQLITE_[A-Z]+", name) and 0 < value < 27]
    assert len(codes) >= 20
    found = [faults.translate(sqlite_error(code), "db") for code in codes]
    classes = vars(psycopg.errors).values()
    states = {each.sqlstate for each in classes if isinstance(getattr(each, "sqlstate", None), str)}
    assert len(states) >= 200
    found += [faults.translate(postgresql_error(state), "db") for state in sorted(states)]
    assert {error.code for error in found} <= {fault.code for fault in ALL_FAULTS}
    assert all(type(error) is CODES[error.code].error for error in found)


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=lambda fault: fault.code)
def test_every_meaning_has_a_sentence_and_a_hint(fault: faults.Fault) -> None:
    assert fault.detail.format(database="db").endswith(".")
    assert "db" in fault.detail.format(database="db")
    assert fault.hint.endswith(".")
    assert fault.code in CODES


def test_translated_error_repeats_neither_statement_nor_values() -> None:
    error = faults.translate(sqlite_error(sqlite3.SQLITE_FULL), "db")
    assert "secret" not in str(error)
    assert "hush" not in str(error)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///x.db?mode=ro", "mysql://u@h/d"]
)
def test_unusable_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(errors.ConfigurationError) as refused:
        database.Database(url.replace("u@", "u:hush@"))
    assert refused.value.code in ("database_url_invalid", "database_not_supported")
    assert "hush" not in str(refused.value)


def test_postgresql_urls_in_every_spelling_use_psycopg() -> None:
    for spelling in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        db = database.Database(f"{spelling}://user:hush@host/name")
        assert repr(db) == "Database('postgresql+psycopg://user:***@host/name')"


def test_folder_that_is_not_there_is_a_matter_of_configuration(tmp_path: pathlib.Path) -> None:
    db = database.Database(f"sqlite:///{tmp_path / 'nowhere' / 'penstock.db'}")
    with pytest.raises(errors.ConfigurationError) as refused:
        db.migrate()
    assert refused.value.code == "database_not_creatable"
    assert "penstock init" in refused.value.hint
    with pytest.raises(errors.StorageError) as unavailable, db.read():
        pass
    assert unavailable.value.code == "database_unavailable"
