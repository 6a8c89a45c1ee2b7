"""CPU seconds to encode and deflate 4 million events on one core, against Polars' own writer, in one run.

    python benchmarks/encode.py [--events 1000000] [--rounds 5] [--json FILE]

Frames are made here, seeded, with the nulls, lengths and entropy of security events (firewall, sshd, DNS, proxy,
Windows, cloud audit). The rows of the table: `kernel` writes lines into the cache and forgets them; `igzip` deflates
ready lines; `both` is what an encoding thread does per slice; `write_ndjson` is Polars' writer into memory, without
compression. That one may use every core, the others run on one; all are CPU seconds, so they compare.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable

import numpy as np
import polars as pl

from penstock import encode
from penstock.encode import lines as line_room
from penstock.fields.types import FieldType

SLICE_ROWS = 131_072
REPORTED_EVENTS = 4_000_000

SELECTIONS = {
    "default": ["@timestamp", "message"],
    "network": [
        "@timestamp",
        "source.ip",
        "source.port",
        "destination.ip",
        "destination.port",
        "network.protocol",
        "network.transport",
        "event.action",
    ],
    "endpoint": [
        "@timestamp",
        "host.name",
        "process.name",
        "process.executable",
        "process.args",
        "file.path",
        "file.hash.sha256",
        "user.name",
    ],
    "json messages": ["@timestamp", "event.original"],
}

TARGET_SECONDS = {"default": 0.45, "network": 0.95, "endpoint": 0.80}
"""Kernel alone, per 4 M events: what the C prototype of docs/design.md §9 took without checking a single bound."""


def events(rows: int, seed: int) -> pl.DataFrame:
    """A frame of mixed events in time order."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(5, rows, p=[0.45, 0.15, 0.15, 0.15, 0.10])  # firewall, dns, proxy, sshd, windows
    times = 1_767_225_600_000_000 + np.cumsum(rng.integers(1, 3_000, rows))
    hexes = pl.Series(rng.integers(0, 2**63, rows)).cast(pl.String)
    columns = {
        "@timestamp": pl.Series(times - times % 1000).cast(pl.Datetime("us", "UTC")),
        "kind": pl.Series(kind),
        "source.ip": _addresses(rng, rows, "10.{}.{}.{}", 4_000),
        "destination.ip": _addresses(rng, rows, "{}.{}.{}.{}", 30_000),
        "source.port": pl.Series(rng.integers(1024, 65_535, rows)),
        "destination.port": pl.Series(rng.choice([443, 80, 53, 22, 8443, 3389, 445, 25], rows)),
        "network.protocol": _choice(rng, rows, ["tls", "http", "dns", "ssh", "rdp", "smb"]),
        "network.transport": _choice(rng, rows, ["tcp", "udp"]),
        "event.action": _choice(rng, rows, ["allow", "deny", "accept", "close", "connection-reset", "timeout"]),
        "host.name": _choice(rng, rows, [f"srv-{i:04}.corp.example.com" for i in range(900)]),
        "user.name": _choice(rng, rows, [f"user{i:03}" for i in range(700)]),
        "process.name": _choice(rng, rows, ["svchost.exe", "powershell.exe", "chrome.exe", "sshd", "cmd.exe"]),
        "bytes": pl.Series(rng.integers(60, 2_000_000, rows)),
        "n": pl.Series(rng.integers(0, 2**31, rows)),
        "hash": (hexes + hexes + hexes + hexes).str.slice(0, 64),
        "tool": _choice(rng, rows, ["WindowsPowerShell\\v1.0", "wbem", "drivers", "Tasks"]),
    }
    frame = pl.DataFrame(columns)
    network, endpoint = pl.col("kind") <= 2, pl.col("kind") >= 3
    frame = frame.with_columns(message=_message(), **{"event.original": _json_message()})
    frame = frame.with_columns(
        **{
            "process.executable": pl.format("C:\\Windows\\System32\\{}\\{}", "tool", "process.name"),
            "process.args": pl.concat_list(
                "process.name", pl.lit("-NoProfile"), pl.format("--id={}", "n"), pl.format("C:\\Temp\\{}.tmp", "n")
            ),
            "file.path": pl.format("C:\\Users\\{}\\AppData\\Local\\Temp\\{}.tmp", "user.name", "n"),
            "file.hash.sha256": pl.col("hash"),
        }
    )
    keep = [pl.when(network).then(pl.col(c)).alias(c) for c in SELECTIONS["network"][1:]]
    keep += [pl.when(endpoint).then(pl.col(c)).alias(c) for c in SELECTIONS["endpoint"][3:-1]]
    frame = frame.with_columns(keep).select(sorted({name for names in SELECTIONS.values() for name in names}))
    file = io.BytesIO()  # through Parquet, so that strings lie in memory as a scan of the lake leaves them
    frame.write_parquet(file)
    file.seek(0)
    return pl.read_parquet(file).rechunk()


def _addresses(rng: np.random.Generator, rows: int, pattern: str, distinct: int) -> pl.Series:
    pool = [pattern.format(*rng.integers(1, 255, 4)) for _ in range(distinct)]
    return _choice(rng, rows, pool)


def _choice(rng: np.random.Generator, rows: int, pool: list[str]) -> pl.Series:
    skewed = (rng.random(rows) ** 3 * len(pool)).astype(np.uint32)
    return pl.Series(pool).gather(skewed)


