"""Exports side by side: ours, ClickHouse, Polars, DuckDB and the floor, on the same files, alternating in one run.

    python benchmarks/export.py                          4 M events, all workloads, five rounds
    python benchmarks/export.py --events 100000000 --contenders ours --workloads default --rounds 1

Each contender runs in a process of its own, so that peak memory is its own. Seconds are those of the export itself,
imports not counted; CPU and peak RSS are the process's. All write one gzip-compressed JSON Lines file, a new one.
Before each run what others wrote is flushed and the lake's files are read once, so that all find them in the system's
cache; who comes first changes from round to round. ClickHouse and Polars run twice, as one types it and with their
fastest gzip level (`clickhouse-1`, `polars-1`); ours too, `fast` and `small`; DuckDB has no choice. All have the same
allocator settings, ours (penstock/process/environment.py). The first round's outputs are read back and compared as sets
of events before any ratio is printed.

The floor is what no exporter built on these parts can beat: Polars' scan of the columns alone, and ISA-L's deflate of
the finished lines alone, each with both cores.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime as dt
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from penstock.process import environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".bench"
COMMUNITY = "bench"
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
THREADS = os.cpu_count() or 1

FIELDS = {
    "default": ["@timestamp", "message"],
    "network": [
        *("@timestamp", "source.ip", "source.port", "destination.ip", "destination.port"),
        *("network.protocol", "network.transport", "event.action"),
    ],
    "endpoint": [
        *("@timestamp", "host.name", "process.name", "process.executable", "process.args"),
        *("file.path", "file.hash.sha256", "user.name"),
    ],
}

RARE_NAME = "RARE"
"""Stands for the name of a DNS question that one event in about 3,000 asks; found in the lake."""

FILTERS: dict[str, dict[str, str]] = {
    "rare": {
        "query": f"dns.question.name:{RARE_NAME}",
        "sql": f"\"dns.question.name\" = '{RARE_NAME}'",
        "what": "1 event in 3,000",
    },
    "third": {"query": "event.dataset:firewall", "sql": "\"event.dataset\" = 'firewall'", "what": "1 event in 3"},
    "text": {
        "query": 'message:"failed password"',
        "sql": "message ILIKE '%failed password%'",
        "what": "text contains, 1 event in 36",
    },
}

WORKLOADS = {name: (name, None) for name in FIELDS} | {name: ("default", name) for name in FILTERS}
"""Workload -> (fields, filter)."""

CONTENDERS = ("ours", "small", "clickhouse", "clickhouse-1", "polars", "polars-1", "duckdb")

THRESHOLDS = (
    # workload, peer, least ratio of events/s, why
    ("default", "clickhouse", 4.0, "ClickHouse is the peer to beat; the floor is 4 to 6 times its speed"),
    ("network", "clickhouse", 4.0, "eight short fields: formatting, not copying, decides"),
    ("default", "polars", 6.0, "Polars formats and compresses on one thread"),
    ("network", "polars", 6.0, "as above"),
    ("default", "duckdb", 12.0, "DuckDB's gzip writer is one slow thread"),
    ("network", "duckdb", 12.0, "as above"),
    ("rare", "duckdb", 1.0, "hardly anything is written: this is scan against scan"),
)
FLOOR_RATIO = 1.3
"""Most times the floor's wall time: what ordering, encoding and joining may cost on top of scan and deflate."""

SIZES = (
    # workload, contender, most times zlib level 6's bytes, why
    ("default", "ours", 1.1, "nobody should pay for speed with a tenth more traffic"),
    ("network", "ours", 1.4, "short, repetitive lines are where fast deflaters lose most"),
    ("default", "small", 1.0, "`small` is for who would rather wait"),
    ("network", "small", 1.0, "as above"),
)
VARIANTS = {"small", "clickhouse-1", "polars-1"}
WITH_VARIANTS = {workload for workload, _, _, _ in SIZES}
"""The workloads that contenders' other levels run on."""

