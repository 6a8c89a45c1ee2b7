"""The plan and the scan against a naive model: every event once, in order, within bounds, whatever the files."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import tempfile
import threading
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import query
from penstock.base import instants
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake import files, table
from penstock.lake.read import merge, newest, plan, scan

DAY_US = 86_400_000_000
TYPES = {"seq": FieldType.LONG, "user.name": FieldType.KEYWORD, "source.ip": FieldType.IP, "raw": FieldType.JSON}
EVERYTHING = query.Predicate(expression=None, columns=frozenset())
UNBOUNDED = 1 << 40


def moment(us: int) -> dt.datetime:
    return instants.from_microseconds(us)


def between(first_us: int, end_us: int) -> plan.TimeRange:
    return plan.TimeRange(earliest=moment(first_us), latest=moment(end_us))


ALL_TIME = between(-DAY_US, 3 * DAY_US)


def frame(instants: Sequence[int], first_seq: int, **columns: list[Any]) -> pl.DataFrame:
    count = len(instants)
    stamps = pl.Series(types.TIMESTAMP, instants, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({types.TIMESTAMP: stamps, "seq": list(range(first_seq, first_seq + count)), **columns})


def fill(events: table.EventTable, batches: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Appends one frame per batch; the (instant, seq) of all events in the order a reader must see them."""
    model = []
    for batch in batches:
        first = len(model)
        if batch:
            events.append([frame(batch, first)], types=TYPES)
        model += [(us, first + n) for n, us in enumerate(batch)]
    return sorted(model, key=lambda event: event[0])  # stable: ties as they came in


def read_all(snapshot: table.Snapshot, slices: Sequence[plan.Slice]) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    for piece in slices:
        part = scan.read_slice(snapshot, piece, [types.TIMESTAMP, "seq"], EVERYTHING)
        rows += zip(part[types.TIMESTAMP].to_physical().to_list(), part["seq"].to_list(), strict=True)
    return rows


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path), "community")


moments = st.one_of(st.integers(0, 12), st.integers(0, 2 * DAY_US - 1), st.integers(DAY_US - 3, DAY_US + 3))
batches = st.lists(st.lists(moments, max_size=12), max_size=6)


@settings(max_examples=30, deadline=None)
@given(
    batches=batches,
    edges=st.tuples(moments, moments),
    max_rows=st.integers(1, 15),
    window=st.integers(1, 8),
    group_rows=st.integers(1, 8),
)
def test_slices_hold_every_event_of_the_range_once_in_order(
    batches: list[list[int]], edges: tuple[int, int], max_rows: int, window: int, group_rows: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_WINDOW_ROWS", window)
        patch.setattr(files, "MIN_ROW_GROUP_ROWS", group_rows)
        patch.setattr(files, "ROW_GROUP_ROWS", group_rows)
        events = table.EventTable(folder, "community")
        model = fill(events, batches)
        snapshot = events.snapshot()
        for time_range in (between(min(edges), max(edges)), ALL_TIME):
            expected = [e for e in model if time_range.earliest_us <= e[0] < time_range.latest_us]
            slices = plan.plan_slices(snapshot, time_range, max_rows=max_rows, max_bytes=UNBOUNDED)
            assert read_all(snapshot, slices) == expected
            assert [piece.number for piece in slices] == list(range(len(slices)))
            assert all(0 < piece.rows <= max_rows for piece in slices)
            assert all(piece.rows == sum(p.rows for p in piece.pieces) for piece in slices)
            assert plan.plan_slices(snapshot, time_range, max_rows=max_rows, max_bytes=UNBOUNDED) == slices
            assert [plan.Slice.from_json(json.loads(json.dumps(s.to_json()))) for s in slices] == slices
            check_bounds(snapshot, slices)
            check_counts(snapshot, time_range, expected)


def check_bounds(snapshot: table.Snapshot, slices: Sequence[plan.Slice]) -> None:
    for piece in slices:
        rows = read_all(snapshot, [piece])
        assert piece.first_us <= rows[0][0]
        assert rows[-1][0] <= piece.last_us


def check_counts(snapshot: table.Snapshot, time_range: plan.TimeRange, expected: list[tuple[int, int]]) -> None:
    odd = query.Predicate(expression=pl.col("seq") % 2 == 1, columns=frozenset({"seq"}))
    odd_events = [event for event in expected if event[1] % 2]
    if expected:
        assert scan.count(snapshot, time_range, odd) == len(odd_events)
        for limit in (1, 3, 100):
            shown = newest.events(snapshot, time_range, odd, limit)
            assert [event["seq"] for event in shown] == [seq for _, seq in reversed(odd_events)][:limit]
    assert scan.count(snapshot, time_range, EVERYTHING) == len(expected)
    over_time = scan.histogram(snapshot, time_range, EVERYTHING, 7)
    assert len(over_time.counts) <= 7
    width = round(over_time.interval_seconds * 1_000_000)
    for start, count in over_time.counts:
        end = min(start + width, time_range.latest_us)
        assert count == sum(start <= us < end for us, _ in expected)
    assert sum(count for _, count in over_time.counts) == len(expected)


def test_ten_files_that_all_cover_the_same_time_keep_the_bound(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "_WINDOW_ROWS", 64)
    model = fill(events, [[(n * 7919 + f) % 100_003 for n in range(1000)] for f in range(10)])
    slices = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=999, max_bytes=UNBOUNDED)
    assert [piece.rows for piece in slices] == [999] * 10 + [10]
    assert read_all(events.snapshot(), slices) == model


