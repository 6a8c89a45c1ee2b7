"""Event tables wherever they lie: one suite for a disk and for a bucket.

Machines share the folder of a lake on a disk; with a lake in a bucket each has a cache of its own. A second machine has
none of the files yet.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, Protocol

import polars as pl
import pytest

from penstock import errors, export, query, testing
from penstock.fields.types import FieldType
from penstock.intake import ingest
from penstock.lake import location, log, table, upkeep
from penstock.lake.location import bucket, s3
from penstock.lake.needles import sidecar
from penstock.lake.read import names, newest, plan, scan
from penstock.storage import Secret

EVER = plan.TimeRange.ever()
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
ON_CEPH = pytest.mark.ceph


class Ceph(Protocol):
    url: str
    ca_file: str
    bucket: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kit:
    """A lake under test.

    Attributes:
        kind: disk or s3.
        machine: the lake as a machine of this name sees it.
    """

    kind: str
    machine: Callable[[str], location.Lake]

    def table(self, machine: str = "first") -> table.EventTable:
        """The one table, as opened by a new process of a machine."""
        return table.EventTable(self.machine(machine), "community")


def address_of(ceph: Ceph, **more: Any) -> bucket.Address:
    values: dict[str, Any] = {
        "bucket": ceph.bucket,
        "endpoint_url": ceph.url,
        "access_key_id": "test",
        "secret_access_key": Secret("testtest"),
        "ca_file": ceph.ca_file,
    }
    return bucket.Address(**(values | more))


TINY_TOO = pytest.mark.parametrize(
    "kit",
    ["disk", pytest.param("s3", marks=ON_CEPH), pytest.param("s3 with a tiny cache", marks=ON_CEPH)],
    indirect=True,
)
"""For what reads data files."""


@pytest.fixture(params=["disk", pytest.param("s3", marks=ON_CEPH)])
def kit(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Kit:
    """A lake on a disk, and in a bucket; with a cache that holds nothing longer than it is read, too."""
    kind: str = request.param
    if kind == "disk":
        return Kit(kind="disk", machine=lambda name: location.DiskLake(str(tmp_path / "lake")))
    address = address_of(request.getfixturevalue("ceph"))
    prefix, most = f"lakes/{uuid.uuid4().hex}", 0 if "tiny" in kind else 1 << 30

    def machine(name: str) -> location.Lake:
        return s3.S3Lake(address=address, prefix=prefix, cache_folder=tmp_path / name, cache_bytes=most)

    return Kit(kind="s3", machine=machine)


def made(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Events of some days, out of order, some with what only the overflow can hold; the marker is in one of them."""
    chance = random.Random(seed)
    found: list[dict[str, Any]] = []
    for n in range(count):
        at = START + dt.timedelta(days=10 * seed, seconds=chance.randrange(5 * 86_400), microseconds=n)
        event: dict[str, Any] = {"@timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "n": n}
        event["message"] = f"{'needle' + str(seed) if n == count // 2 else 'hay'} {chance.randrange(1000)} żółw"
        event["source"] = {"ip": f"10.0.{n % 7}.{n % 251}"}
        event |= {"odd": ["a", 1, None]} if n % 10 == 0 else {f"wide{n % 40}": n}
        found.append(event)
    return found


def take(events: table.EventTable, some: list[dict[str, Any]], batch_id: str | None = None) -> ingest.IngestReport:
    lines = [json.dumps(event).encode() + b"\n" for event in some]
    return ingest.ingest_stream(events, lines, clock=testing.ManualClock(), batch_id=batch_id)


def numbers(events: table.EventTable) -> list[int]:
    """All values of `n`, as an export reads them."""
    snapshot = events.snapshot()
    slices = plan.plan_slices(snapshot, EVER, max_rows=1000, max_bytes=1 << 30)
    every = query.compile(query.parse(""), snapshot.query_columns)
    return [n for one in slices for n in scan.read_slice(snapshot, one, ["n"], every)["n"]]


def exported(events: table.EventTable, text: str, path: pathlib.Path) -> list[dict[str, Any]]:
    snapshot = events.snapshot()
    export.dump(
        snapshot,
        node=query.parse(text),
        time_range=EVER,
        fields=sorted(names.known([snapshot])),
        path=path,
        threads=2,
        slice_rows=300,
        slice_bytes=1 << 30,
        part_bytes=1 << 20,
    )
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


@TINY_TOO
def test_what_was_taken_in_on_one_machine_is_found_and_exported_on_another(kit: Kit, tmp_path: pathlib.Path) -> None:
    some = made(900)
    for part in (some[:300], some[300:600], some[600:]):
        take(kit.table(), part)
    other = kit.table("second")
    snapshot = other.snapshot()
    assert names.known([snapshot]) >= {"n", "message", "source.ip", "odd", *(f"wide{n}" for n in range(40) if n % 10)}
    fives = query.compile(query.parse("source.ip:10.0.5.0/24"), snapshot.query_columns)
    wanted = [event for event in some if event["source"]["ip"].startswith("10.0.5.")]
    assert scan.count(snapshot, EVER, fives) == len(wanted)
    half = plan.TimeRange(earliest=START + dt.timedelta(days=1), latest=START + dt.timedelta(days=3))
    in_half = [e for e in wanted if "2026-01-06" <= e["@timestamp"][:10] < "2026-01-08"]
    assert scan.count(snapshot, half, fives) == len(in_half)
    assert sum(n for _, n in scan.histogram(snapshot, half, fives, 10).counts) == len(in_half)
    found = newest.events(snapshot, EVER, fives, 5)
    assert [e["n"] for e in found] == [e["n"] for e in sorted(wanted, key=lambda e: e["@timestamp"])[:-6:-1]]
    lines = exported(other, "", tmp_path / "all.jsonl.gz")
    assert [line["n"] for line in lines] == [e["n"] for e in sorted(some, key=lambda e: str(e["@timestamp"]))]
    assert {line["n"]: line.get("odd") for line in lines} == {e["n"]: e.get("odd") for e in some}


def test_two_writers_at_once_take_every_batch_in_once_and_agree_on_columns(kit: Kit) -> None:
    """They bring the same batches, and columns that the table does not have yet."""
    batches = {f"batch{n}": [{"n": n, f"new{n}": n, "@timestamp": "2026-01-05T00:00:00Z"}] for n in range(12)}

    def write(machine: str, order: list[str]) -> list[int]:
        events = kit.table(machine)
        return [take(events, batches[name], name).accepted for name in order]

    with futures.ThreadPoolExecutor(2) as pool:
        one = pool.submit(write, "first", list(batches))
        two = pool.submit(write, "second", list(batches)[::-1])
        accepted = sum(one.result()) + sum(two.result())
    assert accepted == 12
    assert sorted(numbers(kit.table("third"))) == list(range(12))
    assert {f"new{n}" for n in range(12)} <= set(kit.table("third").snapshot().columns)


def frame(n: int) -> pl.DataFrame:
    stamps = pl.Series("@timestamp", [n], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"@timestamp": stamps, "n": [n]})


