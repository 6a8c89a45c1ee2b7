"""Databases that fail: a clear and retriable error, nothing half done, and work goes on when it is mended."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import database, exports, faults

NOBODY = 65534

only_postgresql = pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def refused(plane: Any) -> errors.PenstockError:
    """What a write raises now."""
    with pytest.raises(errors.PenstockError) as error:
        plane.start()
    return error.value


@only_postgresql
def test_connection_cut_in_a_transaction_undoes_it_and_the_next_one_works(plane: Any) -> None:
    def cut_in_the_middle() -> None:
        with plane.db.begin() as tx:
            exports.start(tx, plane.new_export(), limits=plane.limits, now=plane.clock.now())
            pid = tx.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            with plane.db.read() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            tx.execute(sa.text("SELECT 1"))

    with pytest.raises(errors.StorageError) as cut:
        cut_in_the_middle()
    assert (cut.value.code, cut.value.retriable) == ("database_unavailable", True)
    assert plane.count("exports") == 0
    assert plane.start()


@only_postgresql
def test_idle_connections_that_died_are_noticed_before_use(plane: Any) -> None:
    with plane.db.begin() as tx:  # all idle connections of this schema's pool but our own
        tx.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name = 'penstock-outage'"
            )
        )
    other = database.Database(
        plane.db._url.update_query_dict({"application_name": "penstock-outage"}).render_as_string(False)
    )
    with other.begin() as tx:
        tx.execute(sa.text("SELECT 1"))
    with plane.db.begin() as tx:
        ended = tx.execute(
            sa.text(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE application_name = 'penstock-outage'"
            )
        ).scalar_one()
    assert ended == 1
    with other.begin() as tx:
        assert tx.execute(sa.text("SELECT 1")).scalar_one() == 1
    other.close()


@only_postgresql
def test_deadlock_is_retriable(plane: Any) -> None:
    first, second = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
    lock = sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))")
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def cross(mine: str, other: str) -> None:
        try:
            with plane.db.begin() as tx:
                tx.execute(lock, {"name": mine})
                barrier.wait()
                tx.execute(lock, {"name": other})
            outcomes.append("done")
        except errors.StorageError as error:
            outcomes.append(f"{error.code} {error.retriable}")

    threads = [threading.Thread(target=cross, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["database_locked True", "done"]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"port": 1}, "database_unavailable"),
        ({"host": "127.0.0.1", "database": "nowhere_to_be_found"}, "database_access_denied"),
        ({"username": "nobody_at_all"}, "database_access_denied"),
    ],
)
def test_server_that_cannot_be_entered_says_why_without_the_password(
    postgresql_url: str, change: dict[str, Any], code: str
) -> None:
    url = sa.make_url(postgresql_url).set(password="hush", **change)
    db = database.Database(url.render_as_string(hide_password=False))
    with pytest.raises(errors.PenstockError) as error, db.begin():
        pass
    assert error.value.code == code
    assert "hush" not in f"{error.value} {db!r}"
    db.close()


@only_sqlite
def test_full_disk_is_named_and_work_goes_on_once_there_is_room(plane: Any) -> None:
    def limit_pages(connection: Any, _record: Any, _proxy: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages if full else 2**30}")

    full = True
    sa.event.listen(plane.db._engine, "checkout", limit_pages)
    error = refused_when_filled(plane)
    assert (error.code, error.retriable) == ("database_full", True)
    before = plane.count("exports")
    full = False
    assert plane.start(fields=("x" * 50_000,), job_uuid="fresh")
    assert plane.count("exports") == before + 1


def refused_when_filled(plane: Any) -> errors.PenstockError:
    with pytest.raises(errors.StorageError) as error:
        plane.start(fields=("x" * 500_000,))
    return error.value


@contextlib.contextmanager
def read_only(folder: pathlib.Path) -> Iterator[None]:
    """A folder that this process may read and not write; root, whom no mode stops, becomes somebody else meanwhile."""
    paths = [folder, *folder.iterdir()]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for path in paths:
            path.chmod(modes[path])


def test_read_only_home_is_named_and_work_goes_on_once_it_is_mended(
    new_sqlite_plane: Callable[[pathlib.Path], Any],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        home.chmod(0o755)
        plane = new_sqlite_plane(home)
        plane.finish(plane.running())
        plane.db.close()
        with read_only(home):
            error = refused(plane)
        assert (error.code, error.retriable) == ("database_read_only", True)
        plane.db.close()
        assert plane.start()
        plane.db.close()


@only_sqlite
def test_writer_of_another_process_that_hangs_is_named(plane: Any, monkeypatch: Any) -> None:
    sa.event.listen(plane.db._engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout=10"))
    path = plane.db._url.database
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = refused(plane)
    assert (error.code, error.retriable) == ("database_locked", True)
    with plane.db.read() as tx:  # readers do not wait for it
        assert exports.list_tasks(tx, None) == ([], 0)
    other.execute("ROLLBACK")
    other.close()
    assert plane.start()


@only_sqlite
def test_writer_of_this_process_that_hangs_is_named(plane: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT_SECONDS", 0.01)
    error: list[errors.PenstockError] = []
    with plane.db.begin():
        thread = threading.Thread(target=lambda: error.append(refused(plane)))
        thread.start()
        thread.join()
    assert error[0].code == "database_locked"


@only_sqlite
def test_damaged_file_is_named(plane: Any, tmp_path: pathlib.Path) -> None:
    plane.db.close()
    for path in tmp_path.glob("penstock.db*"):
        path.write_bytes(b"this is no database" * 1000)
    error = refused(plane)
    assert (type(error), error.code) == (errors.ConfigurationError, "database_corrupt")


@pytest.fixture
def small_pool(plane: Any, monkeypatch: Any) -> Iterator[Any]:
    for name, value in (("POOL_SIZE", 1), ("POOL_OVERFLOW", 0), ("LOCK_TIMEOUT_SECONDS", 1)):
        monkeypatch.setattr(database, name, value)
    made = database.Database(plane.db._url.render_as_string(hide_password=False))
    yield made
    made.close()


def test_pool_that_is_used_up_is_retriable(small_pool: database.Database) -> None:
    with small_pool.read(), pytest.raises(errors.StorageError) as error, small_pool.read():
        pass
    assert (error.value.code, error.value.retriable) == ("database_unavailable", True)


def test_read_transaction_cannot_write(plane: Any) -> None:
    with pytest.raises(errors.StorageError) as error, plane.db.read() as tx:
        exports.start(tx, plane.new_export(), limits=plane.limits, now=plane.clock.now())
    assert error.value.code == faults.READ_ONLY.code
    assert plane.start()  # and the connection is not spoilt for the next one
