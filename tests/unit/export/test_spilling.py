"""Claims about slices that share row groups: read once, put on the disk, and the same bytes as if each were read."""

from __future__ import annotations

import logging
import pathlib
import threading
from typing import Any

import polars as pl
import pytest
from support import attached

from penstock import errors, query
from penstock.export import spilling
from penstock.lake import table
from penstock.lake.attached import snapshots
from penstock.lake.read import plan, unsorted_reading

ROWS = 1_500


@pytest.fixture
def theirs(tmp_path: pathlib.Path) -> pathlib.Path:
    """Row groups that all cover all of the time; an instant with many events; events without a time; overflow."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    at = [1_772_366_400 + (n * 7_919) % ROWS for n in range(ROWS)]
    at[100:400] = [1_772_367_000] * 300
    frame = pl.DataFrame(
        {
            "time": pl.Series(at),
            "n": range(ROWS),
            "load": [float("nan") if n % 10 == 0 else n / 4 for n in range(ROWS)],
            "who": [{"ip": f"10.0.0.{n % 250}"} for n in range(ROWS)],
        }
    ).with_columns(time=pl.when(pl.col("n") % 500 == 7).then(None).otherwise("time"))
    frame[:1_000].write_parquet(folder / "a.parquet", row_group_size=150)
    frame[1_000:].with_columns(late=pl.lit("x")).drop("who").write_parquet(folder / "b.parquet", row_group_size=150)
    return folder


@pytest.fixture
def place(tmp_path: pathlib.Path) -> snapshots.SpillPlace:
    return snapshots.SpillPlace(tmp_path / "spill", 10_000_000)


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> attached.Lake:
    (tmp_path / "lake").mkdir()
    return attached.Lake(tmp_path / "lake")


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each piece that is read from a file."""
    found: list[int] = []
    pieces = unsorted_reading._pieces

    def counting(snapshot: Any, some: Any, *arguments: Any) -> pl.DataFrame:
        found.extend(piece.rows for piece in some)
        return pieces(snapshot, some, *arguments)

    monkeypatch.setattr(unsorted_reading, "_pieces", counting)
    return found


@pytest.mark.parametrize(
    ("term", "fields"),
    [
        ("", None),
        ("n:>500 AND NOT who.ip:10.0.0.7", ["@timestamp", "n", "who.ip"]),
        ("", ["load"]),
        ("", ["not.there"]),
        ("late:x", ["late", "load"]),
        ("n:<0", None),
    ],
)
def test_the_lines_are_those_of_slices_read_alone(
    lake: attached.Lake,
    theirs: pathlib.Path,
    place: snapshots.SpillPlace,
    rows_read: list[int],
    monkeypatch: pytest.MonkeyPatch,
    term: str,
    fields: list[str] | None,
) -> None:
    how: dict[str, Any] = {"fields": fields, "max_rows": 100}
    alone = lake.lines(lake.attach(theirs).snapshot(), term, **how)
    of_alone = sum(rows_read)
    monkeypatch.setattr(spilling, "BUFFER_BYTES", 20_000)  # a row group is read in several steps
    rows_read.clear()
    assert lake.lines(lake.attach(theirs, spill=place).snapshot(), term, **how) == alone
    if term != "late:x":  # of which files without the column are read by nobody
        assert sum(rows_read) < of_alone / 2
    assert list(place.folder.iterdir()) == []


def test_windows_are_as_large_as_the_disk_allows(
    lake: attached.Lake,
    theirs: pathlib.Path,
    place: snapshots.SpillPlace,
    rows_read: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    how: dict[str, Any] = {"fields": ["n", "load"], "max_rows": 50}
    alone = lake.lines(lake.attach(theirs).snapshot(), **how)
    read = {}
    for most_bytes in (10_000_000, 40_000, 1_000):
        rows_read.clear()
        own = snapshots.SpillPlace(place.folder, most_bytes)
        caplog.clear()
        assert lake.lines(lake.attach(theirs, spill=own).snapshot(), **how) == alone
        read[most_bytes] = sum(rows_read), caplog.text.count("slices_spill")
    assert read[10_000_000][0] < read[40_000][0] < read[1_000][0]
    assert read[40_000][1] > read[10_000_000][1] > 0 == read[1_000][1]


@pytest.mark.parametrize("fault", ["no folder", "full disk", "too much"])
def test_without_room_slices_are_read_alone(
    lake: attached.Lake,
    theirs: pathlib.Path,
    place: snapshots.SpillPlace,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    how: dict[str, Any] = {"fields": ["n", "load"], "max_rows": 150}
    alone = lake.lines(lake.attach(theirs).snapshot(), **how)
    if fault == "no folder":
        place = snapshots.SpillPlace(place.folder / "home" / "spill", place.most_bytes)
    elif fault == "full disk":
        place = snapshots.SpillPlace(place.folder, place.most_bytes, keep_bytes=2**62)
        monkeypatch.setattr("penstock.base.disk.SMALL_DISK_SHARE", 1)
    else:
        monkeypatch.setattr(snapshots.Attached, "row_bytes", lambda *_: 0.001)  # they weigh more than was thought
        place = snapshots.SpillPlace(place.folder, 5_000)
    assert lake.lines(lake.attach(theirs, spill=place).snapshot(), **how) == alone
    assert not (place.folder.parent.exists() and fault == "no folder")


def test_row_groups_in_order_of_time_are_read_as_before(
    lake: attached.Lake, tmp_path: pathlib.Path, place: snapshots.SpillPlace, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "ordered"
    folder.mkdir()
    pl.DataFrame({"time": range(1_772_366_400, 1_772_367_400)}).write_parquet(folder / "a.parquet", row_group_size=100)
    caplog.set_level(logging.INFO)
    lake.lines(lake.attach(folder, spill=place).snapshot(), max_rows=100)
    assert "slices_spill" not in caplog.text
    assert not place.folder.exists()


def _spill(snapshot: snapshots.Attached) -> tuple[spilling.Spill, list[plan.Slice]]:
    slices = plan.plan_slices(snapshot, attached.EVER, max_rows=100, max_bytes=10**9, fields=["n"])
    return spilling.Spill(snapshot, slices, ["n"], query.compile(query.parse(""), snapshot.query_columns)), slices


def test_a_file_that_is_replaced_while_it_is_read_ends_the_export(
    lake: attached.Lake, theirs: pathlib.Path, place: snapshots.SpillPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = lake.attach(theirs, spill=place).snapshot()
    spill, slices = _spill(snapshot)
    put = spilling._Window.put

    def replacing(window: Any, frames: Any) -> bool:
        (theirs / "b.parquet").write_bytes((theirs / "a.parquet").read_bytes())
        return put(window, frames)

    monkeypatch.setattr(spilling._Window, "put", replacing)
    with pytest.raises(errors.Conflict) as raised:
        spill.read(slices[1])
    assert raised.value.code == "attached_file_changed"


def test_a_stop_ends_what_is_being_filled(
    lake: attached.Lake, theirs: pathlib.Path, place: snapshots.SpillPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = lake.attach(theirs, spill=place).snapshot()
    spill, slices = _spill(snapshot)
    monkeypatch.setattr(spilling, "BUFFER_BYTES", 10_000)
    steps, put = [], spilling._Window.put

    def stopping(window: Any, frames: Any) -> bool:
        steps.append(threading.current_thread())
        spill.stop()
        return put(window, frames)

    monkeypatch.setattr(spilling._Window, "put", stopping)
    for slice_ in slices[1:3]:
        with pytest.raises(table.Stopped):
            spill.read(slice_)
    assert len(steps) == 1