PEAK_RSS_MIB = 1536
"""Most memory of ours, whatever the number of events."""


# The lake


def lake_of(events: int) -> pathlib.Path:
    """The lake of so many events, generated at first use."""
    from penstock.lake import table
    from penstock.samples import generate

    path = BENCH / f"lake-{events}"
    done = path / "complete"
    if not done.exists():
        print(f"generating {events:,} events in {path.relative_to(ROOT)} …", file=sys.stderr)
        generate.generate(table.EventTable(str(path), COMMUNITY), events=events, seed=1, start=START, days=7.0)
        done.touch()
    return path


def snapshot_of(path: pathlib.Path) -> Any:
    from penstock.lake import table

    return table.EventTable(str(path), COMMUNITY).snapshot()


def rare_name(path: pathlib.Path, events: int) -> str:
    """The DNS question whose share is closest to one event in 3,000."""
    import polars as pl

    kept = path / "rare_name"
    if not kept.exists():
        snapshot = snapshot_of(path)
        files = [snapshot.location(file.path) for file in snapshot.files]
        counts = (
            pl.scan_parquet(
                files, schema={"dns.question.name": pl.String}, missing_columns="insert", extra_columns="ignore"
            )
            .drop_nulls()
            .group_by("dns.question.name")
            .len()
            .collect(engine="streaming")
        )
        wanted = events / 3000
        best = counts.with_columns((pl.col("len") - wanted).abs().alias("off")).sort("off", "dns.question.name")
        kept.write_text(str(best.item(0, "dns.question.name")))
    return kept.read_text()


# The contenders; each is run in a process of its own and prints one JSON line


def run_ours(path: pathlib.Path, fields: list[str], filter_: dict[str, str] | None, out: pathlib.Path, how: str) -> Run:
    from penstock import export, query, settings
    from penstock.lake.read import plan

    snapshot, limits = snapshot_of(path), settings.load()
    begun = time.perf_counter()
    export.dump(
        snapshot,
        node=query.parse(filter_["query"] if filter_ else ""),
        time_range=plan.TimeRange(earliest=START, latest=START + dt.timedelta(days=8)),
        fields=fields,
        path=out,
        threads=limits.encoding_threads,
        slice_rows=limits.slice_rows,
        slice_bytes=limits.slice_bytes,
        part_bytes=limits.part_bytes,
        compression=how or "fast",
    )
    return {"seconds": time.perf_counter() - begun}


Run = dict[str, float]


def file_list(path: pathlib.Path) -> list[str]:
    snapshot = snapshot_of(path)
    return [snapshot.location(file.path) for file in snapshot.files]


def run_polars(
    path: pathlib.Path, fields: list[str], filter_: dict[str, str] | None, out: pathlib.Path, how: str
) -> Run:
    import polars as pl

    files = file_list(path)
    schema: dict[str, Any] = {}
    for file in files:
        schema |= pl.read_parquet_schema(file)
    begun = time.perf_counter()
    frame = pl.scan_parquet(files, schema=schema, missing_columns="insert", extra_columns="ignore")
    if filter_:
        frame = frame.filter(polars_filter(filter_))
    frame.select(fields).sink_ndjson(out, compression="gzip", compression_level=int(how) if how else None)
    return {"seconds": time.perf_counter() - begun}


def polars_filter(filter_: dict[str, str]) -> Any:
    import polars as pl

    name, _, value = filter_["query"].partition(":")
    if value.startswith('"'):
        return pl.col(name).str.contains("(?i)" + value.strip('"'))
    return pl.col(name) == value


def sql_of(fields: list[str], filter_: dict[str, str] | None, source: str) -> str:
    columns = ", ".join(f'"{name}"' for name in fields)
    return f"SELECT {columns} FROM {source}" + (f" WHERE {filter_['sql']}" if filter_ else "")


