"""The table of speed: whole processes, work alone, filters, the served export and starts, all as ratios of one run.

    python benchmarks/speed.py                    1 M events, three rounds: three minutes on a quiet machine
    python benchmarks/speed.py --events 4000000 --rounds 5 --rows default,text,served
    python benchmarks/speed.py --stream wide --events 200000
    python benchmarks/speed.py --events 4000000 --rounds 5 --chart docs/export-speed.svg

A home is made in a temporary folder and filled by `penstock generate`. In each round all contenders take turns, each a
process of its own: `penstock dump` as users type it, and the shortest script for ClickHouse (chdb) and for Polars. The
whole process counts from its start to its end. Work alone is what the script itself took, its imports left out; ours is
the same export called from a script. Medians of the rounds; each row is printed as soon as it is measured. `generate`
writes what lies in files of one row group or more; everything is in the system's cache. Python's modules are compiled
before, as after an installation. Of filters that mean the same to all, all must have written as many events.

The served export is what `penstock serve` takes from the start to FINISHED with its embedded encrypted store, against a
dump from a script. Starts are those of benchmarks/start_up.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import start_up

DEFAULT = ("@timestamp", "message")
NETWORK = (
    *("@timestamp", "source.ip", "source.port", "destination.ip", "destination.port"),
    *("network.protocol", "network.transport", "event.action"),
)
ENDPOINT = ("@timestamp", "host.name", "user.name", "process.name", "process.command_line", "event.action")
ABSENT = "zqxjkvblorp"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream:
    """What is asked of one kind of sample events.

    Attributes:
        rare: a field of which some value is in 1 event in 3,000.
        phrase: words that 1 event in 36 (narrow) or 67 (wide) has in its message.
    """

    rare: str
    phrase: str


STREAMS = {
    "narrow": Stream(rare="dns.question.name", phrase="failed password"),
    "wide": Stream(rare="host.name", phrase="session closed"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """One row of the table.

    Attributes:
        what: for people; `{field}`, `{rare}`, `{phrase}` and `{needle}` stand for what the stream has, here and below.
        fields: of a line.
        query: ours.
        sql: ClickHouse's condition.
        polars: Polars' condition, as Python.
        is_same: all three write the same events.
        asked: least ratios, whole process and work alone.
    """

    what: str
    fields: tuple[str, ...]
    query: str = ""
    sql: str = ""
    polars: str = ""
    is_same: bool = False
    asked: dict[str, float]

    def of(self, values: dict[str, str]) -> Workload:
        """The same with the stream's own values."""
        given = {name: getattr(self, name) for name in ("what", "query", "sql", "polars")}
        for key, value in values.items():
            given = {name: text.replace(f"{{{key}}}", value) for name, text in given.items()}
        return dataclasses.replace(self, **given)


WORKLOADS = {
    "default": Workload(what="default fields", fields=DEFAULT, asked={"clickhouse": 5, "polars": 7}),
    "network": Workload(what="network fields", fields=NETWORK, asked={"clickhouse": 5, "polars": 7}),
    "endpoint": Workload(what="endpoint fields", fields=ENDPOINT, asked={"clickhouse": 5, "polars": 7}),
    "rare": Workload(
        what="1 event in 3,000",
        fields=DEFAULT,
        query="{field}:{rare}",
        sql="\"{field}\" = '{rare}'",
        polars="pl.col('{field}') == '{rare}'",
        is_same=True,
        asked={"clickhouse": 2, "polars": 2},
    ),
    "text": Workload(
        what='message:"{phrase}"',
        fields=DEFAULT,
        query='message:"{phrase}"',
        sql="positionCaseInsensitive(message, '{phrase}') > 0",
        polars="pl.col('message').str.contains('(?i){phrase}')",
        is_same=True,
        asked={"clickhouse": 2, "polars": 2},
    ),
    "absent": Workload(
        what="a bare word that no event has (theirs: in message alone)",
        fields=DEFAULT,
        query=ABSENT,
        sql=f"hasToken(message, '{ABSENT}')",
        polars=f"pl.col('message').str.contains('{ABSENT}', literal=True)",
        is_same=True,
        asked={"clickhouse": 1, "polars": 1},
    ),
    "needle": Workload(
        what="the rarest address, in any field (theirs: source.ip)",
        fields=DEFAULT,
        query="{needle}",
        sql="\"source.ip\" = '{needle}'",
        polars="pl.col('source.ip') == '{needle}'",
        asked={"clickhouse": 1, "polars": 1},
    ),
}

