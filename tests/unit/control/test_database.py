"""SQLite as we set it up: what survives a crash, who waits for whom, who may read the file."""

from __future__ import annotations

import pathlib
import sqlite3
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import database
from penstock.control.schema import tables


@pytest.fixture
def db(tmp_path: pathlib.Path) -> Iterator[database.Database]:
    made = database.Database(f"sqlite:///{tmp_path / 'penstock.db'}")
    made.migrate()
    yield made
    made.close()


def add(tx: sa.Connection, name: str) -> None:
    values = {"uuid": name, "name": name, "created_at": "2026-01-01T00:00:00.000000Z"}
    tx.execute(sa.text("INSERT INTO communities (uuid, name, created_at) VALUES (:uuid, :name, :created_at)"), values)


def names(db: database.Database) -> list[str]:
    with db.read() as tx:
        return list(tx.execute(sa.select(tables.communities.c.name).order_by("name")).scalars())


def test_commits_survive_a_power_cut_and_keys_are_enforced(db: database.Database) -> None:
    with db.read() as tx:
        found = [
            tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_file_is_the_owners_alone(db: database.Database, tmp_path: pathlib.Path) -> None:
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_block_that_raises_changes_nothing(db: database.Database) -> None:
    def act() -> None:
        with db.begin() as tx:
            add(tx, "gone")
            raise KeyError

    with pytest.raises(KeyError):
        act()
    assert names(db) == []


def test_reader_sees_the_state_before_a_writer_that_has_not_committed(db: database.Database) -> None:
    with db.begin() as tx:
        add(tx, "new")
        assert names(db) == []
    assert names(db) == ["new"]


def test_write_in_a_reading_transaction_is_refused_and_does_not_spoil_the_connection(db: database.Database) -> None:
    with pytest.raises(errors.StorageError) as refused, db.read() as tx:
        add(tx, "x")
    assert refused.value.code == "database_read_only"
    with db.begin() as tx:
        add(tx, "x")
    assert names(db) == ["x"]


def test_nested_writing_is_an_error_at_once_not_a_wait(db: database.Database) -> None:
    with db.begin(), pytest.raises(RuntimeError, match="already open"), db.begin():
        pass
    with db.begin() as tx:
        add(tx, "fine afterwards")


def test_many_threads_write_without_losing_a_row(db: database.Database) -> None:
    def work(number: int) -> None:
        for each in range(5):
            with db.begin() as tx:
                add(tx, f"{number}-{each}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(db)) == 50


def test_programming_error_is_not_dressed_up_as_an_outage(db: database.Database) -> None:
    with pytest.raises(sa.exc.ArgumentError), db.begin() as tx:
        tx.execute(tables.communities.insert().values({"uuid": 1}, name=2))


def test_closed_database_can_be_used_again(db: database.Database, tmp_path: pathlib.Path) -> None:
    with db.begin() as tx:
        add(tx, "kept")
    db.close()
    other = sqlite3.connect(tmp_path / "penstock.db")
    assert other.execute("SELECT name FROM communities").fetchall() == [("kept",)]
    other.close()
    assert names(db) == ["kept"]
