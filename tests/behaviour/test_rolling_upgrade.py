"""A later version migrates the tables while older processes work: these go on, answer and finish; none can start."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from support import house

from penstock import errors, worker
from penstock.control import database
from penstock.control.schema import tables


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def own_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """A database of this test's own: other tests share one, and could not read what this one leaves."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'own.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def small_house(tmp_path: pathlib.Path, own_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", own_url, house.SMALL, {}) as made:
        yield made


def migrate_as_a_later_version_would(url: str) -> None:
    """Migrations only add: a column to every table, and a table."""
    later = database.Database(url)
    with later.begin() as tx:
        for table in tables.metadata.sorted_tables:
            tx.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN of_a_later_version VARCHAR(9) DEFAULT 'x'"))
        tx.execute(sa.text("CREATE TABLE of_a_later_version (id INTEGER PRIMARY KEY)"))
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    later.close()


def test_an_export_goes_on_while_a_later_version_migrates_the_tables(small_house: house.House, own_url: str) -> None:
    _, expected = small_house.steps_of_an_undisturbed_export()
    used_before, task_uuid, seen = small_house.used_bytes(), small_house.start(), []

    def step(name: str) -> None:
        if name == "record 3 done":
            migrate_as_a_later_version_would(own_url)
            seen.append(name)

    worker.Worker(small_house.opened, step=step).run_pending()
    assert seen
    small_house.assert_exact(task_uuid, expected, used_before)
    # Old processes stay in the balancer until they are replaced, and start what they are asked to.
    small_house.opened.database.check()
    second = small_house.start()
    worker.Worker(small_house.opened).run_pending()
    assert small_house.export(second).status == "FINISHED"
    late = database.Database(own_url)
    for act in (late.migrate, late.check):
        with pytest.raises(errors.ConfigurationError) as refused:
            act()
        assert refused.value.code == "database_too_new"
    late.close()