def test_the_log_stays_short_and_nothing_is_forgotten(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "CHECKPOINT_ENTRIES", 4)
    monkeypatch.setattr(log, "KEEP_SECONDS", -10.0)  # the time of a bucket comes in whole seconds
    events, other = kit.table(), kit.table("second")
    for n in range(6):
        events.append([frame(n)], types={"n": FieldType.LONG}, batch_ids=[f"id{n}"])
    pinned = other.snapshot()
    other.keep(pinned)
    for n in range(6, 16):
        events.append([frame(n)], types={"n": FieldType.LONG}, batch_ids=[f"id{n}"])
    entries = [entry for entry in events.folder.list("_delta_log") if entry.name.endswith(".json")]
    assert len(entries) < 10
    assert not log.holds(events.folder, pinned.version)
    # By a process that has looked away meanwhile, and by a new one.
    for late in (other, kit.table("third")):
        assert late.batches_taken([f"id{n}" for n in range(20)]) == {f"id{n}" for n in range(16)}
        assert sorted(numbers(late)) == list(range(16))
        assert late.snapshot(pinned.version).files == pinned.files
    assert other.append([frame(16)], types={"n": FieldType.LONG}) == other.snapshot().version
    with pytest.raises(table.BatchTaken):
        other.append([frame(3)], types={"n": FieldType.LONG}, batch_ids=["id3"])


def test_a_version_that_nobody_kept_is_read_while_the_log_has_it(kit: Kit) -> None:
    events = kit.table()
    first = events.append([frame(1)], types={"n": FieldType.LONG})
    events.append([frame(2)], types={"n": FieldType.LONG})
    assert kit.table("second").snapshot(first).rows == 1
    with pytest.raises(errors.NotFound, match="cannot be read any more"):
        events.snapshot(99)


@TINY_TOO
def test_upkeep_joins_files_and_deletes_what_nothing_needs(kit: Kit) -> None:
    events = kit.table()
    for n in range(5):
        events.append([frame(n)], types={"n": FieldType.LONG})
    pinned = events.snapshot()
    old = pinned.files
    # A writer that was killed before its commit leaves a file that nothing names.
    with events.folder.draft("00000000000000001-000000-orphan.parquet") as draft:
        frame(99).write_parquet(draft.path)
        draft.keep()
    report = upkeep.compact(kit.table("second"))
    assert (report.files_removed, report.files_added, report.rows) == (5, 1, 5)
    assert numbers(events) == list(range(5))
    ages = {entry.name: entry.modified for entry in events.folder.data_files()}
    events.folder.touch([file.path for file in old])
    later = {entry.name: entry.modified for entry in events.folder.data_files()}
    grown = {name for name, modified in ages.items() if later[name] > modified}
    assert grown >= {file.path for file in old}
    assert "00000000000000001-000000-orphan.parquet" not in grown
    # Joined away just now: they are young, whatever their age; so is the orphan.
    assert upkeep.vacuum(events, pinned_versions=[], keep_seconds=600).files == ()
    kept = upkeep.vacuum(kit.table("second"), pinned_versions=[pinned.version], keep_seconds=-60)
    assert kept.files == ("00000000000000001-000000-orphan.parquet",)
    assert sorted(n for file in old for n in read_n(events, file.path)) == list(range(5))
    gone = upkeep.vacuum(events, pinned_versions=[], keep_seconds=-60)
    assert set(gone.files) == {file.path for file in old}
    assert numbers(kit.table("third")) == list(range(5))
    assert {entry.name for entry in events.folder.data_files()} == {file.path for file in events.snapshot().files}


