"""An ingest that dies by SIGKILL at any step: whole batches only, and the same batch id never doubles."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

import pytest

from penstock import testing
from penstock.intake import ingest
from penstock.lake import table

EVENTS = 2_000
COMMUNITY = "11111111-2222-3333-4444-555555555555"

CHILD = """
import os, signal, sys
from penstock import testing
from penstock.intake import ingest, run, streams
from penstock.intake.shapes import formats
from penstock.lake import files, table

folder, community, file, step, batch_id = sys.argv[1:]
run.COMMIT_BATCHES, streams.PIECE_BYTES, formats.LOOK_BYTES = 2, 5_000, 1

def dying(owner, name, at, *, after):
    whole, calls = getattr(owner, name), []
    def wrapped(*args, **options):
        calls.append(name)
        if len(calls) == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **options)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, wrapped)

if step == "in the middle of writing":
    dying(files.FileWriter, "write", 2, after=True)
elif step == "before the commit":
    dying(table.EventTable, "_offer", 1, after=False)
elif step == "after the commit":
    dying(table.EventTable, "_offer", 1, after=True)
ingest.ingest(
    table.EventTable(folder, community), [file], clock=testing.ManualClock(),
    limits=ingest.Limits(batch_bytes=8_000), batch_id=batch_id or None,
)
"""


def killed(folder: pathlib.Path, step: str, batch_id: str) -> None:
    file = folder / "events.jsonl"
    file.write_bytes(b"".join(b'{"@timestamp":%d,"n":%d}\n' % (1_700_000_000 + n, n) for n in range(EVENTS)))
    command = [sys.executable, "-c", CHILD, str(folder / "lake"), COMMUNITY, str(file), step, batch_id]
    process = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr


@pytest.mark.parametrize(
    ("step", "left"), [("in the middle of writing", 0), ("before the commit", 0), ("after the commit", EVENTS)]
)
def test_batch_of_a_killed_ingest_is_there_whole_or_not_and_never_twice(
    tmp_path: pathlib.Path, step: str, left: int
) -> None:
    killed(tmp_path, step, "monday")
    events = table.EventTable(str(tmp_path / "lake"), COMMUNITY)
    assert events.snapshot().rows == left
    for _ in range(2):
        report = ingest.ingest(events, [tmp_path / "events.jsonl"], clock=testing.ManualClock(), batch_id="monday")
        assert events.snapshot().rows == EVENTS
    assert report.skipped


def test_killed_ingest_without_an_id_leaves_whole_batches(tmp_path: pathlib.Path) -> None:
    killed(tmp_path, "after the commit", "")
    rows = table.EventTable(str(tmp_path / "lake"), COMMUNITY).snapshot().rows
    assert 0 < rows < EVENTS
