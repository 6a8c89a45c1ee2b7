"""Event tables: appends are atomic, exact, idempotent by batch, and many writers may append at once."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any

import deltalake
import polars as pl
import pytest

from penstock import errors
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import files, layout, table
from penstock.lake.location import disk

DAY_US = 86_400_000_000
N = {"n": FieldType.LONG}


def frame(instants: Sequence[int], **columns: Any) -> pl.DataFrame:
    stamps = pl.Series(types.TIMESTAMP, instants, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({types.TIMESTAMP: stamps, **columns})


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path), "community")


def data_files(events: table.EventTable) -> list[pathlib.Path]:
    return list(pathlib.Path(events.root).glob("*.parquet"))


def test_a_new_table_has_a_snapshot_without_files(events: table.EventTable) -> None:
    snapshot = events.snapshot()
    assert (snapshot.version, snapshot.files, snapshot.rows) == (0, (), 0)
    assert snapshot.columns == {types.TIMESTAMP: FieldType.DATE}


def test_an_append_is_one_version_of_one_sorted_file_whatever_the_days(events: table.EventTable) -> None:
    events.append([frame([0], n=[9])], types=N)
    before = events.snapshot()
    version = events.append([frame([DAY_US, 7, DAY_US - 1, 7], n=[0, 1, 2, 3]), frame([3, 7], n=[4, 5])], types=N)
    assert version == before.version + 1
    snapshot = events.snapshot()
    assert snapshot.files[:1] == before.files
    (file,) = snapshot.files[1:]
    assert (file.rows, file.first_us, file.last_us) == (6, 3, DAY_US)
    assert pl.read_parquet(snapshot.location(file.path))["n"].to_list() == [4, 1, 3, 5, 2, 0]


def test_frames_share_a_file_until_it_is_full(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_ROWS", 5)
    frames = [frame([n], n=[n]) for n in range(7)] + [frame(range(9), n=range(9)), frame([1], n=[1])]
    events.append(frames, types=N)
    assert [file.rows for file in events.snapshot().files] == [5, 2, 9, 1]


@pytest.mark.parametrize(("columns", "group_rows"), [(1, 131_072), (40, 65_536), (300, 8_192), (5000, 4_096)])
def test_row_groups_hold_fewer_rows_the_wider_the_events(columns: int, group_rows: int) -> None:
    wide = pl.DataFrame({f"c{n}": pl.Series([b"x" * 30], dtype=pl.Binary).cast(pl.String) for n in range(columns)})
    assert files.group_rows(layout.weigh(wide).bytes / wide.height) == group_rows


def test_a_file_that_cannot_be_written_whole_is_gone(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(errors.StorageError):
        events.append([frame([1])], types={})
    assert data_files(events) == []


@pytest.mark.parametrize("year", [1, 1969, 2026, 9999])
def test_statistics_are_exact_to_the_microsecond_also_after_a_checkpoint(events: table.EventTable, year: int) -> None:
    epoch = dt.datetime(1970, 1, 1)
    first = (dt.datetime(year, 12, 31, 23, 59, 59, 123_457) - epoch) // dt.timedelta(microseconds=1)
    events.append([frame([first, first + 1])], types={})
    delta = deltalake.DeltaTable(events.root)
    delta.create_checkpoint()
    for log in pathlib.Path(events.root, "_delta_log").glob("*.json"):
        log.unlink()
    (file,) = table.EventTable(str(pathlib.Path(events.root).parent), "community").snapshot().files
    assert (file.first_us, file.last_us) == (first, first + 1)


def test_field_types_are_recorded_and_read_again(events: table.EventTable) -> None:
    wanted = {f"field.{t.value}": t for t in FieldType}
    samples: Mapping[FieldType, Any] = {
        FieldType.LONG: 1,
        FieldType.DOUBLE: 1.5,
        FieldType.BOOLEAN: True,
        FieldType.DATE: dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        FieldType.KEYWORD_LIST: ["a", "b"],
    }
    columns = {name: [samples.get(t, "text")] for name, t in wanted.items()}
    events.append([frame([1], **columns)], types=wanted)
    snapshot = table.EventTable(str(pathlib.Path(events.root).parent), "community").snapshot()
    assert snapshot.columns == {types.TIMESTAMP: FieldType.DATE, **wanted}


def test_columns_of_nulls_are_not_stored(events: table.EventTable) -> None:
    empty = pl.Series([None, None], dtype=pl.String)
    events.append([frame([1, 2], a=empty, b=["x", None])], types={"a": FieldType.KEYWORD, "b": FieldType.KEYWORD})
    snapshot = events.snapshot()
    assert set(snapshot.columns) == {types.TIMESTAMP, "b"}
    assert snapshot.files_by_field() == {types.TIMESTAMP: 1, "b": 1}


def test_events_with_an_overflow_are_counted_per_file(events: table.EventTable) -> None:
    events.append([frame([1, 2, 3], **{types.OVERFLOW: ['{"a":1}', None, '{"b":2}']})], types={})
    events.append([frame([4])], types={})
    snapshot = events.snapshot()
    assert [file.overflow_rows for file in snapshot.files] == [2, 0]
    assert types.OVERFLOW in snapshot.query_columns
    assert types.OVERFLOW not in snapshot.columns


def test_a_batch_is_taken_once(events: table.EventTable) -> None:
    assert not events.has_batch("file-1")
    events.append([frame([1, 2])], types={}, batch_ids=["file-1", "file-2"])
    assert events.batches_taken(["file-1", "file-2", "file-3"]) == {"file-1", "file-2"}
    with pytest.raises(table.BatchTaken) as caught:
        events.append([frame([1, 2])], types={}, batch_ids=["file-3", "file-2"])
    assert caught.value.batch_ids == {"file-2"}
    assert not events.has_batch("file-3")
    assert events.snapshot().rows == 2
    assert len(data_files(events)) == 1


def test_many_small_posts_leave_few_files_in_their_order(events: table.EventTable) -> None:
    for n in range(150):
        events.append([frame([7], n=[n])], types=N, batch_ids=[f"post {n}"])
    snapshot = events.snapshot()
    assert len(snapshot.files) < 70
    assert [n for file in snapshot.files for n in pl.read_parquet(snapshot.location(file.path))["n"]] == list(
        range(150)
    )


def test_a_join_that_fails_does_not_fail_the_append_before_it(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Iterator[None]:
        raise OSError("the disk is full")

    monkeypatch.setattr(table, "_TINY_FILES", 1)
    monkeypatch.setattr(table.joining, "runs", fail)
    events.append([frame([1])], types={})
    assert events.snapshot().rows == 1


def test_an_append_whose_file_a_vacuum_took_fails_and_names_no_lost_file(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = files.FileWriter.finish

    def finish_and_lose(writer: files.FileWriter) -> None:
        finish(writer)
        for path in data_files(events):
            path.unlink()

    monkeypatch.setattr(files.FileWriter, "finish", finish_and_lose)
    with pytest.raises(errors.StorageError):
        events.append([frame([1])], types={})
    assert events.snapshot().files == ()


def test_an_empty_batch_is_remembered_too(events: table.EventTable) -> None:
    events.append([], types={}, batch_ids=["nothing"])
    assert events.has_batch("nothing")


def test_an_empty_append_changes_nothing(events: table.EventTable) -> None:
    version = events.snapshot().version
    assert events.append([], types={}) == version
    assert events.append([frame([])], types={}) == version


def test_an_append_that_fails_halfway_leaves_nothing(events: table.EventTable) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield frame([1, 2])
        raise OSError("the caller's file broke")

    with pytest.raises(OSError, match="the caller's file broke"):
        events.append(frames(), types={})
    assert events.snapshot().rows == 0
    assert data_files(events) == []


@pytest.mark.parametrize(
    ("name", "field_type"),
    [("User.Name", FieldType.KEYWORD), ("user.name", FieldType.LONG), (types.DAY, FieldType.DATE)],
)
def test_a_column_the_table_cannot_hold_is_refused_by_name(
    events: table.EventTable, name: str, field_type: FieldType
) -> None:
    events.append([frame([1], **{"user.name": ["x"]})], types={"user.name": FieldType.KEYWORD})
    with pytest.raises(errors.IngestError) as caught:
        events.append([frame([1])], types={name: field_type})
    assert caught.value.code == "column_conflict"
    assert caught.value.extra["columns"] == [name]


def test_two_new_columns_that_differ_only_in_case_are_refused(events: table.EventTable) -> None:
    with pytest.raises(errors.IngestError, match="ProcessID"):
        events.append([], types={"ProcessId": FieldType.LONG, "ProcessID": FieldType.LONG})


@pytest.mark.parametrize(
    "bad",
    [
        pl.DataFrame({"a": ["x"]}),
        pl.DataFrame({types.TIMESTAMP: pl.Series([None], dtype=pl.Datetime("us", "UTC"))}),
        pl.DataFrame({types.TIMESTAMP: pl.Series([0], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))}),
        frame([1], a=[1]),
        frame([1], unknown=["x"]),
    ],
)
def test_a_frame_that_holds_no_events_is_refused(events: table.EventTable, bad: pl.DataFrame) -> None:
    with pytest.raises(errors.IngestError) as caught:
        events.append([bad], types={"a": FieldType.KEYWORD})
    assert caught.value.code == "invalid_frame"
    assert data_files(events) == []


def test_an_earlier_version_stays_readable(events: table.EventTable) -> None:
    first = events.append([frame([1])], types={})
    events.append([frame([2])], types={})
    assert events.snapshot(first).rows == 1
    assert events.snapshot().rows == 2


def test_a_version_that_does_not_exist_is_not_found(events: table.EventTable) -> None:
    with pytest.raises(errors.NotFound) as caught:
        events.snapshot(99)
    assert caught.value.code == "snapshot_not_found"


def test_a_broken_table_is_a_storage_error(events: table.EventTable) -> None:
    events.append([frame([1])], types={})
    for log in pathlib.Path(events.root, "_delta_log").glob("*.json"):
        log.write_text("not a log")
    with pytest.raises(errors.StorageError) as caught:
        table.EventTable(str(pathlib.Path(events.root).parent), "community").snapshot()
    assert caught.value.code == "lake_failed"


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.StorageError, match="failed"):
        table.EventTable(str(tmp_path / "file"), "community").append([frame([1])], types={})


def test_a_commit_that_went_through_though_it_seemed_to_fail_is_not_repeated(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = deltalake.DeltaTable.create_write_transaction
    calls = []

    def commit_then_fail(self: deltalake.DeltaTable, *args: Any, **named: Any) -> None:
        commit(self, *args, **named)
        calls.append(1)
        if len(calls) == 1:
            raise deltalake.exceptions.CommitFailedError("the answer was lost")

    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", commit_then_fail)
    events.append([frame([1, 2])], types={})
    assert events.snapshot().rows == 2
    assert len(calls) == 1
    assert len(data_files(events)) == 1


def test_an_unknown_failure_of_a_commit_deletes_no_file(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise deltalake.exceptions.DeltaError("the disk is full")

    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", fail)
    with pytest.raises(errors.StorageError, match="the disk is full"):
        events.append([frame([1])], types={})
    assert len(data_files(events)) == 1  # a commit may name it; vacuum's business otherwise


def test_a_writer_that_loses_every_race_gives_up(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: Any, **__: Any) -> None:
        raise deltalake.exceptions.CommitFailedError("another writer")

    monkeypatch.setattr(table, "COMMIT_ATTEMPTS", 2)
    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", lose)
    with pytest.raises(errors.StorageError) as caught:
        events.append([frame([1])], types={})
    assert caught.value.code == "lake_busy"


def test_threads_append_at_once_and_nothing_is_lost(events: table.EventTable) -> None:
    def append(n: int) -> None:
        own = {f"column.{n % 3}": FieldType.KEYWORD}
        with contextlib.suppress(table.BatchTaken):
            events.append([frame([n], **{f"column.{n % 3}": ["x"]})], types=own, batch_ids=[f"batch-{n // 2}", f"{n}"])

    with futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(append, range(24)))
    assert events.snapshot().rows == 12
    assert set(events.snapshot().columns) == {types.TIMESTAMP, "column.0", "column.1", "column.2"}


def test_a_batch_that_another_writer_commits_between_look_and_commit_is_taken_once(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = table.EventTable(str(pathlib.Path(events.root).parent), "community")
    offer, overtaken = events._offer, []

    def offer_late(*args: Any) -> int:
        if not overtaken:
            overtaken.append(other.append([frame([1])], types={}, batch_ids=["file-2"]))
        return offer(*args)

    monkeypatch.setattr(events, "_offer", offer_late)
    with pytest.raises(table.BatchTaken) as caught:
        events.append([frame([1])], types={}, batch_ids=["file-1", "file-2"])
    assert caught.value.batch_ids == {"file-2"}
    assert not events.has_batch("file-1")
    assert events.snapshot().rows == len(data_files(events)) == 1


WRITER = """
import sys, datetime as dt, polars as pl
from penstock.fields.types import FieldType
from penstock.lake import files, layout, table
from penstock.lake.location import disk
root, me = sys.argv[1], int(sys.argv[2])
events = table.EventTable(root, "community")
sys.stdin.readline()
for n in range(6):
    stamps = pl.Series("@timestamp", [me * 100 + n], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    name = f"new.{n}"
    events.append([pl.DataFrame({"@timestamp": stamps, name: ["x"]})], types={name: FieldType.KEYWORD})
"""


def test_processes_append_the_same_new_columns_at_once(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, text=True) for n in range(3)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    snapshot = events.snapshot()
    assert sorted(file.first_us for file in snapshot.files) == sorted(m * 100 + n for m in range(3) for n in range(6))
    assert set(snapshot.columns) == {types.TIMESTAMP, *(f"new.{n}" for n in range(6))}


def test_a_table_of_many_versions_opens_from_its_checkpoint(events: table.EventTable) -> None:
    for n in range(45):
        events.append([frame([n])], types={})
    assert list(pathlib.Path(events.root, "_delta_log").glob("*.checkpoint.parquet"))
    assert table.EventTable(str(pathlib.Path(events.root).parent), "community").snapshot().rows == 45
