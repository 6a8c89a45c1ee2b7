"""The lossless rule, end to end: what went in as a line comes out of an export value for value and type for type."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import pathlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penstock import export, query, testing
from penstock.encode import reference
from penstock.encode.lines import LineEncoder
from penstock.fields import values
from penstock.intake import ingest
from penstock.lake import table
from penstock.lake.read import plan, scan
from penstock.samples import wide
from tests.support import hostile_events, lossless

ALWAYS = plan.TimeRange(earliest=dt.datetime(1, 1, 1, tzinfo=dt.UTC), latest=dt.datetime.max.replace(tzinfo=dt.UTC))
SAMPLE = pathlib.Path(__file__).parents[2].parent / "shared" / "data" / "events_sample.jsonl"
EXAMPLES = 200
"""Draws of 20 hostile events at most, again and again until there are enough."""

SLICE_ROWS = 250


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path / "lake"), "11111111-2222-3333-4444-555555555555")


def check(events: table.EventTable, lines: list[bytes], folder: pathlib.Path, **limits: int) -> None:
    """Ingests the lines and compares every field of every event of an export of them all.

    Once slice by slice in time order, of each slice all fields that any of its events has: both encoders must write
    exactly the lines that the texts of the events demand. And once through the pipeline that exports run, all fields
    of all events in one file.
    """
    clock = testing.ManualClock()
    arrived = clock.now().isoformat().replace("+00:00", "Z")
    file = folder / "events.jsonl"
    file.write_bytes(b"\n".join(lines))
    report = ingest.ingest(events, [file], clock=clock, limits=ingest.Limits(**limits))

    wanted = [lossless.expected(line, arrived) for line in lines]
    refused = [number for number, flat in enumerate(wanted, 1) if flat is None]
    assert report.accepted == len(lines) - len(refused)
    assert report.rejected == len(refused)
    assert [reject.line for reject in report.rejects] == refused[: len(report.rejects)]

    in_order = sorted(
        (flat for flat in wanted if flat is not None), key=lambda flat: values.parse_timestamp(flat["@timestamp"]) or 0
    )
    snapshot = events.snapshot()
    everything = query.compile(query.parse(""), snapshot.columns)
    at = 0
    for slice_ in plan.plan_slices(snapshot, ALWAYS, max_rows=SLICE_ROWS, max_bytes=2**30):
        expected = in_order[at : at + slice_.rows]
        at += slice_.rows
        fields = list(dict.fromkeys(itertools.chain.from_iterable(expected)))
        frame = scan.read_slice(snapshot, slice_, fields, everything)
        exported = reference.encode(frame, fields, snapshot.columns)
        for line, flat in zip(exported.decode().split("\n")[:-1], expected, strict=True):
            assert line == lossless.line(flat, fields)
        assert bytes(LineEncoder(fields, snapshot.columns).encode(frame).data) == exported
    assert at == report.accepted
    check_exported(snapshot, in_order, folder / "export.jsonl.gz")


def check_wide(events: table.EventTable, number: int, folder: pathlib.Path) -> None:
    """Ingests events of the wide stream, and compares an export of all fields with them."""
    clock = testing.ManualClock()
    file = folder / "wide.jsonl"
    start = clock.now() - dt.timedelta(days=30)
    file.write_bytes(b"".join(wide.lines(events=number, start=start, days=30)))
    report = ingest.ingest(events, [file], clock=clock)
    assert (report.accepted, report.rejected, report.untimed) == (number, 0, 0)
    wanted = [lossless.expected(line, "") for line in file.read_bytes().splitlines()]
    in_order = sorted(
        (flat for flat in wanted if flat is not None), key=lambda flat: values.parse_timestamp(flat["@timestamp"]) or 0
    )
    check_exported(events.snapshot(), in_order, folder / "export.jsonl.gz")


def test_wide_events_come_out_to_the_letter(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    check_wide(events, 5_000, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_wide_events_come_out_to_the_letter(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    check_wide(events, 100_000, tmp_path)


def check_exported(snapshot: table.Snapshot, in_order: list[dict[str, Any]], file: pathlib.Path) -> None:
    """Exports all fields of all events in one file: plan, scan, kernel, gzip, parts; and compares every line."""
    fields = list(dict.fromkeys(itertools.chain.from_iterable(in_order)))
    report = export.dump(
        snapshot,
        node=query.parse(""),
        time_range=ALWAYS,
        fields=fields,
        path=file,
        threads=2,
        slice_rows=SLICE_ROWS * 4,
        slice_bytes=2**30,
        part_bytes=2**20,
    )
    assert report.events == len(in_order)
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        for line, flat in zip(lines, in_order, strict=True):
            assert line == lossless.line(flat, fields) + "\n"
            assert_same(values.loads(line), {name: flat[name] for name in fields if name in flat})


def assert_same(found: Any, wanted: Any) -> None:
    """Equal in value and in type: `1`, `1.0` and `True` are three values, and `1.0` and `1.00` two."""
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name in wanted:
            assert_same(found[name], wanted[name])
    elif isinstance(wanted, list):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert found == wanted


@pytest.mark.parametrize("count", [3_000, pytest.param(20_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_hostile_events_come_out_value_for_value(events: table.EventTable, tmp_path: pathlib.Path, count: int) -> None:
    lines: list[bytes] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(hostile_events.EVENTS, min_size=1, max_size=20), st.integers(0, 2**32))
    def collect(found: list[dict[str, Any]], seed: int) -> None:
        if len(lines) < count:
            style = random.Random(seed)
            lines.extend(hostile_events.render(event, style).encode() for event in found)

    while len(lines) < count:
        collect()
    check(events, lines, tmp_path, batch_bytes=1_000_000, max_columns=300)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample of real events is not beside the checkout")
@pytest.mark.parametrize("max_columns", [2000, 5000, 50])
def test_real_events_come_out_to_the_letter(events: table.EventTable, tmp_path: pathlib.Path, max_columns: int) -> None:
    lines = SAMPLE.read_bytes().splitlines()
    assert len(lines) == 600
    check(events, lines, tmp_path, max_columns=max_columns)
    assert events.snapshot().rows == 600


def test_this_check_sees_a_number_that_is_written_otherwise(
    events: table.EventTable, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(events: table.EventTable, files: list[pathlib.Path], **options: Any) -> ingest.IngestReport:
        files[0].write_bytes(files[0].read_bytes().replace(b"1.50", b"1.5"))
        return take(events, files, **options)

    take = ingest.ingest
    monkeypatch.setattr(ingest, "ingest", careless)
    with pytest.raises(AssertionError, match=r"1\.50"):
        check(events, [b'{"a":1.50}'], tmp_path)