def test_a_late_event_does_not_make_its_file_overlap_all_between(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3_600_000_000
    model = fill(events, [[10 * hour * f + n for n in range(20)] for f in range(1, 6)] + [[5, 90 * hour, 91 * hour]])
    monkeypatch.setattr(merge, "Merge", None)  # nothing is merged
    slices = plan.plan_slices(events.snapshot(), between(0, 100 * hour), max_rows=20, max_bytes=UNBOUNDED)
    assert [piece.rows for piece in slices] == [1, 20, 20, 20, 20, 20, 2]
    assert read_all(events.snapshot(), slices) == model


def test_an_edge_of_the_range_is_found_without_reading_the_file(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MIN_ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(files, "ROW_GROUP_ROWS", 10)
    model = fill(events, [range(0, 1000, 10)])
    (found,) = plan.plan_slices(events.snapshot(), between(205, 695), max_rows=100, max_bytes=UNBOUNDED)
    assert found.pieces[0].offset == 21
    assert read_all(events.snapshot(), [found]) == model[21:70]
    read: list[object] = []
    monkeypatch.setattr(pl, "scan_parquet", lambda *args, **options: read.append(args))
    (found,) = plan.plan_slices(events.snapshot(), between(200, 700), max_rows=100, max_bytes=UNBOUNDED)
    assert (found.pieces[0].offset, found.rows, read) == (20, 50, [])


def test_more_events_of_one_microsecond_than_a_slice_holds_are_cut_by_row(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "_WINDOW_ROWS", 16)
    model = fill(events, [[5] * 300, [5] * 300, [4, 5, 6]])
    slices = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=100, max_bytes=UNBOUNDED)
    assert [piece.rows for piece in slices] == [100] * 6 + [3]
    assert read_all(events.snapshot(), slices) == model


def test_a_merge_holds_no_more_timestamps_than_its_budget(events: table.EventTable) -> None:
    fill(events, [list(range(f, 4000 + f)) for f in range(8)])
    snapshot = events.snapshot()
    stretches = [
        merge.Stretch(folder=snapshot.folder, path=f.path, start=0, end=f.rows, first_us=f.first_us)
        for f in snapshot.files
    ]
    merged = merge.Merge(stretches, budget_instants=800)
    taken = 0
    while not merged.is_finished:
        taken += sum(merged.take(500).rows)
        assert sum(len(cursor._loaded) for cursor in merged._cursors) <= 800
    assert taken == 32_000


def test_heavy_events_make_smaller_slices(events: table.EventTable) -> None:
    texts = ["x" * (4000 if 20_000 <= n < 30_000 else 10) for n in range(60_000)]
    events.append([frame(range(60_000), 0, **{"user.name": texts})], types=TYPES)
    limit = 4_000_000
    slices = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=50_000, max_bytes=limit)
    assert sum(piece.rows for piece in slices) == 60_000
    for piece in slices:
        read = scan.read_slice(events.snapshot(), piece, ["user.name"], EVERYTHING)
        assert read["user.name"].str.len_bytes().sum() <= 2 * limit  # even within a block of 16,384 rows
    light = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=50_000, max_bytes=limit, fields=["seq"])
    assert [piece.rows for piece in light] == [50_000, 10_000]