def _message() -> pl.Expr:
    firewall = pl.format(
        "date=2026-01-01 devname=FG-{} type=traffic subtype=forward level=notice srcip={} srcport={} dstip={} "
        "dstport={} proto=6 action={} policyid={} sentbyte={} service=HTTPS",
        "host.name",
        "source.ip",
        "source.port",
        "destination.ip",
        "destination.port",
        "event.action",
        "n",
        "bytes",
    )
    dns = pl.format("queries: client @0x{} {}#{}: query: {} IN A +E(0)K", "n", "source.ip", "source.port", "host.name")
    proxy = pl.format(
        '{} - {} "GET http://{}/api/v1/items/{} HTTP/1.1" 200 {} "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"',
        "source.ip",
        "user.name",
        "host.name",
        "n",
        "bytes",
    )
    sshd = pl.format("Failed password for {} from {} port {} ssh2", "user.name", "source.ip", "source.port")
    windows = pl.format(
        "A new process has been created.\n\nSubject:\n\tAccount Name:\t{}\n\nProcess:\n\tID:\t{}\n\tName:\t{}",
        "user.name",
        "n",
        "process.name",
    )
    kind = pl.col("kind")
    return (
        pl.when(kind == 0)
        .then(firewall)
        .when(kind == 1)
        .then(dns)
        .when(kind == 2)
        .then(proxy)
        .when(kind == 3)
        .then(sshd)
        .otherwise(windows)
    )


def _json_message() -> pl.Expr:
    pairs = {
        "eventVersion": pl.lit("1.08"),
        "userName": pl.col("user.name"),
        "sourceIPAddress": pl.col("source.ip"),
        "eventName": pl.col("event.action"),
        "requestID": pl.col("n"),
        "host": pl.col("host.name"),
        "userAgent": pl.lit("aws-cli/2.15.30 Python/3.11.8 Linux/5.10 exe/x86_64"),
        "eventSource": pl.lit("s3.amazonaws.com"),
    }
    members = [pl.format('"{}":"{}"', pl.lit(name), value) for name, value in pairs.items()]
    return pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=","), pl.lit("}"))


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads of the process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def kernel_only(encoder: encode.LineEncoder, frames: list[pl.DataFrame]) -> None:
    """Lines of every frame, each piece dropped at once."""
    for frame in frames:
        for _ in encoder.chunks(frame):
            pass


def igzip_only(texts: list[memoryview]) -> None:
    """Ready lines into segments."""
    for text in texts:
        encode.gzip.deflate(text, "fast")


def both(encoder: encode.LineEncoder, frames: list[pl.DataFrame], compression: str = "fast") -> int:
    """What an encoding thread does; compressed bytes."""
    return sum(len(encode.gzip.encode_slice(encoder, frame, compression).data) for frame in frames)


def measure(name: str, frames: list[pl.DataFrame], rounds: int) -> dict[str, float]:
    """Medians over alternated rounds, scaled to REPORTED_EVENTS."""
    fields = SELECTIONS[name]
    chosen = [frame.select(fields) for frame in frames]
    encoder = encode.LineEncoder(fields, {"@timestamp": FieldType.DATE})
    texts = [memoryview(encoder.encode(frame).data) for frame in chosen]
    raw = sum(map(len, texts))
    scale = REPORTED_EVENTS / sum(frame.height for frame in chosen)
    runs: dict[str, list[float]] = {"kernel": [], "igzip": [], "both": [], "write_ndjson": []}
    for _ in range(rounds):
        runs["kernel"].append(seconds(lambda: kernel_only(encoder, chosen)))
        runs["igzip"].append(seconds(lambda: igzip_only(texts)))
        runs["both"].append(seconds(lambda: both(encoder, chosen)))
        runs["write_ndjson"].append(seconds(lambda: [frame.write_ndjson() for frame in chosen]))
    result = {key: statistics.median(values) * scale for key, values in runs.items()}
    one = bytes(texts[0])
    fast = len(encode.gzip.deflate(one, "fast").data)
    small = len(encode.gzip.deflate(one, "small").data)
    zlib6 = len(zlib.compress(one, 6))
    return result | {
        "raw_bytes_per_event": raw * scale / REPORTED_EVENTS,
        "write_ndjson/kernel": result["write_ndjson"] / result["kernel"],
        "fast/zlib6 bytes": fast / zlib6,
        "small/zlib6 bytes": small / zlib6,
        "target": TARGET_SECONDS.get(name, float("nan")),
    }


def main() -> int:
    """Print the table; 1 if the kernel is not built."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--json", help="also write the figures to this file")
    options = arguments.parse_args()
    if not encode.LineEncoder(["a"], {}).compiled:
        return 1
    frames = [events(SLICE_ROWS, seed) for seed in range(max(1, options.events // SLICE_ROWS))]
    print(f"CPU seconds per {REPORTED_EVENTS:,} events; pieces of {line_room.CHUNK_BYTES // 1024} KiB")
    results = {name: measure(name, frames, options.rounds) for name in SELECTIONS}
    keys = list(next(iter(results.values())))
    print(f"{'':<22}" + "".join(f"{name:>15}" for name in results))
    for key in keys:
        print(f"{key:<22}" + "".join(f"{result[key]:>15.2f}" for result in results.values()))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