def run_duckdb(
    path: pathlib.Path, fields: list[str], filter_: dict[str, str] | None, out: pathlib.Path, how: str
) -> Run:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    source = f"read_parquet({file_list(path)!r}, union_by_name = true)"
    begun = time.perf_counter()
    connection.execute(f"COPY ({sql_of(fields, filter_, source)}) TO '{out}' (FORMAT json, COMPRESSION gzip)")
    return {"seconds": time.perf_counter() - begun}


def run_clickhouse(
    path: pathlib.Path, fields: list[str], filter_: dict[str, str] | None, out: pathlib.Path, how: str
) -> Run:
    import chdb

    names = ",".join(os.path.relpath(file, path) for file in file_list(path))
    source = f"file('{path}/{{{names}}}', Parquet)"
    settings = (
        "date_time_output_format = 'iso', output_format_json_escape_forward_slashes = 0, "
        "schema_inference_mode = 'union', input_format_parquet_allow_missing_columns = 1"
    )
    statement = (
        f"{sql_of(fields, filter_, source)} INTO OUTFILE '{out}' TRUNCATE COMPRESSION 'gzip' {how} "
        f"FORMAT JSONEachRow SETTINGS {settings}"
    )
    begun = time.perf_counter()
    chdb.query(statement)
    return {"seconds": time.perf_counter() - begun}


def run_floor(
    path: pathlib.Path, fields: list[str], filter_: dict[str, str] | None, out: pathlib.Path, how: str
) -> Run:
    """Scan alone, then deflate alone of the lines in `out`, which our own run of this round has written."""
    import polars as pl
    from isal import isal_zlib

    files = file_list(path)
    dtypes = {name: dtype for file in files for name, dtype in pl.read_parquet_schema(file).items()}
    begun = time.perf_counter()
    for _ in (
        pl.scan_parquet(files, schema=dtypes, missing_columns="insert", extra_columns="ignore")
        .select(fields)
        .collect_batches(maintain_order=True)
    ):
        pass
    scan_seconds = time.perf_counter() - begun
    inflate = zlib.decompressobj(31)
    plain = inflate.decompress(out.read_bytes())
    pieces = [memoryview(plain)[at : at + (32 << 20)] for at in range(0, len(plain), 32 << 20)]
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda piece: len(isal_zlib.compress(piece, 1, -15)), pieces))
    deflate_seconds = time.perf_counter() - begun
    return {"seconds": scan_seconds + deflate_seconds, "scan_seconds": scan_seconds, "deflate_seconds": deflate_seconds}


RUNNERS: dict[str, Callable[[pathlib.Path, list[str], dict[str, str] | None, pathlib.Path, str], Run]] = {
    "ours": run_ours,
    "small": lambda path, fields, filter_, out, how: run_ours(path, fields, filter_, out, "small"),
    "clickhouse": run_clickhouse,
    "clickhouse-1": lambda path, fields, filter_, out, how: run_clickhouse(path, fields, filter_, out, "LEVEL 1"),
    "polars": run_polars,
    "polars-1": lambda path, fields, filter_, out, how: run_polars(path, fields, filter_, out, "1"),
    "duckdb": run_duckdb,
    "floor": run_floor,
}


def filter_named(name: str | None, path: pathlib.Path, events: int) -> dict[str, str] | None:
    if name is None:
        return None
    return {part: text.replace(RARE_NAME, rare_name(path, events)) for part, text in FILTERS[name].items()}


def child(contender: str, workload: str, events: int, out: str) -> None:
    """One run in this process; prints its figures as one JSON line."""
    path = lake_of(events)
    if contender == "prepare":
        rare_name(path, events)
        return
    fields_name, filter_name = WORKLOADS[workload]
    chosen = filter_named(filter_name, path, events)
    if contender == "digest":
        print(json.dumps(events_digest(pathlib.Path(out))))
        return
    if contender == "zlib6":
        print(zlib6_bytes(pathlib.Path(out)))
        return
    print(json.dumps(RUNNERS[contender](path, FIELDS[fields_name], chosen, pathlib.Path(out), "")))


