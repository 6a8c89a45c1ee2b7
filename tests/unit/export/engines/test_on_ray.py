"""What passes through Ray, and when the engine refuses to start. No cluster is needed here."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import gzip
import json
import os
import pathlib
import threading
from typing import Any

import pytest

from penstock import errors, settings, storage
from penstock.base import clock
from penstock.evidence.facts import PartFacts, SegmentFacts
from penstock.export import engines
from penstock.export.engines import threads
from penstock.export.engines.on_ray import cluster, engine, node, orders, sealing, searching, taken
from penstock.export.shards import cut, shard
from penstock.intake import batch
from penstock.intake.shards import coordinator, taking
from penstock.lake import files, table
from penstock.lake.read import plan, shards

SECRET, WRAPPING = os.urandom(32), os.urandom(32)
TASK = "00000000-0000-4000-8000-000000000001"
IN_A_BUCKET = {"storage": "s3", "s3_bucket": "b", "engine": "ray", "engine_secret": base64.b64encode(SECRET).decode()}


def test_a_box_opens_only_with_both_secrets_for_its_export_and_its_purpose() -> None:
    sealed = sealing.Box(SECRET, WRAPPING, TASK).seal(b"the key", "order 1")
    assert b"the key" not in sealed
    assert sealing.Box(SECRET, WRAPPING, TASK).open(sealed, "order 1") == b"the key"
    for box, what in (
        (sealing.Box(os.urandom(32), WRAPPING, TASK), "order 1"),
        (sealing.Box(SECRET, os.urandom(32), TASK), "order 1"),
        (sealing.Box(SECRET, None, TASK), "order 1"),
        (sealing.Box(SECRET, WRAPPING, TASK.replace("1", "2")), "order 1"),
        (sealing.Box(SECRET, WRAPPING, TASK), "order 2"),
        (sealing.Box(SECRET, WRAPPING, TASK), "answer 1"),
    ):
        with pytest.raises(sealing.Unopened):
            box.open(sealed, what)
    with pytest.raises(sealing.Unopened):
        sealing.Box(SECRET, WRAPPING, TASK).open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "order 1")
    with pytest.raises(sealing.Unopened):
        sealing.Box(SECRET, WRAPPING, TASK).open(b"", "order 1")


def test_an_answer_comes_back_as_it_was() -> None:
    segment = SegmentFacts(slice=3, size=2, raw_bytes=9, crc32=7, sha256="ab", events=1)
    head = cut.Loose.from_wire({"first_slice": 3, "next_slice": 5, "segments": [vars_of(segment)]}, b"hi")
    facts = PartFacts(
        ordinal=4,
        size=2,
        events=1,
        raw_bytes=9,
        crc32=7,
        sha256="cd",
        next_slice=9,
        is_last=False,
        segments=(segment,),
        first_slice=5,
    )
    done = (facts, storage.Receipt(number=5, etag='"e"', size=2))
    back = orders.computed_of(orders.answer_of(shard.Computed(head=head, rest=None, parts=(done,))))
    assert back.parts == (done,)
    assert back.rest is None
    assert back.head is not None
    assert back.head.to_wire() == head.to_wire()
    assert back.events == 2


def vars_of(segment: SegmentFacts) -> dict[str, Any]:
    return {name: getattr(segment, name) for name in SegmentFacts.__slots__}


def test_threads_are_the_engine_unless_another_is_set() -> None:
    assert isinstance(engines.open_engine(settings.Settings()), threads.Threads)


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({"storage": "embedded"}, "engine_settings_incomplete", "bucket"),
        ({"engine_secret": ""}, "engine_settings_incomplete", "engine_secret"),
        ({"engine_secret": base64.b64encode(b"short").decode()}, "engine_settings_incomplete", "32 bytes"),
        ({"engine_secret": "no base64!"}, "engine_settings_incomplete", "engine_secret"),
    ],
)
def test_a_cluster_that_cannot_work_is_refused_at_the_start(
    changed: dict[str, str], code: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "is_installed", lambda: True)
    with pytest.raises(errors.ConfigurationError) as refusal:
        engines.open_engine(settings.Settings(**(IN_A_BUCKET | changed)))
    assert refusal.value.code == code
    assert says in str(refusal.value)
    assert not changed.get("engine_secret") or changed["engine_secret"] not in str(refusal.value)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "is_installed", lambda: False)
    with pytest.raises(errors.ConfigurationError, match=r"penstock\[ray\]") as refusal:
        engines.open_engine(settings.Settings(**IN_A_BUCKET))
    assert refusal.value.code == "engine_not_installed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lake_path", "/elsewhere"),
        ("s3_bucket", "other"),
        ("s3_prefix", "other"),
        ("lake_s3_endpoint_url", "https://other"),
        ("attach_s3_endpoint_url", "https://other"),
        ("version", "0.0"),
        ("protocol", "0"),
    ],
)
def test_a_node_that_is_set_up_otherwise_says_in_what(name: str, value: str, tmp_path: pathlib.Path) -> None:
    own = settings.Settings(**IN_A_BUCKET, lake_path=str(tmp_path))
    wanted = node.service_of(own)
    node._check(own, wanted)
    with pytest.raises(node._Differs, match=name):
        node._check(own, {**wanted, name: value})


def test_a_node_that_does_not_see_the_lake_makes_none(tmp_path: pathlib.Path) -> None:
    own = settings.Settings(**IN_A_BUCKET, lake_path=str(tmp_path / "not mounted"))
    with pytest.raises(node._Differs, match="not mounted"):
        node._check(own, node.service_of(own))
    assert not (tmp_path / "not mounted").exists()


class _Silent:
    """A cluster that is connected to, and then says nothing until it is let go."""

    def __init__(self, fault: errors.PenstockError | None = None) -> None:
        self.let_go = threading.Event()
        self.is_stopped = threading.Event()
        self._fault = fault

    def nodes(self) -> dict[str, float]:
        if self._fault is not None:
            raise self._fault
        self.let_go.wait(20)
        return {"a node": 1.0}

    def stop(self, tickets: Any, *, grace_seconds: float) -> None:
        self.is_stopped.set()


@pytest.mark.parametrize("how", ["hangs", "is away"])
def test_a_search_does_not_wait_for_a_cluster_that_hangs_or_is_away(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(searching, "SILENT_SECONDS", 0.0)
    silent = _Silent(errors.NotReady("engine_unavailable", "No.", "") if how == "is away" else None)
    away = threading.Event()
    box = sealing.box_of_search(SECRET, TASK)
    pool = searching.Pool(silent, TASK, box, service={}, most=1, away=away.set)  # type: ignore[arg-type]
    moment = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    time_range = plan.TimeRange(earliest=moment, latest=moment)
    question = shards.Question(term="", filters=(), time_range=time_range, buckets=60)
    shard_ = shards.Shard(number=0, community_uuid=TASK, version=1, spans=((0, 1),), rows=1)
    ticket = pool.submit(shard_, question)

    def wait() -> None:
        while True:
            assert not pool.wait([ticket], 0.01)

    with pytest.raises(errors.NotReady) as caught:
        wait()
    assert caught.value.code == "engine_unavailable"
    assert away.wait(20)
    pool.stop()
    silent.let_go.set()
    assert silent.is_stopped.wait(20)


def test_an_engine_does_not_leave_the_cluster_while_a_search_is_in_a_call_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray ends the process of whoever calls it after that."""
    monkeypatch.setattr(engine, "CLOSE_SECONDS", 0.05)
    silent, left = _Silent(), threading.Event()
    silent.close = left.set  # type: ignore[attr-defined]
    opened = engine.OnRay(settings.load(**IN_A_BUCKET))
    opened._cluster = silent  # type: ignore[assignment]
    pool = opened.search_pool(TASK)
    assert pool is not None
    moment = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    time_range = plan.TimeRange(earliest=moment, latest=moment)
    pool.submit(
        shards.Shard(number=0, community_uuid=TASK, version=1, spans=((0, 1),), rows=1),
        shards.Question(term="", filters=(), time_range=time_range, buckets=60),
    )
    again = opened.search_pool(TASK)  # the other is not forgotten
    assert again is not None
    opened.close()
    assert not left.is_set()
    silent.let_go.set()
    assert silent.is_stopped.wait(20)
    opened.close()
    assert left.is_set()


