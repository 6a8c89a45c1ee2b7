"""The log stays short however often something is committed, and nothing that is still needed goes with it."""

from __future__ import annotations

import os
import pathlib
import time
from typing import Any

import deltalake
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import errors
from penstock.fields import types
from penstock.lake import batches, location, log, pins, table, upkeep

TTL_SECONDS = 1_000.0


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path), "community")


def other(events: table.EventTable) -> table.EventTable:
    """The same table, as another process opens it."""
    return table.EventTable(str(pathlib.Path(events.root).parent), "community")


def frame(instant: int) -> pl.DataFrame:
    return pl.DataFrame({types.TIMESTAMP: pl.Series([instant], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))})


def commit(events: table.EventTable, numbers: range) -> None:
    for number in numbers:
        events.append([frame(number)], types={}, batch_ids=[f"batch-{number}"])


def age(events: table.EventTable, seconds: float = log.KEEP_SECONDS) -> None:
    """Lets the log's files be so much older."""
    for path in pathlib.Path(events.root, "_delta_log").iterdir():
        written = path.stat().st_mtime - seconds
        os.utime(path, (written, written))


def in_log(events: table.EventTable) -> tuple[int, int]:
    """Files, and the bytes of the newest checkpoint."""
    found = list(pathlib.Path(events.root, "_delta_log").iterdir())
    return len(found), max(path for path in found if ".checkpoint." in path.name).stat().st_size


