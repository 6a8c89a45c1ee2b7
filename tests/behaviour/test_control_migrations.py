"""Migrations: applied in order they give the very tables of the code, once, whoever applies them."""

from __future__ import annotations

import pathlib
import threading
from typing import Any

import alembic.autogenerate
import alembic.runtime.migration
import alembic.script
import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import database, migrations
from penstock.control.schema import tables


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


both = pytest.mark.parametrize(
    "empty_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@both
def test_migrations_applied_in_order_equal_the_tables(empty_url: str) -> None:
    db = database.Database(empty_url)
    db.migrate()
    with db.read() as tx:
        context = alembic.runtime.migration.MigrationContext.configure(tx, opts={"compare_type": True})
        assert alembic.autogenerate.compare_metadata(context, tables.metadata) == []
        checks = {each["name"] for each in sa.inspect(tx).get_check_constraints("exports")}
    db.close()
    assert checks == {"ck_exports_slot_while_active", "ck_exports_no_secret_once_ended"}


@both
def test_migrating_again_changes_nothing(empty_url: str) -> None:
    db = database.Database(empty_url)
    db.migrate()
    with db.begin() as tx:
        tx.execute(tables.communities.insert().values(uuid="u", name="kept", created_at=_instant()))
    db.migrate()
    with db.read() as tx:
        assert tx.execute(sa.select(tables.communities.c.name)).scalars().all() == ["kept"]
    db.check()
    db.close()


@both
def test_processes_that_migrate_at_once_line_up(empty_url: str) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(4)

    def migrate() -> None:
        db = database.Database(empty_url)  # one each, as separate processes would have
        barrier.wait()
        try:
            db.migrate()
            db.check()
            outcomes.append("migrated")
        except Exception as error:
            outcomes.append(error)
        finally:
            db.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["migrated"] * 4


@both
def test_tables_that_are_not_there_yet_are_named_as_the_reason(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        pathlib.Path(empty_url.removeprefix("sqlite:///")).touch()
    db = database.Database(empty_url)
    with pytest.raises(errors.ConfigurationError) as refused:
        db.check()
    assert refused.value.code == "database_not_migrated"
    with pytest.raises(errors.ConfigurationError) as refused, db.read() as tx:
        tx.execute(tables.communities.select())
    assert refused.value.code == "database_not_migrated"
    assert "penstock init" in refused.value.hint
    db.close()


@both
def test_database_of_a_later_version_is_left_alone(empty_url: str) -> None:
    db = database.Database(empty_url)
    db.migrate()
    with db.begin() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    db.close()
    db = database.Database(empty_url)  # one that began before is told nothing: test_rolling_upgrade
    for act in (db.migrate, db.check):
        with pytest.raises(errors.ConfigurationError) as refused:
            act()
        assert refused.value.code == "database_too_new"
        assert "9999" in refused.value.detail
    db.close()


def test_migrations_form_one_line() -> None:
    script = alembic.script.ScriptDirectory.from_config(migrations.config())
    found = [each.revision for each in script.walk_revisions()]
    assert found == sorted(found, reverse=True)
    assert len(script.get_heads()) == 1


def test_failed_migration_leaves_nothing_behind(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    db = database.Database(f"sqlite:///{tmp_path / 'x.db'}")
    script = alembic.script.ScriptDirectory.from_config(migrations.config())
    last = script.get_revision("0002").module
    monkeypatch.setattr(last, "_SQLITE", ("CREATE TRIGGER nonsense",))
    monkeypatch.setattr("alembic.script.ScriptDirectory.from_config", lambda _: script)
    with pytest.raises(errors.StorageError):
        db.migrate()
    with db.read() as tx:
        assert sa.inspect(tx).get_table_names() == []
    db.close()


def _instant() -> Any:
    import datetime as dt

    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
