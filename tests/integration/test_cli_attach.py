"""Claims about `penstock community attach` and `show`: what they make, say and refuse, and that dumps work on it."""

from __future__ import annotations

import gzip
import json
import pathlib
from typing import Any

import polars as pl
import pytest


@pytest.fixture
def theirs(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder of Parquet with an event without a time."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    frame = pl.DataFrame({"time": [1_772_366_400_000, None], "src": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})
    frame.write_parquet(folder / "a.parquet")
    return folder


def test_attach_then_dump_list_and_show(penstock: Any, theirs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "ecs.map").write_text("src.ip = source.ip\n")
    ran = penstock(
        "community", "attach", "ocsf", "--table", "theirs", "--type", "parquet", "--map", "ecs.map", "--json"
    )
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert made["attached"] == {
        "table": str(theirs), "type": "parquet", "time": None, "catalog": None, "names": {"src.ip": "source.ip"}
    }  # fmt: skip
    assert (made["events"], made["events_without_time"], made["files"], made["fields"]) == (2, 1, 1, 3)
    assert made["last"].startswith("2026-03-01T12:00:00")
    listed = json.loads(penstock("community", "list", "--json").out)
    assert {each["name"]: each["attached"] and each["attached"]["type"] for each in listed} == {
        "acme": None,
        "ocsf": "parquet",
    }
    assert f"attached parquet {theirs}" in penstock("community", "list").out
    shown = penstock("community", "show", "ocsf").out
    assert "1 events, which stand at 0001-01-01T00:00:00Z" in shown
    assert penstock("dump", "--community", "ocsf", "--all-fields", "-o", "d.gz").code == 0
    events = [json.loads(line) for line in gzip.decompress((tmp_path / "d.gz").read_bytes()).splitlines()]
    assert [event["source.ip"] for event in events] == ["10.0.0.2", "10.0.0.1"]
    assert "Penstock's own" in penstock("community", "show", "acme").out
    (tmp_path / "e.jsonl").write_text('{"n": 1}\n')
    for words in (["ingest", "e.jsonl"], ["generate", "--events", "5"], ["lake", "compact"], ["lake", "vacuum"]):
        refused = penstock(*words, "--community", "ocsf")
        assert refused.code != 0
        assert "[community_attached]" in refused.err
    assert [place.name for place in theirs.iterdir()] == ["a.parquet"]


def test_detach_then_nothing_is_read(penstock: Any, theirs: pathlib.Path) -> None:
    attach = ("community", "attach", "short", "--table", "theirs", "--type", "parquet")
    assert penstock(*attach).code == 0
    made = json.loads(penstock("community", "show", "short", "--json").out)
    ran = penstock("community", "detach", "short", "--json")
    assert (ran.code, json.loads(ran.out)["uuid"]) == (0, made["uuid"])
    listed = json.loads(penstock("community", "list", "--json").out)
    assert {"detached": True} in [each["attached"] for each in listed]
    for words in (["community", "show", "short"], ["dump", "--community", "short", "-o", "d.gz"]):
        assert "[community_detached]" in penstock(*words).err
    assert "[community_not_attached]" in penstock("community", "detach", "acme").err
    assert json.loads(penstock(*attach, "--json").out)["uuid"] == made["uuid"]
    assert penstock("community", "detach", "short").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--type", "orc"], "unknown_format"),
        (["--type", "delta"], "attached_table_unreadable"),
        (["--type", "parquet", "--time", "when"], "attached_time_missing"),
        (["--type", "parquet", "--catalog", "c"], "unknown_format"),
        (["--type", "parquet", "--map", "missing.map"], "file_not_readable"),
        (["--type", "parquet", "--map", "wrong.map"], "unknown_column"),
    ],
)
def test_what_does_not_suit_makes_no_community(
    penstock: Any, theirs: pathlib.Path, tmp_path: pathlib.Path, words: list[str], code: str
) -> None:
    (tmp_path / "wrong.map").write_text("nowhere = source.ip\n")
    ran = penstock("community", "attach", "refused", "--table", str(theirs), *words)
    assert ran.code != 0
    assert f"[{code}]" in ran.err
    assert "refused" not in penstock("community", "list").out