def read_n(events: table.EventTable, path: str) -> list[int]:
    with events.folder.hold([path]):
        return pl.read_parquet(events.folder.local(path))["n"].to_list()


def test_a_writer_whose_file_a_vacuum_took_does_not_commit_it(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood still for so long that its files were no longer young."""
    monkeypatch.setattr(s3, "_YOUNG_SECONDS", -1.0)
    events = kit.table()
    events.append([frame(1)], types={"n": FieldType.LONG})

    def frames() -> Iterator[pl.DataFrame]:
        monkeypatch.setattr("penstock.lake.files.FILE_ROWS", 1)
        yield frame(2)
        upkeep.vacuum(kit.table("second"), pinned_versions=[], keep_seconds=-60)
        yield frame(3)

    with pytest.raises(errors.StorageError):
        events.append(frames(), types={"n": FieldType.LONG})
    assert numbers(kit.table("second")) == [1]


@TINY_TOO
def test_a_rare_value_fetches_only_the_files_that_may_hold_it(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(sidecar, "SMALLEST_BYTES", 0)
    events = kit.table()
    for seed in (1, 2, 3):  # of different days: where files overlap, a plan reads their times
        take(events, made(50, seed))
    other = kit.table("second")
    snapshot = other.snapshot()
    fetched: list[str] = []
    if kit.kind == "s3":
        download = bucket.Bucket.download

        def noted(self: bucket.Bucket, key: str, *more: Any) -> int:
            fetched.append(key.rpartition("/")[2])
            return download(self, key, *more)

        monkeypatch.setattr(bucket.Bucket, "download", noted)
    for text, found in (("nowhere-at-all", 0), ("needle2", 1)):
        assert scan.count(snapshot, EVER, query.compile(query.parse(text), snapshot.query_columns)) == found
    assert [line["n"] for line in exported(other, "needle2", tmp_path / "one.gz")] == [25]
    # One file of three, at each count and each slice that reads it at most.
    assert {name for name in fetched if name.endswith(".parquet")} <= {snapshot.files[1].path}
    assert (kit.kind == "disk") or any(name.endswith(".needles") for name in fetched)


WRITER = """
import json, sys
from penstock import testing
from penstock.intake import ingest
from penstock.lake import table
from penstock.storage import Secret
lake, kind, values = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
if kind == "s3":
    import pathlib
    from penstock.lake.location import bucket, s3
    address = bucket.Address(**{**values.pop("address"), "secret_access_key": Secret("testtest")})
    lake = s3.S3Lake(address=address, cache_folder=pathlib.Path(values.pop("cache_folder")), **values)
events = table.EventTable(lake, "community")
for n in range(100):
    some = [{"n": 10 * n + k, "@timestamp": f"2026-01-05T00:{n:02}:00Z"} for k in range(10)]
    lines = [json.dumps(event).encode() + b"\\n" for event in some]
    ingest.ingest_stream(events, lines, clock=testing.ManualClock(), batch_id=f"b{n}")
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_loses_and_doubles_nothing(kit: Kit, tmp_path: pathlib.Path) -> None:
    lake = kit.machine("killed")
    values: dict[str, Any] = {}
    if isinstance(lake, s3.S3Lake):
        address = {**dataclasses.asdict(lake.address), "secret_access_key": ""}
        values = {"address": address, "prefix": lake.prefix, "cache_folder": str(lake.cache_folder)}
        values["cache_bytes"] = lake.cache_bytes
    place = str(tmp_path / "lake")
    command = [sys.executable, "-c", WRITER, place, kit.kind, json.dumps(values)]
    said = -1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in itertools.islice(writer.stdout, 3):
            said = int(line)
        os.kill(writer.pid, signal.SIGKILL)
    events = kit.table()
    there = [n for n in range(100) if events.has_batch(f"b{n}")]
    # What it said is there; perhaps what it was about to say.
    assert there in (list(range(said + 1)), list(range(said + 2)))
    assert sorted(numbers(events)) == list(range(10 * len(there)))
    # Sent again, by another and on the same machine.
    for n in range(6):
        some = [{"n": 10 * n + k, "@timestamp": f"2026-01-05T00:{n:02}:00Z"} for k in range(10)]
        assert take(kit.table("killed"), some, f"b{n}").accepted == (0 if n in there else 10)
    assert sorted(numbers(kit.table("killed"))) == list(range(60))