def test_searches_leave_a_cluster_alone_that_was_just_away() -> None:
    opened = engine.OnRay(settings.load(**IN_A_BUCKET))
    assert opened.search_pool(TASK) is not None
    opened._away()
    assert opened.search_pool(TASK) is None
    opened.close()


def test_a_node_takes_in_the_very_files_and_answers_all_or_says_that_it_is_too_much(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    source.write_bytes(b'{"@timestamp":1700000000,"n":1}\n{"n":"x"}\nno event\n')
    here = settings.Settings(home=tmp_path, lake_path=str(lake))
    (shard_,) = coordinator.cut([str(source)], at_once=1, rejects_in=tmp_path)
    order = {
        "community_uuid": TASK,
        "limits": dataclasses.asdict(batch.Limits()),
        "sizes": [source.stat().st_size],
        "shard": json.loads(json.dumps(taken.shard_to_json(shard_))),
    }
    back = taken.taken_of(node._taken(here, order), shard_.rejects)
    assert (back.accepted, back.untimed, back.rejected, back.broken) == (2, 1, 1, None)
    assert back.rejects[0].line == 3
    assert b"no event" in (tmp_path / "0").read_bytes()
    own = taking.take(table.EventTable(str(lake), TASK), shard_, clock=clock.SystemClock(), limits=batch.Limits())
    same = {"written": (), "formats": dict(back.formats)}  # but for names and times
    assert dataclasses.replace(back, **same) == dataclasses.replace(own, **same)
    assert [each.fields for each in back.written] == [each.fields for each in own.written]
    files.delete(table.EventTable(str(lake), TASK).folder, [*back.written, *own.written])
    monkeypatch.setattr(node, "MOST_REJECTS_BYTES", 1)
    with pytest.raises(node._TooMuch):
        node._taken(here, order)
    assert list(lake.rglob("*.parquet")) == []
    for sizes, sources in (([1], [str(source)]), ([1], [str(tmp_path / "elsewhere")])):
        with pytest.raises(node._Differs, match="does not see the same file at"):
            node._taken(here, order | {"sizes": sizes, "shard": order["shard"] | {"sources": sources}})  # type: ignore[operator]


def test_a_broken_file_is_told_as_it_is(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "a.json.gz"
    source.write_bytes(gzip.compress(b'{"n":1}\n' * 5_000)[:-20])
    (shard_,) = coordinator.cut([str(source)], at_once=1)
    own = taking.take(
        table.EventTable(str(tmp_path / "lake"), TASK), shard_, clock=clock.SystemClock(), limits=batch.Limits()
    )
    assert own.broken is not None
    back = taken.taken_of(taken.answer_of(own, b""), None)
    assert (back, back.broken) == (own, own.broken)
