"""The quick way into SQLite says and writes the same as the repository; where it cannot, it says so."""

from __future__ import annotations

import datetime as dt
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from penstock.control import audit, communities, database, migrations
from penstock.control.schema import embedded, revision

NOW = dt.datetime(987, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    """A migrated database with a community."""
    made = f"sqlite:///{tmp_path / 'penstock.db'}"
    opened = database.Database(made)
    opened.migrate()
    with opened.begin() as tx:
        communities.create(tx, name="acme", now=dt.datetime.now(dt.UTC))
    opened.close()
    return made


def test_an_entry_is_the_row_that_the_repository_writes(url: str, tmp_path: pathlib.Path) -> None:
    detail = {"query": "é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "fields": ["a", "b"], "n": 1}
    opened = database.Database(url)
    with opened.begin() as tx:
        uuid = communities.by_name_or_uuid(tx, "acme").uuid
        audit.record(
            tx, now=NOW, actor="me", actor_type="operator", action="events.dumped", community_uuid=uuid, detail=detail
        )
    opened.close()
    with embedded.opened(url) as quick:
        assert quick is not None
        quick.record(now=NOW, actor="me", action="events.dumped", community_uuid=uuid, detail=detail)
    rows = sqlite3.connect(tmp_path / "penstock.db").execute("SELECT * FROM audit_entries ORDER BY id").fetchall()
    assert rows[0][1:] == rows[1][1:]


def test_a_community_is_found_by_name_and_by_uuid(url: str) -> None:
    with embedded.opened(url) as quick:
        assert quick is not None
        found = quick.community("acme")
        assert found is not None
        assert quick.community(found[0].upper()) == found
        assert quick.community("nobody") is None


def test_a_database_of_another_version_or_kind_has_no_quick_way(url: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database" * 100)
    for other in ("postgresql://nowhere/x", f"sqlite:///{tmp_path / 'none.db'}"):
        with embedded.opened(other) as quick:
            assert quick is None
    for name in ("empty.db", "text.db"):
        with embedded.opened(f"sqlite:///{tmp_path / name}") as quick:
            assert quick is None
    with sqlite3.connect(tmp_path / "penstock.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with embedded.opened(url) as quick:
        assert quick is None


def test_newest_revision_is_the_head_that_alembic_sees() -> None:
    assert revision.newest() == migrations._script().get_current_head()


def test_tables_of_this_version_need_no_alembic(url: str) -> None:
    script = (
        "import sys; from penstock.control import database; "
        f"database.Database({url!r}).migrate(); print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == "False\n"