OURS = """
import json, sys, time
from penstock import export, query, settings
from penstock.lake import table
from penstock.lake.read import plan
from penstock.query.syntax import grammar  # loaded with the first query: an import as well
asked = json.loads(sys.argv[1])
import pathlib
root, community = asked["files"][0].rsplit("/", 1)[0].rsplit("/", 1)
limits, snapshot = settings.load(), table.EventTable(root, community).snapshot()
begun = time.perf_counter()
export.dump(snapshot, node=query.parse(asked["query"]), time_range=plan.TimeRange.ever(), fields=asked["fields"],
    path=pathlib.Path(asked["out"]), threads=limits.encoding_threads, slice_rows=limits.slice_rows,
    slice_bytes=limits.slice_bytes, part_bytes=limits.part_bytes)
print(time.perf_counter() - begun)
"""
POLARS = """
import json, sys, time
import polars as pl
asked = json.loads(sys.argv[1])
known = {name: dtype for file in asked["files"] for name, dtype in pl.read_parquet_schema(file).items()}
begun = time.perf_counter()
frame = pl.scan_parquet(asked["files"], schema={name: known[name] for name in asked["reads"]}, missing_columns="insert",
    extra_columns="ignore")
if asked["polars"]:
    frame = frame.filter(eval(asked["polars"]))
frame.select(asked["fields"]).sink_ndjson(asked["out"], compression="gzip")
print(time.perf_counter() - begun)
"""
CLICKHOUSE = """
import json, os, sys, time
import chdb
asked = json.loads(sys.argv[1])
names = ",".join(os.path.basename(file) for file in asked["files"])
source = f"file('{os.path.dirname(asked['files'][0])}/{{{names}}}', Parquet)"
columns = ", ".join(f'"{name}"' for name in asked["fields"])
begun = time.perf_counter()
chdb.query(f"SELECT {columns} FROM {source}" + (f" WHERE {asked['sql']}" if asked["sql"] else "")
    + f" INTO OUTFILE '{asked['out']}' TRUNCATE COMPRESSION 'gzip' FORMAT JSONEachRow SETTINGS date_time_output_format "
    "= 'iso', output_format_json_escape_forward_slashes = 0, schema_inference_mode = 'union', "
    "input_format_parquet_allow_missing_columns = 1")
print(time.perf_counter() - begun)
"""
SCRIPTS = {"ours": OURS, "clickhouse": CLICKHOUSE, "polars": POLARS}


def main() -> int:
    """Measures and prints; exit code 1 if anything asked was not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stream", default="narrow", choices=tuple(STREAMS), help="of sample events")
    parser.add_argument(
        "--chart", type=pathlib.Path, help="draws the exports as bars, as docs/export-speed.svg has them"
    )
    parser.add_argument("--rows", default=",".join([*WORKLOADS, "served", "starts"]))
    asked = parser.parse_args()
    print("| | whole process | work alone | asked | |", "|---|---|---|---|---|", sep="\n", flush=True)
    is_missed = False
    with tempfile.TemporaryDirectory(dir=pathlib.Path(__file__).parent.parent) as name:
        for line in measured(pathlib.Path(name), asked):
            print(line, flush=True)
            is_missed |= "missed" in line
    if asked.chart:
        asked.chart.write_text(chart_of(MEASURED, asked.events))
    return int(is_missed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """One row's medians in seconds, by contender."""

    what: str
    whole: dict[str, float]
    alone: dict[str, float]


MEASURED: list[Measured] = []
"""Rows measured so far, for the chart."""

COLORS = {"ours": "#0b6e4f", "clickhouse": "#e0a100", "polars": "#3e7cb1"}
BAR_PIXELS = 380


