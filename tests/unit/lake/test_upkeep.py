"""Upkeep: compaction changes no export by a byte, vacuum takes only what nothing needs."""

from __future__ import annotations

import itertools
import os
import pathlib
import random
import tempfile
import threading
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import errors, query
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import joining, layout, table, upkeep
from penstock.lake.read import plan, scan

EVERYTHING = query.Predicate(expression=None, columns=frozenset())
ALL_TIME = plan.TimeRange.of(0, 10 * 86_400_000_000)
TYPES = {"seq": FieldType.LONG, "odd": FieldType.KEYWORD}


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path), "community")


def append(events: table.EventTable, instants: Sequence[int], first: int = 0) -> None:
    stamps = pl.Series(types.TIMESTAMP, instants, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    seq = list(range(first, first + len(instants)))
    columns = {
        types.TIMESTAMP: stamps,
        "seq": seq,
        "odd": pl.Series(["x" if n % 2 else None for n in seq], dtype=pl.String),
        types.OVERFLOW: pl.Series(['{"a":1}' if n % 5 == 0 else None for n in seq], dtype=pl.String),
    }
    events.append([pl.DataFrame(columns)], types=TYPES)


def export(snapshot: table.Snapshot, max_rows: int = 7) -> list[tuple[object, ...]]:
    """All events as (instant, seq, odd, overflow), in the order in which they are exported."""
    names = (types.TIMESTAMP, "seq", "odd", types.OVERFLOW)
    rows: list[tuple[object, ...]] = []
    for piece in plan.plan_slices(snapshot, ALL_TIME, max_rows=max_rows, max_bytes=1 << 40):
        frame = scan.read_slice(snapshot, piece, names[:3], EVERYTHING)
        nothing = [None] * frame.height
        columns = [frame[name].to_list() if name in frame.columns else nothing for name in names]
        rows += zip(*columns, strict=True)
    return rows


def paths(events: table.EventTable) -> set[str]:
    return {str(p.relative_to(events.root)) for p in pathlib.Path(events.root).glob("*.parquet")}


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=30), min_size=1, max_size=9),
    target_rows=st.integers(4, 60),
)
def test_an_export_before_and_after_compaction_is_the_same(batches: list[list[int]], target_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        events = table.EventTable(folder, "community")
        first = 0
        for batch in batches:
            append(events, batch, first)
            first += len(batch)
        before = events.snapshot()
        expected = export(before)
        target = joining.Target(rows=target_rows)
        report = upkeep.compact(events, min_files=2, target=target)
        after = events.snapshot()
        assert export(after) == expected
        assert export(before) == expected
        assert report.version == after.version
        assert len(after.files) == len(before.files) - report.files_removed + report.files_added
        again = upkeep.compact(events, min_files=2, target=target)
        assert export(events.snapshot()) == expected
        assert again.files_added <= again.files_removed


def test_small_files_become_one(events: table.EventTable) -> None:
    for n in range(6):
        append(events, [n, 100 - n])
    report = upkeep.compact(events, min_files=4)
    assert (report.files_removed, report.files_added, report.rows) == (6, 1, 12)
    (file,) = events.snapshot().files
    assert (file.rows, file.first_us, file.last_us, file.overflow_rows) == (12, 0, 100, 6)
    assert upkeep.compact(events, min_files=4).files_removed == 0


def test_few_files_are_left_alone(events: table.EventTable) -> None:
    for n in range(3):
        append(events, [n])
    version = events.snapshot().version
    assert upkeep.compact(events, min_files=4).version == version


def test_compacted_files_keep_to_the_target_size(events: table.EventTable) -> None:
    for n in range(8):
        append(events, range(n, 800 + n, 2), 400 * n)
    upkeep.compact(events, min_files=2, target=joining.Target(rows=1000))
    assert [file.rows for file in events.snapshot().files] == [800, 800, 800, 800]


def test_compacted_files_keep_to_the_target_weight(events: table.EventTable) -> None:
    for n in range(8):
        append(events, range(n, 800 + n, 2), 400 * n)
    upkeep.compact(events, min_files=2, target=joining.Target(bytes=60_000))
    found = events.snapshot()
    assert 2 < len(found.files) < 8
    for file in found.files:
        assert layout.weigh(pl.read_parquet(found.location(file.path))).bytes < 60_000


def test_an_event_is_rewritten_a_logarithmic_number_of_times(events: table.EventTable) -> None:
    rewritten = 0
    for n in range(256):
        append(events, [n], n)
        rewritten += upkeep.compact(events).rows
    assert len(events.snapshot().files) <= 4 * 8
    assert rewritten <= 256 * 8


def test_a_compaction_begins_no_run_after_its_time(events: table.EventTable) -> None:
    for n in range(4):
        append(events, [n], n)
    assert upkeep.compact(events, max_seconds=0).files_removed == 0
    assert upkeep.compact(events, max_seconds=60).files_removed == 4


def test_an_append_during_compaction_is_kept(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(4):
        append(events, [n])
    replace = events.replace
    other = table.EventTable(str(pathlib.Path(events.root).parent), "community")

    def replace_late(*args: object) -> int | None:
        append(other, [50], 99)
        return replace(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(events, "replace", replace_late)
    assert upkeep.compact(events, min_files=2).files_removed == 4
    assert [row[1] for row in export(events.snapshot())] == [0, 0, 0, 0, 99]


def test_two_compactions_at_once_join_each_file_once(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    for n in range(12):
        append(events, [rng.randrange(50) for _ in range(20)], 20 * n)
    expected, before = export(events.snapshot()), paths(events)
    ready = threading.Barrier(3, timeout=30)
    replace = table.EventTable.replace

    def replace_together(*args: Any) -> int | None:
        ready.wait()
        return replace(*args)

    monkeypatch.setattr(table.EventTable, "replace", replace_together)
    tables = [table.EventTable(str(pathlib.Path(events.root).parent), "community") for _ in range(3)]
    with futures.ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda t: upkeep.compact(t, min_files=2), tables))
    assert sorted(report.files_removed for report in reports) == [0, 0, 12]
    assert export(events.snapshot()) == expected
    assert paths(events) - before == {file.path for file in events.snapshot().files}


def test_a_compaction_that_another_overtakes_between_look_and_commit_loses(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        append(events, [n], n)
    expected = export(events.snapshot())
    other = table.EventTable(str(pathlib.Path(events.root).parent), "community")
    offer, overtaken = events._offer, []

    def offer_late(*args: Any) -> int:
        if not overtaken:
            overtaken.append(upkeep.compact(other, min_files=2).files_removed)
        return offer(*args)

    monkeypatch.setattr(events, "_offer", offer_late)
    assert upkeep.compact(events, min_files=2).files_removed == 0
    assert overtaken == [4]
    assert export(events.snapshot()) == expected


@pytest.mark.parametrize("questions", [0, 2, 4])
def test_a_compaction_that_is_stopped_leaves_no_file(events: table.EventTable, questions: int) -> None:
    for n in range(6):
        append(events, range(10), 10 * n)
    before, asked = paths(events), itertools.count()
    with pytest.raises(table.Stopped):
        upkeep.compact(events, min_files=2, should_stop=lambda: next(asked) == questions)
    assert paths(events) == before


def test_vacuum_keeps_what_the_newest_and_the_pinned_snapshots_need(events: table.EventTable) -> None:
    for n in range(4):
        append(events, [n])
    pinned = events.snapshot()
    append(events, [9])
    other = events.snapshot()
    upkeep.compact(events, min_files=2)
    report = upkeep.vacuum(events, pinned_versions=[pinned.version], keep_seconds=0)
    assert set(report.files) == {file.path for file in other.files} - {file.path for file in pinned.files}
    assert report.bytes == sum(file.bytes for file in other.files if file.path in report.files)
    assert len(export(events.snapshot(pinned.version))) == 4
    assert len(export(events.snapshot())) == 5
    assert len(upkeep.vacuum(events, pinned_versions=[], keep_seconds=0).files) == 4
    assert paths(events) == {file.path for file in events.snapshot().files}
    assert upkeep.vacuum(events, pinned_versions=[], keep_seconds=0).files == ()


def test_vacuum_gives_files_compacted_away_their_time(events: table.EventTable) -> None:
    for n in range(4):
        append(events, [n])
    for path in paths(events):
        os.utime(pathlib.Path(events.root, path), (0, 0))
    before = events.snapshot()
    upkeep.compact(events, min_files=2)
    assert upkeep.vacuum(events, pinned_versions=[], keep_seconds=3600).files == ()
    assert len(export(before)) == 4


def test_vacuum_takes_the_leftovers_of_a_crash_once_they_are_old(events: table.EventTable) -> None:
    append(events, [1])
    orphan = pathlib.Path(events.root, "orphan.parquet")
    orphan.write_bytes(b"half a file")
    assert upkeep.vacuum(events, pinned_versions=[], keep_seconds=3600).files == ()
    os.utime(orphan, (0, 0))
    assert len(upkeep.vacuum(events, pinned_versions=[], keep_seconds=3600, dry_run=True).files) == 1
    assert orphan.exists()
    report = upkeep.vacuum(events, pinned_versions=[], keep_seconds=3600)
    assert report.files == ("orphan.parquet",)
    assert report.bytes == 11
    assert len(export(events.snapshot())) == 1


def test_vacuum_deletes_nothing_when_a_pinned_version_cannot_be_read(events: table.EventTable) -> None:
    for n in range(4):
        append(events, [n])
    upkeep.compact(events, min_files=2)
    before = paths(events)
    with pytest.raises(errors.NotFound):
        upkeep.vacuum(events, pinned_versions=[77], keep_seconds=0)
    assert paths(events) == before
