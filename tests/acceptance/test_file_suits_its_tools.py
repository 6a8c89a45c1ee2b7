"""The file suits its tools: gzip, zcat, jq, Python, Polars and DuckDB read the export that a customer downloads."""

from __future__ import annotations

import collections
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import zlib
from typing import Any

import polars as pl
import pytest

FIELDS = ["@timestamp", "user.name", "source.ip", "destination.port", "event.category", "event.risk_score", "message"]
EVENTS = [
    {
        "@timestamp": f"2026-03-01T10:{n // 60 % 60:02d}:{n % 60:02d}.{n % 999 + 1:03d}Z",
        "user.name": f"user {n % 17}",
        "source.ip": f"10.0.{n % 7}.{n % 250}",
        "event.category": ["authentication", "session"],
        "message": f'line "{n}"\n\ttab \\ back, état “ok” 😀 \u2028',
    }
    | ({"destination.port": n % 65536} if n % 2 else {})
    | ({"event.risk_score": n / 8} if n % 3 else {})
    for n in range(3000)
]


@pytest.fixture
def file(customer: Any, tmp_path: pathlib.Path) -> pathlib.Path:
    """The downloaded export of EVENTS, which come in shuffled."""
    lines = [json.dumps(event).encode() for event in EVENTS]
    assert customer.send([*lines[1::2], *lines[::2]]).json()["accepted"] == len(EVENTS)
    got = customer.downloaded("", FIELDS, tmp_path / "x.jsonl.gz")
    assert (got.verified, got.events) == (True, len(EVENTS))
    return tmp_path / "x.jsonl.gz"


def in_order() -> list[dict[str, Any]]:
    return sorted(EVENTS, key=lambda event: event["@timestamp"])


def shell(command: str, file: pathlib.Path, *tools: str) -> str:
    """What a command line prints; $FILE is the file. A tool that is not here is a skip, but not where CI says so."""
    for tool in ("bash", *tools):
        if shutil.which(tool) is None and not os.environ.get("CI"):
            pytest.skip(f"{tool} is not installed")
    environment = {**os.environ, "FILE": str(file), "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_gzip_finds_it_sound(file: pathlib.Path) -> None:
    assert shell('gzip -t "$FILE"', file, "gzip") == ""


def test_it_is_one_member(file: pathlib.Path) -> None:
    """Browsers and some Java readers stop after the first."""
    reader = zlib.decompressobj(31)
    text = reader.decompress(file.read_bytes())
    assert (reader.eof, reader.unused_data) == (True, b"")
    assert text.count(b"\n") == len(EVENTS)


def test_zcat_and_wc_count_it(file: pathlib.Path) -> None:
    assert int(shell('zcat "$FILE" | wc -l', file, "zcat", "wc")) == len(EVENTS)


def test_jq_reads_every_line(file: pathlib.Path) -> None:
    command = """zcat "$FILE" | jq -r '."user.name"' | sort | uniq -c"""
    counted = [line.split(maxsplit=1) for line in shell(command, file, "zcat", "jq", "sort", "uniq").splitlines()]
    wanted = collections.Counter(event["user.name"] for event in EVENTS)
    assert {name: int(count) for count, name in counted} == wanted


def test_python_reads_it_line_by_line(file: pathlib.Path) -> None:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        read = [json.loads(line) for line in lines]
    assert read == in_order()


def test_lines_hold_the_fields_in_the_order_asked(file: pathlib.Path) -> None:
    for line in gzip.decompress(file.read_bytes()).splitlines():
        names = list(json.loads(line))
        assert names == [name for name in FIELDS if name in names]


def test_polars_reads_it(file: pathlib.Path) -> None:
    frame = pl.read_ndjson(file, infer_schema_length=None)
    rows = [{name: value for name, value in row.items() if value is not None} for row in frame.to_dicts()]
    assert rows == in_order()
    assert frame.schema["destination.port"] == pl.Int64
    assert frame.schema["event.risk_score"] == pl.Float64


def test_duckdb_reads_it(file: pathlib.Path) -> None:
    duckdb = pytest.importorskip("duckdb") if not os.environ.get("CI") else __import__("duckdb")
    with duckdb.connect() as connection:
        relation = f"read_json('{file}', format='newline_delimited', maximum_object_size=1000000)"
        total, users, ports = connection.execute(
            f'SELECT count(*), count(DISTINCT "user.name"), sum("destination.port") FROM {relation}'
        ).fetchone()
        messages = connection.execute(f'SELECT message FROM {relation} ORDER BY "@timestamp"').fetchall()
    assert (total, users) == (len(EVENTS), 17)
    assert ports == sum(event.get("destination.port", 0) for event in EVENTS)
    assert [message for (message,) in messages] == [event["message"] for event in in_order()]
