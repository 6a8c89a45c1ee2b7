"""One database, SQLite or PostgreSQL: transactions, migrations, and the one border that translates driver errors.

SQLite: WAL, so readers never wait; `BEGIN IMMEDIATE`, so a writer never fails halfway with a stale snapshot;
`synchronous=FULL`, so that a committed checkpoint survives a power cut (a few milliseconds a commit, and an export
commits a few times a second). Writers of one process line up at a lock, those of several at SQLite's own.

PostgreSQL: psycopg, READ COMMITTED, a connection is tried before it is handed out, no wait for a lock is endless.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from penstock import errors
from penstock.control import faults
from penstock.control.schema import clock, revision

LOCK_TIMEOUT_SECONDS = 30
"""How long a transaction waits for another's lock before it gives up with `database_locked`."""

CONNECT_TIMEOUT_SECONDS = 5
POOL_SIZE = 8
POOL_OVERFLOW = 24
"""Connections of one process: POOL_SIZE kept, POOL_OVERFLOW more under load (SQLite: kept too); then callers wait."""

_CHECKPOINT_WAIT_MS = 200
"""How long `truncate_log` waits for readers: all writers of the process wait with it."""

_READ_ONLY = "penstock_read_only"


class Database:
    """A database and its pool of connections; safe from several threads, not across a fork. Connects when first used.

    Attributes:
        time: the database's own.

    Args:
        url: `sqlite:///PATH` or `postgresql://…` (an SQLAlchemy URL; `postgresql+psycopg` is meant).

    Raises:
        ConfigurationError: `database_url_invalid`, `database_not_supported`, `database_driver_missing`.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.time = clock.DatabaseTime()
        self._write_lock = threading.Lock()
        self._was_current = False
        # A flag for each thread: the outer transaction of the same thread can never end while the inner one waits for
        # it.
        self._open = threading.local()
        self._engine = _sqlite_engine(self._url) if self.is_sqlite else _postgresql_engine(self._url)

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """The URL for people, without the password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def file(self) -> pathlib.Path | None:
        """SQLite's file; None for a server's database."""
        return pathlib.Path(str(self._url.database)) if self.is_sqlite else None

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction that may write: committed at the end of the block, rolled back if it raises.

        Not to be nested in one thread (RuntimeError): the inner one would wait for the outer one. An
        error of the commit itself leaves it open whether it took place: all
        operations of the repository may be repeated.

        Raises:
            StorageError, ConfigurationError: what the driver said, see `faults.translate`.
        """
        # The order counts. The translation is outside of `begin`, since the commit raises too; the writers' lock is
        # taken before a connection of the pool, so that waiting writers keep none from readers.
        with self._not_nested(), self._translated(), self._one_writer(), self._engine.begin() as tx:
            self.time.keep(tx)
            yield tx

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One transaction that only reads and never waits for writers. A write in it raises `database_read_only`."""
        with self._translated(), self._engine.connect() as connection:
            # SQLite knows no read-only transaction; `_begin` makes one with PRAGMA query_only.
            options: dict[str, Any] = {_READ_ONLY: True} if self.is_sqlite else {"postgresql_readonly": True}
            tx = connection.execution_options(**options)
            with tx.begin():
                self.time.keep(tx)
                yield tx

    def migrate(self) -> None:
        """Brings the tables up to date; creates them the first time. Idempotent; several processes may call at once.

        Raises:
            ConfigurationError: `database_too_new`: a later version of Penstock has migrated it.
            StorageError, ConfigurationError: as `begin`.
        """
        if self.is_sqlite:
            # Before any connection: SQLite would make the file with the umask's rights, and the database holds sealed
            # secrets.
            _create_private(pathlib.Path(str(self._url.database)))
        # Outside of a transaction that writes: most starts find nothing to do and wait for no lock.
        if not self._is_current():
            from penstock.control import (
                migrations,
            )  # brings Alembic, which takes longer to load than most commands have

            with self.begin() as tx:
                migrations.upgrade(tx)
        self._was_current = True

    def _is_current(self) -> bool:
        """The tables are those of this version. One query; anything unexpected is left to Alembic."""
        with self._translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(**{_READ_ONLY: True})
            try:
                found = connection.exec_driver_sql(revision.QUERY).scalars().all()
            # A missing table is a ProgrammingError with psycopg; with sqlite3 it is an OperationalError, as is a locked
            # file.
            except (sa.exc.ProgrammingError, sa.exc.OperationalError) as error:
                if isinstance(error, sa.exc.ProgrammingError) or "no such table" in str(error):
                    return False
                raise
        return found == [revision.newest()]

    def check(self) -> None:
        """Raises unless the database answers and its tables are those that this process needs: for readiness.

        Migrations only add. So a process that began with tables of its own version goes on after a later one has
        migrated them: in a rolling upgrade the old ones answer until they are replaced.

        Raises:
            ConfigurationError: `database_not_migrated`, `database_too_new`.
            StorageError, ConfigurationError: as `begin`.
        """
        if self._is_current():
            return
        from penstock.control import migrations

        with self.read() as tx:
            migrations.check(tx, may_be_newer=self._was_current)

    def truncate_log(self) -> bool:
        """SQLite: moves the write-ahead log into the file and cuts it to nothing, so that it keeps no burst on disk.

        False if others were at work just then: the next time. A server's database sees to its own log.

        Raises StorageError, ConfigurationError: as `begin`.
        """
        if not self.is_sqlite:
            return True
        with self._translated(), self._one_writer():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                # SQLAlchemy would begin a transaction, in which no checkpoint can be made.
                cursor.execute(f"PRAGMA busy_timeout={_CHECKPOINT_WAIT_MS}")
                is_busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_SECONDS * 1000}")
                cursor.close()
            except sqlite3.Error as error:
                connection.invalidate()
                raise faults.translate(sa.exc.DBAPIError(None, None, error), self.name) from error
            finally:
                connection.close()
        return not is_busy

    def close(self) -> None:
        """Closes all idle connections; the database may be used again afterwards."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _not_nested(self) -> Iterator[None]:
        if getattr(self._open, "writing", False):
            raise RuntimeError("a transaction that writes is already open in this thread")
        self._open.writing = True
        try:
            yield
        finally:
            self._open.writing = False

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise faults.translate(error, self.name) from error

    @contextlib.contextmanager
    def _one_writer(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        # SQLite's own busy handler polls with pauses of up to 100 ms; within a process a lock hands over at once.
        if not self._write_lock.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            raise faults.locked(self.name)
        try:
            yield
        finally:
            self._write_lock.release()


def _parse(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise errors.ConfigurationError(
            "database_url_invalid",
            "The database URL cannot be read.",  # not quoted: it may hold a password
            "Write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE.",
        ) from error
    backend = url.get_backend_name()
    # Not `:memory:`: each connection of the pool would get a database of its own. No options: `_sqlite_engine` sets its
    # own, and `?mode=` or `?vfs=` would change what the promises of this module rest on.
    if backend == "sqlite" and url.database not in (None, "", ":memory:") and not url.query:
        return url
    # SQLAlchemy has dropped the name `postgres`; many hosts still give out URLs that begin with it.
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise errors.ConfigurationError(
        "database_not_supported",
        f"The database {url.render_as_string(hide_password=True)} is not supported.",
        "Use a file (sqlite:///PATH, without options) or PostgreSQL (postgresql://…).",
    )


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        # All are kept: one more costs a file descriptor, and to open one under load as much as what it is asked.
        pool_size=POOL_SIZE + POOL_OVERFLOW,
        max_overflow=0,
        pool_timeout=LOCK_TIMEOUT_SECONDS,
        # The pool hands a connection to one thread at a time, which is all that SQLite asks for.
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin by itself: it would begin DEFERRED
        _switch_to_wal(connection)
        # secure_delete: what is erased is overwritten, whatever the SQLite of this machine does by default.
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        # The pragma stays with the connection, and the pool gives that to the next caller.
        if connection.info.get(_READ_ONLY) is not read_only:
            connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
            connection.info[_READ_ONLY] = read_only
        # A deferred BEGIN that first reads and then writes fails at once with SQLITE_BUSY if another wrote in between,
        # whatever the timeout says. IMMEDIATE takes the write lock first and so waits its turn.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Tries again while another process makes the same switch of a new file.

    The switch reads, then wants to write. SQLite answers "busy" to that at once, without its busy handler, when two
    connections do it at the same time: waiting could be a deadlock.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # The low byte is the primary code; what is above it says more, SQLITE_BUSY_RECOVERY for instance.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        # Random, so that two processes that met once do not meet again.
        time.sleep(random.uniform(0.001, 0.02))


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url,
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=LOCK_TIMEOUT_SECONDS,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
        )
    except ImportError as error:
        raise errors.ConfigurationError(
            "database_driver_missing",
            "The driver for PostgreSQL is not installed.",
            "Install it: pip install 'penstock[postgresql]'.",
        ) from error

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # By statement, not by connection options: those belong to whoever wrote the URL.
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
        # PostgreSQL takes a SET back when its transaction is rolled back, and the pool rolls back what it gets back.
        connection.commit()

    return engine


def _create_private(path: pathlib.Path) -> None:
    """Makes the file before SQLite does, readable by its owner only.

    A file that exists is not opened: closing it would drop the locks that other connections of this process hold on it
    (POSIX locks belong to the process), and another process would then take the write-ahead log away from them.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise errors.ConfigurationError(
            "database_not_creatable",
            f"The database {path} cannot be made or opened: {error.strerror}.",
            "Run `penstock init`, or correct the folder's owner and permissions.",
        ) from error