def chart_of(rows: Sequence[Measured], events: int) -> str:
    """An SVG of bars: seconds, a group a row, whose longest fills the width. Dark is work alone, pale the rest of the
    whole process, its start for the most part."""
    drawn, y = [], 44
    for row in rows:
        y += 22
        drawn.append(f'<text x="8" y="{y}" font-weight="bold">{row.what.replace("&", "&amp;")}</text>')
        y += 8
        longest = max(row.whole.values())
        for name, color in COLORS.items():
            alone, whole = row.alone[name], max(row.whole[name], row.alone[name])
            widths = [BAR_PIXELS * seconds / longest for seconds in (alone, whole)]
            drawn.append(f'<text x="84" y="{y + 12}" text-anchor="end">{name}</text>')
            drawn.append(f'<rect x="92" y="{y}" width="{widths[1]:.1f}" height="15" fill="{color}" opacity="0.35"/>')
            drawn.append(f'<rect x="92" y="{y}" width="{widths[0]:.1f}" height="15" fill="{color}"/>')
            drawn.append(f'<text x="{98 + widths[1]:.1f}" y="{y + 12}">{alone:.2f} of {whole:.2f} s</text>')
            y += 19
    head = (
        f'<text x="8" y="20" font-size="15">Seconds for {events / 1e6:g} million events (shorter is better)</text>'
        '<text x="8" y="40">dark: the work alone; pale: the rest of the whole process, most of it its start</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y + 12}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{head}{"".join(drawn)}</svg>\n'
    )


