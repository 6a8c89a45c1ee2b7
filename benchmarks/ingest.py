"""Intake, and searches of what came in, side by side with peers and floors: one table, in one run of some minutes.

    python benchmarks/ingest.py                                  both made-up streams
    python benchmarks/ingest.py --real FILE                      and a file of real events (JSON Lines)
    python benchmarks/ingest.py --only 'wide: ours,wide: parse'  some rows

Each row is a process of its own, so that peak memory is its own; rows of one stream alternate, and the median of the
rounds counts. Seconds are those of the work itself, imports not counted; CPU and peak RSS are the process's. Ratios
are to ours of the same stream. All read the same file from the system's cache and leave Parquet (ours: a lake, synced;
ClickHouse: a MergeTree table).

- parse: `orjson.loads` of every line, nothing kept: the floor of one core.
- duckdb: `read_json(…, map_inference_threshold=-1)` to Parquet. clickhouse: the `JSON` type, into a MergeTree table of
  compact parts (chdb).

Everything is made from the seed: nothing is downloaded, nothing is left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import gzip
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from penstock.process import environment

COMMUNITY = "11111111-2222-3333-4444-555555555555"
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
NARROW_EVENTS = 200_000
WIDE_EVENTS = 69_040
MANY_DAYS_EVENTS = 3_452
MANY_DAYS = 686
SMALL_FILES = 200
SMALL_FILE_EVENTS = 20
HOSTILE_LINES = 200_000
HOSTILE_FIELDS = 1_900

Figures = dict[str, float]


# What is read


def prepare(work: pathlib.Path, real: pathlib.Path | None, scale: float) -> None:
    """Writes all inputs into the folder."""
    from penstock.samples import wide

    _narrow(work, max(1000, int(NARROW_EVENTS * scale)))
    many = max(1000, int(WIDE_EVENTS * scale))
    with (work / "wide.jsonl").open("wb") as file:
        file.writelines(wide.lines(events=many, start=START, days=1))
    with (work / "days.jsonl").open("wb") as file:
        file.writelines(wide.lines(events=MANY_DAYS_EVENTS, start=START, days=MANY_DAYS))
    if real is not None:
        events = real.read_bytes().splitlines(keepends=True)
        with (work / "real.jsonl").open("wb") as file:
            file.writelines(events[place % len(events)] for place in range(many))
    small = work / "small"
    small.mkdir()
    text = b"".join(wide.lines(events=SMALL_FILES * SMALL_FILE_EVENTS, start=START, days=1))
    lines = text.splitlines(keepends=True)
    for number in range(SMALL_FILES):
        mine = lines[number * SMALL_FILE_EVENTS :][:SMALL_FILE_EVENTS]
        (small / f"{number}.json.gz").write_bytes(gzip.compress(b"".join(mine), 1))
    with (work / "hostile.jsonl").open("wb") as file:
        file.writelines(b'{"f%d":1}\n' % (number % HOSTILE_FIELDS) for number in range(HOSTILE_LINES))


def _narrow(work: pathlib.Path, events: int) -> None:
    """The narrow stream as a file: generated, and dumped with all its fields."""
    from penstock.lake.read import names
    from penstock.samples import generate

    table = _table(work / "narrow.lake")
    generate.generate(table, events=events, start=START, days=7)
    _dump(table.snapshot(), sorted(names.known([table.snapshot()]) | {"@timestamp"}), work / "narrow.gz")
    with gzip.open(work / "narrow.gz") as packed, (work / "narrow.jsonl").open("wb") as file:
        shutil.copyfileobj(packed, file)


def _table(folder: pathlib.Path) -> Any:
    from penstock.lake import table

    return table.EventTable(str(folder), COMMUNITY)


def _dump(snapshot: Any, fields: list[str], file: pathlib.Path) -> None:
    from penstock import export, query, settings
    from penstock.lake.read import plan

    limits = settings.load()
    export.dump(
        snapshot,
        node=query.parse(""),
        time_range=plan.TimeRange.ever(),
        fields=fields,
        path=file,
        threads=limits.encoding_threads,
        slice_rows=limits.slice_rows,
        slice_bytes=limits.slice_bytes,
        part_bytes=limits.part_bytes,
        compression=limits.compression,
    )


# The rows; each is run in a process of its own, and gives the seconds of its work


def take_in(work: pathlib.Path, stream: str) -> Figures:
    """Ours: files to a committed lake, which later rows read."""
    from penstock.base import clock
    from penstock.intake import ingest

    folder = work / f"{stream}.lake"
    shutil.rmtree(folder, ignore_errors=True)
    files = sorted((work / "small").iterdir()) if stream == "small" else [work / f"{stream}.jsonl"]
    table = _table(folder)
    begun = time.perf_counter()
    report = ingest.ingest(table, files, clock=clock.SystemClock())
    seconds = time.perf_counter() - begun
    assert report.rejected == 0
    found = table.snapshot().files
    return {
        "seconds": seconds,
        "events": float(report.accepted),
        "files": float(len(found)),
        "megabytes": sum(file.bytes for file in found) / 1e6,
    }


def parse(work: pathlib.Path, stream: str) -> Figures:
    """The floor."""
    import orjson

    begun = time.perf_counter()
    with (work / f"{stream}.jsonl").open("rb") as lines:
        for line in lines:
            orjson.loads(line)
    return {"seconds": time.perf_counter() - begun}


def duckdb_parquet(work: pathlib.Path, stream: str) -> Figures:
    """DuckDB: the schema is found by looking at all of the file, rows to Parquet."""
    import duckdb

    target = work / f"{stream}.duckdb.parquet"
    connection = duckdb.connect()
    source = f"read_json('{work / f'{stream}.jsonl'}', format = 'newline_delimited', map_inference_threshold = -1)"
    begun = time.perf_counter()
    connection.execute(f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return {"seconds": time.perf_counter() - begun, "megabytes": target.stat().st_size / 1e6}


def clickhouse_json(work: pathlib.Path, stream: str) -> Figures:
    """ClickHouse: the JSON type, in a table of compact parts (else it opens a file for every field)."""
    from chdb import session

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    database = session.Session(str(work / f"{stream}.chdb"))
    database.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    database.query(
        "CREATE TABLE bench.events (event JSON) ENGINE = MergeTree ORDER BY tuple() "
        "SETTINGS min_bytes_for_wide_part = 1000000000000, min_rows_for_wide_part = 1000000000"
    )
    begun = time.perf_counter()
    database.query(
        f"INSERT INTO bench.events SELECT json FROM file('{work / f'{stream}.jsonl'}', JSONAsObject, 'json JSON') "
        "SETTINGS type_json_skip_duplicated_paths = 1, input_format_json_read_numbers_as_strings = 0"
    )
    return {"seconds": time.perf_counter() - begun}


def dump_all(work: pathlib.Path, stream: str) -> Figures:
    """A dump of all fields; `seconds` less `writing` is what choosing them takes."""
    from penstock.lake.read import names

    begun = time.perf_counter()
    snapshot = _table(work / f"{stream}.lake").snapshot()
    fields = sorted(names.known([snapshot]) | {"@timestamp"})
    chosen = time.perf_counter()
    _dump(snapshot, fields, work / "all.gz")
    return {
        "seconds": time.perf_counter() - begun,
        "writing": time.perf_counter() - chosen,
        "fields": float(len(fields)),
    }


def unknown_field(work: pathlib.Path, stream: str) -> Figures:
    """Refuses a mistyped field, in a process that has the table open."""
    from penstock import errors
    from penstock.fields import selection
    from penstock.lake.read import names

    table = _table(work / f"{stream}.lake")
    names.known([table.snapshot()])
    begun = time.perf_counter()
    with contextlib.suppress(errors.FieldSelectionError):
        selection.check(["sorce.ip"], names.known([table.snapshot()]))
    return {"seconds": time.perf_counter() - begun}


def find(work: pathlib.Path, stream: str, text: str) -> Figures:
    """Counts what a query matches, as a search does."""
    from penstock import query
    from penstock.lake.read import plan, scan

    snapshot = _table(work / f"{stream}.lake").snapshot()
    begun = time.perf_counter()
    predicate = query.compile(query.parse(text), snapshot.query_columns)
    found = scan.count(snapshot, plan.TimeRange.ever(), predicate)
    return {"seconds": time.perf_counter() - begun, "events": float(found)}


Row = Callable[[pathlib.Path], Figures]


def rows(streams: list[str]) -> dict[str, Row]:
    """All rows by name, those that make a lake before those that read it."""
    found: dict[str, Row] = {}
    for stream in streams:
        found[f"{stream}: ours"] = lambda work, stream=stream: take_in(work, stream)  # type: ignore[misc]
        found[f"{stream}: parse"] = lambda work, stream=stream: parse(work, stream)  # type: ignore[misc]
        found[f"{stream}: duckdb"] = lambda work, stream=stream: duckdb_parquet(work, stream)  # type: ignore[misc]
        found[f"{stream}: clickhouse"] = lambda work, stream=stream: clickhouse_json(work, stream)  # type: ignore[misc]
    found[f"{MANY_DAYS} days"] = lambda work: take_in(work, "days")
    found["200 files"] = lambda work: take_in(work, "small")
    found["hostile lines"] = lambda work: take_in(work, "hostile")
    for stream in (streams[-1], "days"):
        found[f"{stream}: dump of all fields"] = lambda work, stream=stream: dump_all(work, stream)  # type: ignore[misc]
        found[f"{stream}: unknown field"] = lambda work, stream=stream: unknown_field(work, stream)  # type: ignore[misc]
        for what, text in QUERIES.items():
            found[f"{stream}: {what}"] = lambda work, stream=stream, text=text: find(work, stream, text)  # type: ignore[misc]
    return found


QUERIES = {"bare word": "quarantined", "absent word": "zzyzzx", "field value": "user.name:alice.martin"}


# One process a row


def child(name: str, streams: list[str], work: pathlib.Path) -> None:
    print(json.dumps(rows(streams)[name](work)))


def measure(name: str, streams: list[str], work: pathlib.Path) -> Figures | None:
    """One row's figures: of the work, and CPU seconds and peak RSS in MiB of its process; None if it failed."""
    for leftover in (*work.glob("*.chdb"), *work.glob("*.duckdb.parquet")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    command = [sys.executable, __file__, "--child", name, "--streams", ",".join(streams), "--work", str(work)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    printed, complaints = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        print(f"{name}: failed: {complaints.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return {
        **json.loads(printed.splitlines()[-1]),
        "whole": time.perf_counter() - begun,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss / 1024,
    }


def report(found: dict[str, list[Figures]]) -> Iterator[str]:
    yield "| row | seconds | events/s | × ours | whole process s | CPU s | peak RSS MiB | |"
    yield "|---|---|---|---|---|---|---|---|"
    middle = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
        if rounds
    }
    for name, figures in middle.items():
        stream, _, way = name.partition(": ")
        ours = middle.get(f"{stream}: ours", {})
        is_way = way in ("ours", "parse", "duckdb", "clickhouse") or not way
        events = figures.get("events", ours.get("events", 0.0))
        rate = f"{events / figures['seconds']:,.0f}" if is_way and events else ""
        ratio = f"{figures['seconds'] / ours['seconds']:.2f}" if is_way and ours and way != "ours" else ""
        more = [f"{figures[key]:,.{places}f} {key}" for key, places in _MORE if key in figures]
        cells = (f"{figures['seconds']:.3f}", rate, ratio, f"{figures['whole']:.2f}", f"{figures['cpu']:.2f}")
        yield f"| {name} | {' | '.join(cells)} | {figures['rss']:,.0f} | {', '.join(more)} |"


_MORE = (("events", 0), ("files", 0), ("megabytes", 1), ("writing", 3), ("fields", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--real", type=pathlib.Path, help="a file of real events, repeated to as many as the wide ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the events of both large streams")
    parser.add_argument("--only", default="", help="rows, by a comma")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--streams", default="", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=pathlib.Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child, asked.streams.split(","), asked.work)
        return
    streams = ["narrow", "wide", *(["real"] if asked.real else [])]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        prepare_in_child = [sys.executable, "-c", _PREPARE, folder, str(asked.real or ""), str(asked.scale), __file__]
        subprocess.run(prepare_in_child, check=True)  # a child's peak RSS begins with its parent's: stay small
        chosen = asked.only.split(",") if asked.only else list(rows(streams))
        found: dict[str, list[Figures]] = {name: [] for name in chosen}
        for number in range(asked.rounds):
            for name in chosen:
                if number and name.endswith((": duckdb", ": clickhouse")):
                    continue  # the slow ones run once: their seconds would be most of the run
                figures = measure(name, streams, work)
                if figures is not None:
                    found[name].append(figures)
        print("\n".join(report(found)))


_PREPARE = """
import pathlib, runpy, sys
work, real, scale, script = sys.argv[1:]
runpy.run_path(script)["prepare"](pathlib.Path(work), pathlib.Path(real) if real else None, float(scale))
"""


if __name__ == "__main__":
    environment.prepare()
    main()
