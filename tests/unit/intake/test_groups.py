"""Claims about a group: several bodies in one commit, each with its own counts, rejects and batch id."""

from __future__ import annotations

import errno
import io
import pathlib
import weakref
from collections.abc import Iterator, Sequence

import polars as pl
import pytest

from penstock import errors, testing
from penstock.intake import batch, ingest, readers
from penstock.intake.requests import groups
from penstock.lake import files, table

LIMITS = ingest.Limits()


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path / "lake"), "community")


def body(text: bytes, batch_id: str | None = None) -> groups.Body:
    return groups.Body(items=lambda: groups.items_of(io.BytesIO(text), LIMITS), batch_id=batch_id)


def line(n: int) -> bytes:
    return b'{"@timestamp":"2026-03-01T10:00:00Z","n":%d}\n' % n


def take(events: table.EventTable, *bodies: groups.Body) -> list[groups.Outcome]:
    return groups.take(events, bodies, clock=testing.ManualClock(), limits=LIMITS)


def accepted(outcomes: Sequence[groups.Outcome]) -> list[tuple[int, bool] | None]:
    """(accepted, is a repeat) of each, None where it was left out."""
    assert not [one for one in outcomes if isinstance(one, errors.PenstockError)]
    return [(one.accepted, one.is_repeat) if isinstance(one, groups.Taken) else None for one in outcomes]


def stored(events: table.EventTable) -> list[int]:
    snapshot = events.snapshot()
    return sorted(n for file in snapshot.files for n in pl.read_parquet(snapshot.location(file.path))["n"])


def test_bodies_share_a_commit_and_keep_their_own_counts_and_rejects(events: table.EventTable) -> None:
    version = events.snapshot().version
    bad = line(3) + b"nonsense\n" + line(4) + b"[1]"
    spread = b'{\n  "n": 5\n}\n{\n  "n": 6\n}\n'  # documents, not lines
    found = take(events, body(line(1) + line(2)), body(bad), body(b"\n\n{}x\n"), body(b""), body(spread))
    assert accepted(found) == [(2, False), (2, False), (0, False), (0, False), (2, False)]
    told = [[(each.line, each.code) for each in one.rejects] for one in found if isinstance(one, groups.Taken)]
    assert told == [[], [(2, "invalid_json"), (4, "not_an_object")], [(3, "invalid_json")], [], []]
    assert stored(events) == [1, 2, 3, 4, 5, 6]
    snapshot = events.snapshot()
    assert len(snapshot.files) == 1
    assert {one.version for one in found if isinstance(one, groups.Taken)} == {snapshot.version}
    assert snapshot.version - version == 2  # the new column, the events


def test_a_batch_is_taken_in_once_whoever_brings_it_again(events: table.EventTable) -> None:
    assert accepted(take(events, body(line(1), "a"), body(line(2), "b"), body(line(1), "a"))) == [
        (1, False),
        (1, False),
        None,  # alone, it finds the first
    ]
    assert accepted(take(events, body(line(2), "b"), body(line(3), "c"), body(line(4)))) == [
        (0, True),
        (1, False),
        (1, False),
    ]
    assert stored(events) == [1, 2, 3, 4]


def test_a_batch_that_another_process_takes_in_meanwhile_is_left_out_and_the_others_are_not(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = table.EventTable(str(pathlib.Path(events.root).parent), "community")
    write, overtaken = files.FileWriter.finish, []

    def overtake(writer: files.FileWriter) -> None:
        if not overtaken:
            overtaken.append(1)
            take(other, body(line(2), "b"))
        write(writer)

    monkeypatch.setattr(files.FileWriter, "finish", overtake)
    found = take(events, body(line(1), "a"), body(line(2), "b"), body(line(3)))
    assert accepted(found) == [(1, False), (0, True), (1, False)]
    assert stored(events) == [1, 2, 3]
    assert len(list(pathlib.Path(events.root).glob("*.parquet"))) == 2


def test_a_body_that_cannot_be_read_is_left_out(events: table.EventTable) -> None:
    def broken() -> Iterator[readers.Item]:
        yield readers.Text(line(7))
        raise RuntimeError("a bug")

    array, packed = body(b'[{"n": 1}, {"n"'), body(b"PK\x03\x04 and more of a zip archive")
    found = take(events, body(line(1)), array, packed, groups.Body(items=broken), body(line(2)))
    assert accepted(found) == [(1, False), None, None, None, (1, False)]
    assert stored(events) == [1, 2]


def test_when_one_body_breaks_the_reading_of_all_each_is_to_be_taken_in_alone(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[batch.Batch]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(batch.Reader, "read", fail)
    assert take(events, body(line(1), "a"), body(line(2))) == [None, None]
    assert (events.snapshot().rows, events.has_batch("a")) == (0, False)


def test_a_fault_of_the_lake_is_told_of_every_body_and_nothing_is_in(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(events, body(line(1), "old"))
    before = set(pathlib.Path(events.root).rglob("*"))

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "refresh", fill)  # between the files and the commit
    repeat, *others = take(events, body(line(1), "old"), body(line(2), "a"), body(line(3)))
    assert isinstance(repeat, groups.Taken)  # what was in before needs no room
    assert [type(one) for one in others] == [errors.NoRoom] * 2
    assert set(pathlib.Path(events.root).rglob("*")) == before
    monkeypatch.undo()
    assert accepted(take(events, body(line(2), "a"), body(line(3)))) == [(1, False)] * 2
    assert stored(events) == [1, 2, 3]


def test_frames_of_a_group_are_in_memory_one_at_a_time(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_CELLS", 1)
    monkeypatch.setattr(batch, "_MIN_ROWS", 1)
    most = []

    def write(writer: files.FileWriter, frame: pl.DataFrame, wanted: object) -> None:
        seen.append(weakref.ref(frame))
        del frame
        most.append(sum(one() is not None for one in seen))

    seen: list[weakref.ref[pl.DataFrame]] = []
    monkeypatch.setattr(files.FileWriter, "write", write)
    assert accepted(take(events, body(line(1) * 20), body(line(2) * 20))) == [(20, False)] * 2
    assert len(seen) == 40
    assert max(most) <= 2
