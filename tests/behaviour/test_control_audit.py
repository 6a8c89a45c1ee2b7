"""The audit: complete, append-only, listable, swept by age alone; on SQLite and on PostgreSQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from penstock import errors
from penstock.control import audit


def record(plane: Any, **values: Any) -> None:
    asked: dict[str, Any] = {"now": plane.clock.now(), "actor": "ann", "actor_type": "operator", "action": "file.read"}
    with plane.db.begin() as tx:
        audit.record(tx, **(asked | values))


def listed(plane: Any, limit: int = 100, offset: int = 0, **filters: Any) -> tuple[list[audit.Entry], int]:
    with plane.db.read() as tx:
        return audit.list_entries(tx, audit.Filters(**filters), limit, offset)


def test_entry_comes_back_as_it_was_recorded(plane: Any) -> None:
    record(plane, community_uuid=plane.community.uuid, object_uuid="o", detail={"bytes": 2**53, "range": [0, None]})
    (entry,), total = listed(plane)
    assert total == 1
    assert entry == audit.Entry(
        id=entry.id,
        at=plane.clock.now(),
        actor="ann",
        actor_type="operator",
        action="file.read",
        community_uuid=plane.community.uuid,
        object_uuid="o",
        detail={"bytes": 2**53, "range": [0, None]},
    )


def test_entry_of_a_rolled_back_transaction_does_not_exist(plane: Any) -> None:
    def act() -> None:
        with plane.db.begin() as tx:
            audit.record(tx, now=plane.clock.now(), actor="a", actor_type="b", action="c.d")
            raise KeyError

    with pytest.raises(KeyError):
        act()
    assert listed(plane) == ([], 0)


def test_entries_are_filtered_by_who_what_where_and_when(plane: Any) -> None:
    start = plane.clock.now()
    record(plane, actor="ann", action="file.read", community_uuid="c1", object_uuid="o1")
    plane.clock.advance(10)
    record(plane, actor="bob", action="file.read_twice", community_uuid="c2", object_uuid="o2")
    plane.clock.advance(10)
    record(plane, actor="bob", action="fileXread", community_uuid=None, object_uuid="o1")

    def actors(**filters: Any) -> list[tuple[str, str]]:
        return [(entry.actor, entry.action) for entry in listed(plane, **filters)[0]]

    everything = [("bob", "fileXread"), ("bob", "file.read_twice"), ("ann", "file.read")]
    assert actors() == everything
    assert actors(actor="bob") == everything[:2]
    assert actors(action="file.read") == everything[2:]
    assert actors(action="file.") == everything[1:]
    assert actors(object_uuid="o1") == [everything[0], everything[2]]
    assert actors(communities=["c1", "c2"]) == everything[1:]
    assert actors(communities=[]) == []
    assert actors(since=start + dt.timedelta(seconds=10)) == everything[:2]
    assert actors(until=start + dt.timedelta(seconds=10)) == everything[2:]
    page, total = listed(plane, limit=1, offset=1)
    assert ([entry.actor for entry in page], total) == (["bob"], 3)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'nobody'",
        "DELETE FROM audit_entries",
        "UPDATE audit_horizon SET delete_before = '0001-01-01 00:00:00Z', id = 2",
        "DELETE FROM audit_horizon",
        pytest.param("TRUNCATE audit_entries", id="truncate"),
    ],
)
def test_database_refuses_to_change_the_past(plane: Any, statement: str) -> None:
    record(plane)
    if statement.startswith("TRUNCATE") and plane.db.is_sqlite:
        statement = "DELETE FROM audit_entries WHERE 1"  # SQLite's truncate optimisation
    with pytest.raises(errors.StorageError) as refused, plane.db.begin() as tx:
        tx.execute(sa.text(statement))
    assert refused.value.code == "database_conflict"
    assert listed(plane)[1] == 1


def test_horizon_never_moves_back(plane: Any) -> None:
    plane.clock.advance(400 * 86_400)
    record(plane)
    with plane.db.begin() as tx:
        audit.sweep(tx, plane.clock.now(), keep_days=365)
    with plane.db.begin() as tx:
        assert audit.sweep(tx, plane.clock.now() - dt.timedelta(days=100), keep_days=365) == 0
    with pytest.raises(errors.StorageError), plane.db.begin() as tx:
        tx.execute(audit._HORIZON.update().values(delete_before=dt.datetime(2000, 1, 1, tzinfo=dt.UTC)))


def test_sweep_deletes_by_age_and_says_so(plane: Any) -> None:
    record(plane, actor="old")
    plane.clock.advance(30 * 86_400)
    record(plane, actor="young")
    plane.clock.advance(1)
    with plane.db.begin() as tx:
        assert audit.sweep(tx, plane.clock.now(), keep_days=30) == 1
    with plane.db.begin() as tx:
        assert audit.sweep(tx, plane.clock.now(), keep_days=30) == 0
    entries, _ = listed(plane)
    assert [entry.actor for entry in entries] == ["sweeper", "young"]
    assert entries[0].detail["deleted"] == 1