def test_the_log_and_its_checkpoints_do_not_grow_with_the_number_of_commits(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time_ns
    # What is committed is minutes old at once: a checkpoint may leave out who committed and what was removed.
    monkeypatch.setattr(time, "time_ns", lambda: real() - 600 * 10**9)
    monkeypatch.setattr(table, "_TINY_FILES", 20)
    found = []
    for step in range(8):
        commit(events, range(20 * step, 20 * step + 20))
        age(events)
        found.append(in_log(events))
    assert max(number for number, _ in found) <= 3 * log.CHECKPOINT_ENTRIES
    assert max(size for _, size in found[4:]) <= 1.2 * max(size for _, size in found[:4])
    assert other(events).snapshot().rows == 160
    assert other(events).batches_taken([f"batch-{n}" for n in range(170)]) == {f"batch-{n}" for n in range(160)}
    assert sum(path.stat().st_size for path in pathlib.Path(events.root, batches.FOLDER).iterdir()) <= 16 * 160


def test_other_readers_of_delta_tables_see_the_same(events: table.EventTable) -> None:
    commit(events, range(50))
    age(events)
    commit(events, range(50, 75))
    assert deltalake.DeltaTable(events.root).count() == 75


def test_a_process_that_looked_away_while_the_log_was_shortened_goes_on_with_it(events: table.EventTable) -> None:
    commit(events, range(3))
    late, reader = other(events), other(events)
    assert late.snapshot().rows == reader.snapshot().rows == 3
    commit(events, range(3, 50))
    age(events)
    commit(events, range(50, 75))
    assert not log.holds(events.folder, 4)
    assert late.has_batch("batch-1")
    with pytest.raises(table.BatchTaken):
        late.append([frame(2)], types={}, batch_ids=["batch-30"])
    late.append([frame(75)], types={}, batch_ids=["batch-75"])
    assert reader.snapshot().rows == other(events).snapshot().rows == 76


def test_a_commit_that_stood_still_until_its_place_in_the_log_was_gone_is_made_again(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(events, range(3))
    frozen, offer, clock, calls = other(events), deltalake.DeltaTable.create_write_transaction, time.monotonic, []
    frozen.snapshot()

    def stand_still(self: deltalake.DeltaTable, *args: Any, **named: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            offer(self, *args, **named)
            return
        # What a process does that has looked for newer entries, stands still, and then writes its own.
        monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", offer)
        commit(events, range(3, 50))
        age(events)
        commit(events, range(50, 75))
        monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", stand_still)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + log.KEEP_SECONDS)
        pathlib.Path(events.root, "_delta_log", f"{self.version() + 1:020d}.json").write_text("an entry behind all")

    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", stand_still)
    frozen.append([frame(75)], types={}, batch_ids=["batch-75"])
    assert len(calls) == 2
    assert other(events).snapshot().rows == 76


def test_a_kept_snapshot_is_read_by_its_version_until_it_is_pinned_no_more(events: table.EventTable) -> None:
    commit(events, range(30))
    pinned = events.snapshot()
    events.keep(pinned)
    commit(events, range(30, 60))
    upkeep.compact(events, min_files=2)
    age(events)
    commit(events, range(60, 85))
    assert not log.holds(events.folder, pinned.version)
    again = other(events)
    assert again.snapshot(pinned.version) == pinned
    upkeep.vacuum(again, pinned_versions=[pinned.version], keep_seconds=0)
    assert all(os.path.exists(pinned.location(file.path)) for file in again.snapshot(pinned.version).files)
    upkeep.vacuum(again, pinned_versions=[], keep_seconds=3600)
    assert again.snapshot(pinned.version) == pinned  # a search may have it in hand and not have said so yet
    upkeep.vacuum(again, pinned_versions=[], keep_seconds=0)
    with pytest.raises(errors.NotFound):
        again.snapshot(pinned.version)


def test_a_damaged_kept_snapshot_is_read_from_the_log(events: table.EventTable) -> None:
    commit(events, range(3))
    kept = events.snapshot()
    events.keep(kept)
    commit(events, range(3, 4))
    (place,) = pathlib.Path(events.root, pins.FOLDER).iterdir()
    place.write_bytes(place.read_bytes()[:-3])
    assert other(events).snapshot(kept.version) == kept


def test_a_log_that_cannot_be_shortened_now_fails_no_append(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(deltalake.DeltaTable, "create_checkpoint", fail)
        commit(events, range(25))
    commit(events, range(25, 26))
    assert in_log(events)[0] > 20
    assert events.snapshot().rows == 26


def test_tiny_files_go_after_an_hour_others_after_a_day(events: table.EventTable) -> None:
    commit(events, range(4))
    pathlib.Path(events.root, "large.parquet").write_bytes(bytes(upkeep.TINY_BYTES))
    upkeep.compact(events, min_files=2)
    for path in pathlib.Path(events.root).glob("*.parquet"):
        os.utime(path, (time.time() - 3700,) * 2)
    report = upkeep.vacuum(events, pinned_versions=[], keep_seconds=86_400)
    assert len(report.files) == 4
    assert "large.parquet" not in report.files


def test_a_process_that_only_appends_forgets_the_fields_of_files_that_are_gone(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.lake.catalog._MOST_FORGOTTEN", 5)
    monkeypatch.setattr(table, "_TINY_FILES", 4)
    old = None
    for number in range(20):
        commit(events, range(number, number + 1))
        old = old or events.snapshot()
    assert len(events.catalog._known) <= len(events.snapshot().files) + 6
    assert old is not None
    assert old.files_by_field() == {types.TIMESTAMP: 1}


# Batch ids, on a log made by hand


class Log:
    """A log of entries that bear batch ids, and two processes that look after it."""

    def __init__(self, root: pathlib.Path) -> None:
        self.folder = root / "_delta_log"
        self.folder.mkdir()
        self.processes = [batches.Batches(location.Disk(str(root)), TTL_SECONDS) for _ in range(2)]
        self.version = -1
        self.now = 1_000_000.0
        self.committed: dict[str, float] = {}

    def commit(self, *batch_ids: str) -> None:
        self.version += 1
        marks = "".join(f'{{"txn":{{"appId":"batch:{one}","version":1}}}}\n' for one in batch_ids)
        entry = '{"commitInfo":{}}\n' + marks + '{"txn":{"appId":"replace","version":1}}\n'
        (self.folder / f"{self.version:020d}.json").write_text(entry)
        self.committed |= dict.fromkeys(batch_ids, self.now)

    def gather(self, process: int) -> None:
        self.processes[process].gather(self.version, self.now)
        for path in self.folder.iterdir():
            if int(path.stem) <= self.processes[process].gathered():
                path.unlink()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 300)), max_size=40))
def test_every_batch_is_remembered_for_its_time(
    steps: list[tuple[int, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = Log(tmp_path_factory.mktemp("log"))
    for number, (kind, process, seconds) in enumerate(steps):
        if kind >= 4:
            made.gather(process)
        made.commit(*(f"{number}-{one}" for one in range(kind)))
        young = {one for one, at in made.committed.items() if made.now - at <= TTL_SECONDS}
        assert made.processes[process].taken([*made.committed, "unknown"], made.version) >= young
        assert "unknown" not in made.processes[process].taken(["unknown"], made.version)
        made.now += seconds


def test_ids_are_forgotten_after_their_time(tmp_path: pathlib.Path) -> None:
    made = Log(tmp_path)
    sizes = []
    for step in range(60):
        made.commit(*(f"{step}-{one}" for one in range(50)))
        made.now += TTL_SECONDS / 10
        made.gather(0)
        sizes.append(sum(path.stat().st_size for path in (tmp_path / batches.FOLDER).iterdir()))
    assert max(sizes) <= 16 * 50 * 60
    made.now += 2 * TTL_SECONDS
    for _ in range(3):
        made.commit("late")
        made.now += 2 * TTL_SECONDS
        made.gather(0)
    assert made.processes[1].taken(["0-0", "30-7"], made.version) == frozenset()


def test_a_merge_that_is_killed_before_it_cleans_up_loses_no_id(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Log(tmp_path)
    made.commit("a", "b")
    made.gather(0)
    made.commit("c")
    with monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "unlink", _killed)
        with pytest.raises(KeyboardInterrupt):
            made.gather(0)
    assert len(list((tmp_path / batches.FOLDER).iterdir())) == 2
    for process in made.processes:
        assert process.taken(["a", "b", "c", "d"], made.version) == {"a", "b", "c"}
    made.commit("d")
    made.gather(1)
    assert made.processes[0].taken(["a", "b", "c", "d"], made.version) == {"a", "b", "c", "d"}


def _killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