def test_heavy_events_in_overlapping_files_make_smaller_slices(events: table.EventTable) -> None:
    for n in range(3):
        rows = {"user.name": ["x" * 1000] * 2000}
        events.append([frame([7 * i + n for i in range(2000)], 2000 * n, **rows)], types=TYPES)
    slices = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=100_000, max_bytes=1_000_000)
    assert sum(piece.rows for piece in slices) == 6000
    assert max(piece.rows for piece in slices) <= 1000
    assert len(slices) < 20
    assert sorted(read_all(events.snapshot(), slices)) == read_all(events.snapshot(), slices)


def test_small_files_in_time_order_share_a_slice(events: table.EventTable) -> None:
    model = fill(events, [[10 * n, 10 * n + 1] for n in range(9)])
    slices = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=8, max_bytes=UNBOUNDED)
    assert [piece.rows for piece in slices] == [8, 8, 2]
    assert read_all(events.snapshot(), slices) == model


def test_a_snapshot_without_files_has_no_slices_and_counts_nothing(events: table.EventTable) -> None:
    snapshot = events.snapshot()
    assert plan.plan_slices(snapshot, ALL_TIME, max_rows=10, max_bytes=10) == []
    assert scan.count(snapshot, ALL_TIME, EVERYTHING) == 0
    assert newest.events(snapshot, ALL_TIME, EVERYTHING, 10) == []
    assert sum(n for _, n in scan.histogram(snapshot, ALL_TIME, EVERYTHING, 10).counts) == 0


def test_a_slice_has_the_fields_that_its_files_hold_and_the_overflow_only_where_there_is_one(
    events: table.EventTable,
) -> None:
    events.append([frame([1, 2], 0, **{"user.name": ["a", None]})], types=TYPES)
    events.append([frame([11, 12], 2, **{types.OVERFLOW: [None, '{"seq":"x"}']})], types=TYPES)
    snapshot = events.snapshot()
    slices = plan.plan_slices(snapshot, ALL_TIME, max_rows=2, max_bytes=UNBOUNDED)
    fields = ["user.name", "no.such", "seq"]
    first, second = (scan.read_slice(snapshot, piece, fields, EVERYTHING) for piece in slices)
    assert first.to_dict(as_series=False) == {"user.name": ["a", None], "seq": [0, 1]}
    assert second.columns == ["seq", types.OVERFLOW]
    assert second[types.OVERFLOW].to_list() == [None, '{"seq":"x"}']
    bare = scan.read_slice(snapshot, slices[0], ["no.such"], EVERYTHING)
    assert (bare.columns, bare.height) == ([types.TIMESTAMP], 2)


def test_a_slice_of_one_piece_comes_in_one_chunk(events: table.EventTable) -> None:
    fill(events, [list(range(50_000))])
    for piece in plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=20_000, max_bytes=UNBOUNDED):
        assert scan.read_slice(events.snapshot(), piece, ["seq"], EVERYTHING).n_chunks() == 1


def test_slices_are_read_alike_from_several_threads(events: table.EventTable) -> None:
    model = fill(events, [list(range(f, 3000, 3)) for f in range(3)])
    snapshot = events.snapshot()
    slices = plan.plan_slices(snapshot, ALL_TIME, max_rows=100, max_bytes=UNBOUNDED)
    with futures.ThreadPoolExecutor(4) as pool:
        rows = [row for part in pool.map(lambda piece: read_all(snapshot, [piece]), slices) for row in part]
    assert rows == model


def test_a_predicate_reads_files_that_lack_its_columns(events: table.EventTable) -> None:
    events.append([frame([1, 2], 0)], types=TYPES)
    events.append([frame([3, 4], 2, **{"user.name": ["alice", "bob"]})], types=TYPES)
    snapshot = events.snapshot()
    predicate = query.Predicate(expression=pl.col("user.name") == "bob", columns=frozenset({"user.name"}))
    assert scan.count(snapshot, ALL_TIME, predicate) == 1
    slices = plan.plan_slices(snapshot, ALL_TIME, max_rows=2, max_bytes=UNBOUNDED)
    assert [scan.read_slice(snapshot, s, ["seq"], predicate)["seq"].to_list() for s in slices] == [[], [3]]


def test_newest_events_are_whole(events: table.EventTable) -> None:
    columns = {
        "user.name": ["a", None],
        "raw": ['{"a":[1,null]}', None],
        types.OVERFLOW: [None, '{"user.name":7,"seq":"ignored"}'],
    }
    events.append([frame([1_000_001, 2_000_000], 0, **columns)], types=TYPES)
    assert newest.events(events.snapshot(), ALL_TIME, EVERYTHING, 5) == [
        {"@timestamp": "1970-01-01T00:00:02Z", "seq": 1, "user.name": 7},
        {"@timestamp": "1970-01-01T00:00:01.000001Z", "seq": 0, "user.name": "a", "raw": {"a": [1, None]}},
    ]