def measure(contender: str, workload: str, events: int, out: pathlib.Path) -> Run:
    """One run in a process of its own: seconds, CPU seconds, peak RSS in MiB, bytes written."""
    if contender != "floor":  # which reads what ours wrote
        out.unlink(missing_ok=True)  # replacing a file costs a flush of it
    os.sync()
    read_once(BENCH / f"lake-{events}")
    figures, usage = run_child(contender, workload, events, out)
    return {
        **figures,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_mib": usage.ru_maxrss / 1024,
        "bytes": float(out.stat().st_size),
    }


def run_child(contender: str, workload: str, events: int, out: pathlib.Path) -> tuple[Any, Any]:
    """What a process of its own printed, and its resource usage. A child's peak RSS begins with that of its parent, so
    this process must stay small."""
    command = [sys.executable, __file__, "--child", contender, "--workloads", workload, "--events", str(events)]
    process = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{contender} failed on {workload}: {process.stderr.read() if process.stderr else ''}")
    return json.loads(printed.strip().splitlines()[-1]), usage


def read_once(path: pathlib.Path) -> None:
    """Has the system read the lake's files. More than fit into half of the memory are left where they are."""
    files = list(path.rglob("*.parquet"))
    if sum(file.stat().st_size for file in files) > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2:
        return
    buffer = bytearray(8 << 20)
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


# Equality of the outputs


def events_digest(path: pathlib.Path) -> tuple[int, int]:
    """Number of events, and the sum of their hashes: equal for equal multisets of parsed events."""
    with concurrent.futures.ProcessPoolExecutor(THREADS) as pool:
        found = list(pool.map(_digest_lines, _line_blocks(path)))
    return sum(count for count, _ in found), sum(total for _, total in found) % (1 << 128)


def _line_blocks(path: pathlib.Path) -> Iterator[bytes]:
    rest = b""
    for block in inflated(path):
        whole, cut, tail = (rest + block).rpartition(b"\n")
        rest = tail if cut else rest + block
        if cut:
            yield whole
    if rest:
        yield rest


def inflated(path: pathlib.Path, piece_bytes: int = 8 << 20) -> Iterator[bytes]:
    """The plain bytes of a gzip file of one or several members."""
    with path.open("rb") as file:
        inflate = zlib.decompressobj(31)
        while piece := file.read(piece_bytes):
            while piece:
                yield inflate.decompress(piece)
                piece = inflate.unused_data
                if inflate.eof:
                    inflate = zlib.decompressobj(31)


def _digest_lines(block: bytes) -> tuple[int, int]:
    import orjson

    count = total = 0
    for line in block.split(b"\n"):
        text = orjson.dumps(_normal(orjson.loads(line)), option=orjson.OPT_SORT_KEYS)
        total += int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")
        count += 1
    return count, total


def _normal(event: dict[str, Any]) -> dict[str, Any]:
    """The event without what only names differ in: absent fields written as null or as an empty list, the time's
    spelling, and the few values of our overflow, which no peer can see."""
    kept = {name: value for name, value in event.items() if value not in (None, [])}
    moment = kept["@timestamp"].replace("T", " ").removesuffix("Z").removesuffix(" UTC")
    moment = moment.removesuffix("+00:00").removesuffix("+00")
    kept["@timestamp"] = moment.rstrip("0").rstrip(".") if "." in moment else moment
    if isinstance(kept.get("source.port"), str):
        del kept["source.port"]
    return kept


# The report


