"""Sample events of both streams, as they lie in the lake: kernel and reference write the same lines, every level gives
them back, in whatever selection of fields.
"""

from __future__ import annotations

import datetime as dt
import pathlib
import random
import zlib
from collections.abc import Sequence

import polars as pl
import pytest

from penstock import encode, query, testing
from penstock.encode import gzip, reference
from penstock.fields import presets
from penstock.intake import ingest
from penstock.lake import table
from penstock.lake.read import plan, scan
from penstock.samples import generate, wide

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


@pytest.fixture(scope="module", params=["narrow", "wide"])
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> table.Snapshot:
    folder: pathlib.Path = tmp_path_factory.mktemp(request.param)
    events = table.EventTable(str(folder / "lake"), "c")
    if request.param == "narrow":
        generate.generate(events, events=2000, start=START)
    else:
        (folder / "x.jsonl").write_bytes(b"".join(wide.lines(events=700, start=START)))
        ingest.ingest(events, [folder / "x.jsonl"], clock=testing.ManualClock())
    return events.snapshot()


def frames(snapshot: table.Snapshot, fields: Sequence[str]) -> list[pl.DataFrame]:
    """What an export of the fields encodes, slice by slice."""
    everything = query.compile(query.parse(""), snapshot.query_columns)
    slices = plan.plan_slices(snapshot, plan.TimeRange.ever(), max_rows=900, max_bytes=10**9, fields=fields)
    return [scan.read_slice(snapshot, one, fields, everything) for one in slices]


def selections(snapshot: table.Snapshot) -> dict[str, list[str]]:
    """The presets, all fields, and some at random, with names that live in the overflow or nowhere."""
    known = sorted(snapshot.columns)
    chance = random.Random(7)
    return {
        "default": list(presets.DEFAULT_FIELDS),
        **{name: list(preset.fields) for name, preset in presets.PRESETS.items()},
        "all": known,
        **{f"random {n}": [*chance.sample(known, 9), "no.such", "event"] for n in range(3)},
    }


def test_kernel_reference_and_inflated_segments_agree(snapshot: table.Snapshot) -> None:
    written = 0
    for name, fields in selections(snapshot).items():
        encoder = encode.LineEncoder(fields, snapshot.columns)
        for frame in frames(snapshot, fields):
            lines = bytes(encoder.encode(frame).data)
            assert lines == reference.encode(frame, fields, snapshot.columns), name
            for level in gzip.Compression:
                segment = gzip.encode_slice(encoder, frame, level)
                assert zlib.decompressobj(-15).decompress(segment.data) == lines, (name, level)
                assert segment.crc32 == zlib.crc32(lines)
            written += len(lines)
    assert written > 1_500_000