def test_newest_leaves_older_files_alone(events: table.EventTable) -> None:
    fill(events, [[n, n + 1] for n in range(0, 40, 2)])
    snapshot = events.snapshot()
    for file in snapshot.files[:-4]:
        pathlib.Path(snapshot.location(file.path)).unlink()
    assert [event["seq"] for event in newest.events(snapshot, ALL_TIME, EVERYTHING, 4)] == [39, 38, 37, 36]


def test_a_count_without_predicate_reads_no_file(events: table.EventTable) -> None:
    fill(events, [[1, 2, 3], [4, 5]])
    snapshot = events.snapshot()
    for file in snapshot.files:
        pathlib.Path(snapshot.location(file.path)).unlink()
    assert scan.count(snapshot, ALL_TIME, EVERYTHING) == 5


def test_counting_stops_when_told_to(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_CHUNK_ROWS", 2)
    fill(events, [[1, 2], [3, 4], [5, 6]])
    predicate = query.Predicate(expression=pl.col("seq") >= 0, columns=frozenset({"seq"}))
    stop, seen = threading.Event(), []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 4:
            stop.set()

    with pytest.raises(table.Stopped):
        scan.count(events.snapshot(), ALL_TIME, predicate, should_stop=stop.is_set, on_progress=progress)
    assert seen == [(2, 6), (4, 6)]


def test_planning_stops_when_told_to(events: table.EventTable) -> None:
    fill(events, [[1, 5], [2, 6]])
    with pytest.raises(table.Stopped):
        plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=1, max_bytes=1, should_stop=lambda: True)


def test_a_histogram_has_whole_seconds_where_it_can(events: table.EventTable) -> None:
    fill(events, [[0, 500_000, 3_000_000, 9_999_999]])
    over_time = scan.histogram(events.snapshot(), between(0, 10_000_000), EVERYTHING, 4)
    assert over_time.interval_seconds == 3
    assert over_time.counts == [(0, 2), (3_000_000, 1), (6_000_000, 0), (9_000_000, 1)]


def test_a_watched_histogram_tells_its_bars_from_the_newest_on(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_TOLD_ROWS", 1)
    fill(events, [[0, 1], [10_000_000], [20_000_000, 21_000_000], [90_000_000]])
    told: list[tuple[list[int], int]] = []

    def tell(so_far: scan.Histogram, rows: int) -> None:
        told.append(([count for _, count in so_far.counts], rows))

    some = query.compile(query.parse("seq:<4"), events.snapshot().query_columns)
    over_time = scan.histogram(events.snapshot(), between(0, 30_000_000), some, 3, on_progress=tell)
    assert told == [([0, 0, 1], 2), ([0, 1, 1], 3)]
    assert [count for _, count in over_time.counts] == [2, 1, 1]


def test_last_instant_of_time_is_counted_planned_and_read(tmp_path: pathlib.Path) -> None:
    """9999-12-31T23:59:59.999999Z, which .NET writes for "never": no end behind it can be named."""
    last_us = instants.to_microseconds(query.END_OF_TIME)
    events = table.EventTable(str(tmp_path), "c")
    frame = pl.DataFrame({types.TIMESTAMP: [last_us - 1, last_us]}).cast(pl.Datetime("us", "UTC"))
    events.append([frame], types={types.TIMESTAMP: types.FieldType.DATE})
    snapshot = events.snapshot()
    for time_range, expected in (
        (plan.TimeRange(earliest=instants.EPOCH, latest=query.END_OF_TIME), 2),
        (plan.TimeRange(earliest=query.END_OF_TIME, latest=query.END_OF_TIME), 1),
        (plan.TimeRange.of(last_us - 1, last_us + 1), 2),
    ):
        slices = plan.plan_slices(snapshot, time_range, max_rows=100, max_bytes=10**9, fields=[types.TIMESTAMP])
        assert scan.count(snapshot, time_range, EVERYTHING) == expected
        assert sum(n for _, n in scan.histogram(snapshot, time_range, EVERYTHING, 10).counts) == expected
        assert len(newest.events(snapshot, time_range, EVERYTHING, 10)) == expected
        assert sum(scan.read_slice(snapshot, one, [types.TIMESTAMP], EVERYTHING).height for one in slices) == expected