def zlib6_bytes(path: pathlib.Path) -> int:
    """What zlib level 6 makes of the same lines."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    return sum(len(deflate.compress(block)) for block in inflated(path)) + len(deflate.flush())


def run_workload(workload: str, contenders: list[str], events: int, rounds: int, check: bool) -> dict[str, Any]:
    """All rounds of one workload, alternating; medians per contender."""
    BENCH.mkdir(exist_ok=True)
    contenders = [name for name in contenders if name not in VARIANTS or workload in WITH_VARIANTS]
    outs = {name: BENCH / f"out-{workload}-{name}.jsonl.gz" for name in contenders}
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    with_floor = WORKLOADS[workload][1] is None and events <= 8_000_000 and "ours" in contenders
    if with_floor:
        runs["floor"] = []
    written: int | None = None
    for number in range(rounds):
        first = number % len(contenders)
        for name in [*contenders[first:], *contenders[:first]]:
            runs[name].append(measure(name, workload, events, outs[name]))
        if with_floor:
            runs["floor"].append(measure("floor", workload, events, outs["ours"]))
        if number == 0 and check:
            written = compare(workload, events, outs)
        print(f"{workload}: round {number + 1} of {rounds}", file=sys.stderr)
    medians = {
        name: {figure: statistics.median(run[figure] for run in of_name) for figure in of_name[0]}
        for name, of_name in runs.items()
    }
    extra = {"zlib6_bytes": run_child("zlib6", workload, events, outs["ours"])[0]} if "small" in contenders else {}
    for out in outs.values():
        out.unlink(missing_ok=True)
    return {"workload": workload, "events": events, "written": written, "medians": medians, "runs": runs, **extra}


def compare(workload: str, events: int, outs: dict[str, pathlib.Path]) -> int:
    """How many events all contenders exported; ends the benchmark if two did not export the same."""
    digests = {name: tuple(run_child("digest", workload, events, out)[0]) for name, out in outs.items()}
    if len(set(digests.values())) != 1:
        raise SystemExit(f"{workload}: the outputs are not the same events: {digests}")
    count = int(next(iter(digests.values()))[0])
    print(f"{workload}: {len(digests)} outputs hold the same {count:,} events", file=sys.stderr)
    return count


def table_of(result: dict[str, Any]) -> str:
    medians = result["medians"]
    ours = medians["ours"]["seconds"] if "ours" in medians else None
    lines = [
        f"### {result['workload']}: {describe(result['workload'])}; {result['events']:,} events scanned"
        + (f", {result['written']:,} written" if result["written"] is not None else ""),
        "",
        "| | wall s | CPU s | peak RSS MiB | MB | M events/s | ours is faster by |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, figures in medians.items():
        ratio = f"{figures['seconds'] / ours:.2f} ×" if ours else ""
        lines.append(
            f"| {name} | {figures['seconds']:.2f} | {figures['cpu_seconds']:.2f} | {figures['peak_rss_mib']:.0f} "
            f"| {figures['bytes'] / 1e6:.1f} | {result['events'] / figures['seconds'] / 1e6:.2f} | {ratio} |"
        )
    if "zlib6_bytes" in result:
        lines += ["", f"zlib level 6 makes {result['zlib6_bytes'] / 1e6:.1f} MB of the same lines:"]
        for name in ("ours", "small"):
            share = medians[name]["bytes"] / result["zlib6_bytes"]
            lines.append(f"`{'fast' if name == 'ours' else name}` is {share:.3f} × that.")
    return "\n".join(lines) + "\n"


def describe(workload: str) -> str:
    fields_name, filter_name = WORKLOADS[workload]
    what = f"{fields_name} fields"
    return what + (f", {FILTERS[filter_name]['what']}" if filter_name else "")


def verdicts(results: list[dict[str, Any]]) -> str:
    """Each threshold with what was measured, and why it is what it is."""
    by_name = {result["workload"]: result["medians"] for result in results}
    lines = ["| threshold | asked | measured | |", "|---|---|---|---|"]
    for workload, peer, least, why in THRESHOLDS:
        if peer in by_name.get(workload, {}) and "ours" in by_name[workload]:
            ratio = by_name[workload][peer]["seconds"] / by_name[workload]["ours"]["seconds"]
            mark = "reached" if ratio >= least else "**missed**"
            lines.append(f"| {workload}: events/s against {peer} ({why}) | ≥ {least:g} × | {ratio:.2f} × | {mark} |")
    for workload, medians in by_name.items():
        if "floor" in medians:
            ratio = medians["ours"]["seconds"] / medians["floor"]["seconds"]
            mark = "reached" if ratio <= FLOOR_RATIO else "**missed**"
            lines.append(f"| {workload}: wall against the floor | ≤ {FLOOR_RATIO} × | {ratio:.2f} × | {mark} |")
    zlib6 = {result["workload"]: result["zlib6_bytes"] for result in results if "zlib6_bytes" in result}
    for workload, name, most, why in SIZES:
        if workload in zlib6 and name in by_name[workload]:
            ratio = by_name[workload][name]["bytes"] / zlib6[workload]
            mark = "reached" if ratio <= most else "**missed**"
            label = "fast" if name == "ours" else name
            lines.append(
                f"| {workload}: `{label}` against zlib level 6 ({why}) | ≤ {most} × | {ratio:.3f} × | {mark} |"
            )
    peaks = [medians["ours"]["peak_rss_mib"] for medians in by_name.values() if "ours" in medians]
    if peaks:
        mark = "reached" if max(peaks) <= PEAK_RSS_MIB else "**missed**"
        lines.append(f"| peak RSS of ours, all workloads | ≤ {PEAK_RSS_MIB} MiB | {max(peaks):.0f} MiB | {mark} |")
    return "\n".join(lines) + "\n"


COLORS = {
    "ours": "#0b6e4f",
    "small": "#58a78a",
    "floor": "#9aa5b1",
    "clickhouse": "#e0a100",
    "clickhouse-1": "#f0c040",
    "polars": "#3e7cb1",
    "polars-1": "#86b3d6",
    "duckdb": "#b5651d",
}


def chart_of(results: list[dict[str, Any]]) -> str:
    """An SVG bar chart: million events a second, one group a workload."""
    bars = [
        (result["workload"], name, result["events"] / figures["seconds"] / 1e6)
        for result in results
        for name, figures in result["medians"].items()
        if name in COLORS
    ]
    most = max(speed for _, _, speed in bars)
    rows, y, last = [], 34, ""
    for workload, name, speed in bars:
        if workload != last:
            y, last = y + 16, workload
            rows.append(f'<text x="8" y="{y}" font-weight="bold">{describe(workload)}</text>')
            y += 8
        width = 470 * speed / most
        rows.append(f'<text x="96" y="{y + 12}" text-anchor="end">{name}</text>')
        rows.append(f'<rect x="104" y="{y}" width="{width:.1f}" height="15" fill="{COLORS[name]}"/>')
        rows.append(f'<text x="{110 + width:.1f}" y="{y + 12}">{speed:.2f}</text>')
        y += 19
    head = '<text x="8" y="20" font-size="15">Export speed, million events a second (longer is better)</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y + 12}" font-family="sans-serif" '
        f'font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{head}{"".join(rows)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="of " + ", ".join(RUNNERS))
    parser.add_argument("--no-check", action="store_true", help="do not compare the outputs")
    parser.add_argument("--json", type=pathlib.Path, default=BENCH / "export.json")
    parser.add_argument("--chart", type=pathlib.Path, default=BENCH / "export.svg", help="where the chart is drawn")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    workloads, contenders = asked.workloads.split(","), asked.contenders.split(",")
    if asked.child:
        environment.prepare()
        child(asked.child, workloads[0], asked.events, asked.out)
        return
    BENCH.mkdir(exist_ok=True)
    # In a process of its own, as all that takes memory: a child's peak RSS begins with its parent's.
    prepare = [sys.executable, __file__, "--child", "prepare", "--events", str(asked.events)]
    subprocess.run(prepare, check=True)
    results = [
        run_workload(workload, contenders, asked.events, asked.rounds, not asked.no_check) for workload in workloads
    ]
    for result in results:
        print(table_of(result))
    print(verdicts(results))
    asked.json.write_text(json.dumps(results, indent=1))
    if "ours" in contenders:
        asked.chart.write_text(chart_of(results))


if __name__ == "__main__":
    main()