def measured(folder: pathlib.Path, asked: argparse.Namespace) -> Iterator[str]:
    """The rows, as they come."""
    environment = os.environ | {"PENSTOCK_HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state")}
    environment = start_up.as_installed(environment)
    rows = asked.rows.split(",")
    if set(rows) - {"starts"}:
        files = filled(folder, environment, asked.events, asked.stream)
        stream = STREAMS[asked.stream]
        values = {
            "field": stream.rare,
            "phrase": stream.phrase,
            "rare": rarest(files, stream.rare, asked.events // 3000),
            "needle": rarest(files, "source.ip", 1),
        }
        known = columns(files)
        for row in rows:
            if row in WORKLOADS:
                workload = WORKLOADS[row].of(values)
                # The wide stream lacks some; what no file has ClickHouse cannot name.
                held = tuple(field for field in workload.fields if field in known)
                workload = dataclasses.replace(workload, fields=held)
                yield from compared(workload, values, files, folder / "out.gz", environment, asked.rounds)
        if "served" in rows:
            yield from served(files, folder, environment, asked.rounds)
    if "starts" in rows:
        (folder / "starts").mkdir()
        own = environment | {"PENSTOCK_HOME": str(folder / "starts" / "home")}
        yield from map(start_line, start_up.measured(folder / "starts", own, asked.rounds))


def filled(folder: pathlib.Path, environment: dict[str, str], events: int, stream: str) -> list[str]:
    """The data files of a new home."""
    generate = ["generate", "--events", str(events), "--start", "2026-01-05T00:00:00Z", "--stream", stream]
    for words in (["init"], generate):
        subprocess.run([*start_up.PENSTOCK, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted(map(str, (folder / "home" / "lake").glob("*/*.parquet")))


def columns(files: Sequence[str]) -> set[str]:
    """The columns that some file has."""
    script = (
        "import json, sys, polars as pl; print(json.dumps(sorted({name for file in json.loads(sys.argv[1])"
        " for name in pl.read_parquet_schema(file)})))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, json.dumps(files)], check=True, capture_output=True, text=True
    )
    return set(json.loads(found.stdout))


def rarest(files: Sequence[str], column: str, events: int) -> str:
    """The value of a column whose number of events comes closest to `events`."""
    script = (
        "import json, sys, polars as pl; asked = json.loads(sys.argv[1]); name = asked['column'];"
        "counts = pl.scan_parquet(asked['files'], schema={name: pl.String}, missing_columns='insert',"
        "extra_columns='ignore').drop_nulls().group_by(name).len().collect();"
        "print(counts.with_columns(off=(pl.col('len').cast(pl.Int64) - asked['events']).abs())"
        ".sort('off', name).item(0, name))"
    )  # not in this process, which stays small
    given = json.dumps({"files": files, "column": column, "events": events})
    return subprocess.run(
        [sys.executable, "-c", script, given], check=True, capture_output=True, text=True
    ).stdout.strip()


def compared(
    workload: Workload,
    values: dict[str, str],
    files: Sequence[str],
    out: pathlib.Path,
    environment: dict[str, str],
    rounds: int,
) -> list[str]:
    """Rows against each peer."""
    given = {name: getattr(workload, name) for name in ("query", "sql", "polars")}
    filtered = [name for name in (values["field"], "message", "source.ip") if name in workload.polars]
    reads = list(dict.fromkeys([*workload.fields, *filtered]))
    asked = json.dumps({"files": files, "fields": workload.fields, "reads": reads, "out": str(out), **given})
    dump = ["dump", "-o", str(out), "--query", given["query"], "--fields", ",".join(workload.fields)]
    events: dict[str, int] = {}
    whole: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    alone: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    for _ in range(rounds):
        for name, script in SCRIPTS.items():
            out.unlink(missing_ok=True)
            took, printed = run([sys.executable, "-c", script, asked], environment)
            alone[name].append(float(printed.split()[-1]))
            if workload.is_same and name not in events:
                with gzip.open(out) as lines:
                    events[name] = sum(1 for _ in lines)
            if name == "ours":
                out.unlink(missing_ok=True)
                took, _ = run([*start_up.PENSTOCK, *dump], environment)
            whole[name].append(took)
    if len(set(events.values())) > 1:
        raise SystemExit(f"{workload.what}: not as many events: {events}")
    whole_seconds, alone_seconds = (
        {name: statistics.median(seconds) for name, seconds in found.items()} for found in (whole, alone)
    )
    MEASURED.append(Measured(what=workload.what, whole=whole_seconds, alone=alone_seconds))
    lines = []
    for peer, least in workload.asked.items():
        ratios = [found[peer] / found["ours"] for found in (whole_seconds, alone_seconds)]
        seconds = [found["ours"] for found in (whole_seconds, alone_seconds)]
        lines.append(
            f"| {workload.what}, against {peer} | {ratios[0]:.2f} × ({seconds[0]:.2f} s) "
            f"| {ratios[1]:.2f} × ({seconds[1]:.2f} s) | ≥ {least:g} × | {verdict(min(ratios) >= least)} |"
        )
    return lines


def run(command: Sequence[str], environment: dict[str, str]) -> tuple[float, str]:
    """Seconds of a whole process, and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, done.stdout


def served(files: Sequence[str], folder: pathlib.Path, environment: dict[str, str], rounds: int) -> list[str]:
    """An export through the service against a dump of the same, in turns."""
    from penstock.client import Penstock

    given = json.dumps({"files": files, "fields": DEFAULT, "out": str(folder / "out.gz"), "query": ""})
    through: list[float] = []
    dumped: list[float] = []
    with open(folder / "log", "w") as log:
        command = [*start_up.PENSTOCK, "serve", "--port", "0"]
        service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url, key = start_up.wait_for_service(folder / "home")
            with Penstock(url, key) as client:
                # The sample events are older than what a search looks at unless told.
                job: Any = client.search("", earliest="1970-01-01T00:00:00Z").wait()
                for _ in range(rounds):
                    (folder / "out.gz").unlink(missing_ok=True)
                    _, printed = run([sys.executable, "-c", OURS, given], environment)
                    dumped.append(float(printed.split()[-1]))
                    begun = time.perf_counter()
                    export = job.export(fields=list(DEFAULT))
                    size = export.wait().export_size_compressed
                    through.append(time.perf_counter() - begun)
                    if size != (folder / "out.gz").stat().st_size:
                        raise SystemExit("The served export and the dump differ.")
        finally:
            service.terminate()
            service.wait()
    ratio = statistics.median(through) / statistics.median(dumped)
    wall = f"{ratio:.2f} × ({statistics.median(through):.2f} s)"
    return [f"| an export through the service, against a dump | {wall} | | ≤ 1.15 × | {verdict(ratio <= 1.15)} |"]


def start_line(row: Any) -> str:
    """A row of start_up.py."""
    unit = "×" if row.is_ratio else "s"
    reached = verdict(row.value <= row.most)
    return (
        f"| start of {row.name} | {row.value:.2f} {unit} ({row.seconds:.2f} s) | | ≤ {row.most:g} {unit} | {reached} |"
    )


def verdict(is_reached: bool) -> str:
    """As docs/performance.md says it."""
    return "reached" if is_reached else "**missed**"


if __name__ == "__main__":
    sys.exit(main())
